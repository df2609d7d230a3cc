"""A study before it is checked: layers of values, each value with its origin.

Layers lie over each other in this order: built-in defaults, the cell's preset, the study file, ``--set``, a point of
the sweep. A layer is flat: path -> leaf, where a leaf is anything but a mapping.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from qtaml_hw.config.reading.problems import Problem
from qtaml_hw.config.reading.yaml_strict import Mark, Path, Tree, dotted
from qtaml_hw.names import AXES

OriginKind = Literal["default", "preset", "file", "set", "sweep"]


@dataclass(frozen=True)
class Origin:
    """Where an effective value comes from.

    ``source`` is the file, or what set the value; ``text`` the value as written there; ``line`` and ``column`` its
    place (0: no file); ``citation`` what a preset took the value from.
    """

    kind: OriginKind
    source: str
    text: str
    line: int = 0
    column: int = 0
    citation: str = ""


@dataclass(frozen=True)
class Leaf:
    """One value of a layer. ``marks`` places the parts of a list that was read from a file."""

    value: Any
    origin: Origin
    marks: Mapping[Path, Mark] = field(default_factory=dict, repr=False, compare=False)


Layer = dict[Path, Leaf]

SHORTHAND: Final[dict[Path, str]] = {
    ("refresh",): "interval",
    ("scrub",): "interval",
    ("flips",): "law",
    ("network",): "name",
    ("data",): "name",
    ("data", "npz"): "path",
}
"""Mappings that may be written as one value: ``refresh: off`` is ``refresh: {interval: off}``."""

_BUDGET: Final = tuple(
    ("protection", "budget", kind)
    for kind in ("bits", "parity", "area", "energy", "distortion", "stored_bits", "shared")
)
_PAID_IN: Final = ("protection", "budget", "paid_in")
_PLANES: Final = ("protection", "planes")
_PLAN: Final = ("protection", "plan")
_DATA: Final = tuple(("data", kind) for kind in ("name", "idx", "npz", "texts", "factory"))
_NETWORK: Final = tuple(("network", kind) for kind in ("name", "factory", "file", "encoder", "folder", "gguf"))
_OF_FACTORY: Final = tuple(("network", part) for part in ("weights", "arguments", "keys"))
DISPLACES: Final[dict[Path, tuple[Path, ...]]] = {
    **{path: (*(other for other in (*_BUDGET, _PAID_IN) if other != path), _PLANES, _PLAN) for path in _BUDGET},
    _PLANES: (("protection", "budget"), _PLAN),
    _PLAN: (("protection", "budget"), _PLANES, ("protection", "policy")),
    ("protection", "policy"): (_PLAN,),
    ("flips", "points"): (("flips", "file"),),
    ("flips", "file"): (("flips", "points"),),
    **{path: tuple(other for other in _DATA if other != path) for path in _DATA},
    **{
        path: (*(other for other in _NETWORK if other != path), *(_OF_FACTORY if path[1] != "factory" else ()))
        for path in _NETWORK
    },
}
"""Alternatives: a value in one layer takes the place of its alternatives in the layers below."""


def flatten(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The leaves of nested mappings; shorthands written out, empty and absent sections left out."""
    if path in SHORTHAND and not isinstance(value, dict | list) and value is not None:
        yield (*path, SHORTHAND[path]), value
    elif isinstance(value, dict) and (value or len(path) <= 1):
        for key, item in value.items():
            yield from flatten(item, (*path, key))
    elif value is not None or len(path) > 1:
        yield path, value


def file_layer(tree: Tree) -> Layer:
    """The leaves of a study file, with the marks of the file."""
    layer: Layer = {}
    for path, value in flatten(tree.data):
        if path:
            mark = nearest_mark(tree.marks, path)
            origin = Origin("file", tree.name, mark.text or written(value), mark.line, mark.column)
            layer[path] = Leaf(value, origin, tree.marks)
    return layer


def nearest_mark(marks: Mapping[Path, Mark], path: Path) -> Mark:
    """The mark of a path, or of the closest enclosing value that was written."""
    while path and path not in marks:
        path = path[:-1]
    return marks.get(path, Mark(1, 1, "", 1, 1))


def at_leaf(leaf: Leaf, path: Path) -> Problem:
    """An empty problem at a part of a value: where that was written, or the nearest that encloses it."""
    mark = nearest_mark(leaf.marks, path) if leaf.marks else None
    line, column = (leaf.origin.line, leaf.origin.column) if mark is None else (mark.line, mark.column)
    return Problem(leaf.origin.source, line, column, dotted(path), "")


