"""What a study names outside of itself: files that must be there, functions that a module must have.

Looked for, never opened or imported: a study is checked without running anybody's code.
"""

from __future__ import annotations

import ast
import dataclasses
import os
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Final

from qtaml_hw.config.reading.document import locate
from qtaml_hw.config.reading.fields import value_at
from qtaml_hw.config.reading.problems import Problem
from qtaml_hw.config.study import Study
from qtaml_hw.errors import nearest

FILES: Final = (
    "network.weights",
    "network.file",
    "network.encoder.folder",
    *(f"data.idx.{name}" for name in ("images", "labels", "train_images", "train_labels")),
    "data.npz.path",
    "data.texts",
    "protection.plan",
)
FUNCTIONS: Final = ("network.factory", "data.factory", "evaluate.metric")
_LARGEST_MODULE: Final = 2_000_000  # bytes that are read to look for a function


def missing(study: Study) -> list[Problem]:
    """What the study and the points of its sweep name that is not there, each once, at its place in the file."""
    found: dict[tuple[str, str], Problem] = {}
    for one in (study, *(point.study for point in study.points())):
        for path, value, complaint in _complaints(one):
            place = locate(one._layer, tuple(path.split(".")))
            found.setdefault((path, value), dataclasses.replace(place, path=path, message=complaint))
    return [problem if problem.file else dataclasses.replace(problem, file=study.file) for problem in found.values()]


def _complaints(study: Study) -> Iterator[tuple[str, str, str]]:
    """(path, value, what is wrong with it)."""
    for path in FILES:
        value = value_at(study, path)
        named = isinstance(value, str) and (path != "data.texts" or value.endswith(".txt"))  # others are built in
        if named and not (study.folder / str(value)).exists():
            there = study.folder / str(value)
            yield path, str(value), f"there is no {there}"
    for path in FUNCTIONS:
        value = value_at(study, path)
        if isinstance(value, str) and ":" in value:
            complaint = _function_missing(value, study.folder)
            if complaint:
                yield path, value, complaint


def _function_missing(name: str, folder: Path) -> str:
    """Why ``package.module:function`` cannot be found; empty when it can, or nobody can tell without running it."""
    module, _, function = name.partition(":")
    if module in sys.builtin_module_names:
        return ""
    try:
        spec = _spec(module, [str(folder), *sys.path])
    except (ImportError, OSError, ValueError) as error:
        return f"the module {module!r} cannot be looked for ({error})"
    if spec is None:
        return f"there is no module {module!r}, in the study's folder or installed"
    if spec.origin is None or not spec.origin.endswith(".py") or os.path.getsize(spec.origin) > _LARGEST_MODULE:
        return ""
    try:
        names = _names(ast.parse(Path(spec.origin).read_bytes(), spec.origin))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
        return f"the module {module!r} cannot be read ({error})"
    if names is None or function in names:
        return ""
    return f"the module {module!r} has no {function!r}{nearest(function, sorted(names), 0.4)}"


def _spec(module: str, places: list[str]) -> ModuleSpec | None:
    """Where a module is; its packages are walked through, not imported."""
    spec: ModuleSpec | None = None
    for part in module.split("."):  # by its own name: a whole one would be looked up through its imported package
        spec = PathFinder.find_spec(part, places)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or ())
    return spec


def _names(tree: ast.Module) -> set[str] | None:
    """What a module binds at its top level, in branches too; None where only running it would tell."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    dynamic = found & {"*", "__getattr__"}
    return None if dynamic or "globals" in {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} else found
