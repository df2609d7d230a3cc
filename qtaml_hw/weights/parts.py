"""What scales, minima and zero points consist of where they are stored as codes of their own.

A value that a run of weights shares is a product of parts, each an array of codes in a number format: a float16 in
GGUF's blocks of 32, a float16 per 256 weights times six bits per 32 in its super-blocks, a power of two in the
microscaling formats, E4M3 times one number per tensor in NVFP4, an integer zero point.  A float32 is two arrays of
sixteen planes, the halves of its pattern, so that the upper one is a bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from qtaml_hw.arrays import Codes, Float32
from qtaml_hw.weights.floats import LOWER_MANTISSA, FloatFormat, LowerHalf
from qtaml_hw.weights.formats import NumberFormat, UnsignedFormat, WeightFormat

Role = Literal["scale", "zero", "minimum"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)


@dataclass(frozen=True, eq=False)
class ScalePart:
    """One stored array.

    ``codes`` flat [n] in ``format``; ``share``: so many neighbouring scales of the tensor have one of these together,
    the last one what is left.  ``role``: what it is a factor of; ``negative``: of a value that is subtracted.  Where
    the format is ``LowerHalf`` it is no factor of its own, but belongs to the part before it.
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

    @property
    def lower(self) -> bool:
        """Whether it holds the lower halves of float32 numbers."""
        return isinstance(self.format, LowerHalf)

    def values(self, count: int, codes: Codes | None = None, lower: Codes | None = None) -> Float32:
        """The factor of every scale of the tensor, float32 [count], from the stored codes or those given.

        ``lower``: the lower halves that belong to them, of float32 numbers.  A pattern that is no number reads as its
        upper half does.
        """
        upper = self.codes if codes is None else codes
        read = self.format.decode_table.astype(np.float32)[upper]
        if lower is not None:
            pattern = upper.astype(np.uint32) << LowerHalf.bits | lower
            read = np.where(self.format.special_codes[upper], read, pattern.view(np.float32))
        spread: Float32 = np.repeat(-read if self.negative else read, self.share)[:count]
        if spread.size != count:
            raise ValueError(f"{self.codes.size} codes of a {self.role} shared by {self.share} are not for {count}")
        return spread


def factors(parts: Sequence[ScalePart], role: Role) -> Iterator[tuple[int, ...]]:
    """The places of the parts that each factor of a role consists of: one, or the two halves of a float32."""
    for i, part in enumerate(parts):
        if part.role == role and not part.lower:
            yield (i, i + 1) if i + 1 < len(parts) and parts[i + 1].lower else (i,)


def product(
    parts: Sequence[ScalePart],
    role: Role,
    count: int,
    codes: Sequence[Codes] | None = None,
    without: int | None = None,
) -> Float32 | None:
    """What the parts of a role make of every scale, float32 [count], multiplied in order; None where there are none.

    ``codes``: of every part (of any role), where others are read than are stored; ``without``: the place of a part
    whose factor is left out.
    """
    held = [part.codes for part in parts] if codes is None else codes
    found: Float32 | None = None
    for places in factors(parts, role):
        if without not in places:
            factor = parts[places[0]].values(count, *(held[i] for i in places))
            found = factor if found is None else found * factor
    return found


def float32_parts(role: Role, values: Float32) -> tuple[ScalePart, ScalePart]:
    """Numbers float32 [n] as two stored arrays: the upper halves of their patterns, and the lower ones.

    Raises ValueError for numbers that are not finite.
    """
    if not np.isfinite(values).all():
        raise ValueError(f"a stored {role} must be finite")
    pattern = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    upper, lower = (pattern >> LowerHalf.bits).astype(np.uint16), pattern.astype(np.uint16)
    return ScalePart(role, upper, FloatFormat("bfloat16")), ScalePart(role, lower, LowerHalf())


def lower_steps(upper: Codes) -> Float32:
    """What one level of the lower half of a float32 is worth beside its upper half, float32 [n]."""
    exponent = np.maximum((upper >> LOWER_MANTISSA) & 0xFF, 1).astype(np.int32)
    steps: Float32 = np.ldexp(np.float32(1.0), exponent - (127 + 23))
    return steps


def given_parts(scale: Float32, zero: Float32 | None, minimum: Float32 | None, bits: int) -> tuple[ScalePart, ...]:
    """The numbers that a file brings beside its codes, float32 [scales] each, as codes of their own.

    Zero points that are whole numbers have the ``bits`` of the weights, signed where one is negative; else they are
    float32, as scales and minima are.
    """
    parts = [*float32_parts("scale", scale)]
    if zero is not None:
        form = WeightFormat(max(bits, 2)) if zero.min() < 0.0 else UnsignedFormat(min(bits, 8))
        whole = np.array_equal(zero, np.rint(zero)) and form.decode_table.min() <= zero.min()
        if whole and zero.max() <= form.decode_table.max():
            parts.append(ScalePart("zero", form.encode(zero), form))
        else:
            parts += float32_parts("zero", zero)
    if minimum is not None:
        parts += float32_parts("minimum", minimum)
    return tuple(parts)
