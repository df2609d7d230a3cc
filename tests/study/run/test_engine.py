"""One worker, two workers, killed and continued: the same records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.config import parse_study
from qtaml_hw.records.fields import NEEDED, F
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import ShardWriter, read_records
from qtaml_hw.records.summary import finished_maps
from qtaml_hw.study.design.networks.identity import Digests, stamps
from qtaml_hw.study.run.engine import run_points
from qtaml_hw.study.run.task import MapSeries, settled
from tests import studies

TEXT = studies.text()

SWEEP = TEXT + "sweep: {grid: {cell.t_ox: [1.7 nm, 1.75 nm, 1.8 nm, 1.85 nm, 1.9 nm, 2.0 nm]}}\n"
CODE = """
import sys
from pathlib import Path
from qtaml_hw.config import load_study
from qtaml_hw.study.run.engine import run_points
from qtaml_hw.study.run.task import Workers
run_points(list(load_study(sys.argv[1]).points()), Path(sys.argv[2]), workers=Workers(int(sys.argv[3])))
"""
COMMAND = [sys.executable, "-c", CODE]


def records(folder: Path) -> list[str]:
    return [json.dumps(dict(r), sort_keys=True) for r in read_records(folder)]


def test_workers_and_kills_change_nothing(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(SWEEP, encoding="utf-8")
    whole = tmp_path / "whole"
    subprocess.run([*COMMAND, str(file), str(whole), "1"], check=True, capture_output=True, timeout=300)
    assert len(records(whole)) == 12

    broken = tmp_path / "broken"
    command = [*COMMAND, str(file), str(broken), "2"]
    victim = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and len(records(broken) if broken.exists() else []) < 3:
        time.sleep(0.05)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    kept = records(broken)
    assert len(kept) >= 3
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    assert set(kept) <= set(records(broken))
    assert records(broken) == records(whole)


def test_a_finished_sweep_is_read_not_run(tmp_path: Path) -> None:
    study = parse_study(TEXT, name="x")
    points = list(study.points())
    first = run_points(points, tmp_path)
    code = f"""
import json, sys
from pathlib import Path
from qtaml_hw.config import parse_study
from qtaml_hw.study.run.engine import run_points
records = run_points(list(parse_study({TEXT!r}, name="x").points()), Path({str(tmp_path)!r}))
found = [[dict(record) for record in group] for group in records]
print(json.dumps([found, [m for m in ("torch", "numba", "sklearn", "matplotlib") if m in sys.modules]]))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120, text=True)
    assert json.loads(done.stdout) == [[[dict(record) for record in group] for group in first], []]


def test_a_changed_file_is_not_believed(tmp_path: Path) -> None:
    study, weights = parse_study(TEXT, name="x"), tmp_path / "weights"
    weights.write_bytes(b"1")
    book = Digests(tmp_path)
    book.keep(study, "digest", stamps([weights]))
    assert Digests(tmp_path).find(study) == "digest"
    weights.write_bytes(b"22")
    assert Digests(tmp_path).find(study) is None
    assert Digests(tmp_path).find(study.with_({"network.name": "digits-mlp"})) is None
    book.keep(study, "own code", None)
    assert book.find(study) == "own code"
    for damaged in (b"", b"[]", b'{"a": 3}', b"\xff"):
        (tmp_path / "digests.json").write_bytes(damaged)
        assert Digests(tmp_path).find(study) is None


def test_a_gap_in_the_maps_settles_nothing() -> None:
    study = parse_study(TEXT, name="x")
    record = Record({F.score: 0.5})
    assert settled(study, {0: record, 1: record, 2: record}) == [record, record]
    assert settled(study, {0: record}) is None
    assert settled(study, {0: record, 2: record}) is None


@given(accuracies=st.lists(st.floats(0.0, 1.0), min_size=12, max_size=12), order=st.permutations(range(12)))
def test_maps_in_any_order_end_with_the_records_of_a_whole_run(accuracies: list[float], order: list[int]) -> None:
    study = parse_study(TEXT.replace("min: 2, max: 2", "min: 3, max: 12, ci95_halfwidth: 20 %"), name="x")
    maps = {index: Record({F.map_index: index, F.score: accuracy}) for index, accuracy in enumerate(accuracies)}
    whole = settled(study, maps)
    assert whole is not None
    assert 3 <= len(whole) <= 12
    series = MapSeries(study.evaluate.maps, {})
    for index in order:
        wanted = series.next_map()
        if wanted is None:
            break
        assert wanted == next(i for i in range(13) if i not in series.done)
        series.done[index] = maps[index]
    assert series.next_map() is None
    assert series.records == whole == list(maps.values())[: len(whole)]


def test_failures_are_tried_again(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer:
        writer.append(Record({F.identity: "a", F.map_index: -1, F.error: "x"}))
        writer.append(Record(dict.fromkeys(NEEDED, 0), {F.identity: "a", F.score_series: [[1e-3, 0.0]]}))
    found = finished_maps(read_records(tmp_path))
    assert list(found) == ["a"]
    assert list(found["a"]) == [0]


def test_one_bad_point_does_not_stop_the_others(tmp_path: Path) -> None:
    text = TEXT + "sweep: {grid: {refresh.interval: [20 ns, 10 us]}}\n"
    results = run_points(list(parse_study(text, name="x").points()), tmp_path)
    assert [r[0]["map_index"] for r in results] == [-1, 0]
    assert len(results[1]) == 2
