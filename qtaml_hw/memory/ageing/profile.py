"""Rows of one fault map binned by their weakest cell, as a profiling run with the leaky state in every cell finds it.

The profile is perfect: it sees every cell of the rows, whatever they store now, under the run's usual conditions.  What
it cannot see is another temperature or voltage later on; ``margin`` is the guard band against that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qtaml_hw.arrays import Float64, Int64, Uint8
from qtaml_hw.faults import TENSORS, MapKey, WeakCells, weak_cells
from qtaml_hw.memory.ageing.laid_out import LaidOut
from qtaml_hw.memory.ageing.regions import CodeRegion
from qtaml_hw.memory.array.layout import ArrayLayout
from qtaml_hw.memory.cells import Cells, check_profile
from qtaml_hw.memory.traffic.rows import RowBins, RowMap
from qtaml_hw.memory.traffic.schedule import RetentionAware


@dataclass(frozen=True, eq=False)
class Profiler:
    """Bins the rows of an image in its array as its schedule's retention-aware refresh asks."""

    laid_out: LaidOut
    aware: RetentionAware

    def bins(self, cells: Cells, key: MapKey) -> RowBins:
        """The bins of one fault map of these cells; rows that are refreshed faster are in none."""
        cell = check_profile(cells.model)
        layout, plan, rows = self.laid_out.layout, self.laid_out.plan, RowMap(self.laid_out.layout)
        used, size = rows.used, 1 + len(self.aware.multiples)
        bin_of = np.full((layout.groups, int(used.max())), size - 1, dtype=np.uint8)
        lower = _Lowering(self.laid_out, rows, self._limits(cells), bin_of)
        worst = float(lower.limits.max(initial=0.0))
        if worst > 0.0 and cell.leaky_state is not None:
            for tensor, weights in enumerate(np.diff(plan.tensor_starts).tolist()):
                for plane in range(layout.planes):
                    lower.data(tensor, plane, weak_cells(weights, plane, worst, key.of(tensor)))
                parity = int(layout.parity_bits[tensor])
                if parity:
                    lower.parity(tensor, weak_cells(parity, 0, worst, key.of(TENSORS["parity"].number(tensor))))
        in_use = [row[: layout.rows_in_use[g % layout.classes]] for g, row in enumerate(bin_of)]
        counts = np.stack([np.bincount(row, minlength=size) for row in in_use])
        counts[:, -1] += np.tile(layout.rows_per_group - layout.rows_in_use, layout.geometry.banks)
        return RowBins((1, *self.aware.multiples), counts.astype(np.int64), bin_of)

    def _limits(self, cells: Cells) -> Float64:
        """[classes, entries, multiples]: a cell whose U is below cannot wait that many intervals."""
        layout, entries = self.laid_out.layout, self.laid_out.plan.entries
        out = np.zeros((layout.classes, len(entries), len(self.aware.multiples)))
        for row_class, interval_s in enumerate(self.laid_out.schedule.refresh_intervals(layout.classes)):
            for index, item in enumerate(entries):
                if interval_s is not None and item.refresh_factor == 1.0 and not item.never_flips:
                    waits = np.array(self.aware.multiples) * interval_s * self.aware.margin
                    out[row_class, index] = check_profile(cells.under(item.keeping).model).flip_probability(waits)
        return out


@dataclass(frozen=True, eq=False)
class _Lowering:
    """Lowers ``bin_of`` [groups, rows] where weak cells cannot wait; ``limits`` [classes, entries, multiples]."""

    laid_out: LaidOut
    rows: RowMap
    limits: Float64
    bin_of: Uint8

    def data(self, tensor: int, plane: int, weak: WeakCells) -> None:
        """Of the rows that hold weak cells of one plane of one tensor."""
        plan, layout, regions = self.laid_out.plan, self.laid_out.layout, self.laid_out.regions
        weight = weak.position + int(plan.tensor_starts[tensor])
        entry = plan.choice[np.searchsorted(plan.starts, weight, side="right") - 1, plane]
        loose = ~np.isin(entry, [region.index for region in regions])
        row_class = int(layout.class_of_plane[plane])
        group = layout.group_of(weight[loose], np.full(int(loose.sum()), plane))
        bins = np.count_nonzero(weak.u[loose][:, None] >= self.limits[row_class, entry[loose]], axis=1)
        np.minimum.at(self.bin_of, (group, self.rows.of(weight[loose], row_class)), bins.astype(np.uint8))
        for region in regions:
            mine = entry == region.index
            if mine.any():
                keys = region.keys(tensor, weak.position[mine], np.full(int(mine.sum()), plane, dtype=np.int64))
                self._words(region, keys // region.code.n, weak.u[mine])

    def parity(self, tensor: int, weak: WeakCells) -> None:
        """Of the rows whose words have weak check cells."""
        for region in self.laid_out.regions:
            mine, keys, _ = region.parity_cells(tensor, weak.position)
            self._words(region, keys // region.code.n, weak.u[mine])

    def _words(self, region: CodeRegion, word: Int64, u: Float64) -> None:
        """Of the rows in which these words begin."""
        group = region.group[word]
        row_class = group % self.laid_out.layout.classes
        bins = np.count_nonzero(u[:, None] >= self.limits[row_class, region.index], axis=1)
        np.minimum.at(self.bin_of, (group, self.rows.of(region.home[word], row_class)), bins.astype(np.uint8))


def unit_of_words(region: CodeRegion, layout: ArrayLayout, bins: RowBins) -> Int64:
    """Refresh group and bin of every word, as group * bins + bin: int64 [words]."""
    if bins.bins == 1:
        return region.group
    row = RowMap(layout).of(region.home, region.group % layout.classes)
    unit: Int64 = region.group * bins.bins + bins.bin_of[region.group, row]
    return unit
