"""Measured curves: the share of failed cells over time or supply, as straight lines of log p between points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr, ndtri

from qtaml_hw.arrays import Float64
from qtaml_hw.names import LeakyState, Tail
from qtaml_hw.units import show

_ALIKE: Final = 1e-9  # relative: a time that was rounded on its way is still that of the point
_SOON: Final = 1e-300  # seconds: before any interval
_FARTHEST: Final = 1e-30  # share of cells at which a tail ends
_TAIL_PROBITS: Final = np.linspace(-11.0, 8.0, 191)  # knots of a lognormal tail


@dataclass(frozen=True, eq=False)
class Line:
    """ln p, increasing and straight between knots over a coordinate: ln(seconds), or minus the volts.

    ``first``, ``last`` : where points end and, with a tail, what lies beyond is read off its law.
    """

    at: Float64
    log_p: Float64
    tail: Tail | None = None

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]], axis: Literal["time", "voltage"]) -> Line:
        """The line through points (seconds or volts, share)."""
        x, p = np.array(points, dtype=np.float64).T
        at = np.log(x) if axis == "time" else -x[::-1]
        return cls(at, np.log(p if axis == "time" else p[::-1]))

    def towards(self, other: Line, share: float) -> Line:
        """A share of the way to another line, at equal p. Raises ValueError where they have no p in common."""
        low, high = (pick(self.log_p[end], other.log_p[end]) for end, pick in ((0, max), (-1, min)))
        if not low < high:
            raise ValueError("the curves of the two temperatures around share no range of p: measure further points")
        inside = np.union1d(self.log_p, other.log_p)
        log_p = np.concatenate([[low], inside[(inside > low) & (inside < high)], [high]])
        here, there = (np.interp(log_p, line.log_p, line.at) for line in (self, other))
        return Line(here + share * (there - here), log_p)

    def with_tail(self, tail: Tail | None) -> Line:
        """The line continued at both ends by a law: ``straight``, or straight as a normal quantile (``lognormal``)."""
        if tail is None:
            return self
        ends = [_beyond(tail, self.at[:2], self.log_p[:2], -1), _beyond(tail, self.at[-2:], self.log_p[-2:], 1)]
        at, log_p = (np.concatenate(parts) for parts in zip(ends[0], (self.at, self.log_p), ends[1], strict=True))
        return Line(at, log_p, tail)

    def p(self, at: Float64) -> Float64:
        """The share of failed cells at coordinates within the line; its end's beyond."""
        return np.asarray(np.exp(np.interp(at, self.at, self.log_p)))

    def inside(self, at: ArrayLike) -> bool:
        """Whether coordinates lie on the line."""
        given = np.asarray(at)
        slack = _ALIKE * np.maximum(np.abs(given), 1.0)
        return bool(np.all((given >= self.at[0] - slack) & (given <= self.at[-1] + slack)))


