"""Verdicts before all is drawn: tests that hold at every stop, for the mean of chips and for one chip on its images.

The mean is tested by betting: whoever stakes a share of a capital of 1 on every chip's score, at odds that are fair if
the mean is what is claimed, has a capital that exceeds 1 / e with a chance of at most e, ever (Ville's inequality).
Scores are taken to lie within 0..1 and nothing else, so that a few chips that lose everything are paid for.  Stakes are
the predictable plug-in ones of Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting"
(J. R. Stat. Soc. B 86, 2024; arXiv:2010.09686).

A chip is a finite population: its images, of which the clean network has some right.  Those are looked at in a random
order, and a chip is called good when what was seen is 1 / e times as likely under fewer losses than under as many as it
must not have.  It is called bad only when that is certain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from scipy.special import gammaln

from qtaml_hw.arrays import Float64
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import Interval, share_interval
from qtaml_hw.records.record import Record

ERROR: Final = 0.025
"""Chance of a wrong verdict, on either side: that of an end of a two-sided 95 % interval."""
CHIP_ERROR: Final = 0.05
"""Chance that a bad chip is called good; it is charged to the share of chips that is shown.  Chosen: 37 chips in place
of 36 show a yield of 90 %, and a chip without loss takes a sixth of 360 images."""
LEAST_IMAGES: Final = 32
"""Images that are looked at together, at least; chosen: of fewer, what a map costs beside its passes outweighs them."""
BATCHES: Final = 16
"""Batches that a larger test set makes; chosen."""
_STAKE: Final = 0.95  # of the capital at most, so that one chip that loses everything does not end the test; chosen
_BISECTIONS: Final = 40  # of 0..1: far below a digit that anybody reads


def capital(scores: Sequence[float] | Float64, mean: Float64 | float) -> Float64:
    """Logarithm of the capital after each chip, from bets that the mean of all chips is above ``mean``.

    ``scores`` [chips] within 0..1, in the order drawn; ``mean`` [..] above 0.  Returns [chips, ..].  The stake before a
    chip depends on those before it alone.
    """
    x, claimed = np.asarray(scores, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    stakes = _stakes(x).reshape(-1, *(1,) * claimed.ndim)
    apart = x.reshape(stakes.shape) - claimed
    return np.asarray(np.cumsum(np.log1p(np.minimum(stakes, _STAKE / claimed) * apart), axis=0))


def _stakes(x: Float64) -> Float64:
    """Predictable plug-in stakes, [chips]: sqrt(2 ln(1 / e) / (variance of those before . t ln(1 + t)))."""
    t = np.arange(1, x.size + 1)
    means = (0.5 + np.cumsum(x)) / (t + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (t + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    return np.asarray(np.sqrt(2.0 * math.log(1.0 / ERROR) / (before * t * np.log1p(t))))


def shown_above(scores: Sequence[float], mean: float) -> bool:
    """Whether the mean of all chips was shown to be above, at any stop so far; wrongly so in 2.5 % of samples at most.

    A mean of 0 is never shown to be exceeded.
    """
    return mean > 0.0 and bool((capital(scores, mean) >= -math.log(ERROR)).any())


def shown_below(scores: Sequence[float], mean: float) -> bool:
    """Whether it was shown to be below ``mean``; wrongly so in 2.5 % of samples at most."""
    return shown_above([1.0 - score for score in scores], 1.0 - mean)


def out_of_reach(scores: Sequence[float], mean: float, left: int) -> bool:
    """Whether ``left`` more chips cannot show that the mean is above, however well they score."""
    if not 0.0 < mean < 1.0:
        return mean >= 1.0
    now = float(capital(scores, mean)[-1]) if len(scores) else 0.0
    return not shown_above(scores, mean) and now + left * math.log1p(_STAKE * (1.0 / mean - 1.0)) < -math.log(ERROR)


def mean_interval(scores: Sequence[float]) -> Interval:
    """Mean of the chips drawn with a 95 % interval of that of all chips which holds at every stop at once.

    It is widened to the mean of those drawn where that has left what was shown at an earlier stop.
    Raises ValueError without scores.
    """
    x = np.asarray(scores, dtype=np.float64)
    if x.size == 0:
        raise ValueError("an interval needs at least one fault map")
    low, high = _lowest(x), 1.0 - _lowest(1.0 - x)
    mean = float(x.mean())
    return Interval(mean, min(low, mean), max(high, mean), int(x.size))


def _lowest(x: Float64) -> float:
    """The largest mean that is shown to be exceeded: capital falls with the mean that it is staked against."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if shown_above(x.tolist(), middle) else (low, middle)
    return low


@cache
def fewest_to_tell(keep: float) -> int | None:
    """Fewest chips that all lose nothing which show that the mean keeps a share of the clean score; None: never."""
    if keep >= 1.0:
        return None
    return math.ceil(-math.log(ERROR) / math.log1p(_STAKE * (1.0 / keep - 1.0)))


