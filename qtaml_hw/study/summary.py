"""From records to what a table shows: one row per design point, mean and interval over its fault maps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qtaml_hw.accelerator.interval import Interval, t_interval
from qtaml_hw.study.store import Record

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
)
OTHER_METRIC = ("metric_value",)  # a map's own too, in records of other metrics than accuracy
MEANS = ("flips_raw", "flips_parity", "flips_residual", "words_corrected", "words_uncorrectable")


@dataclass(frozen=True, eq=False)
class PointSummary:
    """One design point: what is the same for all its maps, and the statistics over them.

    ``facts`` : the point's fields, units in their names.  ``accuracies`` : one per fault map, in map order.
    ``series`` : (time in s, interval) at every time asked for.  ``means`` : mean counts per map.  ``error`` : why the
    point failed, None when it did not.
    """

    identity: str
    facts: dict[str, Any]
    accuracies: tuple[float, ...]
    series: tuple[tuple[float, Interval], ...]
    means: dict[str, float]
    error: str | None = None

    @property
    def accuracy(self) -> Interval:
        """Accuracy at the last time asked for."""
        return t_interval(self.accuracies, (0.0, 1.0))

    def yield_at(self, share_of_clean: float) -> float:
        """Share of fault maps (chips) that keep at least this share of the clean accuracy."""
        target = share_of_clean * float(self.facts["clean_accuracy"])
        return sum(a >= target for a in self.accuracies) / len(self.accuracies)


def summarise(records: Iterable[Record]) -> list[PointSummary]:
    """One summary per identity, in the order of first appearance in the sweep (``point`` number, then identity)."""
    points: dict[str, list[Record]] = {}
    for record in records:
        points.setdefault(str(record["identity"]), []).append(record)
    found = [_one(identity, sorted(group, key=lambda r: int(r["map_index"]))) for identity, group in points.items()]
    return sorted(found, key=lambda s: (s.facts.get("point", 0), s.identity))


def _one(identity: str, group: list[Record]) -> PointSummary:
    facts = {k: v for k, v in group[0].items() if k not in (*MAP_FIELDS, *OTHER_METRIC)}
    if "error" in group[0]:
        return PointSummary(identity, facts, (), (), {}, str(group[0]["error"]))
    series = []
    for i, (time_s, _) in enumerate(group[0]["accuracy_series"]):
        values = [float(r["accuracy_series"][i][1]) for r in group]
        series.append((float(time_s), t_interval(values, (0.0, 1.0))))
    return PointSummary(
        identity,
        facts,
        tuple(float(r["accuracy"]) for r in group),
        tuple(series),
        {n: sum(float(r[n]) for r in group) / len(group) for n in MEANS if all(n in r for r in group)},
    )
