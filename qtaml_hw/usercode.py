"""Whose code a study may run: functions that lie in its own folder, and those of packages that the user allows by name.

A study file is data of whoever wrote it; ``package.module:function`` in it must not reach what merely happens to be
installed, least of all Python's own library.  Functions are found by their files here, nothing is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Final

PRODUCT: Final = "qtaml_hw"
"""Never looked for in a study's folder, even where that is a checkout of the product."""
OURS: Final = ("qtaml_hw.workloads.published",)
"""Modules of the product that are there to be named in a study."""


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
