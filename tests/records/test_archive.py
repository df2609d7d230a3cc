"""Stores counted, merged and exported; damaged and hostile ones read without surprise."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qtaml_hw.errors import StoreError
from qtaml_hw.records.archive import export_store, merge_stores, store_status
from qtaml_hw.records.fields import F
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import ShardWriter, read_records
from qtaml_hw.records.summary import finished_maps


def line(identity: str, index: int, **more: object) -> Record:
    return Record.read({"identity": identity, "map_index": index, "study": "s", **more})


def fill(folder: Path, *records: Record) -> Path:
    with ShardWriter(folder) as writer:
        for record in records:
            writer.append(record)
    return folder


def test_status_counts_once_what_is_there_twice(tmp_path: Path) -> None:
    fill(tmp_path, line("a", 0), line("a", 1), line("b", -1, error="too hot", label="hot"))
    fill(tmp_path, line("a", 0), line("c", 0))
    (tmp_path / "x.jsonl").write_bytes(b'{"identity": "q", "map_in')
    found = store_status(tmp_path)
    assert (found.points, found.failed, found.maps, found.shards, found.repeated, found.torn) == (2, 1, 3, 3, 1, 1)
    assert found.failures == ("hot: too hot",)
    assert found.dropped == ("x.jsonl:1: the line was never finished",)
    assert json.loads(json.dumps(found.as_dict()))["studies"] == ["s"]


def test_merge_adds_what_is_missing_and_only_once(tmp_path: Path) -> None:
    one = fill(tmp_path / "1", line("a", 0, correct=5), line("b", -1, error="x"))
    two = fill(tmp_path / "2", line("a", 0, correct=6), line("b", 0, correct=1), line("c", 0))
    out = tmp_path / "out"
    assert merge_stores([one, two], out) == {"out": str(out), "records": 4, "added": 4, "differing": 1}
    assert [(r["identity"], r["map_index"]) for r in read_records(out)] == [("a", 0), ("b", 0), ("c", 0)]
    assert merge_stores([one, two], out)["added"] == 1  # the failure, which the finished map had hidden
    assert [r.get("correct") for r in read_records(out)] == [5, 1, None]


def test_export_has_a_row_per_map_and_a_column_per_axis(tmp_path: Path) -> None:
    axes = {"axes_si": {"cell.t_ox": 1.5e-9}, "axes": {"cell.t_ox": "1.5 nm"}}
    fill(tmp_path, line("a", 0, score=0.5, **axes), line("a", 1, score=1, **axes), line("b", -1, error="x"))
    points, maps = export_store(tmp_path, tmp_path / "out")
    rows = list(csv.DictReader(maps.open(encoding="utf-8")))
    assert [row[F.score] for row in rows] == ["0.5", "1"]
    assert {float(row["axis cell.t_ox"]) for row in rows} == {1.5e-9}
    assert json.loads(rows[0]["axes"]) == {"cell.t_ox": "1.5 nm"}
    assert [row["error"] for row in csv.DictReader(points.open(encoding="utf-8"))] == ["", "x"]
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    _, maps = export_store(tmp_path, tmp_path / "out", "parquet")
    table = parquet.read_table(maps).to_pydict()
    assert table[F.score] == [0.5, 1.0]
    assert table["axis cell.t_ox"] == [1.5e-9, 1.5e-9]


def test_no_store_is_said(tmp_path: Path) -> None:
    for call in (store_status, export_store):
        with pytest.raises(StoreError, match="there is no store at"):
            call(tmp_path / "none")
        with pytest.raises(StoreError, match="holds no records"):
            call(tmp_path)


def test_two_processes_write_one_store_at_once(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import ShardWriter
with ShardWriter(Path(sys.argv[1])) as writer:
    for i in range(300):
        writer.append(Record.read({"identity": "a" * 32, "map_index": i, "padding": "x" * 2000}))
"""
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [p.wait(60) for p in both] == [0, 0]
    found = store_status(tmp_path)
    assert (found.maps, found.repeated, found.torn, found.shards) == (300, 300, 0, 2)


def test_clocks_that_jump_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ShardWriter(tmp_path) as writer:
        for index, now in enumerate((1e9, 0.0, -1e9, 2e9)):
            monkeypatch.setattr(time, "time", lambda now=now: now)
            writer.append(line("a", index))
    for path in tmp_path.glob("*.jsonl"):
        os.utime(path, (0, 0))
    assert [r["map_index"] for r in read_records(tmp_path)] == [0, 1, 2, 3]


def test_a_disk_that_fails_to_sync_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StoreError, match="Input/output error; finished maps are kept"):
        fill(tmp_path, line("a", 0))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
AXES = ("axes", "axes_si")
WRITTEN = json.dumps({"schema": 1, **line("a", 0, accuracy=0.5, correct=1, axes={"cell.t_ox": "1 nm"})})
MUTATED = st.builds(
    lambda names, values: json.dumps({**json.loads(WRITTEN), **dict(zip(names, values, strict=False))}),
    st.lists(
        st.sampled_from(["schema", "identity", "map_index", "accuracy", "score", "correct", "axes", "axes_si", "study"])
    ),
    st.lists(JSON, max_size=4),
)
LINE = st.one_of(st.binary(max_size=60), JSON.map(lambda v: json.dumps(v).encode()), MUTATED.map(str.encode))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINE, max_size=5), cut=st.integers(0, 40))
def test_any_bytes_are_a_store(tmp_path: Path, lines: list[bytes], cut: int) -> None:
    data = b"\n".join([*lines, WRITTEN.encode(), b""])
    (tmp_path / "a.jsonl").write_bytes(data)
    (tmp_path / "b.jsonl").write_bytes(data[: max(0, len(data) - cut)])
    assert ("a", 0) in {(r["identity"], r["map_index"]) for r in read_records(tmp_path)}
    for act in (store_status, export_store):
        act(tmp_path)
    for maps in finished_maps(read_records(tmp_path)).values():
        assert all(0 <= r[F.score] <= 1 for r in maps.values())


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 50_000])
def test_a_line_nested_without_end(tmp_path: Path, deep: bytes) -> None:
    fill(tmp_path, line("a", 0))
    (tmp_path / "deep.jsonl").write_bytes(deep + b"\n")
    assert len(read_records(tmp_path)) == 1
    assert store_status(tmp_path).torn == 1
