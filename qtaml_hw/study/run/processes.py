"""Points on several processes of this machine, each with a shard of its own.

While the workers start, this process takes the first map of one point of every kind itself: that compiles every numba
kernel of the sweep once, into the cache on disk, where the workers find it.  Every worker has a pipe of its own, so
that one that dies, whatever it was at, costs nobody else anything: its point is given to another, and a point under
which two workers die is recorded as failed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any

from qtaml_hw._threads import single_thread
from qtaml_hw.config import Study
from qtaml_hw.errors import InputError, StoreError
from qtaml_hw.progress import Progress
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import ShardWriter, read_records
from qtaml_hw.records.summary import finished_maps
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.run.children import GUARD, MOST_DEATHS, end_all, end_in_words
from qtaml_hw.study.run.evaluate import evaluate, prepare_point
from qtaml_hw.study.run.task import Made, Of, Results, Task, failure

MOST_KINDS = 8  # points that the parent may begin: more kinds than this compile the rest where they are met
PATIENCE_S = 60.0  # without a word from anybody, before it is said who is waited for
STARTING = -1
Answer = list[Record] | str | None
"""The records of a task; why the store cannot be written; None from a worker that is ready."""


def in_processes(
    tasks: list[Task], jobs: int, sink: ShardWriter, networks: Networks, progress: Progress, of: Of[Made]
) -> dict[int, Made]:
    """What is made of the records of every task, by its number.

    Raises StoreError when a worker cannot write, InputError when workers cannot even start.
    """
    pool = Pool(jobs, len(tasks), sink, progress, Results(of))
    try:
        pool.serve(0.0)
        with single_thread():
            for task in _warmed_up(tasks, sink, networks):
                pool.pending.append(task)
                pool.serve(0.0)
        while len(pool.results) < len(tasks):
            pool.serve(PATIENCE_S)
    finally:
        pool.close()
    return pool.results.made


@dataclass(eq=False)
class _Worker:
    """A process, the pipe to it, what it is at and since when, and whether it has ever answered."""

    process: SpawnProcess
    pipe: Connection[Task, Answer]
    task: Task | None = None
    ready: bool = False
    since_s: float = 0.0


@dataclass(eq=False)
class Pool:
    """The workers of one sweep, the tasks that wait for them, and what they have brought.

    ``total`` : tasks that there are, of all that have been or will be pending.
    """

    jobs: int
    total: int
    sink: ShardWriter
    progress: Progress
    results: Results[Any]
    pending: deque[Task] = field(default_factory=deque)
    workers: list[_Worker] = field(default_factory=list)
    deaths: Counter[int] = field(default_factory=Counter)
    context: SpawnContext = field(default_factory=lambda: multiprocessing.get_context("spawn"))

    def serve(self, patience_s: float) -> None:
        """Hear the workers who have something to say, waiting so long for the first; hand out what is pending."""
        for _ in range(min(self.jobs, self.total - len(self.results)) - len(self.workers)):
            self._start()
        heard = wait([worker.pipe for worker in self.workers], patience_s)
        if not heard and patience_s:
            self.progress(len(self.results), self.total, self._awaited())
        for worker in [worker for worker in self.workers if worker.pipe in heard]:
            try:
                self._take(worker, worker.pipe.recv())
            except (EOFError, OSError):  # the pipe ends with the process
                self._drop(worker)
        for worker in self.workers:
            if worker.ready and worker.task is None and self.pending:
                worker.task, worker.since_s = self.pending.popleft(), time.monotonic()
                with suppress(BrokenPipeError):  # it has died just now, which the next round hears
                    worker.pipe.send(worker.task)

    def _awaited(self) -> str:
        """Who has been at one point for longest: a worker that is frozen looks like one that has much to do."""
        busy = [worker for worker in self.workers if worker.task is not None]
        if not busy:
            return "waiting for workers to start"
        longest = min(busy, key=lambda worker: worker.since_s)
        label = "" if longest.task is None else longest.task.point.label
        minutes = (time.monotonic() - longest.since_s) / 60.0
        return f"{minutes:.0f} min in process {longest.process.pid}: {label}"

    def _start(self) -> None:
        mine, its = self.context.Pipe()
        process = self.context.Process(target=_work, args=(self.sink.folder, its), daemon=True)
        process.start()
        its.close()  # so that the worker alone keeps its end open
        self.workers.append(_Worker(process, mine))

    def _take(self, worker: _Worker, answer: Answer) -> None:
        if isinstance(answer, str):
            raise StoreError(answer)
        if answer is not None and worker.task is not None:
            self._finish(worker.task, answer)
        worker.ready, worker.task = True, None

    def _finish(self, task: Task, records: list[Record]) -> None:
        self.results.add(task, records)
        self.progress(len(self.results), self.total, task.point.label)

    def _drop(self, worker: _Worker) -> None:
        """Let go of a worker that is gone; its task waits again, from where the worker was, or is given up.

        Raises InputError when workers cannot even start.
        """
        end_all([worker.process])
        worker.pipe.close()
        self.workers.remove(worker)
        code, task = worker.process.exitcode or 0, worker.task
        number = STARTING if task is None else task.number
        self.deaths[number] += 1
        if task is not None and self.deaths[number] < MOST_DEATHS:
            kept = finished_maps(read_records(self.sink.folder)).get(task.identity, {})
            self.pending.appendleft(replace(task, done=kept))
        elif task is not None:
            record = failure(
                task, InputError(f"{MOST_DEATHS} worker processes died at this point; one {end_in_words(code)}")
            )
            self.sink.append(record)
            self._finish(task, [record])
        elif code > 0 or self.deaths[number] > MOST_DEATHS * self.jobs:
            raise InputError(
                f"a worker process {end_in_words(code)} before it had begun; finished maps are kept. {GUARD}"
            )

    def close(self) -> None:
        """Let idle workers close their shards, end the others; finished maps are on disk already."""
        for worker in self.workers:
            worker.pipe.close()
            if worker.task is not None or not worker.ready:
                worker.process.terminate()
        end_all([worker.process for worker in self.workers])


def _warmed_up(tasks: list[Task], sink: ShardWriter, networks: Networks) -> Iterator[Task]:
    """The tasks; the first of each kind brings one map along, made here: that compiles the kernels of its kind."""
    seen: set[str] = set()
    for task in tasks:
        kind = kernel_kind(task.point.study)
        if kind in seen or len(seen) >= MOST_KINDS or 0 in task.done:
            yield task
            continue
        seen.add(kind)
        try:
            record = prepare_point(task.point, task.number, networks).record(0)
        except Exception:  # the worker meets the same failure, and records it
            yield task
            continue
        sink.append(record)
        yield replace(task, done={**task.done, 0: record})


def kernel_kind(study: Study) -> str:
    """What decides which compiled kernels a point runs through."""
    section, cell = study.protection, study.cell.kind
    menu = () if "menu" in section.row.unused else section.menu
    parts = (cell, study.flips.law, section.policy, section.group, menu, section.correction, study.scrub.on)
    return repr((*parts, study.refresh.on, study.weights.encoding, study.weights.scale))


def _work(folder: Path, pipe: Connection[Answer, Task]) -> None:
    """Take tasks until the pipe ends; stop when the parent is gone, so that nothing runs on unseen."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides; it ends its workers
    parent, networks = os.getppid(), Networks()

    def emit(record: Record) -> None:
        sink.append(record)
        if os.getppid() != parent:
            raise SystemExit

    with suppress(EOFError, BrokenPipeError):  # the parent has nothing more to give, or is gone
        pipe.send(None)
        try:
            with single_thread(), ShardWriter(folder) as sink:
                while True:
                    pipe.send(evaluate(pipe.recv(), networks, emit))
        except StoreError as error:
            pipe.send(str(error))
