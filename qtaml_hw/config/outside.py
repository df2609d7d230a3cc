"""What a study names outside of itself: files that must be there, functions that a module must have and may run.

Looked for, never opened or imported: a study is checked without running anybody's code.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Final

from qtaml_hw.config.place import problem_at
from qtaml_hw.config.reading.curves import Points, axis_complaint
from qtaml_hw.config.reading.fields import value_at
from qtaml_hw.config.reading.price_table import price_table
from qtaml_hw.config.reading.problems import Problem
from qtaml_hw.config.study import Study
from qtaml_hw.errors import nearest
from qtaml_hw.names import is_code_file
from qtaml_hw.usercode import Code, find

FILES: Final = (
    "network.weights",
    "network.file",
    "network.encoder.folder",
    "network.folder",
    "network.gguf",
    *(f"data.idx.{name}" for name in ("images", "labels", "train_images", "train_labels")),
    "data.npz.path",
    "data.texts",
    "protection.plan",
    "protection.menu",
    "flips.file",
    "array.cacti",
    "array.cost",
)
FUNCTIONS: Final = ("network.factory", "data.factory", "evaluate.metric")
_LARGEST_MODULE: Final = 2_000_000  # bytes that are read to look for a function


def missing(study: Study) -> list[Problem]:
    """What the study and the points of its sweep name that is not there, each once, at its place in the file."""
    absent: dict[tuple[str, str], Problem] = {}
    for one in (study, *(point.study for point in study.points()), *(buffer.study for buffer in study.beside)):
        for problem in lacking(one):
            absent.setdefault((problem.path, problem.message), problem)
    return list(absent.values())


def lacking(study: Study) -> Iterator[Problem]:
    """What a study names that is not there, at its place in the file; of a sweep's points nothing."""
    for path, complaint in _complaints(study):
        yield problem_at(study, path, complaint)


def _complaints(study: Study) -> Iterator[tuple[str, str]]:
    """(path, what is wrong with the value)."""
    for path, value in files(study):
        if not os.path.exists(study.folder / value):  # False, too, where a name is too long
            yield path, f"there is no {study.folder / value}"
        elif path == "array.cacti" and not os.access(study.folder / value, os.X_OK):
            yield path, f"{study.folder / value} is not a program that may be run (chmod +x)"
        elif path in _CONTENTS and (complaint := _CONTENTS[path](study)):
            yield path, complaint
    for path, name in functions(study):
        complaint = _function_missing(name, study)
        if complaint:
            yield path, complaint


def code_of(study: Study) -> dict[str, Code]:
    """Every function of a user's that the study and its points run, by the name that the study gives it."""
    named = {value: one for one in (study, *(point.study for point in study.points())) for _, value in functions(one)}
    return {value: find(value, one.folder, one.allow_code) for value, one in named.items()}


def programs_of(study: Study) -> list[FilePath]:
    """Every program that the study and its points run: a CACTI of the user's."""
    several = (study, *(point.study for point in study.points()))
    memories = [one for each in several for one in (each, *(buffer.study for buffer in each.beside))]
    return sorted({one.folder / one.array.cacti for one in memories if one.array.cacti is not None})


def files(study: Study) -> Iterator[tuple[str, str]]:
    """(path, file or folder from the study's folder) of everything on disk that a study names."""
    for path in FILES:
        value = value_at(study, path)
        if isinstance(value, tuple):
            yield from ((path, name) for name in value if is_code_file(name))
        elif isinstance(value, str) and (path != "data.texts" or value.endswith(".txt")):  # other texts are built in
            yield path, value


def functions(study: Study) -> Iterator[tuple[str, str]]:
    """(path, ``package.module:function``) of every function that a study names."""
    for path in FUNCTIONS:
        value = value_at(study, path)
        if isinstance(value, str) and ":" in value:
            yield path, value


def _prices_complaint(study: Study) -> str | None:
    """What is wrong with the content of a price table."""
    try:
        price_table(study.folder / str(study.array.cost))
    except (OSError, ValueError) as error:
        return " ".join(str(error).split())
    return None


def _curve_complaint(study: Study) -> str | None:
    """What is wrong with the content of a measured curve's file."""
    try:
        points = Points.of_file(study.folder / str(study.flips.file))
    except ValueError as error:
        return str(error)
    return axis_complaint(points.axis, study.cell.kind)


_CONTENTS: Final[Mapping[str, Callable[[Study], str | None]]] = {
    "array.cost": _prices_complaint,
    "flips.file": _curve_complaint,
}
"""Files of numbers, that are looked into."""


def _function_missing(name: str, study: Study) -> str:
    """Why ``package.module:function`` is not run; empty when it is, or nobody can tell without running it."""
    try:
        code = find(name, study.folder, study.allow_code)
    except ValueError as error:
        return str(error)
    if code.file is None or code.file.suffix != ".py" or code.file.stat().st_size > _LARGEST_MODULE:
        return ""
    try:
        names = _names(ast.parse(code.file.read_bytes(), str(code.file)))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
        return f"the module {code.module!r} cannot be read ({error})"
    if names is None or code.function in names:
        return ""
    return f"the module {code.module!r} has no {code.function!r}{nearest(code.function, sorted(names), 0.4)}"


def _names(tree: ast.Module) -> set[str] | None:
    """What a module binds at its top level, in branches too; None where only running it would tell."""
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    dynamic = bound & {"*", "__getattr__"}
    return None if dynamic or "globals" in {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} else bound
