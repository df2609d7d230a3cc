"""From stretches of time to thresholds on a cell's uniform U: the cell has flipped exactly when U < threshold.

Retention: the threshold of a stretch without restore is P(t_ret < stretch).  Over phases with other temperatures or
voltages a cell keeps what makes it weak and loses charge at the rate of each condition, so it fails when
sum(d_c / t_ret_c) reaches 1 (docs/theory.md section 9); the threshold is the U that solves this.  It is another one in
every stratum of cells that are weak by their oxide or by their threshold (``device.identity``); where one condition
holds, or ranks are kept, all cells are of one stratum.
Poisson: hazard adds up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from qtaml_hw.arrays import Bool, Float64, Int64
from qtaml_hw.device import STRATA_EDGES, KeptRanks, RetentionPopulation
from qtaml_hw.memory.cells import CellModel, FixedCells, PoissonCells, RetentionLaw
from qtaml_hw.memory.traffic.schedule import Phase, Schedule
from qtaml_hw.names import LeakyState

SIGNIFICANT_DIGITS = 9  # of a stretch of time: k T - (k - 1) T is T again for k up to about 10^6
POWER_LOSS_HAZARD = 64.0  # exp(-64) is below the resolution of a uniform: every leaky cell is lost
LN_U_MIN = math.log(1e-15)  # rarest cell that a mixed-condition threshold resolves


def lengths(seconds: Float64) -> tuple[Float64, Int64]:
    """Stretches to 9 significant digits, each length once and ascending, and whose is which."""
    unique, inverse = np.unique(seconds, return_inverse=True)
    values = [round(s, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(s))) if s > 0.0 else 0.0 for s in unique.tolist()]
    found, of_unique = np.unique(np.array(values, dtype=np.float64), return_inverse=True)
    return found, of_unique[inverse].astype(np.int64)


@dataclass(frozen=True, eq=False)
class Exposure:
    """A cell model over the phases of a schedule.

    ``phase_cells``: the model in every phase (None: as outside) in place of the phases' own; () keeps those.
    """

    cell: CellModel
    schedule: Schedule
    phase_cells: tuple[CellModel | None, ...] = ()
    _known: dict[tuple[bytes, tuple[int, ...]], Float64] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.phase_cells and len(self.phase_cells) != len(self.schedule.phases):
            raise ValueError(f"{len(self.phase_cells)} cells are given for {len(self.schedule.phases)} phases")
        for phase, cell in self._in_phases():
            if cell is not None and _law(cell) != self.law:
                raise ValueError(
                    f"phase {phase.label!r} has a {_law(cell)} cell and the memory a {self.law} cell; "
                    "one run has one law"
                )
            if cell is not None and self.law == "fixed":
                raise ValueError(f"phase {phase.label!r} changes a cell of fixed probabilities, which know no time")

    def _in_phases(self) -> list[tuple[Phase, CellModel | None]]:
        phases = self.schedule.phases
        return list(zip(phases, self.phase_cells or [p.cell for p in phases], strict=True))

    @property
    def law(self) -> str:
        """retention | poisson | fixed."""
        return _law(self.cell)

    @property
    def leaky_state(self) -> LeakyState | None:
        """The value that is lost, or both; None for fixed and static cells."""
        return None if isinstance(self.cell, FixedCells) else self.cell.leaky_state

    @cached_property
    def _kept(self) -> dict[int, KeptRanks]:
        """Ranks of the cells in the phases where they are others than usual, by the identity of the phase's model."""
        found = {}
        for _, cell in self._in_phases():
            if isinstance(cell, RetentionPopulation) and isinstance(self.cell, RetentionPopulation):
                ranks = cell.kept_from(self.cell)
                if ranks is not None:
                    found[id(cell)] = ranks
        return found

    @cached_property
    def strata(self) -> Float64:
        """Edges [K + 1] of the strata on a cell's second uniform."""
        return STRATA_EDGES if self._kept else np.array([0.0, 1.0])

    @cached_property
    def shares(self) -> Float64:
        """[K]: share of the cells in each stratum."""
        return np.diff(self.strata)

    def _spells(self) -> tuple[Float64, list[CellModel], Bool]:
        """(edges [n+1], cell of each spell [n], powered [n]) that tile the horizon."""
        edges, cells, powered = [0.0], [], []
        for phase, cell in self._in_phases():
            if phase.start_s > edges[-1]:
                edges.append(phase.start_s)
                cells.append(self.cell)
                powered.append(True)
            edges.append(phase.end_s)
            cells.append(self.cell if cell is None else cell)
            powered.append(phase.powered)
        edges.append(math.inf)
        cells.append(self.cell)
        powered.append(True)
        return np.array(edges), cells, np.array(powered)

    def thresholds(self, start_s: Float64, end_s: Float64) -> Float64:
        """[stretches, K] P(lost) of a stratum's cells over each stretch [start, end) without restore (retention)."""
        if self.leaky_state is None:
            return np.zeros((len(start_s), len(self.shares)))
        edges, cells, powered = self._spells()
        first = np.searchsorted(edges, start_s, side="right") - 1
        last = np.maximum(np.searchsorted(edges, end_s, side="left") - 1, first)
        out = np.empty((len(start_s), len(self.shares)))
        for spell in np.unique(first[first == last]).tolist():
            inside = (first == last) & (first == spell)
            whole, own = lengths((end_s - start_s)[inside])
            out[inside] = self.within(_retention(cells[spell]), whole)[own]
            if not powered[spell]:
                out[inside] = 1.0
        for i in np.nonzero(first != last)[0].tolist():
            cuts = np.clip(edges[first[i] : last[i] + 2], start_s[i], end_s[i])
            spells = range(int(first[i]), int(last[i]) + 1)
            dead = not powered[first[i] : last[i] + 1].all()
            out[i] = 1.0 if dead else self._mixed(np.diff(cuts), [_retention(cells[s]) for s in spells])
        return out

    def within(self, cell: RetentionLaw, seconds: Float64) -> Float64:
        """[stretches, K]: the same of stretches of these lengths under one model."""
        p = np.asarray(cell.flip_probability(seconds), dtype=np.float64)
        kept = self._kept.get(id(cell))
        return np.repeat(p[:, None], len(self.shares), axis=1) if kept is None else kept.thresholds(p)

    def levels(self, seconds: Float64) -> Float64:
        """[stretches, K]: the same of stretches of these lengths where no phase changes anything."""
        if self.leaky_state is None:
            return np.zeros((len(seconds), len(self.shares)))
        return self.within(_retention(self.cell), seconds)

    def _mixed(self, seconds: Float64, cells: list[RetentionLaw]) -> Float64:
        """[K]: U at which sum(d_c / t_ret_c(U)) = 1; many rows live through the same stretches."""
        key = seconds.tobytes(), tuple(id(cell) for cell in cells)
        if key not in self._known:
            self._known[key] = self._solved(seconds, cells)
        return self._known[key]

    def _solved(self, seconds: Float64, cells: list[RetentionLaw]) -> Float64:
        """By bisection in ln U; 0 where no cell is that weak."""
        ranks = [self._kept.get(id(cell)) for cell in cells]

        def damage(ln_u: Float64) -> Float64:
            u, total = np.exp(ln_u), np.zeros(len(ln_u))
            for d, cell, kept in zip(seconds.tolist(), cells, ranks, strict=True):
                total += d / np.asarray(cell.retention_quantile(u if kept is None else kept.ranks(u)))
            return total

        low, high = np.full(len(self.shares), LN_U_MIN), np.full(len(self.shares), math.log1p(-1e-15))
        none, all_lost = damage(low) < 1.0, damage(high) >= 1.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            short = damage(middle) >= 1.0
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return np.where(none, 0.0, np.where(all_lost, 1.0, np.exp(0.5 * (low + high))))

    def hazard(self, time_s: Float64) -> Float64:
        """Poisson: expected losses of a cell kept leaky from 0 to each time; lost power adds ``POWER_LOSS_HAZARD``."""
        edges, cells, powered = self._spells()
        total = np.zeros(len(time_s))
        for low, high, cell, alive in zip(edges[:-1], edges[1:], cells, powered, strict=True):
            inside = np.clip(time_s - low, 0.0, high - low)
            assert isinstance(cell, PoissonCells)
            total += inside * cell.rate_per_s if alive else np.where(inside > 0.0, POWER_LOSS_HAZARD, 0.0)
        return total


def _law(cell: CellModel) -> str:
    return {PoissonCells: "poisson", FixedCells: "fixed"}.get(type(cell), "retention")


def _retention(cell: CellModel) -> RetentionLaw:
    assert not isinstance(cell, PoissonCells | FixedCells)
    return cell
