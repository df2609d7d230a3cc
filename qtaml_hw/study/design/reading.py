"""What a fault map is read as, where the network computes: codes simulated here and sent, or flipped on the device.

On a GPU the torch twin of the engine flips the stored codes where they lie, the same cells bit for bit, wherever every
plane's cells flip alike and no word is corrected; then nothing but the outputs travels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from qtaml_hw import memory
from qtaml_hw.arrays import Float64
from qtaml_hw.faults import MapKey
from qtaml_hw.faults.torch_twin import flip_torch
from qtaml_hw.study.design.cells.cell import CellView

FLIPPING = ("cuda",)  # kinds of devices with the twin's 64-bit arithmetic on which it beats one core


@dataclass(frozen=True, eq=False)
class Read:
    """A fault map's codes by sample and tensor, here or on a device, and its timeline once that is asked for."""

    codes: Sequence[Sequence[Any]]
    timeline: Callable[[], memory.Timeline]


@dataclass(frozen=True, eq=False)
class Reading:
    """A chip of a cell, read where the network computes; ``flips_there``: whether flips may be drawn there."""

    chip: memory.Memory
    cell: CellView
    device: torch.device
    flips_there: bool

    @classmethod
    def of(cls, chip: memory.Memory, cell: CellView, device: torch.device) -> Reading:
        """With flips drawn where that is faster."""
        return cls(chip, cell, device, device.type in FLIPPING)

    def read(self, seed: int, map_index: int) -> Read:
        """One fault map."""
        cells = self.cell.of_chip(seed, map_index)
        alike = self.chip.whole(cells) if self.flips_there else None
        if alike is None:
            timeline = self.cell.live(self.chip, seed, map_index)
            return Read(timeline.read_out, lambda: timeline)
        key, read, counts = MapKey(seed, map_index), [], []
        for sample in range(len(alike[0].p)):
            codes = [self._flipped(t, one.p[sample], key) for t, one in enumerate(alike)]
            counts.append(torch.stack([differing(a, b) for a, b in zip(codes, self._stored, strict=True)]).sum())
            read.append(codes)
        return Read(read, lambda: self.chip.counted(cells, torch.stack(counts).cpu().numpy()))

    @cached_property
    def _stored(self) -> tuple[torch.Tensor, ...]:
        """The codes without a flip, sent once."""
        return tuple(torch.from_numpy(codes.copy()).to(self.device) for codes in self.chip.codes)

    def _flipped(self, tensor: int, p: Float64, key: MapKey) -> torch.Tensor:
        return flip_torch(self._stored[tensor], p[:, 0], p[:, 1], key.of(tensor))


def differing(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Bits in which codes differ, on their device: the sum of ones of every byte, counted in halves of halves."""
    x = a.view(torch.uint8) ^ b.view(torch.uint8)
    x = x - ((x >> 1) & 0x55)
    x = (x & 0x33) + ((x >> 2) & 0x33)
    return ((x + (x >> 4)) & 0x0F).sum(dtype=torch.int64)
