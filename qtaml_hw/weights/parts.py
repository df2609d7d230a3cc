"""What scales, minima and zero points consist of where they are stored as codes of their own.

A value that a run of weights shares is a product of parts, each an array of codes in a number format: a float16 in
GGUF's blocks of 32, a float16 per 256 weights times six bits per 32 in its super-blocks, a power of two in the
microscaling formats, E4M3 times one number per tensor in NVFP4, an integer zero point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from qtaml_hw.arrays import Codes, Float32
from qtaml_hw.weights.formats import NumberFormat

Role = Literal["scale", "zero", "minimum"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)


@dataclass(frozen=True, eq=False)
class ScalePart:
    """One stored array.

    ``codes`` flat [n] in ``format``; ``share``: so many neighbouring scales of the tensor have one of these together,
    the last one what is left.  ``role``: what it is a factor of; ``negative``: of a value that is subtracted.
    """

    role: Role
    codes: Codes
    format: NumberFormat
    share: int = 1
    negative: bool = False

    def __post_init__(self) -> None:
        if self.codes.ndim != 1 or self.share < 1:
            raise ValueError(f"a part of scales is flat and shared by one scale or more, got {self.codes.shape}")
        self.codes.setflags(write=False)

    @property
    def bits(self) -> int:
        """Stored bits."""
        return self.codes.size * self.format.bits

    def values(self, count: int, codes: Codes | None = None) -> Float32:
        """The factor of every scale of the tensor, float32 [count], from the stored codes or those given."""
        read = self.format.decode_table.astype(np.float32)[self.codes if codes is None else codes]
        spread: Float32 = np.repeat(-read if self.negative else read, self.share)[:count]
        if spread.size != count:
            raise ValueError(f"{self.codes.size} codes of a {self.role} shared by {self.share} are not for {count}")
        return spread


def product(parts: Sequence[ScalePart], role: Role, count: int, codes: Sequence[Codes] | None = None) -> Float32 | None:
    """What the parts of a role make of every scale, float32 [count], multiplied in order; None where there are none.

    ``codes``: of every part (of any role), where others are read than are stored.
    """
    found: Float32 | None = None
    for i, part in enumerate(parts):
        if part.role == role:
            factor = part.values(count, None if codes is None else codes[i])
            found = factor if found is None else found * factor
    return found
