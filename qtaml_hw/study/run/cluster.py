"""Points on a Dask cluster: workers compute fault maps, this process keeps the records.

Workers hold nothing that matters: one that dies costs the maps it was at, which Dask gives to another.  A worker checks
that its network is the one this process knows, bit for bit, before it computes anything for it.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from qtaml_hw.config import Point
from qtaml_hw.errors import InputError
from qtaml_hw.progress import Progress
from qtaml_hw.records.store import Record
from qtaml_hw.study.design.identity import identity_of
from qtaml_hw.study.design.networks import Networks
from qtaml_hw.study.run.engine import Workers, settled
from qtaml_hw.study.run.jobqueue import BATCH_SYSTEMS, batch_cluster
from qtaml_hw.study.run.task import Emit, PreparedPoint, Task, failure, prepare_point, reason

BENCH = "qtaml_hw"
KEPT_POINTS = 4  # prepared points that a worker remembers
PATIENCE_S = 30.0


@dataclass(eq=False)
class Bench:
    """What a worker process keeps between maps; one map at a time, since torch's settings belong to the process."""

    name: str = BENCH

    def setup(self, worker: Any) -> None:
        """Called by Dask on the worker."""
        self.lock, self.networks = threading.Lock(), Networks()
        self.points: dict[str, PreparedPoint] = {}

    def teardown(self, worker: Any) -> None:
        """Called by Dask on the worker."""

    def point(self, task: Batch) -> PreparedPoint:
        """The prepared point of a batch.

        Raises InputError when the worker's network is another one.
        """
        found = self.points.get(task.identity)
        if found is None:
            study = task.point.study
            mine = identity_of(study, self.networks.load(study).digest)
            if mine != task.identity:
                raise InputError(
                    f"the worker on {os.uname().nodename} has another network {study.network.name} than the client: "
                    "let QTAML_HW_CACHE point to one shared folder on all machines"
                )
            found = prepare_point(task.point, task.number, self.networks)
            self.points = dict([*self.points.items(), (task.identity, found)][-KEPT_POINTS:])
        return found


@dataclass(frozen=True, eq=False)
class Batch:
    """Fault maps of one point, for one worker."""

    number: int
    point: Point
    identity: str
    maps: tuple[int, ...]


def evaluate_batch(batch: Batch) -> list[Record] | str:
    """On a worker: the records of a batch, or in words why there are none."""
    from qtaml_hw._threads import single_thread

    bench: Bench = _dask().get_worker().plugins[BENCH]
    try:
        with bench.lock, single_thread():
            design = bench.point(batch)
            return [design.record(index) for index in batch.maps]
    except Exception as error:  # a point's failure is its record; the client keeps it
        return reason(error)


@dataclass(eq=False)
class _Progressing:
    """A point on its way: what is there, and what to ask for next."""

    task: Task
    done: dict[int, Record] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.done.update(self.task.done)

    def next_batch(self) -> Batch:
        """Maps that the stopping rule will need: up to the least count, then half as many again as there are."""
        maps = self.task.point.study.evaluate.maps
        there = next(i for i in range(maps.max + 1) if i not in self.done)
        wanted = min(maps.max, max(maps.min, there + (there + 1) // 2))
        missing = tuple(i for i in range(there, wanted) if i not in self.done)
        return Batch(self.task.number, self.task.point, self.task.identity, missing)

    def take(self, records: list[Record], emit: Emit) -> list[Record] | None:
        """Keep what the stopping rule uses, map after map; all records once it is satisfied."""
        fresh = {int(r["map_index"]): r for r in records}
        for index in sorted(fresh):
            if settled(self.task.point.study, self.done) is not None:
                break  # asked for in vain: a whole run would not have drawn these
            self.done[index] = fresh[index]
            emit(fresh[index])
        return settled(self.task.point.study, self.done)


def on_cluster(tasks: list[Task], workers: Workers, emit: Emit, progress: Progress) -> dict[int, list[Record]]:
    """Records of every task by its number.

    Raises InputError when the cluster cannot be reached or started, or Dask is not installed.
    """
    with _client(workers, progress) as client:
        return _drive(client, tasks, emit, progress)


def _drive(client: Any, tasks: list[Task], emit: Emit, progress: Progress) -> dict[int, list[Record]]:
    results: dict[int, list[Record]] = {}
    going = [_Progressing(task) for task in tasks]

    def submit(one: _Progressing) -> Any:
        future = client.submit(evaluate_batch, one.next_batch(), pure=False, priority=-one.task.number)
        owner[future.key] = one
        return future

    owner: dict[str, _Progressing] = {}
    running = _dask().as_completed([submit(one) for one in going])
    for future in running:
        one = owner.pop(future.key)
        answer = _answer(future)
        if isinstance(answer, str):
            record = failure(one.task, InputError(answer))
            emit(record)
            results[one.task.number] = [record]
        else:
            records = one.take(answer, emit)
            if records is None:
                running.add(submit(one))
                continue
            results[one.task.number] = records
        progress(len(results), len(tasks), one.task.point.label)
    return results


def _answer(future: Any) -> list[Record] | str:
    error = future.exception()
    if error is not None:  # workers died under it again and again, or could not read it
        return f"the cluster gave this point up: {reason(error)}"
    answer: list[Record] | str = future.result()
    return answer


@contextmanager
def _client(workers: Workers, progress: Progress) -> Iterator[Any]:
    """A Dask client with our bench on every worker, now and later."""
    kind = str(workers.cluster)
    dask = _dask()
    if kind == "local":
        options = {"n_workers": workers.jobs, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
        place: Any = dask.LocalCluster(**options)
    elif kind in BATCH_SYSTEMS:
        place = batch_cluster(kind)
        place.scale(jobs=workers.jobs)
    else:
        place = _address(kind)
    progress(0, 0, f"waiting for workers: {kind}")
    try:
        client = dask.Client(place, timeout=PATIENCE_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(f"no Dask scheduler answers at {kind}: {error}") from error
    try:
        client.register_plugin(_plugin())
        yield client
    finally:
        with suppress(OSError, TimeoutError):  # the scheduler may be gone; the records are here
            client.close()
        if place is not kind:
            place.close()


def _address(text: str) -> str:
    """A scheduler's address.

    Raises InputError for what is neither an address nor a kind of cluster.
    """
    scheme, _, rest = text.partition("://")
    if scheme not in ("tcp", "tls", "ucx", "ws", "wss") or not rest:
        kinds = ", ".join(["local", *BATCH_SYSTEMS])
        raise InputError(f"{text[:80]!r} is no cluster: give a scheduler's address such as tcp://host:8786, or {kinds}")
    return text


def _plugin() -> Any:
    """The bench as a plugin that Dask takes."""
    return type("BenchPlugin", (Bench, _dask().WorkerPlugin), {})()


def _dask() -> Any:
    """The package ``distributed``.

    Raises InputError where it is not installed.
    """
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise InputError("a cluster needs Dask: pip install 'qtaml-hw[cluster]'") from error
