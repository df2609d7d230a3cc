"""Points to records: in this process or in several, resumable, the same records whatever the number of workers."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty

from qtaml_hw.accelerator.interval import narrow_enough
from qtaml_hw.accelerator.served import single_thread
from qtaml_hw.config import Point, Study
from qtaml_hw.study.errors import InputError
from qtaml_hw.study.point import axes_shown, identity_of, prepare, run_maps
from qtaml_hw.study.progress import Progress, silent
from qtaml_hw.study.store import Record, ShardWriter, StoreError, read_records
from qtaml_hw.study.subject import Workshop

FAILED_MAP = -1


@dataclass(eq=False)
class Memory:
    """A store that lives in this process only, for scripts that keep no folder."""

    records: list[Record] = field(default_factory=list)

    def append(self, record: Record) -> None:
        """Keep one record."""
        self.records.append(record)


def finished_maps(records: Iterable[Record]) -> dict[str, dict[int, Record]]:
    """Records by identity and map index, failures left out (they are tried again)."""
    found: dict[str, dict[int, Record]] = {}
    for record in records:
        if int(record["map_index"]) >= 0:
            found.setdefault(str(record["identity"]), {})[int(record["map_index"])] = record
    return found


def enough(study: Study, done: dict[int, Record]) -> bool:
    """Whether maps 0, 1, 2 ... that are there already satisfy the stopping rule."""
    maps, accuracies = study.evaluate.maps, []
    for index in range(len(done)):
        if index not in done:
            return False
        accuracies.append(float(done[index]["accuracy"]))
        if narrow_enough(accuracies, maps.min, maps.max, maps.ci95_halfwidth):
            return True
    return False


def evaluate(
    point: Point, number: int, workshop: Workshop, finished: dict[str, dict[int, Record]], sink: ShardWriter | Memory
) -> list[Record]:
    """All records of one point; new ones go to ``sink`` as they are made."""
    identity = identity_of(point.study, workshop.subject(point.study))
    done = finished.get(identity, {})
    if enough(point.study, done):
        return [done[i] for i in sorted(done)]
    return list(run_maps(prepare(point, number, workshop), done, sink.append))


def failure(point: Point, number: int, workshop: Workshop, error: Exception) -> Record:
    """The record of a point that could not be evaluated; another run tries it again."""
    try:
        identity = identity_of(point.study, workshop.subject(point.study))
    except InputError:
        identity = point.study.identity()[:32]
    reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
    axes = axes_shown(point)
    return {
        "identity": identity,
        "map_index": FAILED_MAP,
        "study": point.study.label,
        "label": point.label,
        "point": number,
        "axes": axes,
        "error": reason,
    }


def _safely(
    point: Point, number: int, workshop: Workshop, finished: dict[str, dict[int, Record]], sink: ShardWriter | Memory
) -> list[Record]:
    """As ``evaluate``, with any failure of this point as its record: the other points go on."""
    try:
        return evaluate(point, number, workshop, finished, sink)
    except StoreError:
        raise
    except Exception as error:  # whatever goes wrong in one point is recorded, and must not cost the others
        record = failure(point, number, workshop, error)
        sink.append(record)
        return [record]


def run_points(
    points: list[Point], folder: Path | None, *, jobs: int = 1, progress: Progress = silent
) -> list[list[Record]]:
    """Records of every point, in point order; resumes from the store in ``folder`` when one is given.

    Raises StoreError when the folder cannot be used, InputError when a worker process dies.
    """
    finished = finished_maps(read_records(folder)) if folder is not None and folder.exists() else {}
    workshop = Workshop(progress)
    if jobs > 1 and folder is not None and len(points) > 1:
        workshop.subject(points[0].study)  # trained once, here, before the workers read it from the cache
        return _in_processes(points, folder, finished, min(jobs, len(points)), progress)
    results = []
    with single_thread(), _sink(folder) as sink:
        for number, point in enumerate(points):
            progress(number, len(points), point.label)
            results.append(_safely(point, number, workshop, finished, sink))
    progress(len(points), len(points), "done")
    return results


@contextmanager
def _sink(folder: Path | None) -> Iterator[ShardWriter | Memory]:
    """A new shard of the folder, or memory without one."""
    if folder is None:
        yield Memory()
        return
    with ShardWriter(folder) as shard:
        yield shard


def _in_processes(
    points: list[Point], folder: Path, finished: dict[str, dict[int, Record]], jobs: int, progress: Progress
) -> list[list[Record]]:
    context = multiprocessing.get_context("spawn")
    tasks: Queue[tuple[int, Point] | None] = context.Queue()
    answers: Queue[tuple[int, list[Record]] | str] = context.Queue()
    for task in [*enumerate(points), *[None] * jobs]:
        tasks.put(task)
    workers = [
        context.Process(target=_worker, args=(folder, finished, tasks, answers), daemon=True) for _ in range(jobs)
    ]
    results: dict[int, list[Record]] = {}
    try:
        for worker in workers:
            worker.start()
        while len(results) < len(points):
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
            results[answer[0]] = answer[1]
            progress(len(results), len(points), points[answer[0]].label)
        for worker in workers:
            worker.join()
    finally:
        for worker in workers:
            worker.terminate()
    return [results[number] for number in range(len(points))]


def _worker(
    folder: Path,
    finished: dict[str, dict[int, Record]],
    tasks: Queue[tuple[int, Point] | None],
    answers: Queue[tuple[int, list[Record]] | str],
) -> None:
    """Take points until there are none; stop when the parent is gone, so that nothing runs on unseen."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides; it ends its workers
    parent, workshop = os.getppid(), Workshop()
    try:
        with single_thread(), ShardWriter(folder) as sink:
            while os.getppid() == parent:
                try:
                    task = tasks.get(timeout=1.0)
                except Empty:
                    continue
                if task is None:
                    return
                number, point = task
                answers.put((number, _safely(point, number, workshop, finished, sink)))
    except StoreError as error:
        answers.put(str(error))
