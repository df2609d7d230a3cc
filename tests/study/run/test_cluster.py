"""A Dask cluster of separate processes over TCP, one worker killed on the way: the same records as one process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qtaml_hw.config import Study, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import read_records
from qtaml_hw.study.run.engine import run_points
from qtaml_hw.study.run.jobqueue import BATCH_SYSTEMS, job_script
from qtaml_hw.study.run.task import Workers
from tests.study.conftest import TEXT

pytest.importorskip("distributed", reason="Dask is not installed (pip install 'qtaml-hw[cluster]')")
pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed (pip install 'qtaml-hw[cluster]')")
SWEEP = (
    TEXT.replace("max: 2", "max: 3").replace("digits-lenet", "digits-mlp")
    + "sweep: {grid: {cell.t_ox: [1.7 nm, 1.8 nm, 1.9 nm, 2.0 nm]}}\n"
)


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def start(started: list[subprocess.Popen[bytes]], *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", *arguments]
    started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    return started[-1]


def scheduler(started: list[subprocess.Popen[bytes]], folder: Path) -> str:
    file = folder / "scheduler.json"
    options = ("--port", "0", "--no-dashboard", "--no-show", "--host", "127.0.0.1", "--scheduler-file", str(file))
    start(started, "distributed.cli.dask_scheduler", *options)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            return str(json.loads(file.read_text())["address"])
        except (OSError, ValueError):
            time.sleep(0.05)
    raise AssertionError("no scheduler")


def plain(records: list[Record]) -> list[str]:
    return [json.dumps(r, sort_keys=True) for r in records]


def test_a_cluster_with_a_killed_worker_gives_the_same_records(
    tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    address = scheduler(processes, tmp_path)
    workers = [
        start(processes, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        for _ in range(2)
    ]
    points = list(parse_study(SWEEP, name="x").points())
    whole = [record for group in run_points(points, None) for record in group]
    killed = []

    def progress(done: int, total: int, what: str) -> None:
        if done == 1 and not killed:
            workers[0].kill()
            killed.append(what)

    results = run_points(points, tmp_path / "out", workers=Workers(1, address), progress=progress)
    assert killed
    assert [r for group in results for r in group] == whole
    assert sorted(plain(read_records(tmp_path / "out"))) == sorted(plain(whole))
    assert len(list((tmp_path / "out").glob("*.jsonl"))) == 1


def test_a_failure_on_a_local_cluster_is_recorded(small: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster that ``--cluster local`` asks for, its worker in this process: separate ones are tested above."""
    import distributed

    asked: list[dict[str, object]] = []
    real = distributed.LocalCluster

    def here(**options: object) -> object:
        asked.append(options)
        return real(**{**options, "processes": False})

    monkeypatch.setattr(distributed, "LocalCluster", here)
    hopeless = small.with_({"refresh.interval": "20 ns"})
    points = [*small.with_({"evaluate.images": 20}).points(), *hopeless.points()]
    good, (failed,) = run_points(points, None, workers=Workers(2, "local"))
    assert asked == [{"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}]
    assert [record["map_index"] for record in good] == [0, 1]
    assert failed["map_index"] == -1
    assert "refresh takes" in failed["error"]


@pytest.mark.parametrize(("text", "expected"), [("slrm", "is no cluster"), ("tcp://", "is no cluster")])
def test_what_is_no_cluster(small: Study, text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        run_points(list(small.points()), None, workers=Workers(1, text))


def test_a_scheduler_that_is_not_there(small: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qtaml_hw.study.run.cluster.PATIENCE_S", 0.5)
    with pytest.raises(InputError, match="no Dask scheduler answers at tcp:"):
        run_points(list(small.points()), None, workers=Workers(1, "tcp://127.0.0.1:9"))


MARKS = {"slurm": "#SBATCH -t 08:00:00", "lsf": "#BSUB -W 08:00", "sge": "#$ -l h_rt=08:00:00", "pbs": "#PBS -l select"}


@pytest.mark.parametrize("kind", BATCH_SYSTEMS)
def test_job_scripts(kind: str) -> None:
    script = job_script(kind, 12)
    assert script.startswith("# submitted 12 times")
    assert MARKS[kind] in script
    assert "distributed.cli.dask_worker tcp://" in script


def test_a_site_keeps_its_own_settings() -> None:
    import dask

    with dask.config.set({"jobqueue.slurm.walltime": "2-00", "jobqueue.slurm.queue": "long"}):
        script = job_script("slurm", 1)
    assert "-t 2-00" in script
    assert "-p long" in script


def test_a_running_cluster_has_no_job_script() -> None:
    with pytest.raises(InputError, match="--dry-run shows the job script of slurm, lsf, sge, pbs"):
        job_script("tcp://host:1", 1)
