"""Run, sweep, compare: the verbs of the scripting face over the engine and the store."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qtaml_hw.config import Point, Study
from qtaml_hw.report import write_report
from qtaml_hw.study.engine import run_points
from qtaml_hw.study.errors import InputError
from qtaml_hw.study.point import axes_shown
from qtaml_hw.study.progress import Progress, silent
from qtaml_hw.study.questions import ecc_table
from qtaml_hw.study.results import Result, SweepResult, WhatIf
from qtaml_hw.study.store import Record, StoreError
from qtaml_hw.study.summary import PointSummary, summarise

ECC_TABLE_P = (1e-4, 1e-3, 1e-2)  # beside the study's own raw probability, for the report's ECC table


def run(
    study: Study, *, store: str | Path | None = None, progress: Progress = silent, command: str = "", label: str = ""
) -> Result:
    """Evaluate one design point over fault maps; with ``store``, records are kept there and a report is written.

    Raises InputError when the point cannot be evaluated.
    """
    folder = None if store is None else Path(store)
    point = Point(label or study.label, {}, study)
    (summary,) = _summaries([point], run_points([point], folder, progress=progress))
    if summary.error is not None:
        raise InputError(summary.error)
    return Result(summary, folder, _report(study, folder, command))


def sweep(
    study: Study, *, jobs: int = 1, store: str | Path | None = None, progress: Progress = silent, command: str = ""
) -> SweepResult:
    """Evaluate every point of the study's sweep; failed points are recorded and do not stop the others."""
    folder = None if store is None else Path(store)
    points = list(study.points())
    summaries = _summaries(points, run_points(points, folder, jobs=jobs, progress=progress))
    return SweepResult(tuple(summaries), folder, _report(study, folder, command))


def what_if(
    study: Study,
    changes: Mapping[str, object] | Sequence[str],
    *,
    store: str | Path | None = None,
    progress: Progress = silent,
) -> WhatIf:
    """The study before and after a change, on the same fault maps (same seed, same map indices)."""
    if not isinstance(changes, Mapping):
        changes = dict(_assignment(text) for text in changes)
    label = ", ".join(f"{path}={value}" for path, value in changes.items())
    after = study.with_(changes)
    folder = None if store is None else Path(store)
    points = [Point("before", {}, study), Point(label, {}, after)]
    summaries = _summaries(points, run_points(points, folder, progress=progress))
    for summary in summaries:
        if summary.error is not None:
            raise InputError(f"{summary.facts['label']}: {summary.error}")
    report = _report(study, folder, "")
    return WhatIf(Result(summaries[0], folder, report), Result(summaries[1], folder, report))


def _assignment(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise InputError(f"{text!r} is no change; write it as PATH=VALUE, such as cell.t_ox=1.6nm")
    return path.strip(), value.strip()


def _summaries(points: list[Point], records: list[list[Record]]) -> list[PointSummary]:
    """Summaries in point order, under the labels of this sweep (a record may stem from another one)."""
    found = []
    for number, (point, group) in enumerate(zip(points, records, strict=True)):
        (summary,) = summarise(group)
        axes = axes_shown(point)
        found.append(replace(summary, facts={**summary.facts, "label": point.label, "point": number, "axes": axes}))
    return found


def _report(study: Study, folder: Path | None, command: str) -> Path | None:
    """Parameters beside the records, then the report; None without a folder."""
    if folder is None:
        return None
    parameters = [
        {"path": path, "value": origin.text, "origin": origin.kind, "source": origin.citation or origin.source}
        for path, origin in study.provenance.items()
    ]
    citations = sorted({origin.citation for origin in study.provenance.values() if origin.citation})
    content = {"study": study.label, "command": command, "parameters": parameters, "citations": citations}
    _write_atomically(folder / "parameters.json", json.dumps(content, indent=1))
    _write_atomically(folder / "ecc_table.json", json.dumps([row.as_dict() for row in ecc_table(study, p=ECC_TABLE_P)]))
    if Path(study.file).is_file():
        _write_atomically(folder / "study.yaml", Path(study.file).read_text(encoding="utf-8-sig"))
    files = write_report(folder, title=study.label)
    return next((f for f in files if f.suffix == ".html"), None)


def _write_atomically(path: Path, text: str) -> None:
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)  # mkstemp makes private files; results are for colleagues too
        os.replace(name, path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
