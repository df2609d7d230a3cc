"""From a file or a text to a checked study."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path as FilePath

from qtaml_hw._collection import without_collection
from qtaml_hw.config.designs import check_space, said_of_space
from qtaml_hw.config.reading.document import Change, Origin, written
from qtaml_hw.config.reading.layers import Document, change_path
from qtaml_hw.config.reading.problems import Problem, StudyError
from qtaml_hw.config.reading.yaml_strict import decode, read, scalar
from qtaml_hw.config.study import Study, build, first_point, sweep_plan

Overrides = Mapping[str, object] | Sequence[str]


def load_study(path: str | os.PathLike[str], overrides: Overrides = (), *, allow_code: Collection[str] = ()) -> Study:
    """Read and check a study file, its sweep included.

    ``overrides`` lie over the file: ``{"cell.t_ox": "1.7 nm"}`` or ``["cell.t_ox=1.7nm"]`` (values as in YAML).
    ``allow_code``: installed packages whose functions the study may name; those of its own folder it always may.
    Raises StudyError with every problem of the file, of the overrides and of the points; also when the file cannot
    be read.
    """
    name = os.fspath(path)
    try:
        raw = FilePath(name).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StudyError([Problem(name, 0, 0, "", f"cannot be read: {reason}")]) from None
    folder = FilePath(name).parent
    return parse_study(decode(raw, name), name=name, overrides=overrides, folder=folder, allow_code=allow_code)


def parse_study(
    text: str,
    *,
    name: str = "study",
    overrides: Overrides = (),
    folder: str | os.PathLike[str] = ".",
    allow_code: Collection[str] = (),
) -> Study:
    """Check a study given as text, its sweep included. Raises StudyError with every problem."""
    document = Document.of(read(text, name), FilePath(folder), allow_code)
    changes, problems = _changes(overrides)
    if changes:
        document = document.changed(changes)
    problems += sweep_plan(document)[1]
    study: Study | None = None
    try:
        study = _base(document)
    except StudyError as error:
        problems += error.errors
    if study is None or problems:
        raise StudyError(problems)
    if wrong := [said_of_space(problem) for problem in check_space(study)]:
        raise StudyError(wrong)
    with without_collection():
        study.points()
    return study


def overridden(study: Study, overrides: Overrides) -> Study:
    """A study with ``overrides`` laid over it, as if it had been loaded with them. Raises StudyError."""
    changes, problems = _changes(overrides)
    if problems:
        raise StudyError(problems)
    return study._changed(changes)


def _base(document: Document) -> Study:
    try:
        return build(document)
    except StudyError:
        filled = first_point(document)
        if filled is document:
            raise
    return build(filled)


def _changes(overrides: Overrides) -> tuple[tuple[Change, ...], list[Problem]]:
    if isinstance(overrides, str):
        overrides = [overrides]
    if isinstance(overrides, Mapping):
        items = [(path, value, written(value)) for path, value in overrides.items()]
        return tuple(Change(change_path(path), value, Origin("set", "--set", text)) for path, value, text in items), []
    changes: list[Change] = []
    problems: list[Problem] = []
    for one in overrides:
        path, equals, text = one.partition("=")
        if not equals or not path.strip():
            problems.append(Problem("--set", 0, 0, one[:80], "write it as path=value, such as cell.t_ox=1.7nm"))
            continue
        try:
            value = scalar(text)
        except StudyError as error:
            problems += [Problem("--set", 0, 0, path, problem.message) for problem in error.errors]
            continue
        changes.append(Change(change_path(path.strip()), value, Origin("set", "--set", text)))
    return tuple(changes), problems
