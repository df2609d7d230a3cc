"""Intervals over fault maps: the replicate is the map (one chip, one draw), never the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True)
class Interval:
    """Mean and two-sided 95 % Student t interval over ``maps`` replicates; infinite width with one replicate."""

    mean: float
    low: float
    high: float
    maps: int

    @property
    def ci95(self) -> tuple[float, float]:
        """(low, high)."""
        return self.low, self.high

    @property
    def halfwidth(self) -> float:
        """Half the width of the interval."""
        return 0.5 * (self.high - self.low)

    def as_dict(self, name: str) -> dict[str, float | int]:
        """``NAME_mean``, ``NAME_ci95_low``, ``NAME_ci95_high`` and ``maps``, as every JSON output has them."""
        ends = {f"{name}_mean": self.mean, f"{name}_ci95_low": self.low, f"{name}_ci95_high": self.high}
        return {**ends, "maps": self.maps}


def t_interval(values: Sequence[float], bounds: tuple[float, float] = (-math.inf, math.inf)) -> Interval:
    """Student's t interval at 95 %, clipped to what is possible (accuracies: 0..1).

    Raises ValueError without values.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        raise ValueError("an interval needs at least one fault map")
    mean = float(x.mean())
    if x.size == 1:
        return Interval(mean, bounds[0], bounds[1], 1)
    half = float(stdtrit(x.size - 1, 0.975) * x.std(ddof=1) / math.sqrt(x.size))
    return Interval(mean, max(mean - half, bounds[0]), min(mean + half, bounds[1]), int(x.size))


def narrow_enough(values: Sequence[float], minimum: int, maximum: int, halfwidth: float) -> bool:
    """Whether sampling may stop: the maximum is reached, or at least the minimum and the raw half-width is small."""
    if len(values) >= maximum:
        return True
    return len(values) >= max(minimum, 2) and t_interval(values).halfwidth <= halfwidth
