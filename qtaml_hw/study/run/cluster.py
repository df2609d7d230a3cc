"""Points on a Dask cluster: workers compute fault maps, this process keeps the records.

Workers hold nothing that matters: one that dies costs the maps it was at, which Dask gives to another.  A worker checks
that its network is the one this process knows, bit for bit, before it computes anything for it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from qtaml_hw._threads import single_thread
from qtaml_hw.errors import InputError
from qtaml_hw.progress import Progress
from qtaml_hw.records.fields import F
from qtaml_hw.records.record import Record
from qtaml_hw.study.design.networks.identity import identity_of
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.run.evaluate import PreparedPoint, prepare_point
from qtaml_hw.study.run.jobqueue import BATCH_SYSTEMS, batch_cluster, dask_package, local_cluster
from qtaml_hw.study.run.task import Emit, MapSeries, Results, Task, Workers, failure, reason

PLUGIN = "qtaml_hw"
KEPT_POINTS = 4  # prepared points that a worker remembers
PATIENCE_S = 30.0


@dataclass(eq=False)
class Worker:
    """What a worker process keeps between maps; one map at a time, since torch's settings belong to the process."""

    name: str = PLUGIN

    def setup(self, worker: Any) -> None:
        """Called by Dask on the worker."""
        self.lock, self.networks = threading.Lock(), Networks()
        self.points: dict[str, PreparedPoint] = {}

    def teardown(self, worker: Any) -> None:
        """Called by Dask on the worker."""

    def point(self, task: Task) -> PreparedPoint:
        """The prepared point of a task.

        Raises InputError when the worker's network is another one.
        """
        found = self.points.get(task.identity)
        if found is None:
            study = task.point.study
            mine = identity_of(study, self.networks.load(study).network.digest)
            if mine != task.identity:
                raise InputError(
                    f"the worker on {os.uname().nodename} has another network {study.network.name} than the client: "
                    "let QTAML_HW_CACHE point to one shared folder on all machines"
                )
            found = prepare_point(task.point, task.number, self.networks)
            self.points = dict([*self.points.items(), (task.identity, found)][-KEPT_POINTS:])
        return found


def evaluate_maps(task: Task, maps: Sequence[int]) -> list[Record] | str:
    """On a worker: the records of these fault maps, or in words why there are none."""
    worker: Worker = dask_package().get_worker().plugins[PLUGIN]
    try:
        with worker.lock, single_thread():
            design = worker.point(task)
            return [design.record(index) for index in maps]
    except Exception as error:  # a point's failure is its record; the client keeps it
        return reason(error)


def wanted_maps(series: MapSeries) -> list[int]:
    """Maps that the stopping rule will need: up to the least count, then half as many again as there are."""
    rule, there = series.rule, series.next_map() or 0
    wanted = min(rule.max, max(rule.min, there + (there + 1) // 2))
    return [index for index in range(there, wanted) if index not in series.done]


def take(series: MapSeries, records: list[Record], emit: Emit) -> bool:
    """Keep what the stopping rule uses, map after map; whether it is satisfied."""
    for record in sorted(records, key=lambda r: int(r[F.map_index])):
        if series.next_map() is None:
            break  # asked for in vain: a whole run would not have drawn this one
        series.done[int(record[F.map_index])] = record
        emit(record)
    return series.next_map() is None


def on_cluster(tasks: list[Task], workers: Workers, emit: Emit, progress: Progress) -> Results:
    """Records of every task by its number.

    Raises InputError when the cluster cannot be reached or started, or Dask is not installed.
    """
    with _client(workers, progress) as client:
        return _drive(client, tasks, emit, progress)


def _drive(client: Any, tasks: list[Task], emit: Emit, progress: Progress) -> Results:
    results, owner = Results(), dict[str, tuple[Task, MapSeries]]()

    def submit(task: Task, series: MapSeries) -> Any:
        bare = replace(task, done={})  # what is there already stays here
        future = client.submit(evaluate_maps, bare, wanted_maps(series), pure=False, priority=-task.number)
        owner[future.key] = task, series
        return future

    running = dask_package().as_completed([submit(task, task.series()) for task in tasks])
    for future in running:
        task, series = owner.pop(future.key)
        answer = _answer(future)
        if isinstance(answer, str):
            record = failure(task, InputError(answer))
            emit(record)
            results[task.number] = [record]
        elif take(series, answer, emit):
            results[task.number] = series.records
        else:
            running.add(submit(task, series))
            continue
        progress(len(results), len(tasks), task.point.label)
    return results


def _answer(future: Any) -> list[Record] | str:
    error = future.exception()
    if error is not None:  # workers died under it again and again, or could not read it
        return f"the cluster gave this point up: {reason(error)}"
    answer: list[Record] | str = future.result()
    return answer


@contextmanager
def _client(workers: Workers, progress: Progress) -> Iterator[Any]:
    """A Dask client whose workers, now and later, keep what they need between maps."""
    kind = str(workers.cluster)
    with _place(kind, workers.jobs) as place:
        progress(0, 0, f"waiting for workers: {kind}")
        try:
            client = dask_package().Client(place, timeout=PATIENCE_S)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(f"no Dask scheduler answers at {kind}: {error}") from error
        try:
            client.register_plugin(_plugin())
            yield client
        finally:
            with suppress(OSError, TimeoutError):  # the scheduler may be gone; the records are here
                client.close()


@contextmanager
def _place(kind: str, jobs: int) -> Iterator[Any]:
    """A cluster that is started for this sweep and ends with it, or the address of one that runs already."""
    if kind == "local":
        with local_cluster(jobs) as cluster:
            yield cluster
    elif kind in BATCH_SYSTEMS:
        with batch_cluster(kind) as cluster:
            cluster.scale(jobs=jobs)
            yield cluster
    else:
        yield _address(kind)


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
    """A worker's memory as a plugin that Dask takes."""
    return type("WorkerMemory", (Worker, dask_package().WorkerPlugin), {})()
