"""Whose code a study may run, and what it consists of: functions of its own folder, and of packages allowed by name.

A study file is data of whoever wrote it; ``package.module:function`` in it must not reach what merely happens to be
installed, least of all Python's own library.  Functions are found by their files here, nothing is imported.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Final

PRODUCT: Final = "qtaml_hw"
"""Never looked for in a study's folder, even where that is a checkout of the product."""
OURS: Final = ("qtaml_hw.workloads.published",)
"""Modules of the product that are there to be named in a study."""


_BY_ANY_NAME: Final = frozenset({"importlib", "__import__", "runpy", "pkgutil", "exec", "eval"})
"""What imports modules whose names stand nowhere in the source."""


@dataclass(frozen=True)
class Code:
    """A function that a study names: its module, its name, the module's file (None: a package without one).

    own: it lies in the study's folder.
    """

    module: str
    function: str
    file: Path | None
    own: bool


def find(name: str, folder: str | Path, allowed: Collection[str] = ()) -> Code:
    """Where ``package.module:function`` is; the study's folder is looked through first.

    Raises ValueError when the name is none, there is no such module, or its code may not be run.
    """
    module, colon, function = name.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module.split("."), function]):
        raise ValueError(f"a factory is written 'package.module:function', got {name[:80]!r}")
    first = module.split(".")[0]
    own = None if first == PRODUCT else _spec(module, [str(Path(folder).resolve())])
    if own is not None:
        return Code(module, function, _file(own), True)
    if first in sys.stdlib_module_names or first in sys.builtin_module_names:
        raise ValueError(f"{name!r} is of Python's own library; put a function of yours in the study's folder")
    there = _spec(module, sys.path)
    if there is None:
        raise ValueError(f"there is no module {module!r}, in the study's folder or installed")
    if not may_run(module, allowed):
        raise ValueError(
            f"code of the installed package {first!r} is not run unless you allow it: "
            f"'qtaml-hw --allow-code {first} ...', in Python 'load(file, allow_code=[{first!r}])'"
        )
    return Code(module, function, _file(there), False)


def may_run(module: str, allowed: Collection[str]) -> bool:
    """Whether an installed module is one of ours for studies, or of a package that the user allows."""
    return module in OURS or any(module == one or module.startswith(f"{one}.") for one in allowed)


def _spec(module: str, places: list[str]) -> ModuleSpec | None:
    """Where a module is; its packages are walked through, not imported.

    Raises ValueError when it cannot be looked for.
    """
    spec: ModuleSpec | None = None
    for part in module.split("."):  # by its own name: a whole one would be looked up through its imported package
        try:
            spec = PathFinder.find_spec(part, places)
        except (ImportError, OSError) as error:
            raise ValueError(f"the module {module!r} cannot be looked for ({error})") from error
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or ())
    return spec


def _file(spec: ModuleSpec) -> Path | None:
    return None if spec.origin is None else Path(spec.origin)


def sources(code: Code, folder: str | Path) -> dict[str, Path]:
    """The files that a function's code consists of, by their names from the study's folder (or beside the package).

    Its module and all that it imports from there, at any depth, wherever the statement stands; every module that is
    there where one imports by computed names or changes ``sys.path``.  Of an installed package its own modules alone.
    Found by reading, nothing is imported.
    """
    if code.module.split(".")[0] == PRODUCT:
        return {}  # its version of results stands for it
    places = [str(Path(folder).resolve())] if code.own else sys.path
    found: dict[str, Path] = {}
    wanted, seen = [code.module], set[str]()
    while wanted:
        module = wanted.pop()
        parts = module.split(".")
        if module in seen or parts[0] == PRODUCT or (not code.own and parts[0] != code.module.split(".")[0]):
            continue
        seen.add(module)
        spec = _quiet_spec(module, places)
        if spec is None or spec.origin is None:
            continue
        wanted += [".".join(parts[:depth]) for depth in range(1, len(parts))]
        file, package = Path(spec.origin), parts if spec.submodule_search_locations is not None else parts[:-1]
        found[_relative(file, parts)] = file
        tree = _tree(file)
        if tree is not None and _by_any_name(tree) and (code.own or package):
            root = Path(places[0]) if code.own else file.parents[len(package)]
            inside = root if code.own else root / package[0]
            return {path.relative_to(root).as_posix(): path for path in _modules_in(inside)}
        wanted += [] if tree is None else _imports(tree, package)
    return found


def _quiet_spec(module: str, places: list[str]) -> ModuleSpec | None:
    try:
        return _spec(module, places)
    except ValueError:
        return None


def _relative(file: Path, parts: list[str]) -> str:
    """A module's file as its package names it, the same wherever the folder lies."""
    depth = len(parts) + (1 if file.stem == "__init__" else 0)
    return "/".join(file.parts[-depth:])


def _tree(file: Path) -> ast.Module | None:
    """A module's syntax; None for what is not Python, which nobody runs."""
    if file.suffix != ".py":
        return None
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
        return None


def _by_any_name(tree: ast.Module) -> bool:
    return any(
        (isinstance(node, ast.Name) and node.id in _BY_ANY_NAME)
        or (isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in _BY_ANY_NAME)
        or (isinstance(node, ast.Attribute) and node.attr == "path" and ast.unparse(node.value) == "sys")
        for node in ast.walk(tree)
    )


def _imports(tree: ast.Module, package: list[str]) -> Iterator[str]:
    """Every name that a module of a package may import; after ``from`` the module, and what may be modules in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            home = [*above, *(node.module.split(".") if node.module else [])]
            if home:
                yield ".".join(home)
            yield from (".".join([*home, alias.name]) for alias in node.names if alias.name != "*")


def _modules_in(folder: Path) -> Iterator[Path]:
    """All source beneath a folder, hidden folders and environments aside, in order."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith((".", "__")) and not (path / "pyvenv.cfg").exists():
            yield from _modules_in(path)
        elif path.suffix == ".py":
            yield path
