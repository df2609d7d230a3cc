"""The bit-flip engine: exact, nested and reproducible flips of stored codes at the speed of memory.

``torch_twin`` (imported by name, since it needs PyTorch) flips the same cells of tensors on any device.
"""

from __future__ import annotations

from qtaml_hw.faults._dequantise import corrupt_and_dequantise
from qtaml_hw.faults._flip import MapKey, error_masks, flip_bits
from qtaml_hw.faults._packed import flip_packed
from qtaml_hw.faults._spatial import Bursts, Clusters, flip_structured
from qtaml_hw.faults._weak import WeakCells, weak_cells

__all__ = [
    "Bursts",
    "Clusters",
    "MapKey",
    "WeakCells",
    "corrupt_and_dequantise",
    "error_masks",
    "flip_bits",
    "flip_packed",
    "flip_structured",
    "weak_cells",
]
