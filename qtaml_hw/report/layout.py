"""How a sweep is laid out on paper: which axis runs to the right, which is a line each, which is a panel each.

A line is a case of the sweep where it has cases, under the label that its user wrote.  No two points of a line share
their place on the axis to the right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from qtaml_hw.records.fields import F
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import NOTHING, number, plain, spelled
from qtaml_hw.units import DIMENSIONS, ZERO_CELSIUS_K

CASE, STUDY = "case", "study"  # beside the axes: what a sweep and a study call a point
POLICY: Final = "protection.policy"
OXIDE: Final = "cell.t_ox"
TITLES: Final = {
    OXIDE: "Oxide thickness t_ox",
    "refresh.interval": "Refresh interval",
    "scrub.interval": "Scrub interval",
    "cell.temperature": "Temperature",
    "cell.v_dd": "Supply voltage V_dd",
    "flips.p": "Flip probability per bit",
    "protection.budget.bits": "Budget: protected bits / stored bits",
    "protection.budget.parity": "Budget: parity bits / data bits",
    "protection.budget.area": "Budget: added area",
    "protection.budget.energy": "Budget: added energy",
    "protection.budget.distortion": "Budget: output distortion left / unprotected",
    "protection.planes": "Protected bit planes per weight",
    POLICY: "policy",
}
_LOG_SPAN: Final = 20.0
_MANY: Final = 8
MOST_LINES: Final = 12
_FEWEST_TELLING: Final = 2


@dataclass(frozen=True)
class Axis:
    """A numeric axis: shown value = (SI - offset) / factor, in ``unit`` (empty for pure numbers)."""

    path: str
    unit: str
    factor: float
    offset: float
    log: bool

    @property
    def title(self) -> str:
        """With the unit, for the axis of a figure."""
        name = title(self.path)
        return f"{name} ({self.unit})" if self.unit else name

    def at(self, summary: PointSummary) -> float:
        """The point's value on this axis, in the shown unit."""
        return float(f"{(float(summary.facts[F.axes_si][self.path]) - self.offset) / self.factor:.12g}")

    def show(self, x: float) -> str:
        """``1.5 nm``."""
        return f"{number(x, 4)} {self.unit}".strip()


@dataclass(frozen=True)
class Line:
    """Points that belong together, in the order of the x axis."""

    name: str
    points: tuple[PointSummary, ...]


@dataclass(frozen=True)
class Panel:
    """Lines that differ in one thing only; ``shared`` : (axis path, value as written) that all of them share."""

    shared: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]

    @property
    def title(self) -> str:
        """``refresh interval 10 us, temperature 85 degC``; empty where nothing else varies."""
        return ", ".join(f"{short(path)} {value}" for path, value in self.shared)


@dataclass(frozen=True)
class Layout:
    """``x`` None: no numeric axis, points stand side by side. ``series`` : the path whose values are the lines.

    ``along`` : axes whose value follows from that on x, as in a zip.  ``versions`` : points that share all of this with
    another; they stand on lines of their own.
    """

    x: Axis | None
    series: str | None
    panels: tuple[Panel, ...]
    along: tuple[str, ...] = ()
    versions: int = 0

    @property
    def lines(self) -> list[tuple[str, Line]]:
        """Every line, with the words that no other line has: its panel's and its own."""
        several = len(self.panels) > 1
        return [(f"{p.title}: {line.name}" if several else line.name, line) for p in self.panels for line in p.lines]


def title(path: str) -> str:
    """What an axis is called on paper."""
    return TITLES.get(path, plain(path.rsplit(".", 1)[-1].replace("_", " "), 40).capitalize())


SHORT: Final = {
    OXIDE: "t_ox",
    "cell.v_dd": "V_dd",
    "flips.p": "flip probability",
    "protection.budget.bits": "bit budget",
    "protection.budget.parity": "parity budget",
    "protection.budget.area": "area budget",
    "protection.budget.energy": "energy budget",
    "protection.budget.distortion": "distortion budget",
    "protection.planes": "protected planes",
    "network.name": "network",
}


def short(path: str) -> str:
    """What an axis is called within a sentence."""
    return SHORT.get(path, title(path)[0].lower() + title(path)[1:])


def place(summary: PointSummary) -> dict[str, Any]:
    """Where a point stands: its study, its case, and its values on the axes in SI."""
    named = {STUDY: summary.facts.get(F.study, ""), CASE: summary.facts.get(F.case, "")}
    return {**named, **summary.facts.get(F.axes_si, {})}


def differing(points: Sequence[PointSummary]) -> dict[str, list[Any]]:
    """What differs between points, with its values in order of appearance (None where a point has none)."""
    places = [place(s) for s in points]
    paths = dict.fromkeys(path for found in places for path in found)
    values = {path: list(dict.fromkeys(found.get(path) for found in places)) for path in paths}
    return {path: found for path, found in values.items() if len(found) >= _FEWEST_TELLING}


def varying(points: Sequence[PointSummary]) -> dict[str, list[Any]]:
    """The same without what a case decides: its label says that."""
    found, places = differing(points), [place(s) for s in points]
    return {p: v for p, v in found.items() if CASE not in found or p == CASE or not _follows(places, p, CASE)}


def _follows(places: Sequence[Mapping[str, Any]], path: str, other: str) -> bool:
    """Whether the value of one axis follows from that of another."""
    pairs = {(p.get(other), p.get(path)) for p in places}
    return len(pairs) == len({first for first, _ in pairs})


