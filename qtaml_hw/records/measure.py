"""How a metric's score is read: in which unit, which way is better, on which scale it is averaged, what it counts.

Chips are compared by a score from 0 to 1, more is better.  Perplexity is 1 / score (the score is the geometric mean of
the probabilities of the right tokens), so that a chip keeps 95 % of a clean score where clean perplexity / its own is
at least 0.95.  Such scores are averaged over chips as their logarithms, minus the mean negative log-likelihood of a
token: the mean perplexity is exp of the mean of those.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from qtaml_hw.records.fields import F
from qtaml_hw.records.text import INFINITE, number, percent

if TYPE_CHECKING:  # the words of a metric need nothing heavier than these lines; its intervals do
    from qtaml_hw.records.interval import Interval


@dataclass(frozen=True)
class Measure:
    """How a score is read.

    title: as answers call it; unit: ``%`` or another; lower: less is better; value: from score to the unit;
    logarithmic: averaged over chips on the log scale, and compared as a ratio.
    """

    unit: str = "%"
    lower: bool = False
    value: Callable[[float], float] = lambda score: 100.0 * score
    logarithmic: bool = False
    title: str = F.score.heading

    def interval(self, scores: Sequence[float], changed: float = 1.0) -> Interval:
        """Mean score over chips with its 95 % interval."""
        from qtaml_hw.records.interval import log_interval, score_interval

        return log_interval(scores) if self.logarithmic else score_interval(scores, changed)

    def halfwidth(self, scores: Sequence[float], changed: float = 1.0) -> float:
        """Half the width of the interval; of a logarithmic one relative to the mean."""
        found = self.interval(scores, changed)
        return found.halfwidth / found.mean if self.logarithmic and found.mean > 0.0 else found.halfwidth

    def show(self, score: float) -> str:
        """A score in its unit, without it."""
        if not self.logarithmic:
            return percent(score)
        value = self.value(score)
        return INFINITE if math.isinf(value) else number(value, 4)

    def ends(self, found: Interval) -> str:
        """``33.1 to 35.4``, the smaller first; says so when one replicate gives no interval."""
        if found.maps < 2:
            return "no interval from 1 map"
        return self.between(found.low, found.high)

    def between(self, low: float, high: float) -> str:
        """Two scores, the smaller value first."""
        first, last = (high, low) if self.lower else (low, high)
        return f"{self.show(first)} to {self.show(last)}"

    @property
    def worse(self) -> str:
        """Which end of an interval is the worse one."""
        return "upper" if self.lower else "lower"

    def shown(self, found: Interval) -> str:
        """Mean and interval with the unit."""
        return f"{self.show(found.mean)}{self.suffix}, 95 % interval {self.ends(found)}"

    def as_dict(self, found: Interval) -> dict[str, float | None]:
        """``metric_mean``, ``metric_ci95_low``, ``metric_ci95_high`` in the unit; none for shares, null: infinite."""
        if not self.logarithmic:
            return {}
        ends = (found.high, found.low) if self.lower else (found.low, found.high)
        values = [self.value(score) for score in (found.mean, *ends)]
        finite = [value if math.isfinite(value) else None for value in values]
        return dict(zip(("metric_mean", "metric_ci95_low", "metric_ci95_high"), finite, strict=True))

    def change(self, after: Sequence[float], before: Sequence[float]) -> str:
        """What changed from chip to chip: points of a share, the ratio of values on a log scale, with its interval."""
        from qtaml_hw.records.interval import t_interval

        pairs = list(zip(after, before, strict=False))
        if not self.logarithmic:
            found = t_interval([a - b for a, b in pairs], (-1.0, 1.0))
            return f"{percent(found.mean)} ({self._few(found, percent)}), {found.maps} maps in pairs"
        times = self.ratio(after, before)
        if times is None:
            return "no ratio of fewer than two maps, or of an infinite one"
        return f"x {number(times.mean, 4)} ({self._few(times, number)}), {times.maps} maps in pairs"

    def ratio(self, after: Sequence[float], before: Sequence[float]) -> Interval | None:
        """Ratio of scores after and before, upside down where less is better, chip by chip on the log scale.

        Of perplexities it is their ratio.  None for shares, for fewer than two chips, and where a score is 0.
        """
        from qtaml_hw.records.interval import Interval, t_interval

        pairs = list(zip(after, before, strict=False))
        if not self.logarithmic or len(pairs) < 2 or any(min(pair) <= 0.0 for pair in pairs):
            return None
        sign = -1.0 if self.lower else 1.0
        found = t_interval([sign * (math.log(a) - math.log(b)) for a, b in pairs])
        return Interval(math.exp(found.mean), math.exp(found.low), _exp(found.high), found.maps)

    @staticmethod
    def _few(found: Interval, show: Callable[[float], str]) -> str:
        return f"{show(found.low)} to {show(found.high)}" if found.maps > 1 else "no interval from 1 map"

    @property
    def suffix(self) -> str:
        """The unit behind a number."""
        return f" {self.unit}" if self.unit else ""

    @property
    def per(self) -> str:
        """The unit in brackets behind a heading."""
        return f" ({self.unit})" if self.unit else ""


def _exp(log: float) -> float:
    return math.exp(log) if log < 700.0 else math.inf


def _perplexity(score: float) -> float:
    return 1.0 / score if score > 0.0 else math.inf


def _bits(score: float) -> float:
    return -math.log2(score) if score > 0.0 else math.inf


PLAIN: Final = Measure()
MEASURES: Final[dict[str, Measure]] = {
    "perplexity": Measure("", True, _perplexity, logarithmic=True, title="Perplexity"),
    "bits_per_byte": Measure("bits per byte", True, _bits, logarithmic=True, title="Bits per byte"),
}
"""Metrics that are no share; all others are read in per cent."""


def measure_named(metric: object) -> Measure:
    """How the scores of a metric are read, by its name."""
    return MEASURES.get(str(metric), PLAIN)


def measure_of(facts: Mapping[Any, Any]) -> Measure:
    """How the score of a record or a point is read."""
    return measure_named(facts.get(F.metric, ""))


def title_of(facts: Mapping[Any, Any]) -> str:
    """What the score is called."""
    return str(facts.get(F.metric_title, F.score.heading))


def heading_of(points: Iterable[Mapping[Any, Any]]) -> tuple[str, Measure]:
    """Name and reading of the score of several points; "Score" in per cent where they do not share one."""
    found = {title_of(facts): measure_of(facts) for facts in points}
    if len(found) == 1:
        return next(iter(found.items()))
    return ("Score" if found else F.score.heading), PLAIN


def counted(facts: Mapping[Any, Any]) -> str:
    """What every fault map is judged on: ``500 images``, or ``2,048 tokens of 10 texts``."""
    if facts.get(F.tokens) is None:
        images = facts.get(F.images, 0)
        return f"{images:,} image{'' if images == 1 else 's'}"
    texts = facts[F.texts]
    return f"{facts[F.tokens]:,} tokens of {texts:,} text{'' if texts == 1 else 's'}"
