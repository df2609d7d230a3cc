"""Everything a report reads from a store: records, their summaries, parameters, the study's text, the ECC table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from qtaml_hw._collection import without_collection
from qtaml_hw.errors import StoreError
from qtaml_hw.records.chips import KEEP
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import Interval, t_interval
from qtaml_hw.records.measure import measure_of
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import read_store
from qtaml_hw.records.summary import PointSummary, summarise
from qtaml_hw.records.text import plain
from qtaml_hw.report.checks import check_beside, check_records, check_tornado

Row = Mapping[str, Any]
TORNADO: Final = "tornado.json"


@dataclass(frozen=True, eq=False)
class Material:
    """``points`` finished, ``failed`` not; ``maps`` : identity -> fault map -> accuracy, for comparisons in pairs.

    ``broken`` : what the reader must know of lines that were skipped; None when there were none.  ``tornado`` : the
    answer of ``what-if --tornado``, where it was asked for.
    """

    points: tuple[PointSummary, ...]
    failed: tuple[PointSummary, ...]
    maps: Mapping[str, Mapping[int, float]]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    study_text: str = ""
    ecc_rows: tuple[Row, ...] = ()
    broken: str | None = None
    tornado: Mapping[str, Any] = field(default_factory=dict)

    @property
    def study(self) -> str:
        """The study's name, as one line of plain text."""
        named = [s.facts.get(F.study) for s in (*self.points, *self.failed)]
        return plain(next((n for n in (self.parameters.get("study"), *named) if n), "study"), 80)

    @property
    def question(self) -> str:
        """First paragraph of the comment at the head of the study file, which says what it answers; or nothing."""
        lines: list[str] = []
        for line in self.study_text.splitlines():
            if not line.strip("# "):
                if lines:
                    break
                continue
            if not line.startswith("#"):
                break
            lines.append(line.lstrip("# "))
        return plain(" ".join(lines), 600)

    def change(self, first: PointSummary, second: PointSummary) -> str:
        """The same in words, in the metric's own terms: points of a share, or a ratio."""
        mine, other = self.maps[first.identity], self.maps[second.identity]
        both = sorted(mine.keys() & other.keys())
        return measure_of(first.facts).change([mine[i] for i in both], [other[i] for i in both])

    def paired(self, first: PointSummary, second: PointSummary) -> Interval | None:
        """Accuracy of ``first`` minus ``second`` over the fault maps that both saw; None without two such maps."""
        if first.facts.get(F.seed) != second.facts.get(F.seed):
            return None
        mine, other = self.maps[first.identity], self.maps[second.identity]
        common = sorted(mine.keys() & other.keys())
        return t_interval([mine[i] - other[i] for i in common], (-1.0, 1.0)) if len(common) > 1 else None


def material(records: Sequence[Record], **beside: Any) -> Material:
    """Records, and what lies beside them, as a report reads them."""
    maps: dict[str, dict[int, float]] = {}
    for record in records:
        if F.error not in record:
            maps.setdefault(str(record[F.identity]), {})[int(record[F.map_index])] = float(record[F.score])
    parameters = beside.get("parameters", {})
    shares = parameters.get("yield_at", (KEEP,))
    summaries = _as_called_now(summarise(records, shares), parameters.get("points", ()))
    done = tuple(s for s in summaries if s.error is None)
    return Material(done, tuple(s for s in summaries if s.error is not None), maps, **beside)


def _as_called_now(summaries: Sequence[PointSummary], places: Sequence[Row]) -> list[PointSummary]:
    """The points under the labels and in the order of the latest sweep, one for each of its cases."""
    known = {s.identity: s for s in summaries}
    named = [(known[p[F.identity]], p) for p in places if p[F.identity] in known]
    placed = {s.identity for s, _ in named}
    return [
        *(s for s in summaries if s.identity not in placed),
        *(replace(s, facts={**s.facts, **place}) for s, place in named),
    ]


@without_collection()
def read_material(folder: Path, ecc_rows: Sequence[Row] | None = None) -> Material:
    """Read a store folder.

    Raises StoreError when it holds no record, cannot be read, or a record or a file beside them is broken.
    """
    store = read_store(folder)
    records = store.records
    if not records:
        raise StoreError(f"{folder} holds no finished record (*.jsonl): run or sweep a study with --out {folder} first")
    check_records(records)
    parameters = _json(folder / "parameters.json", {})
    table = _json(folder / "ecc_table.json", [])
    rows = ecc_rows if ecc_rows is not None else table.get("rows", []) if isinstance(table, dict) else table
    check_beside(parameters, rows)
    moves = _json(folder / TORNADO, {})
    check_tornado(moves)
    text = _text(folder / "study.yaml")
    beside = {"parameters": parameters, "study_text": text, "ecc_rows": tuple(rows), "tornado": moves}
    return material(records, broken=store.complaint, **beside)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error


def _json(path: Path, absent: Any) -> Any:
    text = _text(path)
    try:
        found = json.loads(text) if text else absent
    except ValueError as error:
        raise StoreError(f"{path} is not JSON ({error}); run the study again to rewrite it") from error
    if not isinstance(found, dict | list):
        raise StoreError(f"{path} should hold a JSON object or list; run the study again to rewrite it")
    return found