def written(value: Any) -> str:
    """A plain value as it would be written in a study file, on one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(written(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {written(item)}' for key, item in value.items())}}}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


@dataclass(frozen=True)
class Change:
    """A value set over the file: by ``--set``, by ``with_``, or by a point of the sweep. None takes it away."""

    path: Path
    value: Any
    origin: Origin


def at_change(change: Change, message: str) -> Problem:
    """What is wrong with a change, at its place."""
    return Problem(change.origin.source, change.origin.line, change.origin.column, dotted(change.path), message)


def change_layer(changes: Iterable[Change]) -> tuple[Layer, tuple[Path, ...]]:
    """The leaves of changes, and the paths that they take away."""
    layer: Layer = {}
    removed: list[Path] = []
    for change in changes:
        found = list(flatten(change.value, change.path)) if change.value is not None else []
        if not found:
            removed.append(change.path)
        for path, value in found:
            if value is None:
                removed.append(path)
            else:
                layer = {known: leaf for known, leaf in layer.items() if not _overlap(known, path)}
                layer[path] = Leaf(value, change.origin)
    return layer, tuple(removed)


def merge(below: Layer, above: Layer, removed: Iterable[Path] = ()) -> Layer:
    """``above`` over ``below``: equal paths, alternatives, and enclosing or enclosed values give way."""
    gone = {*removed, *above, *_alternatives(above)}
    around = {path[:length] for path in gone for length in range(1, len(path))}
    kept = {
        path: leaf
        for path, leaf in below.items()
        if path not in around and gone.isdisjoint(path[:length] for length in range(1, len(path) + 1))
    }
    return kept | above


def pinned(below: Layer, above: Layer) -> tuple[Path, ...]:
    """The axes in ``below`` that a user sets to one value in ``above``: what is set is not swept."""
    own = {path: leaf for path, leaf in above.items() if leaf.origin.kind == "set"}
    return axes_over([*own, *_alternatives(own)], below)


def axes_over(
    touched: Collection[Path], layer: Layer, spelt: Callable[[Path], Path] = lambda path: path
) -> tuple[Path, ...]:
    """The axes of a sweep or a space over fields that are touched; ``spelt`` : a field in the one way to name it."""
    axes = {path[:3] for path in layer if path[:2] in (("sweep", "grid"), ("sweep", "zip")) and len(path) > 2}
    axes |= {path[:2] for path in layer if path[0] == "space" and len(path) > 1}
    return tuple(axis for axis in axes if any(_overlap(spelt(_field(axis)), spelt(path)) for path in touched))


def _field(axis: Path) -> Path:
    """The field of an axis of a sweep or a space."""
    name = str(axis[-1])
    return tuple(AXES.get(name, name).split("."))


def _alternatives(layer: Layer) -> list[Path]:
    return [other for path in layer for length in (2, 3) for other in DISPLACES.get(path[:length], ())]


def _overlap(one: Path, other: Path) -> bool:
    """Whether one path is the other or lies inside it."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def nest(layer: Layer) -> dict[str, Any]:
    """The nested mappings of a layer."""
    root: dict[str, Any] = {}
    for path, leaf in layer.items():
        node = root
        for step in path[:-1]:
            node = node.setdefault(str(step), {})
        node[str(path[-1])] = leaf.value
    return root


def locate(layer: Layer, path: Path, *, key: bool = False) -> Problem:
    """An empty problem at the place of a path: its own mark, else the closest written value around or inside it."""
    for length in range(len(path), 0, -1):
        leaf = layer.get(path[:length])
        if leaf is not None:
            return _at(leaf, path, key)
        inside = [leaf for known, leaf in layer.items() if known[:length] == path[:length]]
        if inside:
            return _at(min(inside, key=lambda leaf: _RANK[leaf.origin.kind]), path, key)
    return Problem("", 1, 1, dotted(path), "")


_RANK: Final[dict[OriginKind, int]] = {"sweep": 0, "set": 1, "file": 2, "preset": 3, "default": 4}


def _at(leaf: Leaf, path: Path, key: bool) -> Problem:
    origin = leaf.origin
    mark = leaf.marks.get(path)
    if mark is None:
        return Problem(origin.source, origin.line, origin.column, dotted(path), "")
    line, column = (mark.key_line, mark.key_column) if key else (mark.line, mark.column)
    return Problem(origin.source, line, column, dotted(path), "")
