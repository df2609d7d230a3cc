"""Stores that somebody edited: a record that cannot be is skipped and counted, whatever is done with the store."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qtaml_hw import report, sweep, write_report
from qtaml_hw.config import Study, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.records.archive import export_store, merge_stores, store_status
from qtaml_hw.records.compare import compare
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import ShardWriter, read_store
from qtaml_hw.records.summary import finished_maps, summarise

CASES = int(os.environ.get("QTAML_HW_FUZZ", "240"))
STUDY = """
study: edited
network: digits-mlp
data: digits
protection: {policy: none, correction: none}
evaluate: {at: [0.5 ms, 1 ms], images: 20, maps: {min: 2, max: 2}}
sweep: {grid: {cell.t_ox: [1.7 nm, 1.8 nm]}}
"""
GONE = object()
EDITS = (GONE, None, "1", "", -1, 0, True, [], {}, [None], {"a": None}, [["a", "b"]], 10**400, float("nan"), "=1+1")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores") / "whole"
    sweep(parse_study(STUDY, name="edited"), store=folder)
    return folder


def edited(whole: Path, folder: Path, draw: random.Random) -> tuple[Any, ...]:
    """A copy of a store in which one value of some records, or of all, is another."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("figures", "report.html"))
    (shard,) = folder.glob("*.jsonl")
    records = [json.loads(line) for line in shard.read_text().splitlines()]
    name, value, share = draw.choice(sorted(records[0])), draw.choice(EDITS), draw.choice((0.3, 1.0))
    for record in records:
        if draw.random() < share:
            record.pop(name, None) if value is GONE else record.update({name: value})
    shard.write_text("".join(json.dumps(record) + "\n" for record in records))
    return name, value, share


def uses(folder: Path, out: Path, drawn: bool) -> Iterator[Any]:
    """Everything that reads a store."""
    yield lambda: store_status(folder).as_dict()
    yield lambda: export_store(folder, out / "tables")
    yield lambda: merge_stores([folder], out / "merged")
    yield lambda: compare([folder, folder])
    yield lambda: report.sweep_table(
        summarise(r for maps in finished_maps(read_store(folder).records).values() for r in maps.values())
    )
    if drawn:
        yield lambda: write_report(folder)


def test_an_edited_store_is_read_or_refused_in_words(whole: Path, tmp_path: Path) -> None:
    draw = random.Random("edited")
    for case in range(CASES // 4):
        changed = edited(whole, tmp_path / "store", draw)
        for number, use in enumerate(uses(tmp_path / "store", tmp_path / "out", case % 30 == 0)):
            try:
                use()
            except InputError:
                pass
            except Exception as error:
                raise AssertionError((case, number, changed)) from error


def test_what_cannot_be_is_skipped_and_computed_again(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    shutil.copytree(whole, folder)
    (shard,) = folder.glob("*.jsonl")
    lines = shard.read_text().splitlines()
    first = json.loads(lines[0])
    for number, (name, value) in enumerate({"score": "0.9", "flips_raw": float("nan"), "score_series": [[1]]}.items()):
        lines[number] = json.dumps({**json.loads(lines[number]), name: value})
    shard.write_text("\n".join(lines) + "\n")
    content = read_store(folder)
    assert [one.line for one in content.dropped] == [1, 2, 3]
    assert content.dropped[0].reason == "score = '0.9' cannot be; expected a share from 0 to 1"
    study: Study = parse_study(STUDY, name="edited")
    again = sweep(study, store=folder)
    assert len(read_store(folder).records) == 4
    assert again.summaries[0].identity == first["identity"]


def test_a_merge_refuses_no_number_and_finishes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    lines = [{"schema": 2, "identity": "a" * 32, "map_index": i, "score": 0.5} for i in range(3)]
    text = "".join(json.dumps(line) + "\n" for line in lines).replace("0.5", "NaN", 2).replace("NaN", "1e999", 1)
    (tmp_path / "a" / "records-0123456789ab.jsonl").write_text(text)
    assert merge_stores([tmp_path / "a"], tmp_path / "out")["added"] == 1
    assert len(read_store(tmp_path / "out").records) == 1


def test_a_merge_says_where_counts_disagree(tmp_path: Path) -> None:
    for name, flips in (("a", 3), ("b", 4)):
        with ShardWriter(tmp_path / name) as shard:
            shard.append(Record.read({"identity": "a" * 32, "map_index": 0, "correct": 5, "flips_raw": flips}))
    assert merge_stores([tmp_path / "a", tmp_path / "b"], tmp_path / "out")["differing"] == 1


def test_cells_of_a_table_are_no_formulas(tmp_path: Path) -> None:
    labels = ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "plain"]
    with ShardWriter(tmp_path / "a") as shard:
        for number, label in enumerate(labels):
            shard.append(Record.read({"identity": f"{number}" * 32, "map_index": 0, "score": 0.5, "label": label}))
    export_store(tmp_path / "a")
    with (tmp_path / "a" / "maps.csv").open(newline="") as file:
        cells = [row["label"] for row in csv.DictReader(file)]
    assert cells == [f"'{label}" for label in labels[:-1]] + ["plain"]
    assert "0.5" in (tmp_path / "a" / "maps.csv").read_text()  # numbers stay numbers
