"""The sweep section: grid, zip and cases, expanded to the values of every point.

A grid is the product of its axes, a zip walks its axes together, cases are written out one by one; where several are
given, the points are all their combinations.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pydantic import Field

from qtaml_hw.config.reading.beside import BUFFERS
from qtaml_hw.config.reading.document import Change, Origin, nearest_mark, written
from qtaml_hw.config.reading.fields import FieldSpec, suggest
from qtaml_hw.config.reading.problems import Problem
from qtaml_hw.config.reading.quantities import Section
from qtaml_hw.config.reading.yaml_strict import Mark, Path, dotted
from qtaml_hw.config.sections.buffers import OWN, PARTS
from qtaml_hw.errors import nearest
from qtaml_hw.units import DIMENSIONS, split

MOST_POINTS: Final = 100_000
_RANGE_KEYS: Final = ("from", "to", "step", "count", "spacing")


class SweepSection(Section):
    """Axes by dotted field name. A list of values, or ``{from, to, step}`` or ``{from, to, count, spacing: log}``."""

    grid: dict[str, Any] = Field(default_factory=dict, description="all combinations of the axes")
    zip: dict[str, Any] = Field(default_factory=dict, description="axes of one length, walked together")
    cases: tuple[dict[str, Any], ...] = Field((), description="points written out: a label and its values")


@dataclass(frozen=True)
class PointSpec:
    """One point before it is checked: its label, its case, its values by dotted field, and where each was written."""

    label: str
    case: str
    changes: tuple[Change, ...]

    @property
    def values(self) -> dict[str, Any]:
        """The values by dotted field, as written."""
        return {dotted(change.path): change.value for change in self.changes}


@dataclass(frozen=True)
class Source:
    """Where a sweep was written: the file's name, the marks of its values, the fields that axes can name."""

    file: str
    marks: Mapping[Path, Mark]
    fields: dict[str, FieldSpec]

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """A problem at a path of the file."""
        mark = nearest_mark(self.marks, path)
        place = (mark.key_line, mark.key_column) if key else (mark.line, mark.column)
        return Problem(self.file, *place, dotted(path), message)

    def change(self, name: str, value: Any, path: Path) -> Change:
        """A value of an axis as a change of the study."""
        mark = nearest_mark(self.marks, path)
        origin = Origin("sweep", self.file, written(value), mark.line, mark.column)
        return Change(tuple(name.split(".")), value, origin)


class _Mistake(ValueError):
    """A mistake in an axis, with the part of the axis it is in."""

    def __init__(self, message: str, *inside: str | int) -> None:
        super().__init__(message)
        self.inside = inside


