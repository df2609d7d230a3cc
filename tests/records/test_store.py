"""The store: torn lines, several writers, full disks; nothing finished is lost, nothing counted twice."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qtaml_hw.errors import StoreError
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import READABLE, ShardWriter, read_records, read_shard


def line(identity: str, index: int, **more: object) -> Record:
    return Record.read({"identity": identity, "map_index": index, **more})


def test_what_is_appended_is_read_back_sorted(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as one, ShardWriter(tmp_path) as two:
        one.append(line("b", 1, correct=3))
        two.append(line("a", 0, correct=1))
        one.append(line("b", 0, correct=2))
    assert [(r["identity"], r["map_index"], r["correct"]) for r in read_records(tmp_path)] == [
        ("a", 0, 1),
        ("b", 0, 2),
        ("b", 1, 3),
    ]


def test_a_record_in_two_shards_counts_once(tmp_path: Path) -> None:
    for _ in range(2):
        with ShardWriter(tmp_path) as writer:
            writer.append(line("a", 0))
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    assert len(read_records(tmp_path)) == 1


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_last_line_is_dropped_and_the_rest_kept(tmp_path: Path, cut: int) -> None:
    with ShardWriter(tmp_path) as writer:
        writer.append(line("a", 0))
        writer.append(line("a", 1))
    (shard,) = tmp_path.glob("*.jsonl")
    os.truncate(shard, shard.stat().st_size - cut)
    assert [r["map_index"] for r in read_records(tmp_path)] == [0]


def test_garbage_between_lines_costs_only_itself(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer:
        writer.append(line("a", 0))
    (shard,) = tmp_path.glob("*.jsonl")
    shard.write_bytes(b'\xff\xfe{"x"\n[1,2]\n{"identity": "q"}\n' + shard.read_bytes())
    assert [r["identity"] for r in read_records(tmp_path)] == ["a"]


def test_a_failed_point_disappears_once_it_has_succeeded(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer:
        writer.append(line("a", -1, error="x"))
        writer.append(line("b", -1, error="y"))
        writer.append(line("a", 0))
    assert [(r["identity"], r["map_index"]) for r in read_records(tmp_path)] == [("a", 0), ("b", -1)]


def test_an_unused_shard_leaves_no_file(tmp_path: Path) -> None:
    with ShardWriter(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".qtaml-hw"]


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    blocked = tmp_path / "out"
    blocked.write_text("")
    with pytest.raises(StoreError, match="cannot write results to"), ShardWriter(blocked):
        pass


def test_a_full_disk_keeps_what_was_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    with ShardWriter(tmp_path) as writer:
        writer.append(line("a", 0))

        def full(handle: int, data: bytes) -> int:
            real(handle, bytes(data)[:7])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(StoreError, match="No space left on device; finished maps are kept"):
            writer.append(line("a", 1))
        monkeypatch.setattr(os, "write", real)
        writer.append(line("a", 2))
    assert [r["map_index"] for r in read_records(tmp_path)] == [0, 2]


def test_what_is_dropped_is_said_with_its_place(tmp_path: Path) -> None:
    good = json.dumps({"schema": 2, "identity": "a", "map_index": 0})
    lines = (good, "{torn", "[1]", "", '{"schema": 3, "identity": "a", "map_index": 1}', '{"schema": 1}', good[:9])
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    records, dropped = read_shard(path)
    assert [r["map_index"] for r in records] == [0]
    assert [str(one) for one in dropped] == [
        "a.jsonl:2: no whole record: torn by a crash, or damaged",
        "a.jsonl:3: not a record",
        "a.jsonl:5: schema version 3, not 2",
        "a.jsonl:6: without identity or map_index",
        "a.jsonl:7: the line was never finished",
    ]


LEAF = st.none() | st.integers(0, 2) | st.sampled_from(['x,"map_index":1', "}", '"', "map_index"])
KEYS = st.sampled_from(["map_index", "identity", "schema", "a", 'q,"map_index":'])
VALUE = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3))
PAIRS = st.lists(st.tuples(KEYS, VALUE), max_size=6)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(objects=st.lists(PAIRS, min_size=1, max_size=4), cut=st.integers(0, 3))
def test_reading_facts_once_is_reading_every_line_whole(
    tmp_path: Path, objects: list[list[tuple[str, Any]]], cut: int
) -> None:
    """Whatever is nested in a line, and whatever is written twice in it, it means what JSON says it means."""
    bodies = [
        ",".join(f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in pairs) for pairs in objects
    ]
    lines = [f'{{"schema":1,"identity":"i{body and ","}{body},"map_index":{n}}}'[cut:] for n, body in enumerate(bodies)]
    lines += [f'{{"schema":1,"identity":"i"{body and ","}{body},"map_index":{n}}}' for n, body in enumerate(bodies * 2)]
    (tmp_path / "a.jsonl").write_text("\n".join([*lines, ""]), encoding="utf-8")
    whole = []
    for line in lines:
        try:
            whole.append(json.loads(line))
        except ValueError:
            continue
    expected = [{k: v for k, v in w.items() if k != "schema"} for w in whole if w["schema"] in READABLE]
    expected = [w for w in expected if isinstance(w["identity"], str) and isinstance(w["map_index"], int)]
    assert read_shard(tmp_path / "a.jsonl")[0] == expected
