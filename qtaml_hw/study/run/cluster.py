"""Points on a Dask cluster: workers compute fault maps, this process keeps the records.

Workers hold nothing that matters: one that dies costs the maps it was at, which Dask gives to another.  A worker checks
that its network is the one this process knows, bit for bit, before it computes anything for it.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
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
from qtaml_hw.study.run.task import Emit, Made, MapSeries, Of, Results, Task, Workers, failure, reason

PLUGIN = "qtaml_hw"
KEPT_POINTS = 4  # prepared points that a worker remembers
TURN_S = 5.0  # after which a worker brings what it has
MOST_POINTS = 100  # of a batch, so that what the scheduler holds is bounded
AHEAD = 2  # batches per worker: one that it is at, one that waits for it
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


@dataclass(frozen=True)
class Turn:
    """What a worker did for a batch: new records of every point and, where it has no more to give, why; in seconds."""

    drawn: list[tuple[list[Record], str]]
    seconds: float
    worker: str


def evaluate_turn(tasks: Sequence[Task]) -> Turn:
    """On a worker: the maps that these points still need, one point after another, until ``TURN_S`` have gone.

    At least one map is drawn; points that are not reached, or not finished, are handed back as they are.
    """
    here = dask_package().get_worker()
    worker: Worker = here.plugins[PLUGIN]
    with worker.lock, single_thread():
        start, drawn = time.monotonic(), list[tuple[list[Record], str]]()
        for task in tasks:
            late = bool(drawn) and time.monotonic() - start > TURN_S
            drawn.append(([], "") if late else _draw(worker, task, start + TURN_S))
        return Turn(drawn, time.monotonic() - start, str(here.address))


def _draw(worker: Worker, task: Task, until_s: float) -> tuple[list[Record], str]:
    """New records of a point until its rule is satisfied or time is up, and in words why there are no more."""
    new = list[Record]()
    try:
        design, series = worker.point(task), task.series()
        while (index := series.next_map()) is not None and not (new and time.monotonic() > until_s):
            series.done[index] = design.record(index)
            new.append(series.done[index])
    except Exception as error:  # a point's failure is its record; the client keeps it
        return new, reason(error)
    return new, ""


def on_cluster(tasks: list[Task], workers: Workers, emit: Emit, progress: Progress, of: Of[Made]) -> dict[int, Made]:
    """What is made of the records of every task, by its number; only points on their way have theirs in memory.

    Raises InputError when the cluster cannot be reached or started, or Dask is not installed.
    """
    with _client(workers, progress) as client:
        sweep = Sweep(client, len(tasks), emit, progress, Results(of), deque(tasks))
        sweep.drive()
    return sweep.results.made


Batch = list[tuple[Task, MapSeries]]


@dataclass(eq=False)
class Sweep:
    """Points on their way: a few batches per worker are with the scheduler, however long the sweep is.

    A batch holds as many points as a worker should do in a turn, going by the last one, and towards the end fewer, so
    that all workers end together.
    """

    client: Any
    total: int
    emit: Emit
    progress: Progress
    results: Results[Any]
    waiting: deque[Task]
    given: dict[str, Batch] = field(default_factory=dict)
    size: float = 1.0

    def drive(self) -> None:
        """Give out batches and take what comes back until every point has its records."""
        running = dask_package().as_completed()
        self._give(running)
        for future in running:
            batch = self.given.pop(future.key)
            error = future.exception()
            if error is None:
                self._take(batch, future.result(), running)
            elif len(batch) > 1:  # workers died under it again and again: one of its points is why
                for one in batch:
                    running.add(self._submit([one]))
            else:
                self._fail(batch[0][0], f"the cluster gave this point up: {reason(error)}")
            self._give(running)

    def _give(self, running: Any) -> None:
        """As many batches as keep every worker busy, and no more."""
        if not self.waiting:
            return
        workers = max(len(self.client.nthreads()), 1)
        while self.waiting and len(self.given) < AHEAD * workers:
            fair = len(self.waiting) / (AHEAD * workers)
            count = max(1, int(min(self.size, fair, MOST_POINTS)))
            tasks = [self.waiting.popleft() for _ in range(min(count, len(self.waiting)))]
            running.add(self._submit([(task, task.series()) for task in tasks]))

    def _submit(self, batch: Batch, **where: Any) -> Any:
        tasks = [replace(task, done=series.done) for task, series in batch]
        future = self.client.submit(evaluate_turn, tasks, pure=False, priority=-tasks[0].number, **where)
        self.given[future.key] = batch
        return future

    def _take(self, batch: Batch, turn: Turn, running: Any) -> None:
        reached = sum(bool(records or why) for records, why in turn.drawn)
        self.size = max(reached, 1) * TURN_S / max(turn.seconds, 1e-3)
        for (task, series), (records, why) in zip(batch, turn.drawn, strict=True):
            if why:
                take(series, records, self.emit)
                self._fail(task, why)
            elif take(series, records, self.emit):
                self._finish(task, series.records)
            elif records:  # begun: the worker that has it prepared goes on, if it can
                running.add(self._submit([(task, series)], workers=[turn.worker], allow_other_workers=True))
            else:
                self.waiting.appendleft(replace(task, done=series.done))

    def _fail(self, task: Task, why: str) -> None:
        record = failure(task, InputError(why))
        self.emit(record)
        self._finish(task, [record])

    def _finish(self, task: Task, records: list[Record]) -> None:
        self.results.add(task, records)
        self.progress(len(self.results), self.total, task.point.label)


def take(series: MapSeries, records: list[Record], emit: Emit) -> bool:
    """Keep new records, in order; whether the stopping rule is satisfied."""
    for record in records:
        series.done[int(record[F.map_index])] = record
        emit(record)
    return series.next_map() is None


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
