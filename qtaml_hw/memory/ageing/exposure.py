"""From stretches of time to thresholds on a cell's uniform U: the cell has flipped exactly when U < threshold.

Retention: the threshold of a stretch without restore is P(t_ret < stretch).  Over phases with other temperatures or
voltages a cell keeps its rank U and loses charge at the rate of each condition, so it fails when sum(d_c / t_ret_c(U))
reaches 1 (constant-current discharge, docs/theory.md section 9); the threshold is the U that solves this.
Poisson: hazard adds up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qtaml_hw.arrays import Bool, Float64
from qtaml_hw.memory.cells import CellModel, FixedCells, PoissonCells, RetentionLaw
from qtaml_hw.memory.traffic.schedule import Phase, Schedule

SIGNIFICANT_DIGITS = 9  # of a stretch of time: k T - (k - 1) T is T again for k up to about 10^6
POWER_LOSS_HAZARD = 64.0  # exp(-64) is below the resolution of a uniform: every leaky cell is lost
LN_U_MIN = math.log(1e-15)  # rarest cell that a mixed-condition threshold resolves


def _rounded(seconds: Float64) -> Float64:
    """Stretches to 9 significant digits."""
    unique, inverse = np.unique(seconds, return_inverse=True)
    values = [round(s, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(s))) if s > 0.0 else 0.0 for s in unique.tolist()]
    return np.array(values, dtype=np.float64)[inverse]


@dataclass(frozen=True, eq=False)
class Exposure:
    """A cell model over the phases of a schedule.

    ``phase_cells``: the model in every phase (None: as outside) in place of the phases' own; () keeps those.
    """

    cell: CellModel
    schedule: Schedule
    phase_cells: tuple[CellModel | None, ...] = ()

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
    def leaky_state(self) -> int | None:
        """The value that is lost; None for fixed and static cells."""
        return None if isinstance(self.cell, FixedCells) else self.cell.leaky_state

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

    def thresholds(self, start_s: Float64, end_s: Float64, gain: float = 1.0) -> Float64:
        """Retention: P(lost) over each stretch [start, end) without restore; ``gain`` multiplies retention times."""
        assert isinstance(self.cell, RetentionLaw)
        if self.cell.leaky_state is None:
            return np.zeros(len(start_s))
        edges, cells, powered = self._spells()
        if len(cells) == 1:
            return self._pure(self.cell, end_s - start_s, gain)
        first = np.searchsorted(edges, start_s, side="right") - 1
        last = np.maximum(np.searchsorted(edges, end_s, side="left") - 1, first)
        out = np.empty(len(start_s))
        for spell in np.unique(first[first == last]).tolist():
            inside = (first == last) & (first == spell)
            out[inside] = self._pure(_retention(cells[spell]), (end_s - start_s)[inside], gain)
            if not powered[spell]:
                out[inside] = 1.0
        for i in np.nonzero(first != last)[0].tolist():
            cuts = np.clip(edges[first[i] : last[i] + 2], start_s[i], end_s[i])
            spells = range(int(first[i]), int(last[i]) + 1)
            dead = not powered[first[i] : last[i] + 1].all()
            out[i] = 1.0 if dead else _mixed(np.diff(cuts) / gain, [_retention(cells[s]) for s in spells])
        return out

    @staticmethod
    def _pure(cell: RetentionLaw, seconds: Float64, gain: float) -> Float64:
        unique, inverse = np.unique(_rounded(seconds), return_inverse=True)
        return np.asarray(cell.flip_probability(unique / gain), dtype=np.float64)[inverse]

    def hazard(self, time_s: Float64, gain: float = 1.0) -> Float64:
        """Poisson: expected losses of a cell kept leaky from 0 to each time; lost power adds ``POWER_LOSS_HAZARD``."""
        edges, cells, powered = self._spells()
        total = np.zeros(len(time_s))
        for low, high, cell, alive in zip(edges[:-1], edges[1:], cells, powered, strict=True):
            inside = np.clip(time_s - low, 0.0, high - low)
            assert isinstance(cell, PoissonCells)
            total += inside * cell.rate_per_s / gain if alive else np.where(inside > 0.0, POWER_LOSS_HAZARD, 0.0)
        return total


def _law(cell: CellModel) -> str:
    return {PoissonCells: "poisson", FixedCells: "fixed"}.get(type(cell), "retention")


def _retention(cell: CellModel) -> RetentionLaw:
    assert isinstance(cell, RetentionLaw)
    return cell


def _mixed(seconds: Float64, cells: list[RetentionLaw]) -> float:
    """U at which sum(d_c / t_ret_c(U)) = 1, by bisection in ln U; 0 when no cell is that weak."""

    def damage(ln_u: float) -> float:
        u = np.array([math.exp(ln_u)])
        life = [float(np.asarray(c.retention_quantile(u))[0]) for c in cells]
        return math.fsum(d / t for d, t in zip(seconds.tolist(), life, strict=True))

    low, high = LN_U_MIN, math.log1p(-1e-15)
    if damage(low) < 1.0:
        return 0.0
    if damage(high) >= 1.0:
        return 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if damage(middle) >= 1.0 else (low, middle)
    return math.exp(0.5 * (low + high))
