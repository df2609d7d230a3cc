"""The store: torn lines, several writers, full disks; nothing finished is lost, nothing counted twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qtaml_hw.study.store import ShardWriter, StoreError, read_records


def line(identity: str, index: int, **more: object) -> dict[str, object]:
    return {"identity": identity, "map_index": index, **more}


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
    assert list(tmp_path.iterdir()) == []


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
