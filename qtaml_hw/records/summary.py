"""From records to what a table shows: one row per design point, mean and interval over its fault maps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from qtaml_hw.records.chips import KEEP, Yield, image_sampling, share_changed
from qtaml_hw.records.fields import MEANS, OF_A_MAP, SERIES, F
from qtaml_hw.records.interval import FEW, Interval, t_interval
from qtaml_hw.records.measure import measure_of
from qtaml_hw.records.record import Record

Finished = dict[str, dict[int, Record]]
"""The finished maps of every point: records by identity and map index."""


@dataclass(frozen=True, eq=False)
class PointSummary:
    """One design point: what is the same for all its maps, and the statistics over them.

    ``facts`` : the point's fields, units in their names.  ``accuracies`` : one per fault map, in map order.
    ``series`` : (time in s, interval) at every time asked for.  ``means`` : mean counts per map.  ``counts`` :
    by name of ``fields.SERIES``, the numbers of every map at every time.  ``accuracies_at`` : accuracies of the maps at
    every time.  ``error`` : why the point failed, None when it did not.  ``shares`` : of the clean accuracy that chips
    are asked to keep.  ``buffer_means`` : mean counts per map of ``buffer_flips``, by buffer; ``buffer_wrong`` :
    those of wrong bits by value and plane.
    """

    identity: str
    facts: dict[str, Any]
    accuracies: tuple[float, ...]
    series: tuple[tuple[float, Interval], ...]
    means: dict[str, float]
    error: str | None = None
    counts: dict[str, tuple[tuple[float, ...], ...]] = field(default_factory=dict)
    accuracies_at: tuple[tuple[float, ...], ...] = ()
    shares: tuple[float, ...] = (KEEP,)
    buffer_means: dict[str, dict[str, float]] = field(default_factory=dict)
    buffer_wrong: dict[str, list[list[float]]] = field(default_factory=dict)

    @cached_property
    def accuracy(self) -> Interval:
        """Accuracy at the last time asked for, over chips; another sample of test images is not part of it."""
        if self.accuracies_at and self.accuracies_at[-1] == self.accuracies:
            return self.series[-1][1]
        return measure_of(self.facts).interval(self.accuracies, _changed(self.facts, self.means, self.buffer_means))

    @property
    def images_ci95(self) -> tuple[float, float] | None:
        """95 % interval of the accuracy over other test images of the same kind, or of a language model's score over
        other texts; None where nobody knows."""
        return image_sampling(self.facts, self.accuracy.mean)

    @property
    def yields(self) -> tuple[Yield, ...]:
        """Chips that keep each of the ``shares`` of the clean accuracy."""
        return tuple(self._kept(self.accuracies, share) for share in self.shares)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user may take for granted and should not: the point's, and that its maps are too few."""
        few = f"too few fault maps ({len(self.accuracies)}) for a 95 % interval that tells much: draw at least {FEW}"
        many = [few] if self.accuracies and self.accuracy.few else []
        return (*self.facts.get(F.warnings, ()), *many, *self._infinite())

    @property
    def worst(self) -> tuple[float, Interval]:
        """(time in s, accuracy) where the interval reaches lowest: what a verdict over all times stands on."""
        return min(self.series, key=lambda at: (at[1].low, at[1].mean))

    def yield_at(self, share_of_clean: float) -> float:
        """Share of fault maps (chips) that keep at least this share of the clean accuracy."""
        return self._kept(self.accuracies, share_of_clean).chips

    def yield_series(self, share_of_clean: float) -> tuple[float, ...]:
        """The same at every time asked for."""
        return tuple(found.chips for found in self.yields_over_time(share_of_clean))

    def yields_over_time(self, share_of_clean: float) -> tuple[Yield, ...]:
        """Chips that keep a share of the clean accuracy, at every time asked for."""
        return tuple(self._kept(values, share_of_clean) for values in self.accuracies_at)

    def over_time(self) -> dict[str, list[float]]:
        """Times in s, accuracy with its interval, the share of maps that keep 95 % of clean, mean counts: columns."""
        intervals = [found for _, found in self.series]
        return {
            "time_s": [t for t, _ in self.series],
            "accuracy_mean": [i.mean for i in intervals],
            "accuracy_ci95_low": [i.low for i in intervals],
            "accuracy_ci95_high": [i.high for i in intervals],
            "yield_95": list(self.yield_series(KEEP)),
            **{name.removesuffix("_series"): [i.mean for i in self.count_series(name)] for name in self.counts},
        }

    def count_series(self, name: str) -> tuple[Interval, ...]:
        """A number of ``fields.SERIES`` at every time, over the maps; () where the records have none."""
        return tuple(t_interval(v, (0.0, math.inf)) for v in zip(*self.counts.get(name, ()), strict=True))

    def _infinite(self) -> list[str]:
        """What a mean over chips is that give a right token no chance at all."""
        read, none = measure_of(self.facts), sum(score <= 0.0 for score in self.accuracies)
        if not (read.logarithmic and none):
            return []
        maps = f"{none} of {len(self.accuracies)} fault maps"
        return [f"inf: {read.title.lower()} is infinite on {maps}, which give a right token no chance: so is the mean"]

    def _kept(self, accuracies: Sequence[float], share_of_clean: float) -> Yield:
        return Yield.of(accuracies, share_of_clean, float(self.facts[F.clean_score]))


