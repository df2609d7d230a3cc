"""The overhead at which a policy keeps the wanted accuracy: bisection over a ladder of budgets.

A budget suffices when the accuracy, averaged over the fault maps, reaches the target.  The replicate is the fault map:
leaving out one map at a time gives jackknife values of the overhead in logarithms, and Student t intervals over them
(Miller, Biometrika 61 (1974) 1).  All policies meet the same maps, so that ratios are paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.accelerator.interval import Interval, t_interval
from qtaml_hw.ecc import ProtectionPlan
from qtaml_hw.reproduce.paths import PlanPath
from qtaml_hw.reproduce.trial import Trial

Array = NDArray[np.float64]
OCTAVES = 13  # the smallest budget is 2^-13 of the stored bits


@dataclass(frozen=True)
class Ladder:
    """Budgets 2^(-i / per_octave), i = 0 (everything) .. rungs."""

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


@dataclass(frozen=True)
class Overheads:
    """Protected bits over stored bits that suffice: with all maps, and with each map left out; all positive."""

    value: float
    left_out: tuple[float, ...]

    @property
    def interval(self) -> Interval:
        """The overhead and its 95 % interval over maps."""
        return _jackknife(self.value, self.left_out)

    def ratio_to(self, other: Overheads) -> Interval:
        """How many times less than ``other``, paired over maps."""
        pairs = [b / a for a, b in zip(self.left_out, other.left_out, strict=True)]
        return _jackknife(other.value / self.value, pairs)


def _jackknife(value: float, left_out: Sequence[float]) -> Interval:
    """Interval of a positive statistic from its leave-one-out values, in logarithms."""
    count, whole = len(left_out), math.log(value)
    spread = t_interval([count * whole - (count - 1) * math.log(v) for v in left_out]).halfwidth
    return Interval(value, math.exp(whole - spread), math.exp(whole + spread), count)


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
        plans: dict[int, tuple[ProtectionPlan, Array]] = {}

        def at(rung: int) -> tuple[ProtectionPlan, Array]:
            if rung not in plans:
                plan = path.plan(self.ladder.share(rung))
                plans[rung] = plan, self._accuracies(path, plan, self.ladder.share(rung))
            return plans[rung]

        def smallest(chosen: NDArray[np.bool_]) -> float | None:
            rung = last_passing(lambda r: bool(at(r)[1][chosen].mean() >= self.target), self.ladder.rungs)
            floor = self.ladder.share(self.ladder.rungs)
            return None if rung is None else max(at(rung)[0].protected_bits_fraction, floor)

        value = smallest(np.ones(self.maps, dtype=np.bool_))
        found = [smallest(np.arange(self.maps) != out) for out in range(self.maps)]
        left_out = tuple(x for x in found if x is not None)
        return None if value is None or len(left_out) < self.maps else Overheads(value, left_out)

    def accuracies(self, path: PlanPath, share: float) -> Array:
        """Accuracy per map at one budget, [maps]."""
        return self._accuracies(path, path.plan(share), share)

    def _accuracies(self, path: PlanPath, plan: ProtectionPlan, share: float) -> Array:
        facts = {"policy": path.policy.name, "group": path.policy.group, "budget": share}
        return np.array([self.trial.accuracy(plan, index, facts) for index in range(self.maps)])
