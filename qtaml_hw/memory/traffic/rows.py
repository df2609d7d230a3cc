"""Rows of the array and how often each is refreshed: bins of rows by what their weakest cell can bear.

Rows that are refreshed faster than the rest of their class are not binned: every tick of theirs refreshes them all.

A row holds a run of neighbouring weights of its bank (their bits of one plane class), with the ECC words that begin in
it: the image lies evenly over the rows that it needs, rows beyond it are empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qtaml_hw.arrays import Int64, Uint8
from qtaml_hw.channel import Keeping
from qtaml_hw.memory.array.layout import ArrayLayout
from qtaml_hw.memory.cells import Cells, check_profile
from qtaml_hw.memory.traffic.schedule import Schedule
from qtaml_hw.protection import ProtectionPlan


@dataclass(frozen=True, eq=False)
class RowMap:
    """Where the rows of a layout begin: the row of every weight, by bank and plane class."""

    layout: ArrayLayout

    @property
    def used(self) -> Int64:
        """Rows of each class that hold something in one bank, 1 at least: int64 [classes].

        Raises ValueError when the array is smaller than the image.
        """
        layout = self.layout
        if layout.residency.streamed.any():
            raise ValueError(
                "retention-aware refresh bins rows by the weights that they keep; "
                f"{int(layout.residency.streamed.sum())} of {len(layout.residency.streamed)} tensors are streamed "
                "through theirs: give a capacity that holds the network"
            )
        return np.maximum(layout.rows_in_use, 1)

    @property
    def per_bank(self) -> int:
        """Data bits of the fullest bank, which are spread over the rows in use."""
        stride = self.layout.stride
        rounds, rest = divmod(int(self.layout.first_bits[-1]), stride * self.layout.geometry.banks)
        return max(1, rounds * stride + min(rest, stride))

    def of(self, weight: Int64, row_class: Int64 | int) -> Int64:
        """Row of global weight indices in their bank and class, int64."""
        layout = self.layout
        around = layout.stride * layout.geometry.banks
        address = layout.address_of(weight)
        local = (address // around) * layout.stride + address % layout.stride
        row: Int64 = local * self.used[row_class] // self.per_bank
        return row


@dataclass(frozen=True, eq=False)
class RowBins:
    """Which rows are refreshed at which ticks of their interval: those of bin j at every ``multiples[j]``-th.

    ``multiples`` ascend from 1; ``rows`` int64 [groups, bins], rows of every refresh group in every bin; ``bin_of``
    uint8 [groups, rows in use], or [groups, 1] where all rows are alike.
    """

    multiples: tuple[int, ...]
    rows: Int64
    bin_of: Uint8

    @classmethod
    def alike(cls, layout: ArrayLayout) -> RowBins:
        """Every row at every tick."""
        rows = np.tile(layout.rows_per_group, layout.geometry.banks)[:, None]
        return cls((1,), rows, np.zeros((layout.groups, 1), dtype=np.uint8))

    @property
    def bins(self) -> int:
        """Number of bins."""
        return len(self.multiples)

    def due(self, tick: int) -> Int64:
        """Rows of every group that tick number ``tick`` = 1, 2, ... refreshes: int64 [groups]."""
        now = np.array([tick % m == 0 for m in self.multiples])
        rows: Int64 = self.rows[:, now].sum(axis=1)
        return rows


def expected_bins(layout: ArrayLayout, plan: ProtectionPlan, schedule: Schedule, cells: Cells) -> RowBins:
    """Bins with as many rows as are expected over fault maps: a row of n cells outlives t with (1 - F(t))^n.

    Cells are taken to lie evenly over the rows of their class; ideal bits have no cells.
    """
    aware, rows = schedule.retention_aware, RowMap(layout)
    assert aware is not None
    multiples = (1, *aware.multiples)
    used, total = rows.used, layout.rows_per_group
    outlive = np.ones((layout.classes, len(multiples)))
    for row_class, interval_s in enumerate(schedule.refresh_intervals(layout.classes)):
        if interval_s is None:
            continue
        for keeping, bits in _cells_by_keeping(layout, plan, row_class):
            per_row = bits / (layout.geometry.banks * used[row_class])
            cell = check_profile(cells.under(keeping).model)
            p = cell.flip_probability(np.array(multiples[1:]) * interval_s * aware.margin)
            outlive[row_class, 1:] *= (1.0 - np.asarray(p)) ** per_row
    at_least = np.round(used[:, None] * outlive).astype(np.int64) + (total - used)[:, None]
    at_least = np.concatenate([at_least, np.zeros((layout.classes, 1), dtype=np.int64)], axis=1)
    counts = np.tile(at_least[:, :-1] - at_least[:, 1:], (layout.geometry.banks, 1))
    return RowBins(multiples, counts, np.zeros((layout.groups, 1), dtype=np.uint8))


def _cells_by_keeping(layout: ArrayLayout, plan: ProtectionPlan, row_class: int) -> list[tuple[Keeping | None, float]]:
    """(how they are kept, cells) of one class over all banks; check cells lie with the top plane."""
    sizes = np.diff(plan.starts)
    cells: dict[Keeping | None, float] = {None: 0.0}
    for index, item in enumerate(plan.entries):
        if item.never_flips or item.refresh_factor != 1.0:
            continue
        chosen = (plan.choice == index)[:, layout.class_of_plane == row_class]
        cells[item.keeping] = cells.get(item.keeping, 0.0) + float((chosen.sum(axis=1) * sizes).sum())
    if row_class == layout.class_of_plane[-1]:
        cells[None] += float(layout.parity_bits.sum())
    return [(keeping, bits) for keeping, bits in cells.items() if bits > 0.0]
