"""Worker processes that die: killed once, their point is done by another; killed again, it is recorded as failed."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

import pytest

from qtaml_hw.config import parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.records.store import read_store
from qtaml_hw.study.run.children import end_in_words
from qtaml_hw.study.run.engine import run_points
from qtaml_hw.study.run.task import Workers
from tests import studies

TEXT = studies.text()

NETWORK = '''
import multiprocessing, os, signal
from pathlib import Path
import torch

MARK = Path(__file__).parent

class Deadly(torch.nn.Module):
    """Kills its worker process in the third forward pass, as the system does when memory runs out."""

    def __init__(self, deaths):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        self.deaths, self.passes = deaths, 0

    def forward(self, x):
        self.passes += 1
        died = len(list(MARK.glob(f"died-{self.deaths}-*")))
        if multiprocessing.parent_process() is not None and died < self.deaths and self.passes > 4:
            (MARK / f"died-{self.deaths}-{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.body(x)

def build(deaths=0):
    torch.manual_seed(0)
    return Deadly(deaths)
'''
CASES = "sweep: {cases: [" + ", ".join(f"{{label: d{n}, network.arguments: {{deaths: {n}}}}}" for n in (0, 1, 2)) + "]}"
STUDY = TEXT.replace("{name: digits-lenet}", "{factory: 'deadly:build'}").replace("min: 2, max: 2", "min: 4, max: 4")


def test_a_killed_worker_costs_nothing_and_a_deadly_point_only_itself(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(NETWORK, encoding="utf-8")
    study = parse_study(STUDY + CASES, name="x", folder=tmp_path)
    points = list(study.points())
    whole = run_points(points[:2], None)
    out = tmp_path / "out"
    killed = run_points(points, out, workers=Workers(2))
    assert len(list(tmp_path.glob("died-1-*"))) == 1
    assert len(list(tmp_path.glob("died-2-*"))) == 2
    for group, expected in zip(killed, whole, strict=False):
        assert list(map(dict, group)) == list(map(dict, expected))
    (record,) = killed[2]
    assert record["map_index"] == -1
    assert record["error"] == (
        "2 worker processes died at this point; one was killed by SIGKILL (the system does so when memory runs out)"
    )
    content = read_store(out)
    assert (len(content.records), content.repeated, content.dropped) == (4 + 4 + 1 + len(_kept(out)), 0, [])
    again = run_points(points, out, workers=Workers(2))
    assert [len(group) for group in again] == [4, 4, 4]


FROZEN = """
import multiprocessing, os, signal
import torch

class Freezing(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.passes = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)), 0

    def forward(self, x):
        self.passes += 1
        if multiprocessing.parent_process() is not None and self.passes > 4:
            os.kill(os.getpid(), signal.SIGSTOP)
        return self.body(x)

def build():
    torch.manual_seed(0)
    return Freezing()
"""


def test_a_frozen_worker_is_named_and_does_not_outlive_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Ctrl-C does meanwhile: the sweep ends although a stopped process hears no SIGTERM."""
    (tmp_path / "freezing.py").write_text(FROZEN, encoding="utf-8")
    text = TEXT.replace("{name: digits-lenet}", "{factory: 'freezing:build'}").replace(
        "min: 2, max: 2", "min: 4, max: 4"
    )
    study = parse_study(text + "sweep: {cases: [{label: a}, {label: b, cell.t_ox: 1.7 nm}]}", name="x", folder=tmp_path)
    monkeypatch.setattr("qtaml_hw.study.run.processes.PATIENCE_S", 2.0)
    monkeypatch.setattr("qtaml_hw.study.run.children.FAREWELL_S", 0.5)
    said = []

    def progress(done: int, total: int, what: str) -> None:
        if "min in process" in what:
            said.append(what)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_points(list(study.points()), tmp_path / "out", workers=Workers(2), progress=progress)
    assert said[0].split(": ")[1] in ("a", "b")
    assert multiprocessing.active_children() == []


def _kept(folder: Path) -> list[int]:
    """Maps of the deadly point that were finished before its workers died: a failure hides behind them."""
    records = read_store(folder).records
    failed = {r["identity"] for r in records if r["map_index"] < 0}
    return [r["map_index"] for r in records if r["identity"] in failed and r["map_index"] >= 0]


def test_workers_that_cannot_start_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = parse_study(TEXT + "sweep: {grid: {cell.t_ox: [1.8 nm, 1.9 nm]}}\n", name="x")
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(tmp_path / "broken.py"), raising=False)
    (tmp_path / "broken.py").write_text("raise SystemExit(7)\n", encoding="utf-8")
    with pytest.raises(InputError, match="ended with exit code 7 before it had begun"):
        run_points(list(study.points()), tmp_path / "out", workers=Workers(2))


def test_ends_in_words() -> None:
    assert end_in_words(3) == "ended with exit code 3"
    assert end_in_words(-15) == "was killed by SIGTERM"
