"""Which bits of a value flip: by its own age, and by the cells on which it lies.

A refresh of a row is counted from its write, so that a value that lives shorter than the interval is never refreshed,
and any other is without restore for one interval at most.  A value is taken as its last read finds it.
Retention: a cell is lost when it is without restore for longer than it retains, P(t_ret < stretch); the same cell of
the chip is weak whatever lies on it.  Poisson: refresh keeps what is lost, 1 - exp(-rate age), drawn anew for every
value.  Fixed: the stated probability, of the same cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.faults import TENSORS, MapKey, weak_cells
from qtaml_hw.memory.buffers.allocation import Allocation, Placement
from qtaml_hw.memory.buffers.values import Value
from qtaml_hw.memory.cells import CellModel, FixedCells, PoissonCells

Masks = tuple[NDArray[Any], NDArray[Any]]


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

    def intervals_s(self, classes: Int64) -> Float64:
        """[tokens] by class of token, 0 being that of the rest; infinite where nothing is refreshed."""
        every = [np.inf if s is None else s for s in (self.interval_s, *self.relaxed)]
        return np.array(every)[classes]

    def lost(self, value: Value, classes: Int64) -> Float64:
        """[2, tokens] P(flip | stored 0 and 1) of the bits of a value, at its last read."""
        out = np.zeros((2, value.tokens))
        if isinstance(self.model, PoissonCells):
            out[self.model.leaky_state] = -np.expm1(-self.model.rate_per_s * value.lifetimes_s)
            return out
        assert not isinstance(self.model, FixedCells)
        longest = value.between_reads_s if self.reads_restore else value.lifetimes_s
        p = np.asarray(self.model.flip_probability(np.minimum(longest, self.intervals_s(classes))))
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


def probabilities(value: Value, cells: Sequence[PlaneCells], classes: Int64 | None = None) -> tuple[Float64, Float64]:
    """p01 and p10 [tokens, bits] of a value; ``classes`` [tokens] as of :func:`token_classes`."""
    of_token = np.zeros(value.tokens, dtype=np.int64) if classes is None else classes
    p = np.zeros((2, value.tokens, value.bits))
    for one in cells:
        planes = list(one.planes)
        if isinstance(one.model, FixedCells):
            p[:, :, planes] = one.model.per_plane(value.bits)[:, None, planes]
        else:
            p[:, :, planes] = one.lost(value, of_token)[:, :, None]
    return p[0], p[1]


def masks_of(
    allocation: Allocation, p: Sequence[tuple[Float64, Float64]], key: MapKey, buffer: int = 0
) -> list[Masks | None]:
    """For every value the bits [words] that flip where they store 0, and where they store 1; None of spilled ones.

    ``p`` as of :func:`probabilities`, by value; ``key``: seed and fault map; ``buffer``: its number in the study.  A
    cell is (address, plane) of a buffer and fails where its uniform is below p: the same cells for whatever lies on
    them, and more of them for a larger p.
    """
    own = key.of(TENSORS["buffers"].number(buffer))
    masks = [_blank(place) for place in allocation.places]
    for plane in range(max((place.value.bits for place in allocation.places), default=0)):
        most = max((float(max(up[:, plane].max(), down[:, plane].max())) for up, down in p), default=0.0)
        if most <= 0.0:
            continue
        weak = weak_cells(allocation.used, plane, most, own)
        for place, found, (up, down) in zip(allocation.places, masks, p, strict=True):
            if found is None or place.address is None:
                continue
            first, last = np.searchsorted(weak.position, (place.address, place.address + place.value.words))
            word, u = weak.position[first:last] - place.address, weak.u[first:last]
            token = place.value.token_of_word[word]
            for mask, of_token in zip(found, (up, down), strict=True):
                mask[word[u < of_token[token, plane]]] |= mask.dtype.type(1 << plane)
    return masks


def _blank(place: Placement) -> Masks | None:
    dtype = np.uint8 if place.value.bits <= 8 else np.uint16
    return None if place.address is None else (np.zeros(place.value.words, dtype), np.zeros(place.value.words, dtype))
