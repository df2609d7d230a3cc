"""The accelerator: systolic cycles and accesses, energy per inference, and accuracy over fault maps.

Names are loaded on first use, so that the cycle count does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qtaml_hw.accelerator.systolic import DATAFLOWS, SystolicCost, dataflow_code, systolic_cost

_HOMES = {
    "DATAFLOWS": "systolic",
    "SystolicCost": "systolic",
    "dataflow_code": "systolic",
    "systolic_cost": "systolic",
}

__all__ = ["DATAFLOWS", "SystolicCost", "dataflow_code", "systolic_cost"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
