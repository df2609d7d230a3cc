"""The bit-flip engine: exact, nested and reproducible flips of stored codes at the speed of memory.

``torch_twin`` (imported by name, since it needs PyTorch) flips the same cells of tensors on any device.
"""

from __future__ import annotations

from qtaml_hw.faults._chunks import Scratch, flip_row, scratch
from qtaml_hw.faults._flip import RowRates, error_masks, flip, flip_bits, flip_each, flip_end_to_end
from qtaml_hw.faults._notice import compile_notice
from qtaml_hw.faults._spatial import Bursts, Clusters, flip_structured
from qtaml_hw.faults._weak import WeakCells, second_uniforms, weak_cells
from qtaml_hw.faults.keys import MAPS, TENSORS, MapKey, RowKeys

__all__ = [
    "MAPS",
    "TENSORS",
    "Bursts",
    "Clusters",
    "MapKey",
    "RowKeys",
    "RowRates",
    "Scratch",
    "WeakCells",
    "compile_notice",
    "error_masks",
    "flip",
    "flip_bits",
    "flip_each",
    "flip_end_to_end",
    "flip_row",
    "flip_structured",
    "scratch",
    "second_uniforms",
    "weak_cells",
]
