"""The accelerator: systolic cycles and accesses, energy per inference, and accuracy over fault maps.

Names are loaded on first use, so that the cycle count does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtaml_hw._lazy import attach

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
    from qtaml_hw.accelerator.served import ServedNetwork, serving
    from qtaml_hw.accelerator.systolic import DATAFLOWS, SystolicCost, dataflow_code, systolic_cost

_HOMES = {
    "ServedNetwork": "served",
    "serving": "served",
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
    "ServedNetwork",
    "SystolicCost",
    "WeightMemory",
    "dataflow_code",
    "energy_per_inference",
    "layer_costs",
    "mac_energy",
    "network_cost",
    "serving",
    "systolic_cost",
]

__getattr__, __dir__ = attach(__name__, _HOMES)
