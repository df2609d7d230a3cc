"""A result as a person reads it at a prompt: a dozen lines with units, or the same as an HTML table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from qtaml_hw.prompt import Rows
from qtaml_hw.records.field import Field
from qtaml_hw.records.fields import FIELDS, F
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.measure import counted, heading_of, measure_of, title_of
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import Scale, count, number, percent, plain, scale, spelled

_BANDS: Final = (
    (F.area_m2, F.area_low_m2, F.area_high_m2),
    (F.energy_per_inference_j, F.energy_low_j, F.energy_high_j),
    (F.read_latency_s, F.read_latency_low_s, F.read_latency_high_s),
)
_MOST_POINTS: Final = 20


def point_rows(s: PointSummary) -> Rows:
    """What is known of a point, in at most eleven rows of a name and a text."""
    facts = s.facts
    rows = [("network, data", f"{plain(facts.get(F.network, ''), 40)}, {plain(facts.get(F.data, ''), 60)}")]
    if s.error is not None:
        return [*rows, ("failed", plain(s.error))]
    name = title_of(facts).lower()
    maps, read = f"{count(len(s.accuracies), 'map')} of {counted(facts)}", measure_of(facts)
    rows += [
        (name, f"{read.shown(s.accuracy)}, {maps}"),
        (
            "clean, quantised",
            ", ".join(f"{read.show(facts[k])}{read.suffix}" for k in (F.clean_score, F.quantised_score)),
        ),
        ("bit errors per map", f"{number(s.means.get(F.flips_raw))} raw, {number(s.means.get(F.flips_residual))} left"),
        ("protection", _protection(facts)),
        *((key.heading.lower(), _banded(facts, key, low, high)) for key, low, high in _BANDS),
        ("throughput", f"{number(facts.get(F.throughput_per_s))} per s, {_latency(facts)}"),
        ("availability", f"{percent(facts.get(F.availability))} %"),
    ]
    warnings = facts.get(F.warnings) or ()
    return [*rows, *([("warnings", f"{len(warnings)}, see .warnings")] if warnings else [])]


def _protection(facts: dict[str, Any]) -> str:
    share, parity = percent(facts.get(F.protected_bits_fraction)), percent(facts.get(F.parity_bits_fraction))
    bits = facts.get(F.stored_bits_per_weight)
    stored = f", {bits:.4g} bits stored per weight" if is_number(bits) else ""
    return f"{plain(facts.get(F.policy, ''), 20)}, {share} % of the bits protected, {parity} % parity{stored}"


def _banded(facts: dict[str, Any], key: str, low: str, high: str) -> str:
    unit = scale([facts.get(key)], FIELDS[key].unit)
    ends = [facts.get(name) for name in (low, high)]
    band = f", band {unit.show(ends[0])} to {unit.show(ends[1])}" if all(map(is_number, ends)) else ""
    return f"{unit.show(facts.get(key))} {unit.unit}{band}"


def _latency(facts: dict[str, Any]) -> str:
    unit = scale([facts.get(F.inference_latency_s)], "s")
    return f"{unit.show(facts.get(F.inference_latency_s))} {unit.unit} each"


def sweep_rows(summaries: Sequence[PointSummary]) -> Rows:
    """A head and a row per point: accuracy with its interval, area and energy; the first twenty, and how many more."""
    done = [s for s in summaries if s.error is None]
    costs = [(key, scale([s.facts.get(key) for s in done], key.unit)) for key in (F.area_m2, F.energy_per_inference_j)]
    title, reading = heading_of(s.facts for s in done)
    head = (f"{title}{reading.per}", f"95 % interval{reading.per}", "Maps")
    rows: Rows = [("Point", *head, *(f"{key.heading} ({unit.unit})" for key, unit in costs))]
    for s in summaries[:_MOST_POINTS]:
        name = spelled(s.facts.get(F.label, s.identity), 48)
        if s.error is not None:
            rows.append((name, "failed", "", "", "", ""))
            continue
        found = s.accuracy
        read = measure_of(s.facts)
        figures = (read.show(found.mean), read.ends(found), str(found.maps))
        rows.append((name, *figures, *(unit.show(s.facts.get(key)) for key, unit in costs)))
    left = len(summaries) - _MOST_POINTS
    return [*rows, *([(f"and {left} more", "", "", "", "", "")] if left > 0 else [])]


def change_rows(before: PointSummary, after: PointSummary) -> Rows:
    """Before and after a change: the score with the interval of the paired difference, area, energy, errors."""
    name = title_of(before.facts)
    head = ("", "before", f"after {spelled(after.facts.get(F.label, ''), 60)}", "difference")
    read = measure_of(before.facts)
    means = (read.show(s.accuracy.mean) for s in (before, after))
    rows: Rows = [head, (f"{name}{read.per}", *means, read.change(after.accuracies, before.accuracies))]
    for key in (F.p10, F.protected_bits_fraction, F.area_m2, F.energy_per_inference_j, F.read_latency_s):
        values = [s.facts.get(key) for s in (before, after)]
        if all(map(is_number, values)):
            rows.append((key.heading, *_pair(key, [float(v) for v in values if is_number(v)])))
    return rows


def _pair(key: Field, values: Sequence[float]) -> tuple[str, str, str]:
    """Both values with their unit, and the change: of shares in points, of others in per cent of the first."""
    if key.unit == "%":
        return f"{percent(values[0])} %", f"{percent(values[1])} %", f"{percent(values[1] - values[0])} %"
    unit = scale(values, key.unit) if key.unit else Scale(1.0, "")
    change = f"{100.0 * (values[1] / values[0] - 1.0):+.1f} %" if values[0] else ""
    return f"{unit.show(values[0])} {unit.unit}".strip(), f"{unit.show(values[1])} {unit.unit}".strip(), change
