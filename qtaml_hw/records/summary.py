"""From records to what a table shows: one row per design point, mean and interval over its fault maps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from qtaml_hw.records.interval import Interval, t_interval
from qtaml_hw.records.store import Record

MAP_FIELDS = (
    "map_index",
    "correct",
    "accuracy",
    "accuracy_series",
    "flips_raw",
    "flips_parity",
    "flips_residual",
    "words_corrected",
    "words_uncorrectable",
    "reload_s",
    "reload_energy_j",
)
OTHER_METRIC = ("metric_value",)  # a map's own too, in records of other metrics than accuracy
MAP_SERIES = (
    "flips_raw_series",
    "flips_parity_series",
    "flips_residual_series",
    "words_corrected_series",
    "words_uncorrectable_series",
    "scrub_corrected_series",
    "refresh_corrected_series",
    "corrections_uncorrectable_series",
    "words_reloaded_series",
)  # counts at every time; records of older versions have none
LAYER_COLUMNS = (
    "name",
    "kind",
    "size",
    "cycles",
    "macs",
    "weight_reads",
    "compute_s",
    "read_s",
    "stall_s",
    "energy_j",
)  # of a record's layer_table
OF_A_MAP = frozenset((*MAP_FIELDS, *OTHER_METRIC, *MAP_SERIES))
MEANS = (
    "flips_raw",
    "flips_parity",
    "flips_residual",
    "words_corrected",
    "words_uncorrectable",
)
LATER_MEANS = ("reload_energy_j",)  # records of older versions have none
_NEEDED = {*MAP_FIELDS, "clean_accuracy", "images"}
Finished = dict[str, dict[int, Record]]
"""The finished maps of every point: records by identity and map index."""


@dataclass(frozen=True, eq=False)
class PointSummary:
    """One design point: what is the same for all its maps, and the statistics over them.

    ``facts`` : the point's fields, units in their names.  ``accuracies`` : one per fault map, in map order.
    ``series`` : (time in s, interval) at every time asked for.  ``means`` : mean counts per map.  ``counts`` :
    by name of ``MAP_SERIES``, the counts of every map at every time.  ``accuracies_at`` : accuracies of the maps at
    every time.  ``error`` : why the point failed, None when it did not.
    """

    identity: str
    facts: dict[str, Any]
    accuracies: tuple[float, ...]
    series: tuple[tuple[float, Interval], ...]
    means: dict[str, float]
    error: str | None = None
    counts: dict[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    accuracies_at: tuple[tuple[float, ...], ...] = ()

    @property
    def accuracy(self) -> Interval:
        """Accuracy at the last time asked for."""
        return t_interval(self.accuracies, (0.0, 1.0))

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
        """A count of ``MAP_SERIES`` at every time, over the maps; () where the records have none."""
        return tuple(t_interval(v, (0.0, math.inf)) for v in zip(*self.counts.get(name, ()), strict=True))

    def _kept(self, accuracies: Sequence[float], share_of_clean: float) -> float:
        target = share_of_clean * float(self.facts["clean_accuracy"])
        return sum(a >= target for a in accuracies) / len(accuracies)


def summarise(records: Iterable[Record]) -> list[PointSummary]:
    """One summary per identity, in the order of first appearance in the sweep (``point`` number, then identity)."""
    points: dict[str, list[Record]] = {}
    for record in records:
        points.setdefault(str(record["identity"]), []).append(record)
    found = [_one(identity, sorted(group, key=lambda r: int(r["map_index"]))) for identity, group in points.items()]
    return sorted(found, key=lambda s: (s.facts.get("point", 0), s.identity))


def _one(identity: str, group: list[Record]) -> PointSummary:
    facts = {k: v for k, v in group[0].items() if k not in OF_A_MAP}
    if "error" in group[0]:
        return PointSummary(identity, facts, (), (), {}, str(group[0]["error"]))
    times = [float(t) for t, _ in group[0]["accuracy_series"]]
    at = tuple(tuple(float(r["accuracy_series"][i][1]) for r in group) for i in range(len(times)))
    return PointSummary(
        identity,
        facts,
        tuple(float(r["accuracy"]) for r in group),
        tuple((t, t_interval(values, (0.0, 1.0))) for t, values in zip(times, at, strict=True)),
        {n: sum(float(r[n]) for r in group) / len(group) for n in (*MEANS, *LATER_MEANS) if all(n in r for r in group)},
        counts={n: tuple(tuple(r[n]) for r in group) for n in MAP_SERIES if all(n in r for r in group)},
        accuracies_at=at,
    )


def finished_maps(records: Iterable[Record]) -> Finished:
    """Records by identity and map index, failures left out (they are tried again)."""
    found: Finished = {}
    for record in records:
        if _whole(record):
            found.setdefault(str(record["identity"]), {})[int(record["map_index"])] = record
    return found


def _whole(record: Record) -> bool:
    """A finished map with everything that a summary needs; a store that was edited by hand may hold others."""
    accuracy = record.get("accuracy")
    return (
        record["map_index"] >= 0
        and isinstance(accuracy, int | float)
        and 0.0 <= accuracy <= 1.0
        and record.keys() >= _NEEDED
    )