@dataclass(frozen=True)
class Looks:
    """How a fault map is judged: on one batch of images, or on as many as tell whether it keeps a share ``keep``.

    ``error`` : chance that a chip that does not is said to; 0: never.  ``at_end`` : whether it does at the last time,
    not at every time.
    """

    keep: float | None = None
    error: float = CHIP_ERROR
    at_end: bool = False

    def name(self, identity: str) -> str:
        """What its records are stored under: they are no records of the whole test set."""
        if self.keep is None:
            return f"{identity}-some"
        return f"{identity}-keeps-{self.keep!r}-{self.error!r}{'-last' if self.at_end else ''}"


def whole_identity(name: str) -> str:
    """The design point that a map which was judged on some images is of."""
    return name.partition("-")[0]


def images_judged(records: Sequence[Record]) -> int:
    """Image evaluations behind some maps: those that were looked at, or all images at every time."""
    return sum(
        int(record[F.judged_images] if F.judged_images in record else record[F.images] * len(record[F.score_series]))
        for record in records
    )


def batch_of(images: int) -> int:
    """Images that are looked at together."""
    return min(images, max(LEAST_IMAGES, -(-images // BATCHES)))


def first_batch(right: int, wrong: int) -> tuple[int, int]:
    """How many of a first batch the clean network has right and wrong: in proportion, one at least of what there is."""
    images = right + wrong
    batch = batch_of(images)
    others = min(max(round(batch * wrong / images), min(wrong, 1)), wrong, batch - min(right, 1))
    return min(batch - others, right), others


@dataclass(frozen=True)
class ChipImages:
    """A test set as a chip is judged on it: images that the clean network has ``right`` and ``wrong``, and how many
    right answers are ``needed`` of a good chip."""

    right: int
    wrong: int
    needed: int

    @classmethod
    def of(cls, right: int, images: int, keep: float) -> ChipImages:
        """For a share of the clean score, by the comparison that counts chips (``records.chips.Yield``)."""
        least = keep * (right / images)
        about = math.floor(least * images)
        needed = next(count for count in range(max(about - 1, 0), images + 2) if count / images >= least)
        return cls(right, images - right, needed)

    @property
    def fatal(self) -> int:
        """Losses that a chip without gains must not have."""
        return self.right - self.needed + 1

    def keeps(self, seen: int, losses: int, others: int, gains: int, error: float = CHIP_ERROR) -> bool | None:
        """Whether a chip is good; None while nobody can say.

        ``seen`` : images looked at of those that the clean network has right, drawn in a random order, of which it has
        lost so many; ``others`` : of those that the clean network has wrong, with so many gains.  A bad chip is called
        good with a chance of at most ``error`` over all stops (0: never); a good one is never called bad.
        """
        if losses >= self.fatal + gains + self.wrong - others:
            return False
        if losses + self.right - seen < self.fatal + gains:
            return True
        if losses >= self.fatal or error == 0.0:
            return None
        return True if self.evidence(seen, losses) >= -math.log(error) else None

    def evidence(self, seen: int, losses: int) -> float:
        """Logarithm of how much likelier such losses are under fewer than the fatal number than under that number.

        A mixture of all smaller numbers D, weighted by 1 / (D + 1); a test martingale under the fatal number, and less
        under any larger one, for a larger number makes every next loss likelier.
        """
        fewer = np.arange(losses, self.fatal)
        weights = 1.0 / (fewer + 1.0)
        share = weights / (1.0 / np.arange(1, self.fatal + 1)).sum()
        likely = _log_ways(self.right - seen, fewer - losses) - _log_ways(self.right, fewer)
        fatal = np.array([self.fatal])
        at_fatal = _log_ways(self.right - seen, fatal - losses) - _log_ways(self.right, fatal)
        return float(np.logaddexp.reduce(likely + np.log(share)) - at_fatal[0])


def _log_ways(of: int, chosen: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Float64:
    """Logarithm of the binomial coefficient; minus infinity for more than there are."""
    there = chosen <= of
    some = np.where(there, chosen, 0)
    found = gammaln(of + 1.0) - gammaln(some + 1.0) - gammaln(of - some + 1.0)
    return np.asarray(np.where(there, found, -np.inf))


def called_share(wanted: float) -> float:
    """The share of chips that must be called good to show that ``wanted`` are: some of the bad ones are called so."""
    return wanted + CHIP_ERROR * (1.0 - wanted)


def share_of_called(good: int, count: int) -> tuple[float, float]:
    """95 % interval of the share of good chips, from how many of those drawn were called good."""
    low, high = share_interval(good, count)
    return max((low - CHIP_ERROR) / (1.0 - CHIP_ERROR), 0.0), high
