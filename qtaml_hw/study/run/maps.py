"""The fault maps of one point on several processes of this machine; this process alone keeps the records.

Every worker prepares the point once and draws the maps that it is asked for.  They are asked for in order, at most as
many ahead of the stopping rule as there are workers, and taken in order, so that the records are those of one process;
what was drawn in vain is dropped.  A worker that dies costs the map it was at, which another draws again; a map under
which two workers die fails its point.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess

from qtaml_hw._threads import single_thread
from qtaml_hw.errors import InputError
from qtaml_hw.records.fields import F
from qtaml_hw.records.record import Record
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.run.children import GUARD, MOST_DEATHS, end_all, end_in_words
from qtaml_hw.study.run.evaluate import PreparedPoint, prepare_point, recorded
from qtaml_hw.study.run.task import Emit, Task, reason

Answer = Record | str
"""The record of a map, or why there is none."""


def maps_in_processes(task: Task, jobs: int, emit: Emit) -> list[Record]:
    """All records of a point; new ones go to ``emit`` in the order of their maps.

    Any failure of the point becomes its record; StoreError alone is raised.
    """
    pool = _Pool(task, jobs)
    try:
        pool.hand_out(task.series().next_map() or 0)
        return recorded(task, lambda: pool.draw, emit)
    finally:
        pool.close()


@dataclass(eq=False)
class _Worker:
    """A process, the pipe to it, and the map it is at."""

    process: SpawnProcess
    pipe: Connection[int, Answer]
    map_index: int | None = None


@dataclass(eq=False)
class _Pool:
    """The workers of one point, and the maps that they have brought before they were wanted."""

    task: Task
    jobs: int
    workers: list[_Worker] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)
    deaths: Counter[int] = field(default_factory=Counter)
    context: SpawnContext = field(default_factory=lambda: multiprocessing.get_context("spawn"))

    def draw(self, index: int) -> Record:
        """The record of a fault map; meanwhile the workers draw those after it.

        Raises InputError when the map fails, when its workers die, or when theirs is another network.
        """
        self.hand_out(index)
        while index not in self.answers:
            self._hear()
            self.hand_out(index)
        answer = self.answers.pop(index)
        if isinstance(answer, str):
            raise InputError(answer)
        if answer[F.identity] != self.task.identity:
            raise InputError("a worker process was given another network than this one: take one job")
        return answer

    def hand_out(self, first: int) -> None:
        """Give maps to workers that have none, in order: those that are needed for certain, and a few ahead."""
        rule = self.task.point.study.evaluate.maps
        busy = {worker.map_index for worker in self.workers if worker.map_index is not None}
        ahead = range(first, min(rule.max, max(rule.min, first + self.jobs + 1)))
        wanted = [index for index in ahead if index not in self.task.done.keys() | self.answers.keys() | busy]
        for index in wanted[: self.jobs - len(busy)]:
            worker = next((worker for worker in self.workers if worker.map_index is None), None) or self._start()
            worker.map_index = index
            with suppress(BrokenPipeError):  # it has died just now, which is heard next
                worker.pipe.send(index)

    def _start(self) -> _Worker:
        mine, its = self.context.Pipe()
        process = self.context.Process(target=_work, args=(self.task, its), daemon=True)
        process.start()
        its.close()  # so that the worker alone keeps its end open
        self.workers.append(_Worker(process, mine))
        return self.workers[-1]

    def _hear(self) -> None:
        """Wait for a word from any worker, and take what there is."""
        heard = wait([worker.pipe for worker in self.workers])
        for worker in [worker for worker in self.workers if worker.pipe in heard]:
            try:
                answer = worker.pipe.recv()
            except (EOFError, OSError):  # the pipe ends with the process
                self._drop(worker)
                continue
            if worker.map_index is not None:
                self.answers[worker.map_index] = answer
            worker.map_index = None

    def _drop(self, worker: _Worker) -> None:
        """Let go of a worker that is gone; its map is wanted again, or given up."""
        end_all([worker.process])
        worker.pipe.close()
        self.workers.remove(worker)
        index, code = worker.map_index, worker.process.exitcode or 0
        if index is None:
            return
        self.deaths[index] += 1
        if self.deaths[index] == MOST_DEATHS:
            why = f"{MOST_DEATHS} worker processes died at fault map {index}; one {end_in_words(code)}"
            self.answers[index] = f"{why}. {GUARD}" if code > 0 else why

    def close(self) -> None:
        """End the workers, whatever they are at: nothing of theirs is needed any more."""
        for worker in self.workers:
            worker.pipe.close()
            worker.process.terminate()
        end_all([worker.process for worker in self.workers])


def _work(task: Task, pipe: Connection[Answer, int]) -> None:
    """Draw the maps that are asked for until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides; it ends its workers
    point: PreparedPoint | None = None
    with suppress(EOFError, BrokenPipeError), single_thread():  # the parent has nothing more to ask, or is gone
        while True:
            index = pipe.recv()
            try:
                point = point or prepare_point(task.point, task.number, Networks())
                answer: Answer = point.record(index)
            except Exception as error:  # a point's failure is its record; the parent keeps it
                answer = reason(error)
            pipe.send(answer)
