"""What a report takes for granted of records; a store from elsewhere gets one clear message instead of a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from qtaml_hw.errors import StoreError
from qtaml_hw.records.store import Record
from qtaml_hw.records.summary import LAYER_COLUMNS, MAP_SERIES, MEANS
from qtaml_hw.report.columns import COLUMNS
from qtaml_hw.report.steps import valid_effects
from qtaml_hw.report.text import is_number, plain

Check = Callable[[Any], bool]


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _share(value: Any) -> bool:
    return is_number(value) and 0.0 <= value <= 1.0


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _series(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and is_number(pair[0]) and _share(pair[1]) for pair in value
    )


def _layers(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, dict)
        and isinstance(v.get("name"), str)
        and is_number(v.get("weights"))
        and is_number(v.get("protected_planes"))
        for v in value
    )


def _phases(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, dict) and is_number(v.get("start_s")) and is_number(v.get("end_s")) for v in value
    )


def _layer_table(value: Any) -> bool:
    if not (isinstance(value, dict) and set(value) >= set(LAYER_COLUMNS)):
        return False
    columns = [value[key] for key in LAYER_COLUMNS]
    if not all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
        return False
    sizes = all(isinstance(v, list) and len(v) == 4 and all(map(_whole, v)) for v in value["size"])
    return sizes and all(is_number(v) for key in LAYER_COLUMNS[3:] for v in value[key])


def _energies(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(v, list) and all(is_number(joules) and joules >= 0.0 for joules in v) for v in value.values()
    )


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_whole, value))


def _quantiles(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_decimal(k) and is_number(v) and v > 0 for k, v in value.items())


def _is_decimal(text: str) -> bool:
    try:
        return 0.0 < float(text) < 1.0
    except ValueError:
        return False


def _axis_values(value: Any) -> bool:
    return isinstance(value, dict) and all(v is None or isinstance(v, str | int | float | bool) for v in value.values())


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


REQUIRED: Final[dict[str, tuple[Check, str]]] = {
    "accuracy": (_share, "a share from 0 to 1"),
    "accuracy_series": (_series, "pairs of time in s and accuracy"),
    "clean_accuracy": (_share, "a share from 0 to 1"),
    "quantised_accuracy": (_share, "a share from 0 to 1"),
    "images": (_whole, "a whole number"),
    **dict.fromkeys(MEANS, (is_number, "a number")),
}
_COSTS: Final = (
    *("array_area_m2", "parity_area_m2", "codec_area_m2", "area_low_m2", "area_high_m2"),
    *("mac_energy_j", "weight_read_energy_j", "codec_energy_j", "refresh_energy_j", "scrub_energy_j"),
    *(
        "leakage_energy_j",
        "storage_energy_j",
        "backing_energy_j",
        "storage_area_m2",
        "energy_low_j",
        "energy_high_j",
        "gate_share",
    ),
)
_NUMBERS: Final = {c.key for c in COLUMNS} - REQUIRED.keys() | set(_COSTS)
WHERE_PRESENT: Final[dict[str, tuple[Check, str]]] = {
    "point": (_whole, "a whole number"),
    "axes": (_mapping, "a mapping"),
    "axes_si": (_axis_values, "a mapping of numbers and texts"),
    "layers": (_layers, "layers with name, weights and protected_planes"),
    "menu": (_texts, "a list of texts"),
    "warnings": (_texts, "a list of texts"),
    "transform_effects": (valid_effects, "steps with step, distortions and accuracies before and after"),
    "phases": (_phases, "phases with label, start_s and end_s"),
    "layer_table": (_layer_table, "lists of one length, by column"),
    "energy_series_j": (_energies, "lists of joules as long as accuracy_series, by part"),
    **dict.fromkeys(MAP_SERIES, (_counts, "whole numbers, one per time")),
}
NULLABLE: Final[dict[str, tuple[Check, str]]] = {
    "versions": (_mapping, "a mapping"),
    "retention_quantiles_s": (_quantiles, "a mapping of shares to seconds"),
    **dict.fromkeys(sorted(_NUMBERS), (is_number, "a number or null")),
}


def check_records(records: Iterable[Record]) -> None:
    """Raises StoreError with the field, its value and what is expected, for the first record that does not fit."""
    lengths: dict[str, int] = {}
    for record in records:
        failed = "error" in record
        wanted = [
            *(REQUIRED.items() if not failed else ()),
            *((name, rule) for name, rule in WHERE_PRESENT.items() if name in record),
            *((name, rule) for name, rule in NULLABLE.items() if record.get(name) is not None),
        ]
        for name, (fits, expected) in wanted:
            if not fits(record.get(name)):
                raise _misfit(record, name, expected)
        times = len(record.get("accuracy_series") or ())
        for name, series in _timed(record):
            if not failed and len(series) != times:
                raise _misfit(record, name, "as many values as accuracy_series")
        if not failed and lengths.setdefault(str(record["identity"]), times) != times:
            raise _misfit(record, "accuracy_series", "as many times as the point's other maps")


def _timed(record: Record) -> list[tuple[str, list[Any]]]:
    """Every list of a record that has one value per time."""
    parts: dict[str, list[Any]] = record.get("energy_series_j", {})
    counts = [(name, record[name]) for name in MAP_SERIES if name in record]
    return counts + [("energy_series_j", part) for part in parts.values()]


def _misfit(record: Record, name: str, expected: str) -> StoreError:
    return StoreError(
        f"a record (point {plain(record['identity'], 12)}, map {record['map_index']}) has "
        f"{name} = {plain(record.get(name), 60)}; expected {expected}. Was the store edited?"
    )


def check_beside(parameters: Any, ecc_rows: Any) -> None:
    """Raises StoreError when parameters.json or the ECC table is not of the shape that the package writes."""
    entries = parameters.get("parameters", []) if isinstance(parameters, dict) else None
    if not isinstance(entries, list) or not all(isinstance(p, dict) for p in entries):
        raise StoreError("parameters.json should hold an object with a list of parameters")
    if not isinstance(parameters.get("citations", []), list):
        raise StoreError("parameters.json should hold its citations as a list")
    if not isinstance(ecc_rows, list | tuple) or not all(isinstance(r, Mapping) and "code" in r for r in ecc_rows):
        raise StoreError("ecc_table.json should hold rows, each with a code")


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
