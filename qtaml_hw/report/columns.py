"""What every figure of a record is, in which unit, and whether it was measured, modelled or assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from qtaml_hw.records.summary import PointSummary
from qtaml_hw.report.text import NOTHING, number, percent, scale

Mark = Literal["measured", "modelled", "assumed"]
MARKS: Final[dict[Mark, str]] = {
    "measured": "counted in this study: the network was run with drawn faulty weights; nothing was measured on silicon",
    "modelled": "computed from equations or published tables; no Monte Carlo noise, but the model's own error",
    "assumed": "an input chosen by the study file, a preset or a default; sources are with the parameters",
}


@dataclass(frozen=True)
class Column:
    """One column of the results: ``key`` in a point's facts or means, ``unit`` the SI unit or ``%`` or empty."""

    key: str
    title: str
    unit: str
    mark: Mark
    what: str


COLUMNS: Final = (
    Column(
        "accuracy",
        "Accuracy",
        "%",
        "measured",
        "share of test images answered right, mean over fault maps, with a 95 % Student t interval over the maps",
    ),
    Column(
        "yield",
        "Chips ≥ 95 % of clean",
        "%",
        "measured",
        "share of fault maps (chips) whose accuracy is at least 95 % of the clean accuracy",
    ),
    Column(
        "flips_raw",
        "Raw bit errors",
        "per map",
        "measured",
        "data bits that read wrong before ECC; check bits are counted apart, ideal planes never err",
    ),
    Column("flips_residual", "Residual bit errors", "per map", "measured", "data bits still wrong after ECC"),
    Column("words_corrected", "Words corrected", "per map", "measured", "ECC words that the decoder corrected"),
    Column("words_uncorrectable", "Words lost", "per map", "measured", "ECC words flagged as uncorrectable"),
    Column("p10", "p(1→0)", "", "modelled", "probability that a stored 1 reads 0; assumed where the law is fixed"),
    Column("p01", "p(0→1)", "", "modelled", "probability that a stored 0 reads 1; assumed where the law is fixed"),
    Column("protected_bits_fraction", "Protected bits", "%", "modelled", "protected data bits / data bits stored"),
    Column("parity_bits_fraction", "Parity bits", "%", "modelled", "added parity bits / data bits stored; 0 for ideal"),
    Column("area_m2", "Area", "m2", "modelled", "weight memory with parity columns and codecs"),
    Column(
        "energy_per_inference_j",
        "Energy / inference",
        "J",
        "modelled",
        "MACs, weight reads, codec, refresh, scrub, leakage",
    ),
    Column("read_latency_s", "Read latency", "s", "modelled", "array access and decode of one word"),
    Column(
        "availability",
        "Availability",
        "%",
        "modelled",
        "share of simulated time that refresh, scrub, rewriting and power-down leave to reads, mean over the banks",
    ),
    Column(
        "refresh_bandwidth_share", "Refresh bandwidth", "%", "modelled", "share of the banks' time in refresh passes"
    ),
    Column("scrub_bandwidth_share", "Scrub bandwidth", "%", "modelled", "share of the banks' time in scrubs"),
    Column("stalls", "Stalled reads", "", "modelled", "read bursts of a bank that a refresh pass held up"),
    Column("stall_s", "Stall time", "s", "modelled", "time by which refresh passes moved read bursts, over all banks"),
    Column("throughput_per_s", "Throughput", "per s", "modelled", "inferences back to back, stalls included"),
    Column(
        "clock_slack_s",
        "Clock slack",
        "s",
        "modelled",
        "clock period less read latency; below zero a read takes several cycles",
    ),
    Column(
        "layer_slack_s",
        "Layer slack",
        "s",
        "modelled",
        "least compute time less reading time of a layer; below zero the array waits for weights",
    ),
    Column(
        "predicted_distortion",
        "Predicted distortion",
        "",
        "modelled",
        "first-order output distortion of the protection plan (our derivation), squared logits",
    ),
    Column("rho_star", "ρ*", "", "modelled", "overhead of uniform protection / overhead of TAC (our definition)"),
    Column("t_ox_m", "t_ox", "m", "assumed", "oxide thickness"),
    Column("refresh_interval_s", "Refresh", "s", "assumed", "refresh interval; a dash when off"),
)
_STATED: Final = ("p10", "p01")
BY_KEY: Final = {column.key: column for column in COLUMNS}
BANKS: Final = (
    "clock_slack_s",
    "layer_slack_s",
    "throughput_per_s",
    "stalls",
    "stall_s",
    "availability",
    "refresh_bandwidth_share",
    "scrub_bandwidth_share",
)  # columns of what banks do with their time


def value(summary: PointSummary, key: str) -> Any:
    """A point's value of a column, None where it has none."""
    if summary.error is not None:
        return summary.facts.get(key)
    if key == "accuracy":
        return summary.accuracy.mean
    if key == "yield":
        return summary.yield_at(0.95)
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
    if key in _STATED and summaries and all(s.facts.get("law") == "fixed" for s in summaries):
        column = replace(column, mark="assumed")  # the study file states them, no cell model is behind them
    values = [value(s, key) for s in summaries]
    if column.unit == "%":
        return Shown(column, "%", tuple(percent(v) for v in values))
    if column.unit in ("", "per map", "per s"):
        return Shown(column, column.unit, tuple(number(v) for v in values))
    chosen = scale(values, column.unit)
    return Shown(column, chosen.unit, tuple(chosen.show(v) for v in values))


def tells(shown: Shown) -> bool:
    """Whether a column says anything: a dash in every row does not."""
    return any(cell != NOTHING for cell in shown.cells)
