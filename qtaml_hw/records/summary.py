"""From records to what a table shows: one row per design point, mean and interval over its fault maps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from qtaml_hw.records.fields import MEANS, OF_A_MAP, SERIES, F
from qtaml_hw.records.interval import Interval, t_interval
from qtaml_hw.records.record import Record

Finished = dict[str, dict[int, Record]]
"""The finished maps of every point: records by identity and map index."""


@dataclass(frozen=True, eq=False)
class PointSummary:
    """One design point: what is the same for all its maps, and the statistics over them.

    ``facts`` : the point's fields, units in their names.  ``accuracies`` : one per fault map, in map order.
    ``series`` : (time in s, interval) at every time asked for.  ``means`` : mean counts per map.  ``counts`` :
    by name of ``fields.SERIES``, the numbers of every map at every time.  ``accuracies_at`` : accuracies of the maps at
    every time.  ``error`` : why the point failed, None when it did not.
    """

    identity: str
    facts: dict[str, Any]
    accuracies: tuple[float, ...]
    series: tuple[tuple[float, Interval], ...]
    means: dict[str, float]
    error: str | None = None
    counts: dict[str, tuple[tuple[float, ...], ...]] = field(default_factory=dict)
    accuracies_at: tuple[tuple[float, ...], ...] = ()

    @property
    def accuracy(self) -> Interval:
        """Accuracy at the last time asked for."""
        return t_interval(self.accuracies, (0.0, 1.0))

    @property
    def worst(self) -> tuple[float, Interval]:
        """(time in s, accuracy) where the interval reaches lowest: what a verdict over all times stands on."""
        return min(self.series, key=lambda at: (at[1].low, at[1].mean))

    def yield_at(self, share_of_clean: float) -> float:
        """Share of fault maps (chips) that keep at least this share of the clean accuracy."""
        return self._kept(self.accuracies, share_of_clean)

    def yield_series(self, share_of_clean: float) -> tuple[float, ...]:
        """The same at every time asked for."""
        return tuple(self._kept(values, share_of_clean) for values in self.accuracies_at)

    def over_time(self) -> dict[str, list[float]]:
        """Times in s, accuracy with its interval, the share of maps that keep 95 % of clean, mean counts: columns."""
        intervals = [found for _, found in self.series]
        return {
            "time_s": [t for t, _ in self.series],
            "accuracy_mean": [i.mean for i in intervals],
            "accuracy_ci95_low": [i.low for i in intervals],
            "accuracy_ci95_high": [i.high for i in intervals],
            "yield_95": list(self.yield_series(0.95)),
            **{name.removesuffix("_series"): [i.mean for i in self.count_series(name)] for name in self.counts},
        }

    def count_series(self, name: str) -> tuple[Interval, ...]:
        """A number of ``fields.SERIES`` at every time, over the maps; () where the records have none."""
        return tuple(t_interval(v, (0.0, math.inf)) for v in zip(*self.counts.get(name, ()), strict=True))

    def _kept(self, accuracies: Sequence[float], share_of_clean: float) -> float:
        target = share_of_clean * float(self.facts[F.clean_score])
        return sum(a >= target for a in accuracies) / len(accuracies)


def warnings_of(summaries: Iterable[PointSummary]) -> dict[str, list[str]]:
    """Every warning once, with the labels of the points that it touches."""
    found: dict[str, list[str]] = {}
    for s in summaries:
        for text in s.facts.get(F.warnings, ()):
            found.setdefault(str(text), []).append(str(s.facts.get(F.label, s.identity)))
    return found


def summarise(records: Iterable[Record]) -> list[PointSummary]:
    """One summary per identity, in the order of first appearance in the sweep (``point`` number, then identity)."""
    points: dict[str, list[Record]] = {}
    for record in records:
        points.setdefault(str(record[F.identity]), []).append(record)
    summaries = [_one(identity, sorted(maps, key=lambda r: int(r[F.map_index]))) for identity, maps in points.items()]
    return sorted(summaries, key=lambda s: (s.facts.get(F.point, 0), s.identity))


def _one(identity: str, maps: list[Record]) -> PointSummary:
    facts = {name: value for name, value in maps[0].items() if name not in OF_A_MAP}
    if F.error in maps[0]:
        return PointSummary(identity, facts, (), (), {}, str(maps[0][F.error]))
    times = [float(t) for t, _ in maps[0][F.score_series]]
    at = tuple(tuple(float(r[F.score_series][i][1]) for r in maps) for i in range(len(times)))
    return PointSummary(
        identity,
        facts,
        tuple(float(r[F.score]) for r in maps),
        tuple((t, t_interval(values, (0.0, 1.0))) for t, values in zip(times, at, strict=True)),
        {str(n): sum(float(r[n]) for r in maps) / len(maps) for n in MEANS if all(n in r for r in maps)},
        counts={str(n): tuple(tuple(r[n]) for r in maps) for n in SERIES if all(n in r for r in maps)},
        accuracies_at=at,
    )


def finished_maps(records: Iterable[Record]) -> Finished:
    """Records by identity and map index, failures left out (they are tried again)."""
    finished: Finished = {}
    for record in records:
        if record.whole:
            identity, index = record.key
            finished.setdefault(identity, {})[index] = record
    return finished
