"""The bit-flip engine: exact, nested and reproducible flips of stored codes at the speed of memory."""

from __future__ import annotations

from qtaml_hw.faults._flip import MapKey, error_masks, flip_bits
from qtaml_hw.faults._weak import WeakCells, weak_cells

__all__ = ["MapKey", "WeakCells", "error_masks", "flip_bits", "weak_cells"]
