"""What every figure of a record is, in which unit, and whether it was measured, modelled or assumed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from qtaml_hw.records import fields
from qtaml_hw.records.chips import KEEP
from qtaml_hw.records.field import Mark
from qtaml_hw.records.fields import F
from qtaml_hw.records.measure import heading_of
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import NOTHING, number, percent, scale

MARKS: Final[dict[Mark, str]] = {
    "measured": "counted in this study: the network was run with drawn faulty weights; nothing was measured on silicon",
    "modelled": "computed from equations or published tables; no Monte Carlo noise, but the model's own error",
    "assumed": "an input chosen by the study file, a preset or a default; sources are with the parameters",
}
YIELD: Final = "yield"
UNSCALED: Final = ("", "per map", "per s", "bits")  # units that take no prefix


@dataclass(frozen=True)
class Column:
    """One column of the results: ``key`` in a point's facts or means, ``unit`` the SI unit or ``%`` or empty."""

    key: str
    title: str
    unit: str
    mark: Mark
    what: str


_YIELD: Final = Column(
    YIELD,
    "Chips ≥ 95 % of clean",
    "%",
    "measured",
    "share of fault maps (chips) whose accuracy is at least 95 % of the clean accuracy; none where that is at chance",
)
_FIELDS: Final = {str(f): Column(f, f.heading, f.unit, f.mark, f.what) for f in fields.COLUMNS}
BY_KEY: Final = {F.score: _FIELDS[F.score], YIELD: _YIELD, **_FIELDS}
COLUMNS: Final = tuple(BY_KEY.values())
BANKS: Final = (
    F.clock_slack_s,
    F.layer_slack_s,
    F.inference_latency_s,
    F.throughput_per_s,
    F.stalls,
    F.stall_s,
    F.availability,
    F.refresh_bandwidth_share,
    F.scrub_bandwidth_share,
)  # columns of what banks do with their time
_STATED: Final = (F.p10, F.p01)


def value(summary: PointSummary, key: str) -> Any:
    """A point's value of a column, None where it has none."""
    if summary.error is not None:
        return summary.facts.get(key)
    if key == F.score:
        return summary.accuracy.mean
    if key == YIELD:
        return None if summary.facts.get(F.at_chance) else summary.yield_at(KEEP)  # nothing is kept of chance
    return summary.means.get(key, summary.facts.get(key))


@dataclass(frozen=True)
class Shown:
    """A column ready to be printed: its unit for all rows, and one text per row."""

    column: Column
    unit: str
    cells: tuple[str, ...]


def show(summaries: Sequence[PointSummary], key: str) -> Shown:
    """The column ``key`` over points, in one unit that reads well."""
    column = BY_KEY[key]
    if key in _STATED and summaries and all(s.facts.get(F.law) == "fixed" for s in summaries):
        column = replace(column, mark="assumed")  # the study file states them, no cell model is behind them
    values = [value(s, key) for s in summaries]
    read = heading_of(s.facts for s in summaries if s.error is None)[1]
    if key == F.score and read.logarithmic:
        cells = tuple(NOTHING if s.error is not None else read.show(s.accuracy.mean) for s in summaries)
        return Shown(column, read.unit, cells)
    if column.unit == "%":
        return Shown(column, "%", tuple(percent(v) for v in values))
    if column.unit in UNSCALED:
        return Shown(column, column.unit, tuple(number(v) for v in values))
    chosen = scale(values, column.unit)
    return Shown(column, chosen.unit, tuple(chosen.show(v) for v in values))


def tells(shown: Shown) -> bool:
    """Whether a column says anything: a dash in every row does not."""
    return any(cell != NOTHING for cell in shown.cells)


def score_name(points: Iterable[PointSummary]) -> str:
    """What the score of these points stands for: their metric's title where all share one, else "Score"."""
    return heading_of(s.facts for s in points if s.error is None)[0]
