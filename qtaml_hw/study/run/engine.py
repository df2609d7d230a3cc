"""Points to records: in this process, in several, or on a cluster; resumable, the same records wherever they are made.

What a store already answers is handed back without loading a network, or anything heavier than numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from qtaml_hw.config import Point, Study
from qtaml_hw.progress import Progress, silent
from qtaml_hw.records.interval import narrow_enough
from qtaml_hw.records.store import Record, ShardWriter, read_records
from qtaml_hw.records.summary import MAP_FIELDS
from qtaml_hw.study.design.identity import Digests, identity_of

if TYPE_CHECKING:
    from qtaml_hw.study.design.networks import Networks
    from qtaml_hw.study.run.task import Task

_NEEDED = {*MAP_FIELDS, "clean_accuracy", "images"}
Finished = dict[str, dict[int, Record]]
Results = dict[int, list[Record]]


@dataclass(eq=False)
class Memory:
    """A store that lives in this process only, for scripts that keep no folder."""

    records: list[Record] = field(default_factory=list)

    def append(self, record: Record) -> None:
        """Keep one record."""
        self.records.append(record)


@dataclass(frozen=True)
class Workers:
    """Where points are evaluated: ``jobs`` processes of this machine, or a cluster (see ``study.run.cluster``)."""

    jobs: int = 1
    cluster: str | None = None


def finished_maps(records: Iterable[Record]) -> Finished:
    """Records by identity and map index, failures left out (they are tried again)."""
    found: Finished = {}
    for record in records:
        if _whole(record):
            found.setdefault(str(record["identity"]), {})[int(record["map_index"])] = record
    return found


def _whole(record: Record) -> bool:
    """A finished map with everything that a summary needs; a store that was edited by hand may hold others."""
    accuracy = record.get("accuracy")
    return (
        record["map_index"] >= 0
        and isinstance(accuracy, int | float)
        and 0.0 <= accuracy <= 1.0
        and record.keys() >= _NEEDED
    )


def settled(study: Study, done: dict[int, Record]) -> list[Record] | None:
    """The maps 0, 1, 2 ... that satisfy the stopping rule; None while it takes more of them."""
    maps, found = study.evaluate.maps, list[Record]()
    accuracies: list[float] = []
    while not narrow_enough(accuracies, maps.min, maps.max, maps.ci95_halfwidth):
        record = done.get(len(found))
        if record is None:
            return None
        found.append(record)
        accuracies.append(float(record["accuracy"]))
    return found


def run_points(
    points: list[Point],
    folder: Path | None,
    *,
    workers: Workers | None = None,
    progress: Progress = silent,
    networks: Networks | None = None,
) -> list[list[Record]]:
    """Records of every point, in point order; resumes from the store in ``folder`` when one is given.

    ``networks`` : networks that are loaded already.

    Raises StoreError when the folder cannot be used, InputError when worker processes or a cluster cannot be started.
    """
    finished = finished_maps(read_records(folder)) if folder is not None and folder.exists() else {}
    digests, results = Digests(folder), Results()
    for number, point in enumerate(points):
        digest = digests.find(point.study)
        if digest is None:
            continue
        known = settled(point.study, finished.get(identity_of(point.study, digest), {}))
        if known is not None:
            results[number] = known
    if len(results) < len(points):
        with _sink(folder) as sink:
            results |= _evaluated(
                points, results, finished, sink, _Setting(digests, workers or Workers(), progress, networks)
            )
    progress(len(points), len(points), "done")
    return [results[number] for number in range(len(points))]


@dataclass(frozen=True, eq=False)
class _Setting:
    digests: Digests
    workers: Workers
    progress: Progress
    networks: Networks | None


def _evaluated(
    points: list[Point], known: Results, finished: Finished, sink: ShardWriter | Memory, setting: _Setting
) -> Results:
    """Records of the points that are not known yet."""
    from qtaml_hw.study.design.networks import Networks
    from qtaml_hw.study.run.task import Task, identify

    networks, results, tasks = setting.networks or Networks(setting.progress), Results(), list[Task]()
    for number, point in enumerate(points):
        if number in known:
            continue
        identity = identify(point.study, setting.digests, networks)
        done = finished.get(identity, {})
        records = settled(point.study, done)
        if records is None:
            tasks.append(Task(number, point, identity, done))
        else:
            results[number] = records
    if not tasks:
        return results
    if setting.workers.cluster is not None:
        from qtaml_hw.study.run.cluster import on_cluster

        return results | on_cluster(tasks, setting.workers, sink.append, setting.progress)
    if setting.workers.jobs > 1 and len(tasks) > 1 and isinstance(sink, ShardWriter):
        from qtaml_hw.study.run.processes import in_processes

        return results | in_processes(tasks, setting.workers.jobs, sink, networks, setting.progress)
    return results | _here(tasks, sink, networks, setting.progress)


def _here(tasks: list[Task], sink: ShardWriter | Memory, networks: Networks, progress: Progress) -> Results:
    from qtaml_hw._threads import single_thread
    from qtaml_hw.study.run.task import evaluate

    results = Results()
    with single_thread():
        for task in tasks:
            progress(len(results), len(tasks), task.point.label)
            results[task.number] = evaluate(task, networks, sink.append)
    return results


@contextmanager
def _sink(folder: Path | None) -> Iterator[ShardWriter | Memory]:
    """A new shard of the folder, or memory without one."""
    if folder is None:
        yield Memory()
        return
    with ShardWriter(folder) as shard:
        yield shard