def warnings_of(summaries: Iterable[PointSummary]) -> dict[str, list[str]]:
    """Every warning once, with the labels of the points that it touches."""
    found: dict[str, list[str]] = {}
    for s in summaries:
        for text in s.warnings:
            found.setdefault(str(text), []).append(str(s.facts.get(F.label, s.identity)))
    return found


def summarise(records: Iterable[Record], shares: Sequence[float] = (KEEP,)) -> list[PointSummary]:
    """One summary per identity, in the order of first appearance in the sweep (``point`` number, then identity)."""
    points: dict[str, list[Record]] = {}
    for record in records:
        points.setdefault(str(record[F.identity]), []).append(record)
    summaries = [
        _one(identity, sorted(maps, key=lambda r: int(r[F.map_index])), tuple(shares))
        for identity, maps in points.items()
    ]
    return sorted(summaries, key=lambda s: (s.facts.get(F.point, 0), s.identity))


def _one(identity: str, maps: list[Record], shares: tuple[float, ...]) -> PointSummary:
    facts = {name: value for name, value in maps[0].items() if name not in OF_A_MAP}
    if F.error in maps[0]:
        return PointSummary(identity, facts, (), (), {}, str(maps[0][F.error]))
    times = [float(t) for t, _ in maps[0][F.score_series]]
    at = tuple(tuple(float(r[F.score_series][i][1]) for r in maps) for i in range(len(times)))
    means = {str(n): sum(float(r[n]) for r in maps) / len(maps) for n in MEANS if all(n in r for r in maps)}
    in_buffers = _buffer_means(maps)
    interval = measure_of(facts).interval
    changed = [*[1.0] * (len(times) - 1), _changed(facts, means, in_buffers)]
    return PointSummary(
        identity,
        facts,
        tuple(float(r[F.score]) for r in maps),
        tuple((t, interval(scores, share)) for t, scores, share in zip(times, at, changed, strict=True)),
        means,
        counts={str(n): tuple(tuple(r[n]) for r in maps) for n in SERIES if all(n in r for r in maps)},
        accuracies_at=at,
        shares=shares,
        buffer_means=in_buffers,
        buffer_wrong=_buffer_wrong(maps),
    )


def _buffer_means(maps: list[Record]) -> dict[str, dict[str, float]]:
    """Mean counts over the maps; none where a map has no buffers."""
    tallies = [r[F.buffer_flips] for r in maps if F.buffer_flips in r]
    if len(tallies) < len(maps):
        return {}
    return {
        name: {count: sum(float(t[name][count]) for t in tallies) / len(maps) for count in counts}
        for name, counts in tallies[0].items()
    }


def _buffer_wrong(maps: list[Record]) -> dict[str, list[list[float]]]:
    """Mean wrong bits by buffer, value and plane over the maps; none where a map does not say."""
    found = [r[F.buffer_wrong] for r in maps if F.buffer_wrong in r]
    if len(found) < len(maps):
        return {}

    def mean(tables: Sequence[list[list[int]]]) -> list[list[float]]:
        return [[sum(bits) / len(maps) for bits in zip(*rows, strict=True)] for rows in zip(*tables, strict=True)]

    return {name: mean([one[name] for one in found]) for name in found[0]}


def _changed(facts: dict[str, Any], means: dict[str, float], in_buffers: dict[str, dict[str, float]]) -> float:
    """Largest share of chips that can score otherwise at the last time, from what was read wrong on those drawn.

    1 with values in buffers: how many of their bits can go wrong on other chips is not known.
    """
    if in_buffers:
        return 1.0
    return share_changed(facts, sum(means.get(count, 1.0) for count in (F.flips_raw, F.flips_parity)))


def finished_maps(records: Iterable[Record]) -> Finished:
    """Records by identity and map index, failures left out (they are tried again)."""
    finished: Finished = {}
    for record in records:
        if record.whole:
            identity, index = record.key
            finished.setdefault(identity, {})[index] = record
    return finished
