"""Names of a package that are loaded on first use, so that importing the package costs nothing."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


def attach(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package whose public names stand in its stub, ``__init__.pyi``.

    There every name is imported ``as`` itself, or bound to an imported one. Type checkers and editors read the same
    file, so that the names stand once (as in SPEC 1 of Scientific Python).
    """
    imported: dict[str, tuple[str, str]] = {}
    homes: dict[str, tuple[str, str]] = {}
    for node in ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            imported |= {alias.name: (str(node.module), alias.name) for alias in node.names}
            homes |= {alias.name: imported[alias.name] for alias in node.names if alias.asname}
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            homes |= {target.id: imported[node.value.id] for target in node.targets if isinstance(target, ast.Name)}

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, attribute = homes[name]
        if module == package:  # a part of the package itself
            return importlib.import_module(f"{package}.{attribute}")
        value = getattr(importlib.import_module(module), attribute)
        setattr(sys.modules[package], name, value)  # also where a part of the same name was imported on the way
        return value

    sys.modules[package].__class__ = _keeping({name for name, home in homes.items() if home[0] != package})
    names = sorted(homes)
    return load, lambda: names, names


def _keeping(names: set[str]) -> type[ModuleType]:
    """A package whose public functions stay what their names give, though a part of it has the same name.

    Python binds every part that is imported to its name in the package: ``reproduce`` is both.
    """

    class Package(ModuleType):
        def __setattr__(self, name: str, value: Any) -> None:
            if name not in names or not isinstance(value, ModuleType):
                super().__setattr__(name, value)

    return Package
