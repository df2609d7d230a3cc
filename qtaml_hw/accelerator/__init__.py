"""The accelerator: systolic cycles and accesses, energy per inference, and accuracy over fault maps.

Names are loaded on first use, so that the cycle count does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qtaml_hw.accelerator.energy import (
        MAC_ENERGIES,
        EnergySplit,
        MacEnergy,
        WeightMemory,
        energy_per_inference,
        mac_energy,
    )
    from qtaml_hw.accelerator.layers import LayerCost, NetworkCost, layer_costs, network_cost
    from qtaml_hw.accelerator.systolic import DATAFLOWS, SystolicCost, dataflow_code, systolic_cost

_HOMES = {
    "MAC_ENERGIES": "energy",
    "EnergySplit": "energy",
    "MacEnergy": "energy",
    "WeightMemory": "energy",
    "energy_per_inference": "energy",
    "mac_energy": "energy",
    "LayerCost": "layers",
    "NetworkCost": "layers",
    "layer_costs": "layers",
    "network_cost": "layers",
    "DATAFLOWS": "systolic",
    "SystolicCost": "systolic",
    "dataflow_code": "systolic",
    "systolic_cost": "systolic",
}

__all__ = [
    "DATAFLOWS",
    "MAC_ENERGIES",
    "EnergySplit",
    "LayerCost",
    "MacEnergy",
    "NetworkCost",
    "SystolicCost",
    "WeightMemory",
    "dataflow_code",
    "energy_per_inference",
    "layer_costs",
    "mac_energy",
    "network_cost",
    "systolic_cost",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
