"""What a report takes for granted of records; a store from elsewhere gets one clear message instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qtaml_hw.errors import StoreError
from qtaml_hw.records.chips import KEEP
from qtaml_hw.records.fields import FIELDS, NEEDED, SERIES, F
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.record import Record
from qtaml_hw.records.text import plain


def check_records(records: Iterable[Record]) -> None:
    """Raises StoreError with the field, its value and what is expected, for the first record that does not fit."""
    first, lengths = dict[str, dict[str, Any]](), dict[str, int]()
    for record in records:
        values, known = dict(record.items()), first.get(record[F.identity], {})
        first.setdefault(record[F.identity], values)
        for row in () if F.error in record else NEEDED:
            if row not in record:
                raise _misfit(record, row, row.kind.words)
        for name, value in values.items():
            if known.get(name, known) is value:
                continue  # maps share what they have in common, and it was looked at with the first of them
            if name in FIELDS and not FIELDS[name].kind.fits(value):
                raise _misfit(record, name, FIELDS[name].kind.words)
        if F.error in record:
            continue
        times = len(record[F.score_series])
        for name, series in _timed(record):
            if len(series) != times:
                raise _misfit(record, name, f"as many values as {F.score_series}")
        if lengths.setdefault(record[F.identity], times) != times:
            raise _misfit(record, F.score_series, "as many times as the point's other maps")


def _timed(record: Record) -> list[tuple[str, list[Any]]]:
    """Every list of a record that has one value per time."""
    parts: dict[str, list[Any]] = record.get(F.energy_series_j, {})
    numbers = [(name, record[name]) for name in SERIES if name in record]
    return [*numbers, *((F.energy_series_j, part) for part in parts.values())]


def _misfit(record: Record, name: str, expected: str) -> StoreError:
    return StoreError(
        f"a record (point {plain(record[F.identity], 12)}, map {record[F.map_index]}) has "
        f"{name} = {plain(record.get(name), 60)}; expected {expected}. Was the store edited?"
    )


def check_beside(parameters: Any, ecc_rows: Any) -> None:
    """Raises StoreError when parameters.json or the ECC table is not of the shape that the package writes."""
    entries = parameters.get("parameters", []) if isinstance(parameters, dict) else None
    if not isinstance(entries, list) or not all(isinstance(p, dict) for p in entries):
        raise StoreError("parameters.json should hold an object with a list of parameters")
    places = parameters.get("points", [])
    if not isinstance(places, list) or not all(isinstance(p, dict) and _is_place(p) for p in places):
        raise StoreError("parameters.json should hold a list of points, each with its identity; run the study again")
    shares = parameters.get("yield_at", [KEEP])
    if not isinstance(shares, list) or not shares or not all(is_number(share) for share in shares):
        raise StoreError("parameters.json should hold yield_at as a list of shares")
    if not isinstance(parameters.get("citations", []), list):
        raise StoreError("parameters.json should hold its citations as a list")
    if not isinstance(ecc_rows, list | tuple) or not all(isinstance(r, Mapping) and "code" in r for r in ecc_rows):
        raise StoreError("ecc_table.json should hold rows, each with a code")


def _is_place(found: dict[str, Any]) -> bool:
    known = all(name in FIELDS and FIELDS[name].kind.fits(value) for name, value in found.items())
    return known and F.identity in found


def check_tornado(found: Any) -> None:
    """Raises StoreError when tornado.json is not of the shape that ``what-if --tornado`` writes."""
    rows = found.get("rows", []) if isinstance(found, dict) and isinstance(found.get("base", {}), dict) else None
    if not isinstance(rows, list) or not all(_is_move(row) for row in rows):
        raise StoreError("tornado.json should hold a base and rows, each an input at both ends; ask what-if again")


def _is_move(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("path"), str):
        return False
    ends = [row.get(side) for side in ("low", "high")]
    return (
        all(is_number(row.get(name)) for name in ("value_si", "uncertainty_si"))
        and row["value_si"] != 0
        and "uncertainty_source" in row
        and all(isinstance(end, dict) and is_number(end.get("value_si")) and _has_ends(end) for end in ends)
    )


def _has_ends(end: dict[str, Any]) -> bool:
    interval = end.get("ci95", [0, 0])
    return isinstance(interval, list) and len(interval) == 2
