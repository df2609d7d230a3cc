"""The overhead at which a policy keeps the wanted accuracy: where an isotonic fit over a ladder of budgets crosses it.

All policies meet the same maps, images and resamples (:mod:`qtaml_hw.tac.prediction.crossing`), so that ratios are
paired.  Where the curve is flat at the target the budget is a matter of luck: the interval is wide and the result says
that a plateau decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from qtaml_hw.arrays import Float64
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.records.interval import Interval
from qtaml_hw.reproduce.paths import PlanPath
from qtaml_hw.reproduce.trial import Trial
from qtaml_hw.tac import side_information
from qtaml_hw.tac.prediction.crossing import KEPT, PLATEAU, Ladder, measured_curve

AROUND: Final = 6  # rungs measured above the largest and below the smallest of the budgets


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
        least, clean = self.ladder.share(self.ladder.rungs), self.trial.clean_right.astype(np.float64)
        plans: dict[float, ProtectionPlan] = {}

        def answers(rung: int) -> tuple[float, Float64]:
            share = path.most * self.ladder.share(rung)
            plan = path.plan(share)
            cost = max(path.overhead(plan), least)
            plans[cost] = plan
            return cost, self._right(path, plan, share)

        curve = measured_curve(answers, clean, self.ladder, around=AROUND)
        if curve is None or curve.right[-1].mean() < self.target - 1e-12:
            return None
        value = curve.at(self.keep)
        enough = plans[min(cost for cost in plans if cost >= value * (1.0 - 1e-9))]
        side = self.trial.scale_fraction + side_information(enough, self.trial.correction).fraction
        beside = {keep: curve.at(keep) for keep in KEPT}
        return Overheads(value, curve.resampled(self.keep), self.maps, side, beside)

    def accuracies(self, path: PlanPath, share: float) -> Float64:
        """Accuracy per map at one budget, [maps]."""
        mean: Float64 = self._right(path, path.plan(share), share).mean(axis=1)
        return mean

    def _right(self, path: PlanPath, plan: ProtectionPlan, share: float) -> Float64:
        """Right answers by map and image, 0 or 1 [maps, images]."""
        facts = {"policy": path.policy.name, "group": path.policy.group, "budget": share}
        return np.array([self.trial.right(plan, index, facts) for index in range(self.maps)], dtype=np.float64)
