"""Rows of one fault map binned by their weakest cell, as a profiling run with the leaky state in every cell finds it.

The profile is perfect: it sees every cell of the rows, whatever they store now, under the run's usual conditions.  What
it cannot see is another temperature or voltage later on; ``margin`` is the guard band against that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.faults import weak_cells
from qtaml_hw.memory.ageing.regions import PARITY_TENSOR, CodeRegion
from qtaml_hw.memory.array.geometry import ArrayLayout
from qtaml_hw.memory.cells import CellModel, FixedCells, PoissonCells, RetentionLaw
from qtaml_hw.memory.traffic.rows import RowBins, RowMap
from qtaml_hw.memory.traffic.schedule import RetentionAware, Schedule
from qtaml_hw.protection import ProtectionPlan

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


def check_profile(cell: CellModel) -> RetentionLaw:
    """The cell as one whose rows can be binned; ValueError where no cell is weaker than another."""
    if isinstance(cell, FixedCells | PoissonCells):
        law = "fixed" if isinstance(cell, FixedCells) else "poisson"
        raise ValueError(
            f"retention-aware refresh bins rows by their weakest cell, and under the law {law} no cell is weaker than "
            "another; it needs the law retention"
        )
    return cell


@dataclass(frozen=True, eq=False)
class Profiler:
    """Bins rows of a layout under a schedule with retention-aware refresh."""

    layout: ArrayLayout
    plan: ProtectionPlan
    regions: Sequence[CodeRegion]
    schedule: Schedule
    aware: RetentionAware

    def bins(self, cell: RetentionLaw, seed: int, map_index: int) -> RowBins:
        """The bins of the fault map (seed, map_index) of these cells."""
        layout, rows = self.layout, RowMap(self.layout)
        used = rows.used
        bin_of = np.full((layout.groups, int(used.max())), len(self.aware.multiples), dtype=np.uint8)
        limits = self._limits(cell)
        worst = float(limits.max(initial=0.0))
        if worst > 0.0 and cell.leaky_state is not None:
            for tensor in range(self.plan.tensors):
                for plane in range(layout.planes):
                    weak = weak_cells(
                        int(np.diff(self.plan.tensor_starts)[tensor]), plane, worst,
                        seed=seed, map_index=map_index, tensor=tensor,
                    )  # fmt: skip
                    self._data(bin_of, rows, limits, (tensor, plane), weak.position, weak.u)
                parity = int(layout.parity_bits[tensor])
                if parity:
                    weak = weak_cells(
                        parity, 0, worst, seed=seed, map_index=map_index, tensor=PARITY_TENSOR + tensor
                    )  # fmt: skip
                    for region in self.regions:
                        mine, keys, _ = region.parity_cells(tensor, weak.position)
                        self._words(bin_of, rows, limits, region, keys // region.code.n, weak.u[mine])
        counts = np.stack([np.bincount(row, minlength=self.size) for row in self._in_use(bin_of, used)])
        counts[:, -1] += np.tile(layout.rows_per_group - used, layout.geometry.banks)
        return RowBins((1, *self.aware.multiples), counts.astype(np.int64), bin_of)

    @property
    def size(self) -> int:
        """Number of bins."""
        return 1 + len(self.aware.multiples)

    def _in_use(self, bin_of: NDArray[np.uint8], used: Int64) -> list[NDArray[np.uint8]]:
        return [row[: used[g % self.layout.classes]] for g, row in enumerate(bin_of)]

    def _limits(self, cell: RetentionLaw) -> Float64:
        """[classes, entries, multiples]: a cell whose U is below cannot wait that many intervals."""
        intervals, entries = self.schedule.refresh_intervals(self.layout.classes), self.plan.entries
        out = np.zeros((self.layout.classes, len(entries), len(self.aware.multiples)))
        for row_class, interval_s in enumerate(intervals):
            for index, item in enumerate(entries):
                if interval_s is not None and item.kind != "ideal":
                    waits = np.array(self.aware.multiples) * interval_s * self.aware.margin / item.retention_gain
                    out[row_class, index] = cell.flip_probability(waits)
        return out

    def _data(
        self,
        bin_of: NDArray[np.uint8],
        rows: RowMap,
        limits: Float64,
        place: tuple[int, int],
        position: Int64,
        u: Float64,
    ) -> None:
        """Lower the bins of the rows that hold weak cells of one plane of one tensor."""
        tensor, plane = place
        weight = position + int(self.plan.tensor_starts[tensor])
        entry = self.plan.choice[np.searchsorted(self.plan.starts, weight, side="right") - 1, plane]
        loose = ~np.isin(entry, [region.index for region in self.regions])
        row_class = int(self.layout.class_of_plane[plane])
        group = self.layout.group_of(weight[loose], np.full(int(loose.sum()), plane))
        bins = np.count_nonzero(u[loose][:, None] >= limits[row_class, entry[loose]], axis=1)
        np.minimum.at(bin_of, (group, rows.of(weight[loose], row_class)), bins.astype(np.uint8))
        for region in self.regions:
            mine = entry == region.index
            if mine.any():
                keys = region.keys(tensor, position[mine], np.full(int(mine.sum()), plane, dtype=np.int64))
                self._words(bin_of, rows, limits, region, keys // region.code.n, u[mine])

    def _words(
        self,
        bin_of: NDArray[np.uint8],
        rows: RowMap,
        limits: Float64,
        region: CodeRegion,
        word: Int64,
        u: Float64,
    ) -> None:
        """Lower the bins of the rows in which these words begin."""
        group = region.group[word]
        row_class = group % self.layout.classes
        bins = np.count_nonzero(u[:, None] >= limits[row_class, region.index], axis=1)
        np.minimum.at(bin_of, (group, rows.of(region.home[word], row_class)), bins.astype(np.uint8))


def unit_of_words(region: CodeRegion, layout: ArrayLayout, bins: RowBins) -> Int64:
    """Refresh group and bin of every word, as group * bins + bin: int64 [words]."""
    if bins.bins == 1:
        return region.group
    row = RowMap(layout).of(region.home, region.group % layout.classes)
    unit: Int64 = region.group * bins.bins + bins.bin_of[region.group, row]
    return unit
