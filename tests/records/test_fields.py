"""The table of fields: what is read off it, records of an earlier schema, and the page that is printed from it."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from qtaml_hw.records.fields import COLUMNS, FIELDS, FORMER, OF_A_MAP, REUSED, F, Field
from qtaml_hw.records.record import Record
from qtaml_hw.records.results import Result
from qtaml_hw.records.store import read_store
from qtaml_hw.records.summary import finished_maps, summarise
from qtaml_hw.report.checks import check_records

DOCS = Path(__file__).parents[2] / "docs"
OLD = Path(__file__).parent / "data" / "schema1.jsonl"
LINES = [json.loads(line) for line in OLD.read_text(encoding="utf-8").splitlines()]


def test_a_field_is_its_name_also_in_json_and_in_another_process() -> None:
    assert json.loads(json.dumps({F.area_m2: 1.0})) == {"area_m2": 1.0}
    assert type(pickle.loads(pickle.dumps(F.area_m2))) is str
    assert pickle.loads(pickle.dumps(Record({F.area_m2: 1.0}))) == {"area_m2": 1.0}
    assert all(getattr(F, name) is row for name, row in FIELDS.items())


def test_a_row_that_calls_itself_otherwise_is_refused() -> None:
    with pytest.raises(TypeError, match="the row width_m calls itself area_m2"):
        F.area_m2.__set_name__(F, "width_m")


def test_a_store_of_schema_1_is_read_under_the_names_of_today(tmp_path: Path) -> None:
    shutil.copy(OLD, tmp_path / OLD.name)
    content = read_store(tmp_path)
    assert (len(content.records), content.dropped) == (len(LINES), [])
    check_records(content.records)
    by_key = {record.key: record for record in content.records}
    for line in LINES:
        record = by_key[line["identity"], line["map_index"]]
        assert record.whole
        assert record == {(FORMER | REUSED).get(name, name): value for name, value in line.items() if name != F.schema}
        assert (record[F.score], record[F.plan_score]) == (line["accuracy"], line["score"])
    assert sum(map(len, finished_maps(content.records).values())) == len(LINES)


def test_a_result_has_the_old_names_beside_the_new(tmp_path: Path) -> None:
    shutil.copy(OLD, tmp_path / OLD.name)
    for summary in summarise(read_store(tmp_path).records):
        result, mine = Result(summary), [line for line in LINES if line["identity"] == summary.identity]
        stated = result.as_dict()
        assert stated["score_mean"] == stated["accuracy_mean"] == sum(x["accuracy"] for x in mine) / len(mine)
        assert stated["clean_accuracy"] == stated[F.clean_score] == result.clean_accuracy == mine[0]["clean_accuracy"]
        assert stated["quantised_accuracy"] == result.quantised_accuracy == mine[0]["quantised_accuracy"]
        assert not OF_A_MAP & summary.facts.keys()


def printed(rows: Iterable[Field]) -> str:
    """Rows as the table of a page; a share is shown in %."""
    lines = [f"| `{row}` | {row.unit} | {row.per} | {row.mark} | {row.what} |" for row in rows]
    return "\n".join(["| field | unit | per | how | what |", "|---|---|---|---|---|", *lines])


def test_the_pages_hold_the_rows_of_the_table() -> None:
    rows = list(FIELDS.values())
    over_time = [F.score_series, *rows[rows.index(F.flips_raw_series) :]]
    for page, table in (("memory.md", over_time), ("report.md", COLUMNS)):
        text = (DOCS / page).read_text(encoding="utf-8")
        assert f"\n\n{printed(table)}\n\n" in text, f"docs/{page} should hold\n{printed(table)}"
