"""Which bits of a value flip: by its own age, and by the cells on which it lies.

A refresh of a row is counted from its write, so that a value that lives shorter than the interval is never refreshed,
and any other is without restore for one interval at most.  A value whose tokens come one after another is read at every
step, each token at the age that it has then; any other is taken as its last read finds it.
Retention: a cell is lost when it was without restore for longer than it retains, P(t_ret < stretch); the same cell of
the chip is weak whatever lies on it, and what it lost stays lost until it is written.  Poisson: refresh keeps what is
lost, 1 - exp(-rate age), drawn anew for every value.  Fixed: the stated probability, of the same cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Bool, Float64, Int64
from qtaml_hw.faults import TENSORS, MapKey, WeakCells, weak_cells
from qtaml_hw.memory.buffers.allocation import Allocation
from qtaml_hw.memory.buffers.values import Value
from qtaml_hw.memory.cells import CellModel, FixedCells, PoissonCells

Bits = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rates:
    """How often the bits of a value have flipped when it is read.

    ``p`` [2, classes, readings + 1, bits] : P(flip | stored 0), P(flip | stored 1) by class of tokens and by how often
    a token was read since its write, this time with it, 0 before; ``classes`` [tokens].
    """

    p: Float64
    classes: Int64

    @property
    def readings(self) -> int:
        """Steps at which tokens are of another age: one, or as many as there are tokens."""
        return int(self.p.shape[2]) - 1

    def ages(self, step: int | None = None) -> Int64:
        """[tokens]: how often each was read when a step (None: the last) has read it; 0: it is not written yet."""
        if self.readings == 1:
            return np.ones(len(self.classes), dtype=np.int64)
        last = self.readings - 1 if step is None else step
        return np.maximum(last + 1 - np.arange(len(self.classes)), 0)

    def at(self, step: int | None = None) -> tuple[Float64, Float64]:
        """p01 and p10 [tokens, bits] as a step (None: the last) reads them."""
        found = self.p[:, self.classes, self.ages(step)]
        return found[0], found[1]

    @property
    def grows(self) -> bool:
        """Whether a token can be read right and later wrong."""
        return self.readings > 1 and bool((self.p[:, :, 1:] != self.p[:, :, 1:2]).any())

    def without(self, planes: Bool) -> Rates:
        """The same where some planes [bits] never flip."""
        return replace(self, p=np.where(planes, 0.0, self.p))


class Late(NamedTuple):
    """Bits that flip by the step that first reads them so, ascending: words [E], masks where they store 0, 1 [E].

    Step 0 for those that every read of their token finds so: nobody reads a token that is yet to come.
    """

    step: Int64
    word: Int64
    up: Bits
    down: Bits


class Masks(NamedTuple):
    """Bits [words] of a value that its last read finds flipped where they store 0 (``up``), 1 (``down``).

    ``late`` : since when, where tokens grow older from one read to the next.
    """

    up: Bits
    down: Bits
    late: Late | None = None

    @classmethod
    def of(cls, words: int, dtype: Any, cells: Sequence[Late], grows: bool) -> Masks:
        """Weak cells of all planes in ``words`` numbers; ``grows`` : whether it counts when each flips."""
        found = cls(np.zeros(words, dtype), np.zeros(words, dtype))
        for one in cells:
            found.up[one.word] |= one.up
            found.down[one.word] |= one.down
        if not cells or not grows:
            return found
        parts = [np.concatenate(part) for part in zip(*cells, strict=True)]
        order = np.argsort(parts[0], kind="stable")
        return found._replace(late=Late(*(part[order] for part in parts)))

    def at(self, step: int) -> Masks:
        """Those that a step finds flipped."""
        if self.late is None:
            return self
        end = np.searchsorted(self.late.step, step, side="right")
        masks = Masks(np.zeros_like(self.up), np.zeros_like(self.down))
        for mask, bits in zip(masks[:2], (self.late.up, self.late.down), strict=True):
            np.bitwise_or.at(mask, self.late.word[:end], bits[:end])
        return masks


@dataclass(frozen=True, eq=False)
class PlaneCells:
    """Bit planes in rows of one class: their cells and refresh intervals (None: not refreshed).

    ``interval_s`` of all tokens but those of ``relaxed`` classes, which have their own; ``reads_restore``: a read takes
    the charge and writes it back.
    """

    planes: tuple[int, ...]
    model: CellModel
    interval_s: float | None = None
    relaxed: tuple[float | None, ...] = ()
    reads_restore: bool = False

    @property
    def every_s(self) -> Float64:
        """[classes]: the interval of every class of tokens; infinite where nothing is refreshed."""
        return np.array([np.inf if s is None else s for s in (self.interval_s, *self.relaxed)])

    def intervals_s(self, classes: Int64) -> Float64:
        """[tokens] by class of token, 0 being that of the rest."""
        return self.every_s[classes]

    def lost(self, value: Value) -> Float64:
        """[2, classes, readings] P(flip | stored 0 and 1) of the bits of a value, by how often it was read."""
        ages_s, every_s = value.ages_s, self.every_s
        out = np.zeros((2, len(every_s), len(ages_s)))
        if isinstance(self.model, PoissonCells):
            out[self.model.leaky_state] = -np.expm1(-self.model.rate_per_s * ages_s)
            return out
        assert not isinstance(self.model, FixedCells)
        longest = np.minimum(ages_s, value.between_reads_s[0]) if self.reads_restore else ages_s
        p = np.asarray(self.model.flip_probability(np.minimum(longest, every_s[:, None])))
        for state in (0, 1):
            if self.model.leaky_state in (state, "both"):
                out[state] = p
        return out


def token_classes(value: Value, shares: Sequence[float], scores: Float64 | None = None) -> Int64:
    """[tokens]: 0, or 1 + the number of a relaxed class; ``shares`` of the tokens from the lowest score up.

    ``scores`` [tokens]; without them the newest token has the highest, so that the oldest are relaxed first.
    """
    rank = np.argsort(np.argsort(np.arange(value.tokens) if scores is None else scores, kind="stable"), kind="stable")
    classes = np.zeros(value.tokens, dtype=np.int64)
    if value.tokens > 1:
        ends = np.round(np.cumsum([0.0, *shares]) * value.tokens)
        for number, (low, high) in enumerate(pairwise(ends), 1):
            classes[(rank >= low) & (rank < high)] = number
    return classes


def rates_of(value: Value, cells: Sequence[PlaneCells], classes: Int64 | None = None) -> Rates:
    """How often the bits of a value flip; ``classes`` [tokens] as of :func:`token_classes`."""
    of_token = np.zeros(value.tokens, dtype=np.int64) if classes is None else classes
    number = max(len(one.every_s) for one in cells)
    p = np.zeros((2, number, len(value.ages_s) + 1, value.bits))
    for one in cells:
        planes = list(one.planes)
        if isinstance(one.model, FixedCells):
            p[:, :, 1:, planes] = one.model.per_plane(value.bits)[:, None, None, planes]
        else:
            p[:, :, 1:, planes] = one.lost(value)[..., None]
    return Rates(p, of_token)


def masks_of(allocation: Allocation, rates: Sequence[Rates], key: MapKey, buffer: int = 0) -> list[Masks | None]:
    """For every value the bits that flip; None of spilled ones.

    ``rates`` as of :func:`rates_of`, by value; ``key``: seed and fault map; ``buffer``: its number in the study.  A
    cell is (address, plane) of a buffer and fails where its uniform is below p: the same cells for whatever lies on
    them, and more of them for a larger p, as that of an older token is.
    """
    own = key.of(TENSORS["buffers"].number(buffer))
    found: list[list[Late]] = [[] for _ in allocation.places]
    for plane in range(max((place.value.bits for place in allocation.places), default=0)):
        most = max((float(one.p[..., plane].max()) for one in rates), default=0.0)
        if most <= 0.0:
            continue
        weak = weak_cells(allocation.used, plane, most, own)
        for place, one, cells in zip(allocation.places, rates, found, strict=True):
            if place.address is None:
                continue
            first, last = np.searchsorted(weak.position, (place.address, place.address + place.value.words))
            if first < last:
                here = WeakCells(weak.position[first:last] - place.address, weak.u[first:last])
                cells += since(here, plane, one, place.value.token_of_word[here.position], place.value.code_type)
    return [
        None if place.address is None else Masks.of(place.value.words, place.value.code_type, cells, one.grows)
        for place, cells, one in zip(allocation.places, found, rates, strict=True)
    ]


def since(weak: WeakCells, plane: int, rates: Rates, token: Int64, dtype: Any) -> Iterator[Late]:
    """The weak cells of a plane that flip, one state after the other; ``token`` [cells] that lies on each."""
    none = np.zeros(len(token), dtype=dtype)
    for state in (0, 1):
        table = rates.p[state, :, :, plane]
        age = np.zeros(len(token), dtype=np.int64)
        for number in np.unique(rates.classes[token]):
            of_class = rates.classes[token] == number
            age[of_class] = np.searchsorted(table[number], weak.u[of_class], side="right")
        fails = age <= rates.ages()[token]
        step = np.where(age > 1, token + age - 1, 0)
        bit = none + dtype(1 << plane)
        masks = (none, bit) if state else (bit, none)
        yield Late(step[fails], weak.position[fails], masks[0][fails], masks[1][fails])
