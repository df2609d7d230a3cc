"""Points to records: in this process, in several, or on a cluster; resumable, the same records wherever they are made.

What a store already answers is handed back without loading a network, or anything heavier than numpy: what does the
work is imported where there is work to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from qtaml_hw._collection import without_collection
from qtaml_hw.config import Point
from qtaml_hw.progress import Progress, silent
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import ShardWriter, read_records
from qtaml_hw.records.summary import Finished, finished_maps
from qtaml_hw.study.design.networks.identity import Digests, identity_of
from qtaml_hw.study.run.task import Made, Of, Task, Workers, as_they_are, settled

if TYPE_CHECKING:
    from qtaml_hw.study.design.networks.loaded import Networks


@dataclass(eq=False)
class RecordList:
    """A store that lives in this process only, for scripts that keep no folder."""

    records: list[Record] = field(default_factory=list)

    def append(self, record: Record) -> None:
        """Keep one record."""
        self.records.append(record)


Sink = ShardWriter | RecordList


def run_points(
    points: list[Point],
    folder: Path | None,
    *,
    workers: Workers | None = None,
    progress: Progress = silent,
    networks: Networks | None = None,
    failures: bool = True,
) -> list[list[Record]]:
    """Records of every point, in point order: :func:`run_and_make` of them as they are."""
    return run_and_make(
        points, folder, as_they_are, workers=workers, progress=progress, networks=networks, failures=failures
    )


def run_and_make(
    points: list[Point],
    folder: Path | None,
    of: Of[Made],
    *,
    workers: Workers | None = None,
    progress: Progress = silent,
    networks: Networks | None = None,
    failures: bool = True,
) -> list[Made]:
    """What is made ``of`` the records of every point, in point order; resumes from the store in ``folder`` if given.

    Records that are in the store and not what is made are let go.  ``networks`` : networks that are loaded already.
    ``failures`` : whether the store keeps why a point failed.

    Raises StoreError when the folder cannot be used, InputError when worker processes or a cluster cannot be started.
    """
    digests = Digests(folder)
    finished, results = _answered(points, folder, digests, of)
    if len(results) < len(points):
        from qtaml_hw.study.design.networks.loaded import Networks

        networks = networks or Networks(progress)
        with _opened(folder, failures) as sink:
            tasks = _tasks({n: p for n, p in enumerate(points) if n not in results}, finished, digests, networks)
            finished.clear()  # what is needed of it the tasks have
            results |= _evaluated(tasks, workers or Workers(), sink, networks, progress, of)
    progress(len(points), len(points), "done")
    return [results[number] for number in range(len(points))]


@without_collection()
def _answered(
    points: list[Point], folder: Path | None, digests: Digests, of: Of[Made]
) -> tuple[Finished, dict[int, Made]]:
    """The finished maps of the store in ``folder``, and what is made of those that answer a point, by its number."""
    finished = finished_maps(read_records(folder)) if folder is not None and os.path.isdir(folder) else {}
    made = dict[int, Made]()
    for number, point in enumerate(points):
        digest = digests.find(point.study)
        identity = None if digest is None else identity_of(point.study, digest)
        known = None if identity is None else settled(point.study, finished.get(identity, {}))
        if known is not None:
            made[number] = of(number, known)
    return finished, made


def _tasks(points: dict[int, Point], finished: Finished, digests: Digests, networks: Networks) -> list[Task]:
    """One task per point by its number, with the records that its store has; loads networks that are not known yet."""
    from qtaml_hw.study.run.evaluate import identify

    identities = {number: identify(point.study, digests, networks) for number, point in points.items()}
    return [Task(n, point, identities[n], finished.get(identities[n], {})) for n, point in points.items()]


def _evaluated(
    tasks: list[Task], workers: Workers, sink: Sink, networks: Networks, progress: Progress, of: Of[Made]
) -> dict[int, Made]:
    """What is made of the records of every task; each new one goes to the sink as it is made."""
    known = {task.number: settled(task.point.study, task.done) for task in tasks}
    results = {number: of(number, records) for number, records in known.items() if records is not None}
    tasks = [task for task in tasks if task.number not in results]
    if tasks and workers.cluster is not None:
        from qtaml_hw.study.run.cluster import on_cluster

        return results | on_cluster(tasks, workers, sink.append, progress, of)
    if len(tasks) > 1 and workers.jobs > 1 and isinstance(sink, ShardWriter):
        from qtaml_hw.study.run.processes import in_processes

        return results | in_processes(tasks, workers.jobs, sink, networks, progress, of)
    if len(tasks) == 1 and workers.jobs > 1:
        from qtaml_hw.study.run.maps import maps_in_processes

        progress(0, 1, tasks[0].point.label)
        found = maps_in_processes(tasks[0], workers.jobs, sink.append)
        return results | {tasks[0].number: of(tasks[0].number, found)}
    return results | _in_this_process(tasks, sink, networks, progress, of)


def _in_this_process(
    tasks: list[Task], sink: Sink, networks: Networks, progress: Progress, of: Of[Made]
) -> dict[int, Made]:
    from qtaml_hw._threads import single_thread
    from qtaml_hw.study.run.evaluate import evaluate

    made = dict[int, Made]()
    with single_thread():
        for task in tasks:
            progress(len(made), len(tasks), task.point.label)
            made[task.number] = of(task.number, evaluate(task, networks, sink.append))
    return made


@contextmanager
def _opened(folder: Path | None, failures: bool) -> Iterator[Sink]:
    """A new shard of the folder, or a list of records without one."""
    if folder is None:
        yield RecordList()
        return
    with ShardWriter(folder, failures) as shard:
        yield shard
