"""Measured curves: rows of (time or supply, share of failed cells[, temperature]), from a list or a CSV file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from qtaml_hw.names import CELLS
from qtaml_hw.units import DIMENSIONS, parse, shorten, show

Axis = Literal["time", "voltage"]
_AXES: Final[dict[str, Axis]] = {"time": "time", "v_dd": "voltage"}
"""What the first column of a file is called -> what it is."""
_LARGEST: Final = 1_000_000  # bytes of a file
_MOST: Final = 10_000  # rows
_HEADER: Final = re.compile(r"([a-z_]+?)(?:_([A-Za-zµ°%]+)|\s*[\[(]([A-Za-zµ°%]+)[\])])?")
_FORM: Final = "a header such as 'time,p' or 'time_us,p,temperature_degC' (for SRAM 'v_dd,p')"
_EXAMPLES: Final[dict[Axis, str]] = {"time": "[10 us, 1e-7]", "voltage": "[0.54 V, 4.7e-5]"}

Row = tuple[float, float, float | None]
"""Seconds or volts, the share of cells, kelvin (None: as the study states)."""


@dataclass(frozen=True)
class Points:
    """The points of a measured curve, ascending by temperature and then by the axis: at least two at each temperature.

    The share of failed cells grows with time, and falls with the supply.
    """

    axis: Axis
    rows: tuple[Row, ...]

    @classmethod
    def read(cls, value: object) -> Points:
        """The points of a list of rows as a study writes them. Raises ValueError: the row and what is wrong with it."""
        if not isinstance(value, list | tuple):
            raise ValueError(f"expected a list of points such as [{_EXAMPLES['time']}, ...], got {shorten(value)}")
        return _checked([(f"point {number}", row) for number, row in enumerate(value, 1)], None)

    @classmethod
    def of_file(cls, path: Path) -> Points:
        """The points of a CSV file. Raises ValueError: the file, the line and what is wrong with it."""
        from qtaml_hw.files import read_at_most  # a study whose curve is no file is read without it

        try:
            raw = read_at_most(path, _LARGEST)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        try:
            if raw is None:
                raise ValueError(f"is larger than {_LARGEST:,} bytes")
            return _of_text(raw.decode("utf-8-sig"))
        except (ValueError, csv.Error) as error:
            reason = "is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
            raise ValueError(f"{path.name}: {reason}") from None

    def by_temperature(self) -> Iterator[tuple[float | None, list[Row]]]:
        """(kelvin, its rows), ascending; kelvin is None where the points state none."""
        for kelvin, rows in groupby(self.rows, key=lambda row: row[2]):
            yield kelvin, list(rows)


@dataclass(frozen=True)
class AsPoints:
    """Annotation of a field that is written as a list of points."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(Points.read)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        row = {"type": "array", "minItems": 2, "maxItems": 3, "items": {"type": ["string", "number"]}}
        return {"type": "array", "minItems": 2, "items": row}


def axis_complaint(axis: Axis, kind: str) -> str | None:
    """Why a kind of cell is not described by points over time, or over the supply; None where it is."""
    static = CELLS[kind].static
    if static == (axis == "voltage"):
        return None
    if static:
        return f"a {kind} cell holds its state whatever the time: its points are {_EXAMPLES['voltage']}, over v_dd"
    return f"a {kind} cell loses charge over time: its points are {_EXAMPLES['time']}, at one supply"


def _of_text(text: str) -> Points:
    lines = csv.reader(io.StringIO(text))
    rows = [(lines.line_num, cells) for cells in lines if any(c.strip() for c in cells) and not _is_comment(cells)]
    if not rows:
        raise ValueError(f"is empty; expected {_FORM} and at least two rows")
    (line, header), *body = rows
    columns = [_column(name.strip(), line) for name in header]
    names = [name for name, _ in columns]
    axis = next((_AXES[name] for name in names if name in _AXES), None)
    if axis is None or "p" not in names or len(set(names)) < len(names):
        raise ValueError(f"line {line}: the columns are {', '.join(names)}; expected {_FORM}")
    order = [names.index(name) for name in (next(n for n in names if n in _AXES), "p", "temperature") if name in names]
    table = []
    for number, cells in body:
        if len(cells) != len(header):
            raise ValueError(f"line {number}: {len(cells)} values under {len(header)} columns")
        texts = [f"{cell.strip()} {unit}".strip() for cell, (_, unit) in zip(cells, columns, strict=True)]
        table.append((f"line {number}", [texts[i] for i in order]))
    return _checked(table, axis)


