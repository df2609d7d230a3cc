"""Flips of values in a buffer: drawn anew for every value that is written, or by cells that are weak for good.

Either way they are a function of (seed, fault map, value, input) and nested in p: batches and order change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.activations import _kernels
from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.faults import TENSORS, MapKey, RowKeys, RowRates, Scratch, WeakCells, scratch, weak_cells
from qtaml_hw.memory.buffers import Late, Masks, Rates, since

MOST_SEGMENTS: Final = 1 << 12  # that have the numbers of their value; more take numbers behind those of all values
MOST_VALUES: Final = 1 << 12
_INPUTS: Final = 1 << 32
_BYTE: Final = 8


@dataclass(eq=False)
class Counts:
    """Bits of one value that read wrong over passes, and words that were corrected and flagged.

    ``struck``, ``wrong`` [B] : by plane, before and after decoding; ``parity`` : check bits.
    """

    struck: Int64
    wrong: Int64
    parity: int = 0
    corrected: int = 0
    flagged: int = 0

    @classmethod
    def none(cls, planes: int) -> Counts:
        """Of a value of so many planes before the first pass."""
        return cls(np.zeros(planes, dtype=np.int64), np.zeros(planes, dtype=np.int64))

    @property
    def raw(self) -> int:
        """Bits before decoding."""
        return int(self.struck.sum())

    @property
    def left(self) -> int:
        """Bits after it."""
        return int(self.wrong.sum())

    def totals(self) -> dict[str, int]:
        """All of them over the planes, as a record has them."""
        names = ("raw", "parity", "left", "corrected", "flagged")
        return {name: getattr(self, name) for name in names}


class ValueFaults(Protocol):
    """What the cells of one value do to its codes."""

    @property
    def still(self) -> bool:
        """Whether no bit flips."""

    def strike(self, codes: NDArray[Any], first: int) -> None:
        """Flip bits of codes [N, M] of the inputs ``first``, ``first + 1`` ... where they lie."""

    @property
    def in_place(self) -> tuple[Callable[..., None], Any] | None:
        """The kernel that reads values where they lie as these cells leave them, and what it takes of them."""

    def keys(self, stretch: str, first: int, rows: int, part: int = 0) -> RowKeys:
        """The keys of draws for the inputs from ``first`` on, in a stretch of ``faults.TENSORS`` of values; of one of
        the parts that draw apart (segments of a value, codes that guard it)."""

    @property
    def grows(self) -> bool:
        """Whether a token can be read right and later wrong."""

    def drawn(self, first: int, rows: int, values: int) -> Same:
        """What they do to ``values`` numbers of each of the inputs from ``first`` on, by when every bit flips."""


@dataclass(frozen=True, eq=False)
class Fresh:
    """Every write is another draw: laws without fixed weak cells.

    ``value`` : its number among all values of a study; ``p01``, ``p10`` [S, B]: by segment of neighbouring numbers
    (such as tokens of one age), which begin at ``starts`` [S] and of which the last goes on to the end; ``rates`` of
    tokens, one a segment, at every age that they are read at.
    """

    draw: MapKey
    value: int
    p01: Float64
    p10: Float64
    starts: Sequence[int] = (0,)
    rates: Rates | None = None

    @property
    def still(self) -> bool:
        """Whether no bit can flip."""
        return not (self.p01.any() or self.p10.any())

    def keys(self, stretch: str, first: int, rows: int, part: int = 0) -> RowKeys:
        """One for every input, one after the other."""
        more, own = divmod(part, MOST_SEGMENTS)
        place = ((self.value + more * MOST_VALUES) * MOST_SEGMENTS + own) * _INPUTS + first
        return RowKeys(self.draw.of(TENSORS[stretch].number(place)), rows)

    def strike(self, codes: NDArray[Any], first: int) -> None:
        """See :class:`ValueFaults`."""
        ends = [*self.starts[1:], codes.shape[1]]
        for segment, (start, end) in enumerate(zip(self.starts, ends, strict=True)):
            if start < min(end, codes.shape[1]):
                part = np.ascontiguousarray(codes[:, start:end])
                self.ready[segment].flip(part, self.keys("values", first, len(codes), segment), self.work)
                codes[:, start:end] = part

    @property
    def in_place(self) -> tuple[Callable[..., None], Any] | None:
        """See :class:`ValueFaults`; of one segment."""
        if len(self.starts) > 1:
            return None
        keys = self.keys("values", 0, 1)
        return _kernels.draw_at, (keys.of_map, np.uint64(keys.first.tensor), self.ready[0].programs, self.work)

    @cached_property
    def ready(self) -> tuple[RowRates, ...]:
        """Its rates as they are drawn by, segment by segment."""
        planes = _BYTE * -(-self.p01.shape[1] // _BYTE)
        up, down = (np.pad(p, ((0, 0), (0, planes - p.shape[1]))) for p in (self.p01, self.p10))
        return tuple(RowRates.of(*rates, planes) for rates in zip(up, down, strict=True))

    @cached_property
    def work(self) -> Scratch:
        """Space to draw in."""
        return scratch()

    @property
    def grows(self) -> bool:
        """See :class:`ValueFaults`."""
        return self.rates is not None and self.rates.grows

    def drawn(self, first: int, rows: int, values: int) -> Drawn:
        """See :class:`ValueFaults`; the cells that :meth:`strike` turns, and since when."""
        assert self.rates is not None
        cells, p, tokens = list[Late](), self.rates.p, len(self.starts)
        width, dtype = values // tokens, np.uint8 if p.shape[3] <= _BYTE else np.uint16
        planes = [(b, float(p[..., b].max())) for b in range(p.shape[3]) if p[..., b].any()]
        for segment in range(tokens):
            keys = self.keys("values", first, rows, segment)
            for row, (plane, most) in product(range(rows), planes):
                weak = weak_cells(width, plane, most, keys.row(row))
                if weak.position.size:
                    begin = (first + row) % rows * values + segment * width
                    token = np.full(weak.position.size, segment)
                    cells += since(WeakCells(begin + weak.position, weak.u), plane, self.rates, token, dtype)
        masks = Masks.of(rows * values, dtype, cells, grows=True)
        return Drawn(self.draw, self.value, masks.up, masks.down, rows, masks.late, self)


@dataclass(frozen=True, eq=False)
class Same:
    """The same cells fail for every input: masks [batch x M] of bits that flip where they store 0 (``up``), 1
    (``down``).

    Input i of a study is inference ``i % batch`` of its batch, and has that one's cells.  ``late`` : since when, where
    tokens grow older from one read to the next.
    """

    draw: MapKey
    value: int
    up: NDArray[Any]
    down: NDArray[Any]
    batch: int = 1
    late: Late | None = None

    @cached_property
    def weak(self) -> tuple[Int64, Int64, NDArray[Any], NDArray[Any]]:
        """Numbers in which any bit can flip, and their masks, inference by inference of a batch from ``begins`` on."""
        flat = np.flatnonzero(self.up | self.down)
        own, numbers = np.divmod(flat, self.up.size // self.batch)
        begins = np.searchsorted(own, np.arange(self.batch + 1))
        return begins, numbers, self.up[flat], self.down[flat]

    @property
    def still(self) -> bool:
        """Whether no cell is weak."""
        return not self.weak[1].size

    @property
    def in_place(self) -> tuple[Callable[..., None], Any] | None:
        """See :class:`ValueFaults`."""
        return _kernels.strike_at, self.weak

    def keys(self, stretch: str, first: int, rows: int, part: int = 0) -> RowKeys:
        """The same whatever the input: its cells are."""
        return RowKeys(self.draw.of(TENSORS[stretch].number((self.value * MOST_SEGMENTS + part) * _INPUTS)), rows, 0)

    def strike(self, codes: NDArray[Any], first: int) -> None:
        """See :class:`ValueFaults`."""
        places = slice(None) if self.batch == 1 else (first + np.arange(len(codes))) % self.batch
        up, down = (mask.reshape(self.batch, -1)[places, : codes.shape[1]] for mask in (self.up, self.down))
        codes ^= (~codes & up) | (codes & down)

    @property
    def grows(self) -> bool:
        """See :class:`ValueFaults`."""
        return self.late is not None

    def drawn(self, first: int, rows: int, values: int) -> Same:
        """See :class:`ValueFaults`."""
        return self

    @property
    def changes(self) -> Int64:
        """Steps from which on some bit reads otherwise than before, the first among them."""
        return np.unique(np.append(self.late.step, 0)) if self.late is not None else np.zeros(1, dtype=np.int64)

    def at(self, step: int) -> Same:
        """As a step finds it."""
        masks = Masks(self.up, self.down, self.late).at(step)
        return replace(self, up=masks.up, down=masks.down, late=None)


@dataclass(frozen=True, eq=False)
class Drawn(Same):
    """A draw for some inputs, each of which has cells of its own."""

    fresh: Fresh | None = None

    def keys(self, stretch: str, first: int, rows: int, part: int = 0) -> RowKeys:
        """Those of the draw."""
        assert self.fresh is not None
        return self.fresh.keys(stretch, first, rows, part)