def _beyond(tail: Tail, at: Float64, log_p: Float64, side: Literal[-1, 1]) -> tuple[Float64, Float64]:
    """Knots (coordinate, ln p) that continue a segment to its lower (-1) or upper side, ascending."""
    if tail == "straight":
        end = math.log(_FARTHEST) if side < 0 else 0.0
        wanted = np.array([end]) if side * (end - log_p[0 if side < 0 else 1]) > 0.0 else np.empty(0)
        return at[0] + (wanted - log_p[0]) * (at[1] - at[0]) / (log_p[1] - log_p[0]), wanted
    p = np.minimum(np.exp(log_p), 1.0 - 1e-15)
    probit = np.asarray(ndtri(p), dtype=np.float64)
    wanted = _TAIL_PROBITS[(_TAIL_PROBITS - probit[0 if side < 0 else 1]) * side > 0.0]
    slope = (at[1] - at[0]) / max(probit[1] - probit[0], 1e-12)
    return at[0] + (wanted - probit[0]) * slope, np.asarray(log_ndtr(wanted), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class CurvePopulation:
    """Retention times of cells as measured: probability and quantile are exact inverses of each other.

    line : ln p over ln(seconds).
    leaky_state : the stored value that is lost, 1 or 0, or ``both``: whichever a cell holds.
    bounded : a wait that is shorter than the first point fails as many cells as that point, which is no fewer than it
        does.  What is simulated waits so between reads; what a study rests on does not.
    """

    line: Line
    leaky_state: LeakyState
    warnings: tuple[str, ...] = ()
    bounded: bool = False
    gate_share: None = None

    def loses(self, state: int) -> bool:
        """Whether cells that store ``state``, 0 or 1, can lose it."""
        return self.leaky_state in (state, "both")

    def simulated(self) -> CurvePopulation:
        """The population with short waits bounded by the first point."""
        return replace(self, bounded=True)

    @property
    def memoryless(self) -> tuple[float, str]:
        """A measured curve has no memoryless law of its median. Raises ValueError."""
        raise ValueError("a measured curve says which share of fixed cells fails, not a rate at which they would")

    @property
    def open_ended(self) -> bool:
        """Whether a tail law says what lies beyond the points."""
        return self.line.tail is not None

    @property
    def span_s(self) -> tuple[float, float]:
        """The intervals in seconds that the curve can be asked for."""
        return (0.0, math.inf) if self.open_ended else (math.exp(self.line.at[0]), math.exp(self.line.at[-1]))

    @property
    def span_p(self) -> tuple[float, float]:
        """The shares of cells whose retention time is known."""
        return (0.0, 1.0) if self.open_ended else (math.exp(self.line.log_p[0]), math.exp(self.line.log_p[-1]))

    def flip_probability(self, interval_s: ArrayLike) -> Float64:
        """P(t_ret < interval) of a cell that holds what it loses; any shape.

        Raises ValueError for a negative interval, and for one beyond the points where no tail is stated. Zero is zero.
        """
        interval = np.asarray(interval_s, dtype=np.float64)
        if not np.all(interval >= 0.0):
            raise ValueError(f"an interval cannot be negative (got {np.min(interval):g} s)")
        at = np.log(np.maximum(interval, _SOON))
        asked = at[(interval > 0.0) & (np.isfinite(interval)) & ~(self.bounded & (at < self.line.at[0]))]
        if not self.open_ended and not (self.line.inside(asked) and np.all(np.isfinite(interval))):
            low, high = (show(end, "time", 4) for end in self.span_s)
            far = show(float(interval.max() if interval.max() > self.span_s[1] else interval.min()), "time", 4)
            raise ValueError(
                f"the measured curve goes from {low} to {high}, and cells wait {far}: add points there, or say how it "
                "goes on (tail: straight or tail: lognormal)"
            )
        sooner = self.open_ended & (at < self.line.at[0])
        later = self.open_ended & (at > self.line.at[-1])
        return np.asarray(np.where((interval == 0.0) | sooner, 0.0, np.where(later, 1.0, self.line.p(at))))

    def retention_quantile(self, u: ArrayLike) -> Float64:
        """Retention time in seconds below which a share ``u`` of the cells lies: the inverse of ``flip_probability``.

        Raises ValueError outside [0, 1], and outside the measured shares where no tail is stated.
        """
        share = np.asarray(u, dtype=np.float64)
        if not np.all((share >= 0.0) & (share <= 1.0)):
            raise ValueError(f"a quantile needs a share within [0, 1]; got {np.min(share):g} .. {np.max(share):g}")
        log_p = np.log(np.maximum(share, _SOON))
        if self.bounded:
            return np.asarray(np.where(log_p < self.line.log_p[0], _SOON, self._time(log_p)))
        if not self.open_ended and not Line(self.line.log_p, self.line.at).inside(log_p):
            low, high = self.span_p
            raise ValueError(
                f"the measured curve has shares from {low:.3g} to {high:.3g}; asked for are {np.min(share):.3g} .. "
                f"{np.max(share):.3g}"
            )
        return self._time(log_p)

    def _time(self, log_p: Float64) -> Float64:
        return np.asarray(np.exp(np.interp(log_p, self.line.log_p, self.line.at)))

    @property
    def median_s(self) -> float:
        """Median retention time. Raises ValueError where half of the cells are beyond the points."""
        return float(self.retention_quantile(0.5))