def expand(sweep: SweepSection, source: Source) -> tuple[tuple[PointSpec, ...], list[Problem]]:
    """All points in file order, the last grid axis fastest; and what is wrong with the sweep."""
    problems: list[Problem] = []
    cases = _cases(sweep.cases, source, problems)
    axes = {part: _axes(part, getattr(sweep, part), source, problems) for part in ("zip", "grid")}
    problems += _repeated([*axes["zip"], *axes["grid"], *{name for case in cases for name in case[1]}], source)
    zipped = axes["zip"]
    lengths = {name: len(changes) for name, changes in zipped.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        problems.append(source.problem(("sweep", "zip"), f"the axes of a zip need one length; {counts}"))
    if problems:
        return (), problems
    dimensions: list[list[tuple[str, dict[str, Change]]]] = []
    if cases:
        dimensions.append(cases)
    if zipped:
        dimensions.append([("", dict(zip(zipped, step, strict=True))) for step in zip(*zipped.values(), strict=True)])
    dimensions += [[("", {name: change}) for change in changes] for name, changes in axes["grid"].items()]
    count = math.prod(len(dimension) for dimension in dimensions)
    if count > MOST_POINTS:
        return (), [source.problem(("sweep",), f"{count} points; at most {MOST_POINTS}")]
    if not dimensions:
        return (), []
    return _named(itertools.product(*dimensions), [*zipped, *axes["grid"]]), []


def of_point(problem: Problem, spec: PointSpec) -> Problem:
    """A problem of a point, at the place of the value that the sweep gives, and with the point's label."""
    change = next((c for c in spec.changes if dotted(c.path) == problem.path), spec.changes[0])
    line, column = (problem.line, problem.column) if problem.line else (change.origin.line, change.origin.column)
    message = f"at the point {spec.label!r}: {problem.message}"
    return dataclasses.replace(problem, line=line, column=column, message=message)


def _named(combinations: Iterable[tuple[tuple[str, dict[str, Change]], ...]], axes: list[str]) -> tuple[PointSpec, ...]:
    short = _short_names(axes)
    points = []
    for combination in combinations:
        label = []
        changes: list[Change] = []
        for case, values in combination:
            label += [case] if case else [f"{short[name]}={written(change.value)}" for name, change in values.items()]
            changes += values.values()
        points.append(PointSpec(", ".join(label), "".join(case for case, _ in combination), tuple(changes)))
    return tuple(points)


def _short_names(axes: list[str]) -> dict[str, str]:
    """``cell.t_ox`` -> ``t_ox`` unless two axes would read the same."""
    last = [name.rpartition(".")[2] for name in axes]
    return {name: key if last.count(key) == 1 else name for name, key in zip(axes, last, strict=True)}


def _axes(part: str, axes: dict[str, Any], source: Source, problems: list[Problem]) -> dict[str, list[Change]]:
    """The axes of a part; those of a grid that make too many points are counted before their values are written."""
    listed: dict[str, list[Any]] = {}
    for name, values in axes.items():
        path = ("sweep", part, name)
        wrong = _not_a_field(name, source.fields)
        if wrong:
            problems.append(source.problem(path, wrong, key=True))
            continue
        try:
            listed[name] = axis_values(values, source.fields[field_of(name)])
        except _Mistake as mistake:
            problems.append(source.problem((*path, *mistake.inside), str(mistake)))
            continue
        count = math.prod(map(len, listed.values())) if part == "grid" else len(listed[name])
        if count > MOST_POINTS:
            problems.append(source.problem(path, f"{count} points; at most {MOST_POINTS}"))
            return {}
    changes: dict[str, list[Change]] = {}
    for name, values in listed.items():
        path = ("sweep", part, name)
        places = [(*path, index) if isinstance(axes[name], list) else path for index in range(len(values))]
        changes[name] = [source.change(name, value, place) for value, place in zip(values, places, strict=True)]
    return changes


def _cases(
    cases: tuple[dict[str, Any], ...], source: Source, problems: list[Problem]
) -> list[tuple[str, dict[str, Change]]]:
    listed: list[tuple[str, dict[str, Change]]] = []
    for index, case in enumerate(cases):
        path: Path = ("sweep", "cases", index)
        changes: dict[str, Change] = {}
        for name, value in case.items():
            wrong = "" if name == "label" else _not_a_field(name, source.fields)
            if wrong:
                problems.append(source.problem((*path, name), wrong, key=True))
            elif name != "label":
                changes[name] = source.change(name, value, (*path, name))
        label = case.get("label", ", ".join(f"{name}={written(case[name])}" for name in changes))
        if not isinstance(label, str) or not label:
            problems.append(source.problem(path, "a case needs a label, a text, and its values"))
        elif label in (known for known, _ in listed):
            problems.append(source.problem(path, f"two cases have the label {label!r}; labels tell points apart"))
        listed.append((str(label), changes))
    return listed


def field_of(name: str) -> str:
    """The field that an axis names; an item of a list goes by its place, ``cell.1.t_ox``, a buffer by its name too."""
    head, *inside = name.split(".")
    named = head == BUFFERS and len(inside) > 1 and inside[0] not in (*OWN, *PARTS)
    return ".".join([head, *inside[1:]] if named or (inside and inside[0].isdigit()) else [head, *inside])


def _not_a_field(name: str, fields: dict[str, FieldSpec]) -> str:
    if name.split(".")[0] in ("sweep", "space", "study"):
        return f"{name!r} cannot be swept; axes name physical fields such as cell.t_ox"
    if field_of(name) in fields:
        return ""
    return f"the axis {name[:80]!r} names no field{suggest(name, fields)}"


def _repeated(names: list[str], source: Source) -> list[Problem]:
    twice = sorted({name for name in names if names.count(name) > 1})
    return [source.problem(("sweep",), f"{name} is swept twice; keep one axis") for name in twice]


def axis_values(values: Any, field: FieldSpec) -> list[Any]:
    """The values of one axis as they would be written in the file. Raises ValueError."""
    if isinstance(values, list):
        if not values:
            raise _Mistake("the axis is empty; give at least one value")
        return values
    if isinstance(values, dict):
        return _range(values, field)
    raise _Mistake("an axis is a list of values, or a range such as {from: 1.5 nm, to: 2.0 nm, step: 0.1 nm}")


def _range(values: dict[str, Any], field: FieldSpec) -> list[Any]:
    for key in values:
        if key not in _RANGE_KEYS:
            raise _Mistake(
                f"unknown key {key[:60]!r}; allowed: {', '.join(_RANGE_KEYS)}{nearest(key, _RANGE_KEYS)}", key
            )
    missing = [key for key in ("from", "to") if key not in values]
    if missing or ("step" in values) == ("count" in values):
        raise _Mistake(f"a range needs from, to, and one of step and count; got {', '.join(values) or 'nothing'}")
    numbers = {key: _number(values, key, field) for key in ("from", "to", "step") if key in values}
    unit = next(unit for _, unit in reversed(numbers.values()))
    first, last = (_convert(numbers[key], unit, field) for key in ("from", "to"))
    if "step" in values:
        if "spacing" in values:
            raise _Mistake("spacing goes with count; a step is linear", "spacing")
        steps = _stepped(first, last, numbers["step"][0])
    else:
        steps = _counted(first, last, values["count"], values.get("spacing", "linear"))
    return [_as_written(number, unit) for number in steps]


def _number(values: dict[str, Any], key: str, field: FieldSpec) -> tuple[Decimal, str]:
    """A number of a range and its unit symbol."""
    try:
        if field.quantity is not None:
            return split(values[key], field.quantity.dimension)
    except ValueError as error:
        raise _Mistake(f"{key}: {error}", key) from None
    number = values[key]
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise _Mistake(f"{key}: {field.path} takes no range of {written(number)[:40]!r}; list its values", key)
    return Decimal(str(number)), ""


def _convert(number: tuple[Decimal, str], unit: str, field: FieldSpec) -> Decimal:
    value, written_in = number
    if written_in == unit or field.quantity is None:
        return value
    if field.quantity.dimension == "temperature":
        raise _Mistake(f"write from, to and step in one unit; got {written_in} and {unit}")
    units = DIMENSIONS[field.quantity.dimension].units
    return value * Decimal(repr(units[written_in])) / Decimal(repr(units[unit]))


def _stepped(first: Decimal, last: Decimal, step: Decimal) -> list[Decimal]:
    """Steps from first to last, last included when the steps meet it (decimal numbers: no rounding)."""
    if step == 0 or (last - first) * step < 0:
        raise _Mistake(f"a step of {step} does not lead from {first} to {last}", "step")
    steps = (last - first) / step
    if steps >= MOST_POINTS:
        raise _Mistake(f"{steps:.6g} steps; an axis has at most {MOST_POINTS} values", "step")
    count = int(steps) + 1
    return [first + index * step for index in range(count)]


def _counted(first: Decimal, last: Decimal, count: object, spacing: object) -> list[Decimal]:
    if isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= MOST_POINTS:
        raise _Mistake(f"count is a whole number from 2 to {MOST_POINTS}", "count")
    if spacing not in ("linear", "log"):
        raise _Mistake(f"unknown spacing {str(spacing)[:40]!r}; allowed: linear, log", "spacing")
    if spacing == "linear":
        return [first + (last - first) * index / (count - 1) for index in range(count)]
    if first <= 0 or last <= 0:
        raise _Mistake("a log spacing needs from and to above 0", "spacing")
    ratio = (last / first).ln() / (count - 1)
    inner = [first * (ratio * index).exp() for index in range(1, count - 1)]
    return [first, *inner, last]


def _as_written(number: Decimal, unit: str) -> Any:
    rounded = Decimal(f"{number:.12g}")
    if unit:
        return f"{rounded.normalize():f} {unit}" if abs(rounded.adjusted()) < 15 else f"{rounded.normalize()} {unit}"
    return int(rounded) if rounded == rounded.to_integral_value() else float(rounded)