def shown_value(summary: PointSummary, path: str) -> str:
    """The point's value of an axis, as it was written, with the unit as tables spell it."""
    if path == CASE:
        return spelled(summary.facts.get(F.case) or summary.facts.get(F.label, ""), 60)
    if path == STUDY:
        return plain(summary.facts.get(F.study, ""), 60)
    return spelled(summary.facts.get(F.axes, {}).get(path, NOTHING), 60)


def axis_of(path: str, points: Sequence[PointSummary]) -> Axis:
    """A numeric axis of points, in the unit that the study file wrote; the median point's where several were used."""
    middle = sorted(points, key=lambda s: float(s.facts[F.axes_si][path]))[len(points) // 2]
    words = shown_value(middle, path).split(maxsplit=1)
    unit = words[1] if len(words) > 1 else ""
    factor = next((d.units[unit] for d in DIMENSIONS.values() if unit and unit in d.units), None)
    values = [float(s.facts[F.axes_si][path]) for s in points]
    log = min(values) > 0 and max(values) >= _LOG_SPAN * min(values)
    offset = ZERO_CELSIUS_K if unit in ("degC", "°C") else 0.0
    return Axis(path, _pretty(unit) if factor else "", factor or 1.0, offset, log)


def _pretty(unit: str) -> str:
    """``us`` -> ``µs``, ``mm2`` -> ``mm²``, ``degC`` -> ``°C``."""
    if unit == "degC":
        return "°C"
    return ("µ" + unit[1:] if unit.startswith("u") else unit).replace("2", "²").replace("3", "³")


def lay_out(points: Sequence[PointSummary]) -> Layout:
    """t_ox (or the numeric axis with most values) to the right, cases or policies as lines, all else in panels."""
    axes = varying(points)
    numeric = [p for p, values in axes.items() if all(is_number(v) for v in values)]
    numeric.sort(key=lambda p: (p != OXIDE, -len(axes[p])))
    x = numeric[0] if numeric else None
    places = [place(s) for s in points]
    along = tuple(p for p in numeric[1:] if _follows(places, p, numeric[0]))
    rest = [p for p in axes if p != x and p not in along]
    worded = [p for p in rest if p not in numeric]
    first = next((p for p in (CASE, POLICY) if p in rest), None)
    series = first or next(iter(worded or [p for p in rest if len(axes[p]) <= _MANY]), None)
    others = [p for p in rest if p != series]
    grouped: dict[tuple[str, ...], dict[str, list[PointSummary]]] = {}
    for point in points:
        key = tuple(shown_value(point, p) for p in others)
        name = shown_value(point, series) if series else plain(point.facts.get(F.policy, ""), 60)
        grouped.setdefault(key, {}).setdefault(name, []).append(point)
    axis = axis_of(x, points) if x else None
    panels = tuple(
        Panel(
            tuple(zip(others, key, strict=True)),
            tuple(line for name, found in lines.items() for line in _lines(name, found, axis)),
        )
        for key, lines in grouped.items()
    )
    doubled = len(points) - len({tuple(p.get(path) for path in axes) for p in places}) if axes else 0
    return Layout(axis, series, panels, along, doubled)


def _lines(name: str, points: list[PointSummary], axis: Axis | None) -> list[Line]:
    """The points of one name from left to right; those that share a place go to lines of their own."""
    if axis is None:
        return [Line(name, tuple(points))]
    versions: list[dict[float, PointSummary]] = []
    for point in points:
        free = next((v for v in versions if axis.at(point) not in v), None)
        if free is None:
            versions.append(free := {})
        free[axis.at(point)] = point
    names = [name, *(f"{name}, version {n}" for n in range(2, len(versions) + 1))]
    return [Line(n, tuple(v[x] for x in sorted(v))) for n, v in zip(names, versions, strict=True)]


def focus(layout: Layout) -> tuple[str, tuple[tuple[str, PointSummary], ...]]:
    """One point per line, at the x value where the lines' accuracies differ most: where a choice matters.

    Where every line is nearer to chance than to its clean accuracy no choice helps: such values are taken last.

    Returns the words for that place ("t_ox 1.6 nm") and (line name, point) pairs, of all panels. Without a numeric
    axis: all points.
    """
    axis = layout.x
    if axis is None:
        several = any(len(line.points) > 1 for _, line in layout.lines)
        return "", tuple(
            (spelled(s.facts.get(F.label, name), 60) if several else name, s)
            for name, line in layout.lines
            for s in line.points
        )
    at: dict[float, list[tuple[str, PointSummary]]] = {}
    for name, line in layout.lines:
        for s in line.points:
            at.setdefault(axis.at(s), []).append((name, s))
    most = max(len(found) for found in at.values())
    full = {x: found for x, found in at.items() if len(found) == most}
    full = {x: found for x, found in full.items() if any(_tells(s) for _, s in found)} or full
    chosen = max(full, key=lambda x: _spread([s for _, s in full[x]]))
    return f"{short(axis.path)} {axis.show(chosen)}", tuple(full[chosen])


def _tells(point: PointSummary) -> bool:
    """Whether the accuracy is nearer to the clean one than to chance."""
    chance = float(point.facts.get(F.same_answer_score) or 0.0)
    return point.accuracy.mean >= 0.5 * (chance + float(point.facts[F.clean_score]))


def _spread(points: Sequence[PointSummary]) -> float:
    means = [s.accuracy.mean for s in points]
    return max(means) - min(means)
