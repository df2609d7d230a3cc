"""Points on several processes of this machine, each with a shard of its own.

While the workers start, this process takes the first map of one point of every kind itself: that compiles every numba
kernel of the sweep once, into the cache on disk, where the workers find it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty

from qtaml_hw._threads import single_thread
from qtaml_hw.config import Study
from qtaml_hw.study.errors import InputError
from qtaml_hw.study.evaluation import Task, evaluate
from qtaml_hw.study.point import prepare
from qtaml_hw.study.progress import Progress
from qtaml_hw.study.store import Record, ShardWriter, StoreError
from qtaml_hw.study.subject import Workshop

MOST_KINDS = 8  # points that the parent may begin: more kinds than this compile the rest where they are met
Answer = tuple[int, list[Record]] | str


def in_processes(
    tasks: list[Task], jobs: int, sink: ShardWriter, workshop: Workshop, progress: Progress
) -> dict[int, list[Record]]:
    """Records of every task by its number.

    Raises StoreError when a worker cannot write, InputError when one dies.
    """
    context = multiprocessing.get_context("spawn")
    queue: Queue[Task | None] = context.Queue()
    answers: Queue[Answer] = context.Queue()
    jobs = min(jobs, len(tasks))
    workers = [context.Process(target=_worker, args=(sink.folder, queue, answers), daemon=True) for _ in range(jobs)]
    results: dict[int, list[Record]] = {}
    try:
        for worker in workers:
            worker.start()
        with single_thread():
            for task in [*_begun(tasks, sink, workshop), *[None] * jobs]:
                queue.put(task)
        labels = {task.number: task.point.label for task in tasks}
        for number, records in _collect(answers, workers, len(tasks)):
            results[number] = records
            progress(len(results), len(tasks), labels[number])
        for worker in workers:
            worker.join()
    finally:
        for worker in workers:
            worker.terminate()
    return results


def _collect(
    answers: Queue[Answer], workers: list[multiprocessing.context.SpawnProcess], count: int
) -> Iterator[tuple[int, list[Record]]]:
    while count:
        try:
            answer = answers.get(timeout=1.0)
        except Empty:
            if any(w.exitcode not in (None, 0) for w in workers):
                raise InputError(
                    "a worker process died; finished maps are kept, run the same command again to continue"
                ) from None
            continue
        if isinstance(answer, str):
            raise StoreError(answer)
        count -= 1
        yield answer


def _begun(tasks: list[Task], sink: ShardWriter, workshop: Workshop) -> Iterator[Task]:
    """The tasks; of the first of each kind one map is done here, and kept."""
    seen: set[str] = set()
    for task in tasks:
        kind = kernel_kind(task.point.study)
        if kind in seen or len(seen) >= MOST_KINDS or 0 in task.done:
            yield task
            continue
        seen.add(kind)
        try:
            record = prepare(task.point, task.number, workshop).record(0)
        except Exception:  # the worker meets the same failure, and records it
            yield task
            continue
        sink.append(record)
        yield replace(task, done={**task.done, 0: record})


def kernel_kind(study: Study) -> str:
    """What decides which compiled kernels a point runs through."""
    section, cell = study.protection, study.cell.kind
    menu = () if section.policy == "none" else section.menu
    parts = (cell, study.flips.law, section.policy, section.group, menu, section.correction, study.scrub.on)
    return repr((*parts, study.refresh.on, study.weights.encoding, study.weights.scale))


def _worker(folder: Path, queue: Queue[Task | None], answers: Queue[Answer]) -> None:
    """Take tasks until there are none; stop when the parent is gone, so that nothing runs on unseen."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides; it ends its workers
    parent, workshop = os.getppid(), Workshop()
    try:
        with single_thread(), ShardWriter(folder) as sink:
            while os.getppid() == parent:
                try:
                    task = queue.get(timeout=1.0)
                except Empty:
                    continue
                if task is None:
                    return
                answers.put((task.number, evaluate(task, workshop, sink.append)))
    except StoreError as error:
        answers.put(str(error))
