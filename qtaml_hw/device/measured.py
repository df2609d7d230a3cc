"""Cells that are known by a measured curve instead of a model of what leaks.

The share of failed cells is read off as a straight line of log p between the points: over log t for cells that lose
charge, over the supply for cells that hold their state.  Between temperatures the curves are joined point by point at
equal p: log t is linear in 1/T (Arrhenius), the supply is linear in T.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from qtaml_hw.device.curve import CurvePopulation, Line
from qtaml_hw.device.sram import StaticPopulation
from qtaml_hw.names import Direction, LeakyState, Tail
from qtaml_hw.units import show

_SAME_K: Final = 0.01  # temperatures that differ by less are one
_LOST: Final[dict[Direction, LeakyState]] = {"1to0": 1, "0to1": 0, "symmetric": "both"}

Curve = tuple[float, tuple[tuple[float, float], ...]]
"""Temperature in kelvin, and its points: (seconds or volts, share of the cells)."""


@dataclass(frozen=True, kw_only=True)
class MeasuredCell:
    """Cells of a measured curve under conditions (SI, unit in the name).

    curves : ascending in temperature; each with at least two points, ascending, whose share grows with time or falls
        with the supply, within (0, 1].
    axis : ``time`` (cells that lose charge, measured at ``supply_v``) or ``voltage`` (cells that hold their state).
    direction : which stored values the cells lose.
    tail : how the curve goes on beyond its points; None: nothing is read off there.
    temperature_k, v_dd_v : the conditions that are asked for.
    source : what was measured, in words.
    measured_v : lowest and highest supply of a measurement that a law was fitted to; what lies beyond says so.
    """

    curves: tuple[Curve, ...]
    axis: Literal["time", "voltage"]
    direction: Direction
    temperature_k: float
    v_dd_v: float
    supply_v: float | None = None
    tail: Tail | None = None
    source: str = "measured curve"
    measured_v: tuple[float, ...] | None = None

    def line(self) -> Line:
        """The curve at the cell's temperature.

        Raises ValueError outside the measured temperatures, and where a curve of time was measured at another supply.
        """
        if self.axis == "time" and self.supply_v is not None and abs(self.v_dd_v - self.supply_v) > 1e-9:
            raise ValueError(
                f"the measured curve holds at {show(self.supply_v, 'voltage')} and says nothing of "
                f"{show(self.v_dd_v, 'voltage')}"
            )
        lines = [(kelvin, Line.through(points, self.axis)) for kelvin, points in self.curves]
        for kelvin, line in lines:
            if abs(kelvin - self.temperature_k) <= _SAME_K:
                return line.with_tail(self.tail)
        for (colder, one), (hotter, other) in pairwise(lines):
            if colder < self.temperature_k < hotter:
                way = [(1.0 / k if self.axis == "time" else k) for k in (colder, self.temperature_k, hotter)]
                return one.towards(other, (way[1] - way[0]) / (way[2] - way[0])).with_tail(self.tail)
        measured = " and ".join(dict.fromkeys(show(kelvin, "temperature") for kelvin in (lines[0][0], lines[-1][0])))
        between = "between " if len(lines) > 1 else ""
        raise ValueError(
            f"the curve was measured {between or 'at '}{measured}, and the cells are at "
            f"{show(self.temperature_k, 'temperature')}: add points at a temperature beyond"
        )


def measured_population(cell: MeasuredCell) -> CurvePopulation | StaticPopulation:
    """The population of a measured curve: retention times, or the share of weak cells at the supply; all dies alike.

    Raises ValueError where the curve says nothing of the cell's temperature or supply.
    """
    line, lost = cell.line(), _LOST[cell.direction]
    if cell.axis == "time":
        return CurvePopulation(line, lost, (f"retention as measured ({cell.source}), not modelled",))
    at = np.array(-cell.v_dd_v)
    if not line.inside(at) and cell.tail is None:
        low, high = (show(-end, "voltage", 4) for end in (line.at[-1], line.at[0]))
        raise ValueError(
            f"the measured curve goes from {low} to {high}, and the cells are at {show(cell.v_dd_v, 'voltage', 4)}: "
            "add points there, or say how it goes on (tail: straight or tail: lognormal)"
        )
    return StaticPopulation(
        weak_share=float(line.p(at)),
        leaky_state=lost,
        warnings=(f"failures by the supply are empirical ({cell.source}), not modelled", *_extrapolated(cell)),
    )


def _extrapolated(cell: MeasuredCell) -> Iterator[str]:
    if cell.measured_v is not None and not min(cell.measured_v) <= cell.v_dd_v <= max(cell.measured_v):
        low, high = (show(v, "voltage") for v in (min(cell.measured_v), max(cell.measured_v)))
        yield f"{show(cell.v_dd_v, 'voltage')} is beyond the {low} to {high} that were measured: p is extrapolated"
