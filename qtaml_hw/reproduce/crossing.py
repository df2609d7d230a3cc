"""The overhead at which a policy keeps the wanted accuracy: where an isotonic fit over a ladder of budgets crosses it.

Budgets are found by bisection and all rungs around them are measured.  The score, averaged over the fault maps, is
taken to grow with the budget: its isotonic fit (pool adjacent violators; Barlow et al. 1972) against the logarithm of
the overhead is interpolated where it reaches the target.  Intervals come from resampling fault maps and test images at
once (percentile bootstrap; Efron and Tibshirani 1993, ch. 13), the images of the clean score too.  All policies meet
the same maps, images and resamples, so that ratios are paired.  Where the curve is flat at the target the budget is a
matter of luck: the interval is wide and the result says that a plateau decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from sklearn.isotonic import isotonic_regression

from qtaml_hw.arrays import Float64
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.records.interval import Interval
from qtaml_hw.reproduce.paths import PlanPath
from qtaml_hw.reproduce.trial import Trial
from qtaml_hw.tac import side_information

RESAMPLES: Final = 400
OCTAVES: Final = 13  # the smallest budget is 2^-13 of the stored bits
KEPT: Final = (0.94, 0.95, 0.96)  # shares of clean accuracy whose budgets are shown beside each other
AROUND: Final = 6  # rungs measured above the largest and below the smallest of those budgets
PLATEAU: Final = 2.0  # an interval wider than this factor: a plateau decides


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


@dataclass(frozen=True, eq=False)
class Overheads:
    """Overhead that suffices: ``value`` over all maps, ``resampled`` [R] over resampled maps and images.

    ``side``: side information of the sufficient plan over the stored bits, counted beside the overhead; ``beside``:
    what other shares of clean accuracy need.
    """

    value: float
    resampled: Float64
    maps: int
    side: float = 0.0
    beside: dict[float, float] = field(default_factory=dict)

    @property
    def interval(self) -> Interval:
        """The overhead and its 95 % interval over maps and images."""
        return _percentiles(self.value, self.resampled, self.maps)

    @property
    def plateau(self) -> bool:
        """Whether the curve is so flat at the target that the budget is known to no factor of two."""
        return self.interval.high > PLATEAU * self.interval.low

    def ratio_to(self, other: Overheads) -> Interval:
        """How many times less than ``other``, paired over maps and images."""
        return _percentiles(other.value / self.value, other.resampled / self.resampled, self.maps)

    def with_side(self) -> Overheads:
        """The same with its side information inside the overhead."""
        return Overheads(self.value + self.side, self.resampled + self.side, self.maps)


def _percentiles(value: float, resampled: Float64, maps: int) -> Interval:
    low, high = np.percentile(resampled, (2.5, 97.5))
    return Interval(value, float(low), float(high), maps)


def resamples(count: int) -> Float64:
    """Weights [R, count] of bootstrap resamples, each row summing to 1; the same for every policy and network."""
    draws = np.random.default_rng([count, 0xB007]).multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES)
    return draws / count


@dataclass(frozen=True, eq=False)
class Curve:
    """Right answers [rungs, maps, images] of a path's plans by what they cost, ascending; and of the clean network."""

    cost: Float64
    right: Float64
    clean: Float64

    @cached_property
    def _resampled(self) -> tuple[Float64, Float64]:
        """Scores [rungs, R] and clean scores [R] over resampled maps and images."""
        maps, images = resamples(self.right.shape[1]), resamples(self.right.shape[2])
        return np.einsum("kmb,bm->kb", self.right @ images.T, maps), images @ self.clean

    def at(self, keep: float) -> float:
        """The cost that keeps a share of the clean score."""
        return crossing(self.cost, self.right.mean(axis=(1, 2)), keep * float(self.clean.mean()))

    def resampled(self, keep: float) -> Float64:
        """The same over the resamples, [R]."""
        scores, clean = self._resampled
        return np.array([crossing(self.cost, s, keep * c) for s, c in zip(scores.T, clean, strict=True)])


@dataclass(eq=False)
class Search:
    """Crossings of one trial: the wanted share of clean accuracy, the ladder, how many maps."""

    trial: Trial
    ladder: Ladder
    maps: int
    keep: float = 0.95

    @property
    def target(self) -> float:
        """The accuracy that has to be kept."""
        return self.keep * self.trial.clean_accuracy

    def overheads(self, path: PlanPath) -> Overheads | None:
        """Overhead that keeps the target; None if no protection keeps it."""
        plans: dict[int, tuple[ProtectionPlan, Float64]] = {}

        def at(rung: int) -> tuple[ProtectionPlan, Float64]:
            if rung not in plans:
                share = path.most * self.ladder.share(rung)
                plan = path.plan(share)
                plans[rung] = plan, self._right(path, plan, share)
            return plans[rung]

        def smallest(keep: float) -> int | None:
            wanted = keep * self.trial.clean_accuracy - 1e-12
            return last_passing(lambda rung: float(at(rung)[1].mean()) >= wanted, self.ladder.rungs)

        best = smallest(self.keep)
        if best is None:
            return None
        found = [rung for rung in map(smallest, KEPT) if rung is not None] + [best]
        for rung in range(max(min(found) - AROUND, 0), min(max(found) + AROUND, self.ladder.rungs) + 1):
            at(rung)
        curve = self._curve(path, plans)
        side = self.trial.scale_fraction + side_information(at(best)[0], self.trial.correction).fraction
        beside = {keep: curve.at(keep) for keep in KEPT}
        return Overheads(curve.at(self.keep), curve.resampled(self.keep), self.maps, side, beside)

    def _curve(self, path: PlanPath, plans: dict[int, tuple[ProtectionPlan, Float64]]) -> Curve:
        """Every cost once: rungs that buy the same plan are one point."""
        least = self.ladder.share(self.ladder.rungs)
        points = {max(path.overhead(plan), least): right for plan, right in plans.values()}
        cost = np.array(sorted(points))
        clean = self.trial.clean_right.astype(np.float64)
        return Curve(cost, np.stack([points[c] for c in cost.tolist()]), clean)

    def accuracies(self, path: PlanPath, share: float) -> Float64:
        """Accuracy per map at one budget, [maps]."""
        mean: Float64 = self._right(path, path.plan(share), share).mean(axis=1)
        return mean

    def _right(self, path: PlanPath, plan: ProtectionPlan, share: float) -> Float64:
        """Right answers by map and image, 0 or 1 [maps, images]."""
        facts = {"policy": path.policy.name, "group": path.policy.group, "budget": share}
        return np.array([self.trial.right(plan, index, facts) for index in range(self.maps)], dtype=np.float64)