def _is_comment(cells: Sequence[str]) -> bool:
    return cells[0].lstrip().startswith("#")


def _column(text: str, line: int) -> tuple[str, str]:
    """(name, unit) of a column: ``time_us``, ``time (us)``, or ``time`` with the unit beside every value."""
    if text in ("time", "v_dd", "p", "temperature"):
        return text, ""
    match = _HEADER.fullmatch(text)
    name, unit = (match[1], match[2] or match[3]) if match else (text, "")
    dimension = {**_AXES, "temperature": "temperature"}.get(name)
    if dimension is None or unit not in DIMENSIONS[dimension].units:
        raise ValueError(f"line {line}: {shorten(text)} is no column; expected {_FORM}")
    return name, unit


def _checked(table: Sequence[tuple[str, Any]], axis: Axis | None) -> Points:
    """The points of rows, each with what it is called. Raises ValueError for the first that is wrong."""
    if len(table) > _MOST:
        raise ValueError(f"{len(table):,} points; at most {_MOST:,} are read")
    rows: list[tuple[str, Row]] = []
    for what, row in table:
        if not isinstance(row, list | tuple) or not 2 <= len(row) <= 3:
            raise ValueError(f"{what}: expected [time or v_dd, p] or [.., .., temperature], got {shorten(row)}")
        axis = axis or _axis(row[0], what)
        try:
            rows.append((what, _row(row, axis)))
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
    if axis is None or len(rows) < 2:
        found = "one point is" if rows else "no point is"
        raise ValueError(f"a curve has at least two points, {found} given")
    stated = {row[2] is None for _, row in rows}
    if len(stated) > 1:
        raise ValueError("either every point states its temperature or none does")
    rows.sort(key=lambda named: (named[1][2] or 0.0, named[1][0]))
    for kelvin, several in groupby(rows, key=lambda named: named[1][2]):
        _monotone([row for _, row in several], axis, "" if kelvin is None else f" at {show(kelvin, 'temperature')}")
    return Points(axis, tuple(row for _, row in rows))


def _axis(value: object, what: str) -> Axis:
    """Whether a first value is a time or a supply. Raises ValueError."""
    for axis in _AXES.values():
        with suppress(ValueError):
            parse(value, axis)
            return axis
    raise ValueError(
        f"{what}: {shorten(value)} is neither a time nor a supply voltage with its unit; write {_EXAMPLES['time']}, "
        f"or {_EXAMPLES['voltage']} for SRAM"
    )


def _row(row: Sequence[object], axis: Axis) -> Row:
    x, p = parse(row[0], axis), parse(row[1], "fraction")
    if not x > 0.0:
        raise ValueError(f"{shorten(row[0])} is not above zero")
    if not 0.0 < p <= 1.0:
        raise ValueError(
            f"p = {p:g} is no share of the cells above 0 and at most 1"
            + ("; a point where nothing failed has no logarithm: leave it out" if p == 0.0 else "")
        )
    kelvin = None if len(row) < 3 else parse(row[2], "temperature")
    return x, p, kelvin


def _monotone(rows: Sequence[Row], axis: Axis, where: str) -> None:
    if len(rows) < 2:
        raise ValueError(f"a curve has at least two points, one is given{where}")
    for (x, p, _), (later, q, _) in pairwise(rows):
        if x == later:
            raise ValueError(f"{show(x, axis, 6)} is listed twice{where}")
        if (q > p) != (axis == "time") or p == q:
            grows = "grows with time" if axis == "time" else "falls as the supply rises"
            raise ValueError(
                f"the curve is not monotone{where}: p = {p:g} at {show(x, axis, 6)} and {q:g} at "
                f"{show(later, axis, 6)}; the share of failed cells {grows}"
            )
