"""Intervals over fault maps: the replicate is the map (one chip, one draw), never the image.

Chips are skewed: most keep their accuracy, a few lose all of it, and a small sample rarely shows those.  What was tried
on drawn chips, and how often each covered the mean, is in docs/validation.md (``benchmarks/bench_coverage.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import numpy as np
from scipy.special import betaincinv, stdtrit

from qtaml_hw.arrays import Float64

FEW: Final = 8  # fault maps below which the interval of a mean takes nothing for granted but its bounds
_LOST: Final = 0.5  # of the way to the bounds: where a chip that was not drawn may lie, by measured coverage
_DRAWS: Final = 2000  # weightings of the chips, always the same
_WEIGHED: Final = 1024  # chips beyond which a weighted mean is taken as normal
_LEVEL: Final = 0.95


@dataclass(frozen=True)
class Interval:
    """Mean and two-sided 95 % interval over ``maps`` replicates; ``few``: they are too few for one that tells much."""

    mean: float
    low: float
    high: float
    maps: int
    few: bool = False

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
    """Student's t interval at 95 %, clipped to what is possible: for differences of pairs and for counts.

    Raises ValueError without values.
    """
    x = _checked(values)
    mean = float(x.mean())
    if x.size == 1:
        return Interval(mean, bounds[0], bounds[1], 1)
    half = float(stdtrit(x.size - 1, 0.5 + 0.5 * _LEVEL) * x.std(ddof=1) / math.sqrt(x.size))
    return Interval(mean, max(mean - half, bounds[0]), min(mean + half, bounds[1]), int(x.size))


def score_interval(scores: Sequence[float], changed: float = 1.0) -> Interval:
    """95 % interval of the mean score of all chips, from those drawn; scores lie within 0..1.

    The chips drawn and one that was not are weighted at random, Dirichlet (1, .., 1), and the interval is that of the
    weighted mean: the Bayesian bootstrap (Rubin, Ann. Stat. 9, 1981) with the unseen observation of Gaffke's bound
    (Math. Methods Oper. Res. 61, 2005; Learned-Miller and Thomas, arXiv:1905.06208).  Alike chips thus leave the width
    that Clopper and Pearson leave to a share of none.  The unseen chip lies half of the way from the mean to 0 (for the
    lower end) or 1, or with the outermost chip drawn; with fewer than ``FEW`` chips at 0 or 1 itself.

    ``changed`` : largest share of chips that can differ from the others (``records.summary.share_changed``).
    Raises ValueError without scores.
    """
    x = _checked(scores)
    count, mean = int(x.size), float(x.mean())
    low, high = (float(end[0]) for end in score_ends(x[None]))
    return Interval(mean, max(low, mean - changed), min(high, mean + changed), count, count < FEW and changed == 1.0)


def log_interval(scores: Sequence[float]) -> Interval:
    """Geometric mean of the scores of chips with Student's 95 % interval of the mean of their logarithms; within 0..1.

    For scores that are a mean probability per token: the mean is exp of minus the mean negative log-likelihood over
    chips.  0 where a chip gives a right token no chance at all.  Raises ValueError without scores.
    """
    x = _checked(scores)
    few = x.size < FEW
    if (x <= 0.0).any():
        return Interval(0.0, 0.0, float(x.max()), int(x.size), few)
    found = t_interval(np.log(x).tolist(), (-math.inf, 0.0))
    return Interval(math.exp(found.mean), math.exp(found.low), math.exp(found.high), found.maps, few)


def score_ends(scores: Float64) -> tuple[Float64, Float64]:
    """Both ends of the interval of :func:`score_interval` for samples of chips, [samples, chips]: [samples] each."""
    x, count = np.sort(scores, axis=-1), scores.shape[-1]
    mean, lost = x.mean(axis=-1), _LOST if count >= FEW else 1.0
    drawn, unseen = _weighted_means(x), _unseen(count)
    worst, best = np.minimum(mean * (1.0 - lost), x[..., 0]), np.maximum(mean + lost * (1.0 - mean), x[..., -1])
    tail = 0.5 - 0.5 * _LEVEL
    low = _quantile(unseen * worst[..., None] + (1.0 - unseen) * drawn, tail)
    high = _quantile(unseen * best[..., None] + (1.0 - unseen) * drawn, 1.0 - tail)
    return np.clip(low, 0.0, mean), np.clip(high, mean, 1.0)


def _checked(values: Sequence[float]) -> Float64:
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        raise ValueError("an interval needs at least one fault map")
    return x


def _weighted_means(x: Float64) -> Float64:
    """Means of the last axis of x under random weights, Dirichlet (1, .., 1): [.., _DRAWS]."""
    count = x.shape[-1]
    if count > _WEIGHED:
        return np.asarray(x.mean(axis=-1)[..., None] + x.std(axis=-1)[..., None] / math.sqrt(count) * _noise())
    return np.asarray(x @ _shares(count).T)


def _quantile(x: Float64, share: float) -> Float64:
    """As ``np.quantile`` over the last axis, to the last bit; called for every point and map, it takes a fifth."""
    at = (x.shape[-1] - 1) * share
    first = math.floor(at)
    parted, past = np.partition(x, (first, first + 1), axis=-1), at - first
    low, high = parted[..., first], parted[..., first + 1]
    return np.asarray(low + (high - low) * past if past < 0.5 else high - (high - low) * (1.0 - past))


@lru_cache(maxsize=8)
def _unseen(count: int) -> Float64:
    """Weights of a chip that was not drawn beside ``count`` that were, read-only [_DRAWS]."""
    found = 1.0 - ((np.arange(_DRAWS) + 0.5) / _DRAWS) ** (1.0 / count)
    found.setflags(write=False)
    return found


@lru_cache(maxsize=8)
def _shares(count: int) -> Float64:
    """Dirichlet (1, .., 1) weights of ``count`` chips, read-only [_DRAWS, count]."""
    weights = _exponentials(1 << (count - 1).bit_length())[:, :count]
    found = weights / weights.sum(axis=1, keepdims=True)
    found.setflags(write=False)
    return np.asarray(found)


@cache
def _noise() -> Float64:
    """Standard normals, read-only [_DRAWS]."""
    drawn = np.random.Generator(np.random.Philox(0)).standard_normal(_DRAWS)
    drawn.setflags(write=False)
    return drawn


@cache
def _exponentials(columns: int) -> Float64:
    """Standard exponentials, read-only [_DRAWS, columns]: their shares are Dirichlet weights."""
    drawn = np.random.Generator(np.random.Philox(columns)).standard_exponential((_DRAWS, columns))
    drawn.setflags(write=False)
    return drawn


def share_interval(good: int, count: int) -> tuple[float, float]:
    """Clopper and Pearson's exact 95 % interval of a share (Biometrika 26, 1934)."""
    tail = 0.5 - 0.5 * _LEVEL
    low = 0.0 if good == 0 else float(betaincinv(good, count - good + 1, tail))
    high = 1.0 if good == count else float(betaincinv(good + 1, count - good, 1.0 - tail))
    return low, high


