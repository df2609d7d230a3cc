"""The table of fields: what is read off it, records of an earlier schema, and the page that is printed from it."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from qtaml_hw.records.field import Field
from qtaml_hw.records.fields import COLUMNS, FIELDS, FORMER, OF_A_MAP, REUSED, F
from qtaml_hw.records.record import Record
from qtaml_hw.records.results import Result
from qtaml_hw.records.store import SCHEMA_VERSION, ShardWriter, read_store
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


def test_maps_of_a_point_share_its_facts() -> None:
    """One mapping for all maps of a point, also behind a pipe; a field that a map says itself is in the map alone."""
    facts = Record({F.identity: "a", F.network: "n", F.at_s: [1.0]}).own
    maps = [Record.of_map(facts, {F.map_index: index, F.score: 0.5}) for index in range(3)]
    assert all(one.facts is facts for one in maps)
    there = pickle.loads(pickle.dumps(maps))
    assert there == maps
    assert there[0].facts is there[2].facts
    whole = {"identity": "a", "network": "n", "at_s": [1.0], "map_index": 1, "score": 0.5}
    assert maps[1] == whole
    assert (list(maps[1]), len(maps[1]), dict(maps[1].items())) == (list(whole), 5, whole)
    other = Record.of_map(facts, {F.map_index: 0, F.network: "m"})
    assert (other[F.network], len(other), sorted(other.facts)) == ("m", 4, ["at_s", "identity"])
    with pytest.raises(TypeError, match="did you mean 'score'"):
        Record.of_map(facts, {"scor": 1.0})


def test_what_maps_share_is_put_into_words_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are those of whole records, whatever maps share and whoever comes between them."""
    points = [Record({F.identity: name, F.network: name, F.at_s: [1e-3, 2e-3]}).own for name in ("a", "b")]
    maps = [Record.of_map(points[n], {F.map_index: index, F.score: index / 3}) for index in range(3) for n in (0, 1, 1)]
    words, dumps = [], json.dumps
    monkeypatch.setattr(json, "dumps", lambda value, **how: words.append(len(value)) or dumps(value, **how))
    with ShardWriter(tmp_path) as shard:
        for one in maps:
            shard.append(one)
    assert sum(count == 4 for count in words) == 6  # schema and facts: a, b, a, b, a, b
    (file,) = tmp_path.glob("*.jsonl")
    expected = [dumps({"schema": SCHEMA_VERSION, **one}, separators=(",", ":")) for one in maps]
    assert file.read_text().splitlines() == expected
