"""Stores as wholes: what is in one, several merged into one, and tables for other tools."""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from qtaml_hw.errors import InputError, StoreError
from qtaml_hw.files import claim, write_atomically
from qtaml_hw.records.fields import FIELDS, OF_A_MAP, F
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import Content, ShardWriter, read_records, read_store, shards

Format = Literal["csv", "parquet"]
MEASURED: Final = tuple(name for name, row in FIELDS.items() if row.per in ("map", "time") and row.mark == "measured")
"""What a fault map is known by: counts and scores, equal to the last digit wherever it is run."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class StoreStatus:
    """Counts of a store: points and maps that are finished, points that failed, and what was dropped.

    ``repeated`` lines are finished a second time by another writer and count once; ``torn`` lines are no whole record:
    ``dropped`` says where each stands and why it does not count.
    """

    folder: str
    points: int
    failed: int
    maps: int
    shards: int
    bytes: int
    repeated: int
    torn: int
    dropped: tuple[str, ...]
    studies: tuple[str, ...]
    failures: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def store_status(folder: Path) -> StoreStatus:
    """What a store holds.

    Raises StoreError when there is no store.
    """
    content = existing_store(folder)
    finished = [r for r in content.records if int(r[F.map_index]) >= 0]
    failed = [r for r in content.records if int(r[F.map_index]) < 0]
    files = shards(folder)
    return StoreStatus(
        folder=str(folder),
        points=len({r[F.identity] for r in finished}),
        failed=len(failed),
        maps=len(finished),
        shards=len(files),
        bytes=sum(path.stat().st_size for path in files),
        repeated=content.repeated,
        torn=len(content.dropped),
        dropped=tuple(map(str, content.dropped)),
        studies=tuple(sorted({str(r.get(F.study, "")) for r in content.records})),
        failures=tuple(f"{r.get(F.label, r[F.identity])}: {r.get(F.error, '')}" for r in failed),
    )


def existing_records(folder: Path) -> list[Record]:
    """The records of a store that must be there.

    Raises StoreError when it is not.
    """
    return existing_store(folder).records


def existing_store(folder: Path) -> Content:
    """A store that must be there, as it was read.

    Raises StoreError when it is not.
    """
    if not os.path.isdir(folder):
        raise StoreError(f"there is no store at {folder}")
    if not shards(folder):
        raise StoreError(f"{folder} holds no records (*.jsonl); give the folder that run or sweep wrote to")
    return read_store(folder)


def merge_stores(folders: Sequence[Path], out: Path) -> dict[str, Any]:
    """Every record of ``folders`` that ``out`` has not yet, in one new shard of it; nothing else is touched.

    ``differing`` counts records of one point and map that disagree in what was measured, which results should not;
    figures that were computed may differ in their last digits between processors (see ``MEASURED``).

    Raises StoreError when a folder is no store or ``out`` cannot be written.
    """
    known = {r.key: r for r in read_records(out)} if os.path.isdir(out) else {}
    added = differing = 0
    sources = [(folder, existing_records(folder)) for folder in folders]
    with ShardWriter(out) as shard:
        for _, records in sources:
            for record in records:
                key = record.key
                if key in known:
                    differing += any(record.get(name) != known[key].get(name) for name in MEASURED)
                    continue
                known[key] = record
                shard.append(record)
                added += 1
    return {"out": str(out), "records": len(known), "added": added, "differing": differing}


def export_store(folder: Path, out: Path | None = None, form: Format = "csv") -> list[Path]:
    """One table with a row per fault map, and one with a row per point without its maps: ``maps.*``, ``points.*``.

    Axes become columns ``axis cell.t_ox``; lists and mappings become JSON text; a text that a spreadsheet would take
    for a formula gets an apostrophe before it.

    Raises StoreError for no store or a folder that cannot be written, InputError when Parquet lacks pyarrow.
    """
    records, target = existing_records(folder), out or folder
    facts: dict[str, dict[str, Any]] = {}
    for record in records:
        facts.setdefault(record[F.identity], {k: v for k, v in record.items() if k not in OF_A_MAP})
    claim(target)
    files = []
    for name, rows in (("points", list(facts.values())), ("maps", [r for r in records if int(r[F.map_index]) >= 0])):
        path = target / f"{name}.{form}"
        {"csv": _csv, "parquet": _parquet}[form](path, [_flat(row) for row in rows])
        files.append(path)
    return files


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """A row: numbers and texts as they are, one column per axis, the rest as JSON."""
    row: dict[str, Any] = {}
    for name, value in record.items():
        if name == F.axes_si and isinstance(value, dict):
            row |= {f"axis {path}": one for path, one in value.items()}
        elif isinstance(value, dict | list):
            row[name] = json.dumps(value)
        else:
            row[name] = value
    return row


def _harmless(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _csv(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    columns = _columns(rows)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writerow({name: _harmless(name) for name in columns})
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    write_atomically(path, text.getvalue())


def _parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    try:
        pyarrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError("Parquet needs pyarrow: pip install 'qtaml-hw[parquet]'; CSV needs nothing") from error
    table = pyarrow.table({name: _uniform([row.get(name) for row in rows]) for name in _columns(rows)})
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table, sink)
    write_atomically(path, sink.getvalue().to_pybytes())


def _uniform(values: list[Any]) -> list[Any]:
    """A column of one type: whole numbers beside others become floats, anything beside texts becomes text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and float in kinds:
        return [None if value is None else float(value) for value in values]
    return values if len(kinds) <= 1 else [None if value is None else str(value) for value in values]