def fewest_to_show(share: float) -> int | None:
    """Fewest chips, all good, whose interval starts at ``share`` or above; None where no number of them does."""
    return math.ceil(math.log(0.5 - 0.5 * _LEVEL) / math.log(share)) if share < 1.0 else None


@cache
def fewest_to_keep(share: float) -> int | None:
    """Fewest chips that all lose nothing, whose interval of the mean starts at ``share`` of it or above; None: never.

    The unseen chip of :func:`score_interval` takes so many: 35 for 95 %.
    """
    if share >= 1.0:
        return None
    lost = min((1.0 - share) / _LOST, 1.0)
    count = FEW if lost == 1.0 else max(FEW, math.floor(math.log(0.5 - 0.5 * _LEVEL) / math.log(1.0 - lost)))
    while score_interval([1.0] * count).low < share:
        count += 1
    return count


def narrow_enough(
    scores: Sequence[float],
    minimum: int,
    maximum: int,
    halfwidth: float,
    changed: float = 1.0,
    width: Callable[[Sequence[float], float], float] | None = None,
) -> bool:
    """Whether sampling may stop: the maximum is reached, or at least the minimum and the interval is narrow.

    The interval is wide enough to be looked at after every map; coverage after stopping is in docs/validation.md.
    ``width``: half of the interval's width, of scores and ``changed``, for metrics that are no share.
    """
    if len(scores) >= maximum:
        return True
    if len(scores) < minimum:
        return False
    found = score_interval(scores, changed).halfwidth if width is None else width(scores, changed)
    return found <= halfwidth
