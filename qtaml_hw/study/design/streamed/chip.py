"""One fault map over the stored tensors of a streamed model: their codes as read, and how far the weights moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from qtaml_hw.arrays import Codes, Float32, Float64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.faults import MapKey, flip
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.study.design.streamed.image import Block, StreamedImage, Surveyed

Each = Callable[[str, Float32], None]
"""Called with every stored tensor as read, in file order: its name and its weights, float32, of its shape."""
ONES: Final = np.array([n.bit_count() for n in range(256)], dtype=np.uint8)  # of every byte


@dataclass(eq=False)
class Chip:
    """The tensors of a model as one chip reads them, in the order of the files.

    ``flips``: bits that were read wrong; ``change``: summed squared change of the weights of every tensor so far.
    """

    image: StreamedImage
    plan: ProtectionPlan
    channel: FlipChannel
    key: MapKey
    device: str | None
    flips: int = 0
    change: dict[str, float] = field(default_factory=dict)

    @cached_property
    def _residual(self) -> tuple[Float64, Float64]:
        return self.plan.residual(self.channel)

    def read(self, name: str) -> AsRead | None:
        """A tensor as read; None of one that is not stored."""
        tensor = next((t for t in self.image.weights if t.name == name), None)
        if tensor is None:
            return None
        first = self.image.places[name]
        stored = [t.codes() for t in self.image.tensors[first : first + 1 + len(tensor.parts)]]
        read = [self._flipped(codes, first + i) for i, codes in enumerate(stored)]
        parts_flips = sum(_ones(a ^ b) for a, b in zip(stored[1:], read[1:], strict=True))
        return AsRead(self, tensor, stored[0], read[0], tuple(read[1:]), parts_flips)

    def _flipped(self, codes: Codes, number: int) -> Codes:
        bits = int(self.image.tensor_planes[number])
        p01, p10 = (side[number, :bits] for side in self._residual)
        cells = FlipChannel(p01, p10, "fixed", "").padded(8 * codes.itemsize)
        if self.device is None:
            return flip(codes, cells.p01, cells.p10, self.key.of(number))
        import torch

        from qtaml_hw.faults.torch_twin import flip_torch

        there = torch.from_numpy(codes).to(self.device)
        flipped: Codes = flip_torch(there, cells.p01, cells.p10, self.key.of(number)).cpu().numpy()
        return flipped


def _ones(codes: Codes) -> int:
    return int(ONES[codes.view(np.uint8)].sum(dtype=np.int64))


@dataclass(frozen=True, eq=False)
class AsRead:
    """A tensor of a chip: the codes that were stored, and those that are read, flat; those of its scales as read."""

    chip: Chip
    tensor: Surveyed
    stored: Codes
    codes: Codes
    parts: tuple[Codes, ...] = ()
    parts_flips: int = 0

    def weights(self) -> Iterator[Float32]:
        """The weights as read, flat, block by block; the chip learns which bits are wrong and how far weights moved."""
        done, moved = 0, 0.0
        self.chip.flips += self.parts_flips
        for block, read in self._blocks():
            here = slice(done, done + block.values)
            done += block.values
            self.chip.flips += _ones(self.stored[here] ^ self.codes[here])
            faulty = read.weights(self.codes[here])
            change = faulty.astype(np.float64) - block.weights(self.stored[here])
            moved += float(change @ change)
            yield faulty
        self.chip.change[self.tensor.name] = moved

    def _blocks(self) -> Iterator[tuple[Block, Block]]:
        """Every block with its scales as stored, and as read."""
        if not self.parts:
            return ((block, block) for block in self.tensor.blocks())
        return zip(self.tensor.blocks(), self.tensor.blocks(self.parts), strict=True)

    def handed_on(self, each: Each | None) -> Iterator[Float32]:
        """The same, and after the last block all of it to ``each``, in its shape."""
        whole, done = np.empty(self.tensor.values if each is not None else 0, dtype=np.float32), 0
        for block in self.weights():
            if each is not None:
                whole[done : done + block.size] = block
                done += block.size
            yield block
        if each is not None:
            each(self.tensor.name, whole.reshape(self.tensor.shape))
