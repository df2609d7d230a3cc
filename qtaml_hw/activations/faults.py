"""Flips of values in a buffer: drawn anew for every value that is written, or by cells that are weak for good.

Either way they are a function of (seed, fault map, value, input) and nested in p: batches and order change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Float64
from qtaml_hw.faults import TENSORS, MapKey, flip_each

MOST_SEGMENTS = 1 << 12
_INPUTS = 1 << 32


class Counts(NamedTuple):
    """Bits that read wrong: before decoding, check bits, after decoding; words that were corrected and flagged."""

    raw: int = 0
    parity: int = 0
    left: int = 0
    corrected: int = 0
    flagged: int = 0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


class ValueFaults(Protocol):
    """What the cells of one value do to its codes."""

    def strike(self, codes: NDArray[Any], first: int) -> None:
        """Flip bits of codes [N, M] of the inputs ``first``, ``first + 1`` ... where they lie."""

    def key(self, stretch: str, seen: int) -> MapKey:
        """The key of a draw for one input, in a stretch of ``faults.TENSORS`` of values."""


@dataclass(frozen=True, eq=False)
class Fresh:
    """Every write is another draw: laws without fixed weak cells.

    ``value`` : its number among all values of a study; ``p01``, ``p10`` [S, B]: by segment of neighbouring numbers
    (such as tokens of one age), which begin at ``starts`` [S] and of which the last goes on to the end.
    """

    draw: MapKey
    value: int
    p01: Float64
    p10: Float64
    starts: Sequence[int] = (0,)

    def key(self, stretch: str, seen: int, segment: int = 0) -> MapKey:
        """Of one input in a stretch of values."""
        place = (self.value * MOST_SEGMENTS + segment) * _INPUTS + seen
        return self.draw.of(TENSORS[stretch].number(place))

    def strike(self, codes: NDArray[Any], first: int) -> None:
        """See :class:`ValueFaults`."""
        width = 8 * codes.dtype.itemsize - self.p01.shape[1]
        up, down = (np.pad(p, ((0, 0), (0, width))) for p in (self.p01, self.p10))
        ends = [*self.starts[1:], codes.shape[1]]
        for segment, (start, end) in enumerate(zip(self.starts, ends, strict=True)):
            if start < min(end, codes.shape[1]):
                part = np.ascontiguousarray(codes[:, start:end])
                keys = [self.key("values", first + i, segment) for i in range(len(codes))]
                flip_each(part, up[segment], down[segment], keys)
                codes[:, start:end] = part


@dataclass(frozen=True, eq=False)
class Same:
    """The same cells fail for every input: masks [batch x M] of bits that flip where they store 0 (``up``), 1
    (``down``).

    Input i of a study is inference ``i % batch`` of its batch, and has that one's cells.
    """

    draw: MapKey
    value: int
    up: NDArray[Any]
    down: NDArray[Any]
    batch: int = 1

    def key(self, stretch: str, seen: int) -> MapKey:
        """The same whatever the input: its cells are."""
        return self.draw.of(TENSORS[stretch].number(self.value * MOST_SEGMENTS * _INPUTS))

    def strike(self, codes: NDArray[Any], first: int) -> None:
        """See :class:`ValueFaults`."""
        places = slice(None) if self.batch == 1 else (first + np.arange(len(codes))) % self.batch
        up, down = (mask.reshape(self.batch, -1)[places, : codes.shape[1]] for mask in (self.up, self.down))
        codes ^= (~codes & up) | (codes & down)
