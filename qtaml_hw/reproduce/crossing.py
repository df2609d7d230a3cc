"""The overhead at which a policy keeps the wanted accuracy: bisection over a ladder of budgets.

A budget suffices when the accuracy, averaged over the fault maps, reaches the target.  The replicate is the fault map:
intervals come from resampling the maps (percentile bootstrap; Efron and Tibshirani 1993, ch. 13), because a crossing
is a step function of a policy's plans, for which a Student t interval is meaningless.  All policies meet the same maps
and the same resamples, so that ratios are paired.  With three maps an interval is little more than the range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qtaml_hw.arrays import Float64
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.records.interval import Interval
from qtaml_hw.reproduce.paths import PlanPath
from qtaml_hw.reproduce.trial import Trial
from qtaml_hw.tac import side_information

RESAMPLES = 400
OCTAVES = 13  # the smallest budget is 2^-13 of the stored bits


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


@dataclass(frozen=True, eq=False)
class Overheads:
    """Overhead that suffices: ``value`` over all maps, ``resampled`` [R] over resampled maps.

    ``side``: side information of the sufficient plan over the stored bits, counted beside the overhead.
    """

    value: float
    resampled: Float64
    maps: int
    side: float = 0.0

    @property
    def interval(self) -> Interval:
        """The overhead and its 95 % interval over maps."""
        return _percentiles(self.value, self.resampled, self.maps)

    def ratio_to(self, other: Overheads) -> Interval:
        """How many times less than ``other``, paired over maps."""
        return _percentiles(other.value / self.value, other.resampled / self.resampled, self.maps)

    def with_side(self) -> Overheads:
        """The same with its side information inside the overhead."""
        return Overheads(self.value + self.side, self.resampled + self.side, self.maps)


def _percentiles(value: float, resampled: Float64, maps: int) -> Interval:
    low, high = np.percentile(resampled, (2.5, 97.5))
    return Interval(value, float(low), float(high), maps)


def resamples(maps: int) -> Float64:
    """Weights [R, maps] of bootstrap resamples, each row summing to 1; the same for every policy and network."""
    draws = np.random.default_rng([maps, 0xB007]).multinomial(maps, np.full(maps, 1.0 / maps), size=RESAMPLES)
    return draws / maps


@dataclass(eq=False)
class Search:
    """Bisections of one trial: the wanted share of clean accuracy, the ladder, how many maps."""

    trial: Trial
    ladder: Ladder
    maps: int
    keep: float = 0.95

    @property
    def target(self) -> float:
        """The accuracy that has to be kept."""
        return self.keep * self.trial.clean_accuracy

    def overheads(self, path: PlanPath) -> Overheads | None:
        """Overhead of the cheapest plan that keeps the target; None if no protection keeps it."""
        plans: dict[int, tuple[ProtectionPlan, Float64]] = {}

        def at(rung: int) -> tuple[ProtectionPlan, Float64]:
            if rung not in plans:
                share = path.most * self.ladder.share(rung)
                plan = path.plan(share)
                plans[rung] = plan, self._accuracies(path, plan, share)
            return plans[rung]

        def smallest(weights: Float64) -> int | None:
            return last_passing(lambda r: float(weights @ at(r)[1]) >= self.target - 1e-12, self.ladder.rungs)

        def cost(rung: int) -> float:
            return max(path.overhead(at(rung)[0]), self.ladder.share(self.ladder.rungs))

        best = smallest(np.full(self.maps, 1.0 / self.maps))
        if best is None:
            return None
        rungs = [smallest(row) for row in resamples(self.maps)]
        resampled = [cost(0) if rung is None else cost(rung) for rung in rungs]  # what nothing saves costs everything
        side = self.trial.scale_fraction + side_information(at(best)[0], self.trial.correction).fraction
        return Overheads(cost(best), np.array(resampled), self.maps, side)

    def accuracies(self, path: PlanPath, share: float) -> Float64:
        """Accuracy per map at one budget, [maps]."""
        return self._accuracies(path, path.plan(share), share)

    def _accuracies(self, path: PlanPath, plan: ProtectionPlan, share: float) -> Float64:
        facts = {"policy": path.policy.name, "group": path.policy.group, "budget": share}
        return np.array([self.trial.accuracy(plan, index, facts) for index in range(self.maps)])
