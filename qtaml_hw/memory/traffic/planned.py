"""An array laid out for a plan and a schedule, whatever the weights in it: all that its cost depends on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qtaml_hw.arrays import Float64
from qtaml_hw.memory.array.geometry import ArrayGeometry
from qtaml_hw.memory.array.layout import ArrayLayout, FastRows
from qtaml_hw.memory.array.words import PlacedWords
from qtaml_hw.memory.cells import as_cells
from qtaml_hw.memory.traffic.energy import EnergyCosts, energy_costs
from qtaml_hw.memory.traffic.rows import RowBins, expected_bins
from qtaml_hw.memory.traffic.schedule import Schedule
from qtaml_hw.protection import ProtectionPlan


@dataclass(frozen=True, eq=False)
class PlannedArray:
    """The array of a plan under a schedule.

    Raises ValueError, where it is asked, when the geometry cannot hold the image or the schedule does not fit it.
    """

    plan: ProtectionPlan
    geometry: ArrayGeometry
    schedule: Schedule

    @property
    def corrects_at_refresh(self) -> bool:
        """Whether any refresh corrects words before it restores them."""
        intervals = self.schedule.refresh_interval_s
        refreshed = any(s is not None for s in (intervals if isinstance(intervals, tuple) else (intervals,)))
        return self.schedule.ecc_aware_refresh and refreshed

    @cached_property
    def words(self) -> PlacedWords:
        """Where the ECC words lie, and how many decoders correct them."""
        return PlacedWords(self.plan, self.geometry, self.corrects_at_refresh)

    @cached_property
    def layout(self) -> ArrayLayout:
        """Where the image lies."""
        words = self.words
        stored = None if self.plan.stored_planes.all() else self.plan.stored_planes
        return ArrayLayout(
            geometry=self.geometry,
            tensor_starts=self.plan.tensor_starts,
            planes=self.plan.planes,
            parity_bits=words.parity_bits,
            corrections=words.corrections,
            stored=stored,
            fast=self._fast,
        )

    @property
    def _fast(self) -> tuple[FastRows, ...]:
        """Bits under entries that refresh their rows faster, by class and factor."""
        of_class = self.geometry.classes_of(self.plan.planes)
        sizes, bits = np.diff(self.plan.starts), dict[tuple[int, float], int]()
        for index, item in enumerate(self.plan.entries):
            if item.refresh_factor == 1.0:
                continue
            per_plane = (self.plan.choice == index).T @ sizes
            for row_class, count in zip(of_class.tolist(), per_plane.tolist(), strict=True):
                place = (row_class, item.refresh_factor)
                bits[place] = bits.get(place, 0) + count
        return tuple(FastRows(*place, count) for place, count in sorted(bits.items()) if count)

    @cached_property
    def bins(self) -> RowBins:
        """How often rows are refreshed: all alike, or as many rows in every bin as are expected over fault maps.

        Expected of the cells that the schedule's retention-aware refresh names; without, every row at every tick.
        """
        aware = self.schedule.retention_aware
        if aware is None or aware.cell is None:
            return RowBins.alike(self.layout)
        return expected_bins(self.layout, self.plan, self.schedule, as_cells(aware.cell))

    @cached_property
    def row_refresh_hz(self) -> Float64:
        """Refreshes per second of a row of every class, the mean over its rows, faster ones aside: [classes]."""
        intervals = self.schedule.refresh_intervals(self.layout.classes)
        rows = np.maximum(self.bins.rows.sum(axis=1), 1)
        shares = (self.bins.rows / np.array(self.bins.multiples)).sum(axis=1) / rows
        mean = shares.reshape(-1, self.layout.classes).mean(axis=0)
        return np.array([0.0 if s is None else share / s for s, share in zip(intervals, mean.tolist(), strict=True)])

    @cached_property
    def refresh_w(self) -> float:
        """Power of refresh, over all banks."""
        layout = self.layout
        intervals = layout.lane_intervals_s(self.schedule.refresh_intervals(layout.classes))[layout.classes :]
        fast = [0.0 if s is None else 1.0 / s for s in intervals]
        row_w = np.array([*self.row_refresh_hz, *fast]) * [
            self.costs.row_j(layout.class_of_lane(lane)) for lane in range(layout.lanes)
        ]
        return float(layout.geometry.banks * (layout.rows_per_lane @ row_w))

    @cached_property
    def costs(self) -> EnergyCosts:
        """Energy per action, and leakage, from the cost model."""
        return energy_costs(self.layout, self.words)
