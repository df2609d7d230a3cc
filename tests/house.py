"""The package as a graph: its files and rooms, and who imports whom, read from the source.

Every import counts, wherever it stands: at the top of a file, behind ``TYPE_CHECKING``, or inside a function.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import networkx as nx

PACKAGE = Path(__file__).parents[1] / "qtaml_hw"
Arrows = set[tuple[str, str]]


def modules() -> dict[str, Path]:
    """Dotted name without the package's own -> file; a folder's ``__init__`` goes by the folder's name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imported(path: Path) -> Iterator[tuple[str, str | None]]:
    """(module, name taken from it) of every import of the package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "qtaml_hw":
            yield from ((str(node.module)[len("qtaml_hw") :].lstrip("."), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((a.name[len("qtaml_hw.") :], None) for a in node.names if a.name.startswith("qtaml_hw"))


def file_arrows() -> Arrows:
    """(importer, imported) between files; a face (``__init__``) that only lists names on first use draws none."""
    known = modules()
    arrows = set()
    for name, path in known.items():
        for module, taken in _imported(path):
            deeper = f"{module}.{taken}".lstrip(".")
            arrows.add((name, deeper if deeper in known else module))
    return {(a, b) for a, b in arrows if a != b}


def room(module: str, depth: int) -> str:
    """The folder of a module down to ``depth``; a file beside rooms is a room of its own."""
    parts = module.split(".")
    path = PACKAGE.joinpath(*parts)
    folder = parts if path.is_dir() else parts[:-1]
    return ".".join(folder[:depth]) if len(folder) >= depth else module


def room_arrows(depth: int) -> Arrows:
    """(importer, imported) between rooms; the root's own face (``qtaml_hw/__init__.py``) is not a room."""
    found = {(room(a, depth), room(b, depth)) for a, b in file_arrows()}
    return {(a, b) for a, b in found if a != b and a and b}


def circles(arrows: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Groups of nodes that reach each other, largest first."""
    groups = [sorted(c) for c in nx.strongly_connected_components(nx.DiGraph(arrows)) if len(c) > 1]
    return sorted(groups, key=len, reverse=True)
