"""Run, sweep, compare: the verbs of the scripting face over the engine and the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qtaml_hw.config import Point, Study, takes_study
from qtaml_hw.config.load import overridden
from qtaml_hw.errors import InputError
from qtaml_hw.progress import Progress, silent
from qtaml_hw.publish import citations, published
from qtaml_hw.records.fields import F
from qtaml_hw.records.record import Record
from qtaml_hw.records.results import Result, SweepResult, WhatIf
from qtaml_hw.records.summary import PointSummary, summarise
from qtaml_hw.study.run.engine import run_and_make
from qtaml_hw.study.run.task import Workers, place


@takes_study
def run(
    study: Study,
    *,
    jobs: int = 1,
    store: str | Path | None = None,
    progress: Progress = silent,
    command: str = "",
    label: str = "",
) -> Result:
    """Evaluate one design point over fault maps; with ``store``, records are kept there and a report is written.
    A point that cannot be evaluated leaves nothing there; a report that cannot be made is said in ``report_problem``.

    ``jobs`` processes of this machine share the maps; the records are the same, bit for bit.

    Raises InputError when the point cannot be evaluated.
    """
    folder = None if store is None else Path(store)
    point = Point(label or study.label, {}, study)
    summaries = _summaries([point], folder, Workers(jobs), progress, failures=False)
    if summaries[0].error is not None:
        raise InputError(summaries[0].error)
    report = published(study, folder, summaries, command)
    return Result(summaries[0], folder, report.page, citations(study), report.problem)


@takes_study
def sweep(
    study: Study,
    *,
    jobs: int = 1,
    store: str | Path | None = None,
    cluster: str | None = None,
    progress: Progress = silent,
    command: str = "",
) -> SweepResult:
    """Evaluate every point of the study's sweep; failed points are recorded and do not stop the others.

    ``jobs`` processes of this machine, or as many workers of a ``cluster`` that is started: ``local``, ``slurm``,
    ``lsf``, ``sge``, ``pbs``; or a running Dask scheduler's address (``tcp://host:8786``) with the workers it has.
    The records are the same, bit for bit.  A report that cannot be made is said in ``report_problem``.

    Raises StoreError when the folder cannot be used, InputError when workers or a cluster cannot be started.
    """
    folder = None if store is None else Path(store)
    points = list(study.points())
    summaries = _summaries(points, folder, Workers(jobs, cluster), progress)
    report = published(study, folder, summaries, command)
    return SweepResult(tuple(summaries), folder, report.page, report.problem)


@takes_study
def what_if(
    study: Study,
    changes: Mapping[str, object] | Sequence[str],
    *,
    store: str | Path | None = None,
    progress: Progress = silent,
) -> WhatIf:
    """The study before and after a change, on the same fault maps (same seed, same map indices).

    ``changes`` : ``{"cell.t_ox": "1.6 nm"}``, or ``["cell.t_ox=1.6nm"]`` as on the command line.

    Raises StudyError for changes that do not fit, InputError when a point cannot be evaluated.
    """
    if isinstance(changes, Mapping):
        label, after = ", ".join(f"{path}={value}" for path, value in changes.items()), study.with_(changes)
    else:
        label, after = ", ".join(changes), overridden(study, changes)
    folder = None if store is None else Path(store)
    points = [Point("before", {}, study), Point(label, {}, after)]
    summaries = _summaries(points, folder, Workers(), progress, failures=False)
    for summary in summaries:
        if summary.error is not None:
            raise InputError(f"{summary.facts[F.label]}: {summary.error}")
    report = published(study, folder, summaries)
    both = [Result(one, folder, report.page, report_problem=report.problem) for one in summaries]
    return WhatIf(both[0], both[1])


def _summaries(
    points: list[Point], folder: Path | None, workers: Workers, progress: Progress, *, failures: bool = True
) -> list[PointSummary]:
    """Summaries in point order, as this sweep calls its points (a record may stem from another one)."""

    def summary(number: int, records: list[Record]) -> PointSummary:
        (found,) = summarise(records, points[number].study.evaluate.yield_at)
        return replace(found, facts={**found.facts, **place(points[number], number)})

    return run_and_make(points, folder, summary, workers=workers, progress=progress, failures=failures)
