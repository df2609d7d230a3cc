"""Which cell of which row of which bank holds a bit: the map that fault lists and memory images are written by.

A bank holds the rows of one plane class after those of another.  Within a class its weights ascend, each with its
planes of the class from the least significant up; the check bits of words whose first data bit lies there follow, menu
entry by menu entry and word by word.  Bit b of a class lies in column ``b % row_bits`` of its row ``b // row_bits``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qtaml_hw.arrays import Bool, Codes, Int64, Uint8
from qtaml_hw.memory.array.layout import ArrayLayout


@dataclass(frozen=True, eq=False)
class Addresses:
    """Addresses of data and check bits.

    ``check_groups`` : for every menu entry with a code the refresh group (bank x classes + class) of each of its words,
    int64 [words]; ``check_bits`` : check bits of a word of each.
    """

    layout: ArrayLayout
    check_groups: tuple[Int64, ...] = ()
    check_bits: tuple[int, ...] = ()

    @cached_property
    def _stored(self) -> Bool:
        """Planes of every tensor that have cells, bool [T, planes]."""
        stored = self.layout.stored
        return np.ones((len(self.layout.parity_bits), self.layout.planes), dtype=bool) if stored is None else stored

    @cached_property
    def _of_class(self) -> Bool:
        """bool [classes, planes]."""
        return np.asarray(np.arange(self.layout.classes)[:, None] == self.layout.class_of_plane)

    @cached_property
    def _tensor(self) -> Int64:
        """Tensor of every weight, int64 [weights]."""
        starts = self.layout.tensor_starts
        return np.repeat(np.arange(len(starts) - 1), np.diff(starts))

    @cached_property
    def _offsets(self) -> tuple[Int64, Int64]:
        """First bit of every weight within its group, int64 [classes, weights]; and data bits of groups, int64."""
        layout = self.layout
        bank = layout.bank_of(np.arange(layout.weights, dtype=np.int64))
        order = np.argsort(bank, kind="stable")
        first = np.searchsorted(bank[order], np.arange(layout.geometry.banks + 1))
        offsets = np.empty((layout.classes, layout.weights), dtype=np.int64)
        used = np.empty((layout.geometry.banks, layout.classes), dtype=np.int64)
        for row_class, planes in enumerate(self._of_class):
            bits = (self._stored & planes).sum(axis=1)[self._tensor[order]]
            upto = np.concatenate([[0], np.cumsum(bits)])
            offsets[row_class, order] = upto[:-1] - upto[first[bank[order]]]
            used[:, row_class] = np.diff(upto[first])
        return offsets, used.ravel()

    @cached_property
    def _check_starts(self) -> list[Int64]:
        """First check bit within its group of every word, by menu entry."""
        used, starts = self._offsets[1].copy(), []
        for groups, bits in zip(self.check_groups, self.check_bits, strict=True):
            order = np.argsort(groups, kind="stable")
            counts = np.bincount(groups, minlength=len(used))
            rank = np.empty(len(groups), dtype=np.int64)
            rank[order] = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
            starts.append(used[groups] + rank * bits)
            used = used + counts * bits
        return starts

    @cached_property
    def rows(self) -> Int64:
        """Rows of every class in a bank, those of the fullest bank: int64 [classes]."""
        bits = self._offsets[1].copy()
        for groups, each in zip(self.check_groups, self.check_bits, strict=True):
            bits += np.bincount(groups, minlength=len(bits)) * each
        rows = -(-bits.reshape(-1, self.layout.classes) // self.layout.geometry.row_bits)
        return np.asarray(rows.max(axis=0), dtype=np.int64)

    @cached_property
    def first_row(self) -> Int64:
        """First row of every class, int64 [classes]."""
        return np.concatenate([[0], np.cumsum(self.rows)[:-1]]).astype(np.int64)

    def data(self, weight: Int64, plane: Int64) -> tuple[Int64, Int64, Int64]:
        """(bank, row, column) of data bits, given by global weight and plane (LSB = 0)."""
        row_class = self.layout.class_of_plane[plane]
        below = np.cumsum(self._stored[:, None, :] & self._of_class, axis=2) - 1  # rank of a plane in its class
        rank = below[self._tensor[weight], row_class, plane]
        return self._placed(self.layout.bank_of(weight), row_class, self._offsets[0][row_class, weight] + rank)

    def check(self, entry: int, word: Int64, index: Int64) -> tuple[Int64, Int64, Int64]:
        """(bank, row, column) of check bits ``index`` of words of the entry-th menu entry with a code."""
        bank, row_class = np.divmod(self.check_groups[entry][word], self.layout.classes)
        return self._placed(bank, row_class, self._check_starts[entry][word] + index)

    def _placed(self, bank: Int64, row_class: Int64, bit: Int64) -> tuple[Int64, Int64, Int64]:
        row, column = np.divmod(bit, self.layout.geometry.row_bits)
        return bank, self.first_row[row_class] + row, column

    def image(self, codes: Sequence[Codes], checks: Sequence[Uint8]) -> Uint8:
        """Every cell: 0/1 uint8 [banks, rows, row_bits]; cells that hold nothing are 0.

        ``codes`` flat by tensor; ``checks`` 0/1 uint8 [words, check bits] of every menu entry with a code.
        """
        geometry = self.layout.geometry
        cells = np.zeros((geometry.banks, int(self.rows.sum()), geometry.row_bits), dtype=np.uint8)
        flat = np.concatenate(codes)
        for plane in range(self.layout.planes):
            weights = np.nonzero(self._stored[self._tensor, plane])[0]
            place = self.data(weights, np.full(len(weights), plane))
            cells[place] = (flat[weights] >> flat.dtype.type(plane)) & 1
        for entry, bits in enumerate(checks):
            word, index = np.indices(bits.shape)
            cells[self.check(entry, word.ravel(), index.ravel())] = bits.ravel()
        return cells
