"""Scales, zero points and minima of streamed tensors in the memory: what their codes are worth, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qtaml_hw.arrays import Float32, Float64
from qtaml_hw.weights import NumberFormat
from qtaml_hw.weights.parts import ScalePart, lower_steps, product


@dataclass(frozen=True, eq=False)
class FoundPart:
    """What planning needs of a part of a tensor's scales: how many numbers it has and how they are written.

    ``weighted``: counts of its codes [2^B], each by the squared change of all weights per unit of its number.
    """

    role: str
    form: NumberFormat
    values: int
    weighted: Float64

    def plus(self, other: FoundPart) -> FoundPart:
        """With the same part of more rows."""
        return FoundPart(self.role, self.form, self.values + other.values, self.weighted + other.weighted)


def found_parts(parts: Sequence[ScalePart], scale: Float32, levels: Float64, weights: Float64) -> tuple[FoundPart, ...]:
    """The parts of scales [scales] that have ``weights`` weights each and ``levels``, the sum of their squared levels.

    Levels are counted from the zero point.  A number moves all weights of its scales together: by their levels (a
    scale), by one (a minimum), by the scale (a zero point), times the other factors of its product.
    """
    found = []
    for place, part in enumerate(parts):
        rest = product(parts, part.role, scale.size, without=place)
        own = {"scale": levels, "minimum": weights, "zero": weights * scale.astype(np.float64) ** 2}[part.role]
        own = own if rest is None else own * rest.astype(np.float64) ** 2
        unit = lower_steps(parts[place - 1].codes).astype(np.float64) if part.lower else np.ones(1)
        numbers = np.bincount(np.arange(scale.size) // part.share, own, part.codes.size) * unit**2
        weighted = np.bincount(part.codes, numbers, 1 << part.format.bits).astype(np.float64)
        found.append(FoundPart(part.role, part.format, part.codes.size, weighted))
    return tuple(found)
