"""Where a score that grows with a budget meets a target: bisection over a ladder, then an isotonic fit around it.

The score, averaged over fault maps and inputs, is taken to grow with the budget: its isotonic fit (pool adjacent
violators; Barlow et al. 1972) against the logarithm of the cost is interpolated where it reaches the target.  Intervals
come from resampling fault maps and inputs at once (percentile bootstrap; Efron and Tibshirani 1993, ch. 13), the inputs
of the clean score too.  Whoever shares maps and inputs shares the resamples, so that ratios are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from sklearn.isotonic import isotonic_regression

from qtaml_hw.arrays import Float64

RESAMPLES: Final = 400
OCTAVES: Final = 13  # the smallest budget is 2^-13 of the stored bits
KEPT: Final = (0.94, 0.95, 0.96)  # shares of the clean score whose budgets are shown beside each other
PLATEAU: Final = 2.0  # an interval wider than this factor tells no number

Answers = Callable[[int], tuple[float, Float64]]
"""What the plan of a rung costs, and the score of every map and input under it, [maps, inputs]."""


@dataclass(frozen=True)
class Ladder:
    """Budgets 2^(-i / per_octave) of the largest, i = 0 (everything) .. rungs."""

    per_octave: int

    @property
    def rungs(self) -> int:
        """Index of the smallest budget."""
        return OCTAVES * self.per_octave

    def share(self, rung: int) -> float:
        """Protected bits over stored bits."""
        return float(2.0 ** (-rung / self.per_octave))


def last_passing(passes: Callable[[int], bool], rungs: int) -> int | None:
    """The largest rung that passes, by bisection (passing is taken to end once); None when not even rung 0 does."""
    if not passes(0):
        return None
    low, high = 0, rungs + 1  # low passes; high fails or lies beyond the ladder
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(middle) else (low, middle)
    return low


def crossing(cost: Float64, score: Float64, target: float) -> float:
    """The cost at which the isotonic fit of ``score`` against log ``cost`` (both [R], costs ascending) meets a target.

    Between two costs it is interpolated in their logarithm.  The least cost where that suffices; the largest where
    nothing does.
    """
    fit = isotonic_regression(score)
    reached = np.flatnonzero(fit >= target - 1e-12)
    if reached.size == 0:
        return float(cost[-1])
    i = int(reached[0])
    if i == 0:
        return float(cost[0])
    share = (target - fit[i - 1]) / (fit[i] - fit[i - 1])
    return float(cost[i - 1] * (cost[i] / cost[i - 1]) ** share)


def resamples(count: int) -> Float64:
    """Weights [R, count] of bootstrap resamples, each row summing to 1; the same for everybody."""
    draws = np.random.default_rng([count, 0xB007]).multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES)
    return draws / count


@dataclass(frozen=True, eq=False)
class Curve:
    """Scores ``right`` [rungs, maps, inputs] of plans by their cost, ascending; ``clean`` [inputs] without a fault."""

    cost: Float64
    right: Float64
    clean: Float64

    @cached_property
    def _resampled(self) -> tuple[Float64, Float64]:
        """Mean scores [rungs, R] and clean ones [R] over resampled maps and inputs."""
        maps, inputs = resamples(self.right.shape[1]), resamples(self.right.shape[2])
        return np.einsum("kmb,bm->kb", self.right @ inputs.T, maps), inputs @ self.clean

    def at(self, keep: float) -> float:
        """The cost that keeps a share of the clean score."""
        return crossing(self.cost, self.right.mean(axis=(1, 2)), keep * float(self.clean.mean()))

    def resampled(self, keep: float) -> Float64:
        """The same over the resamples, [R]."""
        scores, clean = self._resampled
        return np.array([crossing(self.cost, s, keep * c) for s, c in zip(scores.T, clean, strict=True)])


def measured_curve(
    answers: Answers, clean: Float64, ladder: Ladder, *, around: int, kept: Sequence[float] = KEPT
) -> Curve | None:
    """The curve around the budgets that keep these shares of the clean score [inputs]; None if nothing keeps any.

    Rungs are found by bisection, and ``around`` more on either side are asked.
    """
    known: dict[int, tuple[float, Float64]] = {}

    def at(rung: int) -> tuple[float, Float64]:
        if rung not in known:
            known[rung] = answers(rung)
        return known[rung]

    def smallest(keep: float) -> int | None:
        wanted = keep * float(clean.mean()) - 1e-12
        return last_passing(lambda rung: float(at(rung)[1].mean()) >= wanted, ladder.rungs)

    found = [rung for rung in map(smallest, kept) if rung is not None]
    if not found:
        return None
    for rung in range(max(min(found) - around, 0), min(max(found) + around, ladder.rungs) + 1):
        at(rung)
    points = dict(known[rung] for rung in sorted(known, reverse=True))  # rungs that buy the same plan are one point
    cost = np.array(sorted(points))
    return Curve(cost, np.stack([points[c] for c in cost.tolist()]), clean)
