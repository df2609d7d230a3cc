"""Points measured a few at a time, as it turns out which are wanted: one store, workers that stay."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from qtaml_hw._threads import single_thread
from qtaml_hw.config import Point
from qtaml_hw.progress import Progress, silent
from qtaml_hw.records.record import Record
from qtaml_hw.records.sequential import Looks
from qtaml_hw.records.store import ShardWriter, read_records
from qtaml_hw.records.summary import Finished, finished_maps
from qtaml_hw.study.design.networks.identity import Digests
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.run.evaluate import evaluate, identify
from qtaml_hw.study.run.processes import PATIENCE_S, Pool
from qtaml_hw.study.run.task import Emit, Results, Stop, Task, as_they_are, settled


@dataclass(eq=False)
class Session:
    """Measures points; what the store has, or an earlier call measured, is not measured again.

    ``emit`` keeps a record; ``pool`` : worker processes, None for this one alone.
    """

    networks: Networks
    digests: Digests
    finished: Finished
    emit: Emit
    pool: Pool | None = None
    _tasks: int = field(default=0, init=False)

    def measure(
        self, points: Sequence[Point], stop: Stop | None = None, looks: Looks | None = None
    ) -> list[list[Record]]:
        """Records of every point, in order, until its study's rule or ``stop`` ends it; a failure is a record.

        ``looks`` : maps are judged on some of the test images; their records are of no other measurement.

        Raises StoreError when a record cannot be written, InputError when workers cannot start.
        """
        tasks = []
        for number, point in enumerate(points, start=self._tasks):
            identity = identify(point.study, self.digests, self.networks)
            identity = identity if looks is None else looks.name(identity)
            tasks.append(Task(number, point, identity, self.finished.get(identity, {}), stop, looks))
        self._tasks += len(tasks)
        known = {task.number: settled(task.point.study, task.done, stop) for task in tasks}
        results = {number: records for number, records in known.items() if records is not None}
        for task in (wanting := [task for task in tasks if task.number not in results]):
            if self.pool is None:
                with single_thread():
                    results[task.number] = evaluate(task, self.networks, self.emit)
        if self.pool is not None and wanting:
            results |= self._by_workers(self.pool, wanting)
        for task in wanting:
            whole = {int(r.key[1]): r for r in results[task.number] if r.whole}
            self.finished[task.identity] = {**task.done, **whole}
        return [results[task.number] for task in tasks]

    def _by_workers(self, pool: Pool, tasks: list[Task]) -> dict[int, list[Record]]:
        pool.total += len(tasks)
        pool.pending.extend(tasks)
        pool.serve(0.0)
        while not all(task.number in pool.results.made for task in tasks):
            pool.serve(PATIENCE_S)
        return {task.number: pool.results.made[task.number] for task in tasks}


@contextmanager
def session(folder: Path | None, networks: Networks, jobs: int = 1, progress: Progress = silent) -> Iterator[Session]:
    """A session over the store in ``folder``, or without one; more than one job takes a store."""
    finished = finished_maps(read_records(folder)) if folder is not None and os.path.isdir(folder) else {}
    if folder is None:
        yield Session(networks, Digests(), finished, lambda _: None)
        return
    with ShardWriter(folder) as shard:
        pool = Pool(jobs, 0, shard, progress, Results(as_they_are)) if jobs > 1 else None
        try:
            yield Session(networks, Digests(folder), finished, shard.append, pool)
        finally:
            if pool is not None:
                pool.close()
