"""A Dask cluster of separate processes over TCP, one worker killed on the way: the same records as one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from qtaml_hw.config import Point, Study, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.progress import silent
from qtaml_hw.records.fields import F
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import read_records
from qtaml_hw.study.run import cluster
from qtaml_hw.study.run.cluster import Turn
from qtaml_hw.study.run.engine import run_points
from qtaml_hw.study.run.jobqueue import BATCH_SYSTEMS, batch_cluster, job_script, local_cluster
from qtaml_hw.study.run.task import Results, Task, Workers, as_they_are
from tests import studies

TEXT = studies.text()

distributed = pytest.importorskip("distributed", reason="Dask is not installed (pip install 'qtaml-hw[cluster]')")
psutil = pytest.importorskip("psutil", reason="comes with Dask")
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
    return [json.dumps(dict(r), sort_keys=True) for r in records]


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
    asked: list[dict[str, object]] = []
    real = distributed.LocalCluster

    def here(**options: object) -> object:
        asked.append(options)
        return real(**{**options, "processes": False})

    monkeypatch.setattr(distributed, "LocalCluster", here)
    hopeless = small.with_({"refresh.interval": "20 ns"})
    points = [*small.with_({"evaluate.images": 20}).points(), *hopeless.points()]
    good, (failed,) = run_points(points, None, workers=Workers(2, "local"))
    (options,) = asked
    assert (options["n_workers"], options["threads_per_worker"], options["processes"]) == (2, 1, True)
    assert options["host"] == "127.0.0.1"
    assert [record["map_index"] for record in good] == [0, 1]
    assert failed["map_index"] == -1
    assert "refresh takes" in failed["error"]


class StandIn:
    """What a sweep asks of Dask, in this process: batches are done one at a time, whichever was asked for first."""

    def __init__(self, poison: str) -> None:
        self.poison, self.sizes, self.queue, self.most = poison, list[int](), list[Future](), 0
        self.plugins, self.address = {cluster.PLUGIN: self}, "tcp://here:1"
        self.lock, self.key = threading.Lock(), 0

    def nthreads(self) -> dict[str, int]:
        return {"tcp://here:1": 1, "tcp://there:1": 1}

    def submit(self, function: Callable[[list[Task]], Turn], tasks: list[Task], **_: object) -> Future:
        self.key += 1
        self.sizes.append(len(tasks))
        return Future(str(self.key), lambda: function(tasks), any(t.point.label == self.poison for t in tasks))

    def as_completed(self) -> StandIn:
        return self

    def add(self, future: Future) -> None:
        self.queue.append(future)
        self.most = max(self.most, len(self.queue))

    def __iter__(self) -> Iterator[Future]:
        while self.queue:
            yield self.queue.pop(0)

    def get_worker(self) -> StandIn:
        return self

    def point(self, task: Task) -> StandIn:
        self.identity = task.identity
        return self

    def record(self, index: int) -> Record:
        scores = {F.score: 0.9, F.flips_raw: 1, F.flips_parity: 0}
        return Record({F.identity: self.identity, F.map_index: index, **scores})


@dataclass(frozen=True)
class Future:
    """One batch; ``lost`` : every worker that takes it dies."""

    key: str
    result: Callable[[], Turn]
    lost: bool

    def exception(self) -> Exception | None:
        return ConnectionError("a worker died") if self.lost else None


def test_a_long_sweep_is_given_out_in_few_batches(small: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    place = StandIn("point 700")
    monkeypatch.setattr(cluster, "dask_package", lambda: place)
    monkeypatch.setattr(cluster, "TURN_S", 1e6)
    points = [Point(f"point {number}", {}, small) for number in range(2000)]
    tasks = [Task(number, point, f"{number:032x}") for number, point in enumerate(points)]
    kept: list[Record] = []
    results = Results(as_they_are)
    cluster.Sweep(place, len(tasks), kept.append, silent, results, deque(tasks)).drive()
    assert place.most <= cluster.AHEAD * 2 + cluster.MOST_POINTS  # a batch that was lost is asked for point by point
    assert sum(place.sizes) == len(tasks) + cluster.MOST_POINTS
    assert place.sizes[4] == max(place.sizes) == cluster.MOST_POINTS
    assert sum(size > 1 for size in place.sizes) <= 60
    (failed,) = results.made.pop(700)
    assert "gave this point up" in failed[F.error]
    for number, records in results.made.items():
        assert [record.key for record in records] == [(f"{number:032x}", index) for index in range(len(records))]
        assert len(records) == small.evaluate.maps.max
    assert len(kept) == 1 + 1999 * small.evaluate.maps.max


def test_a_turn_ends_in_time_and_its_point_goes_on(small: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    place = StandIn("none")
    monkeypatch.setattr(cluster, "dask_package", lambda: place)
    monkeypatch.setattr(cluster, "TURN_S", 0.0)
    tasks = [Task(number, Point(f"{number}", {}, small), f"{number:032x}") for number in range(3)]
    turn = cluster.evaluate_turn(tasks)
    assert [len(records) for records, why in turn.drawn if not why] == [1, 0, 0]
    results = Results(as_they_are)
    cluster.Sweep(place, 3, lambda _: None, silent, results, deque(tasks)).drive()
    assert [len(results.made[number]) for number in range(3)] == [small.evaluate.maps.max] * 3


@pytest.mark.parametrize(("text", "expected"), [("slrm", "is no cluster"), ("tcp://", "is no cluster")])
def test_what_is_no_cluster(small: Study, text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        run_points(list(small.points()), None, workers=Workers(1, text))


def test_a_scheduler_that_is_not_there(small: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qtaml_hw.study.run.cluster.PATIENCE_S", 0.5)
    with pytest.raises(InputError, match="no Dask scheduler answers at tcp:"):
        run_points(list(small.points()), None, workers=Workers(1, "tcp://127.0.0.1:9"))


def listening() -> set[tuple[str, int]]:
    """Where this process and its children wait for connections."""
    here = psutil.Process()
    found = [one for process in (here, *here.children(recursive=True)) for one in process.net_connections("tcp")]
    return {(one.laddr.ip, one.laddr.port) for one in found if one.status == psutil.CONN_LISTEN}


def refused(address: str) -> None:
    """Nobody without the cluster's own certificates is let in: in plain TCP, or with certificates of one's own."""
    place = address.partition("://")[2]
    for security, scheme in ((None, "tcp"), (distributed.Security.temporary(), "tls")):
        with pytest.raises(OSError, match=r"Timed out|SSL|certificate|closed"):
            distributed.Client(f"{scheme}://{place}", security=security, timeout=2)


def test_nobody_else_connects_to_a_local_cluster() -> None:
    before = listening()
    with local_cluster(1) as cluster, distributed.Client(cluster) as client:
        client.wait_for_workers(1, timeout=60)
        assert client.submit(sum, [1, 2]).result() == 3
        assert {ip for ip, _ in listening() - before} == {"127.0.0.1"}
        refused(cluster.scheduler_address)
        refused(next(iter(client.scheduler_info()["workers"])))


def test_a_batch_cluster_listens_with_certificates_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its jobs are taken by a stand-in of ``sbatch`` that runs them here: their workers join, nobody else does."""
    monkeypatch.setenv("QTAML_HW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name, text in {
        "sbatch": f'cp "$1" {tmp_path}/job.sh; nohup bash {tmp_path}/job.sh >{tmp_path}/log 2>&1 & echo "job $!"',
        "scancel": 'kill "$1"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    before = listening()
    with batch_cluster("slurm") as cluster:
        added = listening() - before
        open_to_all = [port for ip, port in added if ip != "127.0.0.1"]
        assert set(open_to_all) == {int(cluster.scheduler_address.rpartition(":")[2])}
        (folder,) = (tmp_path / "cache").glob("cluster-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
        cluster.scale(jobs=1)
        with distributed.Client(cluster) as client:
            client.wait_for_workers(1, timeout=60)
            assert client.submit(sum, [1, 2]).result() == 3
            refused(cluster.scheduler_address)
    assert not list((tmp_path / "cache").iterdir())


MARKS = {"slurm": "#SBATCH -t 08:00:00", "lsf": "#BSUB -W 08:00", "sge": "#$ -l h_rt=08:00:00", "pbs": "#PBS -l select"}


@pytest.mark.parametrize("kind", BATCH_SYSTEMS)
def test_job_scripts(kind: str) -> None:
    before = listening()
    script = job_script(kind, 12)
    assert script.startswith("# submitted 12 times")
    assert MARKS[kind] in script
    assert "distributed.cli.dask_worker tls://SCHEDULER:8786" in script
    assert "--tls-key KEY.pem" in script
    assert "--no-dashboard" in script
    assert not listening() - before


def test_a_site_keeps_its_own_settings() -> None:
    import dask

    with dask.config.set({"jobqueue.slurm.walltime": "2-00", "jobqueue.slurm.queue": "long"}):
        script = job_script("slurm", 1)
    assert "-t 2-00" in script
    assert "-p long" in script


def test_a_running_cluster_has_no_job_script() -> None:
    with pytest.raises(InputError, match="--dry-run shows the job script of slurm, lsf, sge, pbs"):
        job_script("tcp://host:1", 1)
