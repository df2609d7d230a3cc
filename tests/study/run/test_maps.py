"""The maps of one point in several processes: the records of one, whatever is drawn ahead and whoever dies."""

from __future__ import annotations

import json
import multiprocessing
import sys
from pathlib import Path

import pytest

from qtaml_hw.config import parse_study
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import read_store
from qtaml_hw.study.run.engine import run_points
from qtaml_hw.study.run.task import Workers
from tests import studies
from tests.study.run.test_workers import NETWORK

TEXT = studies.text()
UNTIL_NARROW = TEXT.replace("min: 2, max: 2", "min: 2, max: 20, ci95_halfwidth: 10 %")


def texts(records: list[Record]) -> list[str]:
    return [json.dumps(dict(record)) for record in records]


def test_maps_of_two_processes_are_those_of_one_and_none_too_many(tmp_path: Path) -> None:
    points = list(parse_study(UNTIL_NARROW, name="x").points())
    (whole,) = run_points(points, tmp_path / "one")
    assert 2 < len(whole) < 18  # the rule stops while workers draw ahead of it
    (shared,) = run_points(points, tmp_path / "two", workers=Workers(2))
    (loose,) = run_points(points, None, workers=Workers(3))
    assert texts(shared) == texts(loose) == texts(whole)
    assert texts(read_store(tmp_path / "two").records) == texts(read_store(tmp_path / "one").records)
    assert multiprocessing.active_children() == []


def test_a_point_goes_on_where_it_was(tmp_path: Path) -> None:
    (begun,) = run_points(list(parse_study(TEXT, name="x").points()), tmp_path)
    more = list(parse_study(TEXT.replace("max: 2", "max: 5, ci95_halfwidth: 0.01 %"), name="x").points())
    (shared,) = run_points(more, tmp_path, workers=Workers(2))
    assert texts(shared[:2]) == texts(begun)
    assert [record["map_index"] for record in shared] == [0, 1, 2, 3, 4]
    assert read_store(tmp_path).repeated == 0
    assert texts(shared) == texts(run_points(more, None)[0])


def test_a_killed_worker_costs_a_map_that_is_drawn_again(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(NETWORK, encoding="utf-8")
    text = TEXT.replace("{name: digits-lenet}", "{factory: 'deadly:build', arguments: {deaths: 1}}")
    points = list(parse_study(text.replace("min: 2, max: 2", "min: 6, max: 6"), name="x", folder=tmp_path).points())
    (shared,) = run_points(points, tmp_path / "out", workers=Workers(2))
    assert len(list(tmp_path.glob("died-1-*"))) >= 1
    assert texts(shared) == texts(run_points(points, None)[0])


def test_workers_that_cannot_start_fail_the_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(tmp_path / "broken.py"), raising=False)
    (tmp_path / "broken.py").write_text("raise SystemExit(7)\n", encoding="utf-8")
    ((record,),) = run_points(list(parse_study(TEXT, name="x").points()), None, workers=Workers(2))
    assert record["map_index"] == -1
    assert "2 worker processes died at fault map 0; one ended with exit code 7. A script" in record["error"]
