"""How often rows of a buffer are refreshed, by rule: one row of a table each.

A refresh is counted from the write of a row; where reads restore (1T1C), a read of it counts as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.memory.buffers.allocation import Allocation, Placement, bank_begin
from qtaml_hw.memory.buffers.flips import PlaneCells

_ROUNDING: Final = 1e-12  # a life of whole intervals is so many of them


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one class of planes while the values of a batch are there.

    ``classes`` [tokens] by value; ``seconds`` from one batch to the next; ``banks``, which are runs of addresses.
    """

    allocation: Allocation
    cells: PlaneCells
    classes: Sequence[Int64]
    seconds: float
    banks: int

    @property
    def words(self) -> int:
        """Words of the array."""
        return max(self.allocation.words, 1)

    @property
    def held(self) -> Iterator[tuple[Placement, Float64]]:
        """Values that lie in the array, and the intervals of their tokens [tokens]."""
        for place, of_token in zip(self.allocation.places, self.classes, strict=True):
            if place.address is not None:
                yield place, self.cells.intervals_s(of_token)

    def interval_s(self, number: int) -> float:
        """Of one class of tokens."""
        return float(self.cells.intervals_s(np.array([number]))[0])


def _whole(gaps_s: Float64, intervals_s: Float64) -> Float64:
    """Whole intervals within times."""
    return np.floor(gaps_s / intervals_s * (1.0 + _ROUNDING))


def _always(rows: Rows) -> float:
    count = sum(rows.seconds / rows.interval_s(number) * words for words, number in rows.allocation.stretches)
    for place, intervals_s in rows.held:
        rest_s = rows.interval_s(rows.allocation.number_at(place.address or 0))
        count += _each(place) * float((place.value.lifetimes_s * (1.0 / intervals_s - 1.0 / rest_s)).sum())
    return count / rows.words


def _outlived(rows: Rows) -> float:
    each = ((_each(place), _whole(place.value.lifetimes_s, intervals_s)) for place, intervals_s in rows.held)
    return sum(words * float(whole.sum()) for words, whole in each) / rows.words


def _untouched(rows: Rows) -> float:
    if not rows.cells.reads_restore:
        return _outlived(rows)
    count = 0.0
    for place, intervals_s in rows.held:
        for gaps_s, times in place.value.unread_s:
            count += _each(place) * float((times * _whole(gaps_s, intervals_s)).sum())
    return count / rows.words


def _banks(rows: Rows) -> float:
    return sum(_on(rows, bank) for bank in range(rows.banks)) / rows.banks


RULES: Final[Mapping[str, Callable[[Rows], float]]] = MappingProxyType(
    {"always": _always, "outlived": _outlived, "untouched": _untouched, "banks": _banks}
)
"""Rule (``names.REFRESHED``) -> how often a row is refreshed from one batch to the next, the mean over all rows."""


def _each(place: Placement) -> float:
    """Words of a token, check cells with them."""
    return place.value.room / place.value.tokens


def _on(rows: Rows, bank: int) -> float:
    """Refreshes of a bank: at the shortest interval that a value in it outlives, as long as it holds such one."""
    first, end = (bank_begin(rows.words, at, rows.banks) for at in (bank, bank + 1))
    spans = []
    for place, intervals_s in rows.held:
        outlived = place.value.lifetimes_s >= intervals_s
        if (place.address or 0) < end and place.end > first and outlived.any():
            rate = float((outlived / intervals_s).max())
            spans.append((place.value.written_at_s, place.value.ends_s, rate))
    if not spans:
        return 0.0
    begins, ends, rates = np.array(spans).T
    edges = np.unique(np.concatenate([begins, ends]))
    there = (begins <= edges[:-1, None]) & (ends > edges[:-1, None])
    return float(np.diff(edges) @ (there * rates).max(axis=1))
