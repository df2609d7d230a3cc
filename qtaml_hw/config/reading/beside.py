"""The list of buffers taken apart: documents of studies whose weights would lie in a buffer, one for each."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from qtaml_hw.config.reading.document import Change, Leaf, Origin, at_change, at_leaf, axes_over, flatten, written
from qtaml_hw.config.reading.layers import Document
from qtaml_hw.config.reading.problems import Problem
from qtaml_hw.config.reading.yaml_strict import Path, dotted

BUFFERS: Final = "buffers"
_KEPT: Final = ("network", "data", "accelerator")
"""Sections that are those of the study; of its array the technology is taken over, its cell and flips together."""
_TECHNOLOGY: Final = (("array", "node"), ("array", "periphery"), ("array", "v_dd"))
_CELL: Final = ("cell", "flips")
_CORRECTING: Final = ("refresh", "ecc_aware")
"""What no buffer does, whatever the law of its flips."""


@dataclass(frozen=True, eq=False)
class Beside:
    """The buffers of a document: items with what changes them, and the document without them.

    ``origins`` : where a changed field of an item, ("0", "cell", "t_ox"), was written, if not in the list.
    """

    plain: Document
    items: list[Any]
    leaf: Leaf | None
    problems: list[Problem]
    origins: dict[tuple[str, ...], Origin]

    @classmethod
    def of(cls, document: Document) -> Beside:
        """As the file and the changes over it leave them; an item is changed under ``buffers.NAME.field``."""
        leaf = document.base.get((BUFFERS,))
        items = copy.deepcopy(leaf.value) if leaf is not None else []
        problems: list[Problem] = []
        origins: dict[tuple[str, ...], Origin] = {}
        kept = []
        for group in document.changes:
            for change in (one for one in group if one.path[0] == BUFFERS):
                if len(change.path) == 1:
                    items = [] if change.value is None else copy.deepcopy(change.value)
                    leaf = None if change.value is None else Leaf(change.value, change.origin)
                    origins.clear()
                elif isinstance(items, list) and _set(items, change):
                    origins[tuple(map(str, _by_place(change.path, items)[1:]))] = change.origin
                else:
                    problems.append(_no_item(items, change))
            kept.append((*(one for one in group if one.path[0] != BUFFERS), *_pinned(document, items, group)))
        base = {path: one for path, one in document.base.items() if path[0] != BUFFERS}
        plain = dataclasses.replace(document, base=base, changes=tuple(kept))
        found = cls(plain, items if isinstance(items, list) else [], leaf, problems, origins)
        if not isinstance(items, list):
            problems.append(dataclasses.replace(found.at(), message="expected a list of buffers, each a mapping"))
        return found

    def at(self, *inside: str | int) -> Problem:
        """An empty problem at a place of the list."""
        path: Path = (BUFFERS, *inside)
        steps = tuple(map(str, inside))
        for changed, origin in reversed(self.origins.items()):
            if steps[: len(changed)] == changed:
                return Problem(origin.source, origin.line, origin.column, dotted(path), "")
        return Problem("", 1, 1, dotted(path), "") if self.leaf is None else at_leaf(self.leaf, path)

    def document(self, index: int, parts: Sequence[str]) -> Document:
        """The document of a study that keeps weights of the buffer's format in the buffer."""
        item: Mapping[str, Any] = self.items[index]
        own = [name for name in parts if name in item]
        taken = {*_KEPT, *(() if set(_CELL) & set(own) else _CELL)}

        def stays(path: Path) -> bool:
            return path[0] in taken or (path[:2] in _TECHNOLOGY and not _inside(item, path))

        base = {path: leaf for path, leaf in self.plain.base.items() if stays(path)}
        changes = tuple(tuple(one for one in group if stays(one.path)) for group in self.plain.changes)
        usual = Origin("default", "qtaml_hw", "")
        over = [Change(("evaluate", "at"), ["1 ms"], usual), Change(("weights", "format"), self._format(item), usual)]
        if not isinstance(item.get("refresh"), list):
            over.append(Change(_CORRECTING, False, usual))
        for name in own:
            for path, value in flatten(item[name], (name,)):
                place = self.at(index, *path)
                origin = Origin(self._kind, place.file, written(value), place.line, place.column)
                over.append(Change(path, _without_correcting(value) if path == _CORRECTING[:1] else value, origin))
        return dataclasses.replace(self.plain, base=base, changes=changes).changed(tuple(over))

    @property
    def _kind(self) -> Any:
        return "file" if self.leaf is None else self.leaf.origin.kind

    @staticmethod
    def _format(item: Mapping[str, Any]) -> Any:
        return item.get("format", "int8")

    def told(self, index: int, problem: Problem) -> Problem:
        """A problem of such a study as one of the buffer."""
        path = problem.path.removeprefix("weights.") if problem.path == "weights.format" else problem.path
        name = f"{BUFFERS}[{index}]"
        if not problem.line and problem.file not in {origin.source for origin in self.origins.values()}:
            place = self.at(index)
            problem = dataclasses.replace(problem, file=place.file, line=place.line, column=place.column)
        return dataclasses.replace(problem, path=f"{name}.{path}" if path else name)


def _without_correcting(refresh: Any) -> Any:
    """A refresh as written; the items of a list of it say for themselves that they do not correct words."""
    if not isinstance(refresh, list):
        return refresh
    return [{_CORRECTING[1]: False} | one if isinstance(one, dict) else one for one in refresh]


def _inside(item: Mapping[str, Any], path: Path) -> bool:
    """Whether an item says a field of a section itself."""
    section = item.get(str(path[0]))
    return isinstance(section, dict) and path[1] in section


def _set(items: list[Any], change: Change) -> bool:
    """Set a field of an item, which goes by its place or its name, in place; False where there is no such item."""
    place = _places(items).get(str(change.path[1]))
    node = None if place is None else items[place]
    if len(change.path) < 3 or not isinstance(node, dict):
        return False
    for step in change.path[2:-1]:
        inner = node.get(str(step))
        node[str(step)] = inner = inner if isinstance(inner, dict) else {}
        node = inner
    if change.value is None:
        node.pop(str(change.path[-1]), None)
    else:
        node[str(change.path[-1])] = change.value
    return True


def _pinned(document: Document, items: Any, group: Sequence[Change]) -> list[Change]:
    """The axes over fields of buffers that a user sets to one value, taken away: what is set is not swept."""
    own = [change for change in group if change.path[0] == BUFFERS and change.origin.kind == "set"]
    axes = axes_over([change.path for change in own], document.base, lambda path: _by_place(path, items))
    return [Change(axis, None, own[0].origin) for axis in axes]


def _by_place(path: Path, items: Any) -> Path:
    """A field of an item, however it is named, by the item's place; other fields as they are."""
    if path[0] != BUFFERS or len(path) < 2 or not isinstance(items, list):
        return path
    return (BUFFERS, str(_places(items).get(str(path[1]), path[1])), *path[2:])


def _places(items: list[Any]) -> dict[str, int]:
    """The places of items by what a change may call them: their names, and their places before those."""
    named = {str(one["name"]): place for place, one in enumerate(items) if isinstance(one, dict) and "name" in one}
    return named | {str(place): place for place in range(len(items))}


def _no_item(items: Any, change: Change) -> Problem:
    known = items if isinstance(items, list) else []
    names = [one.get("name", place) if isinstance(one, dict) else place for place, one in enumerate(known)]
    ways = ", ".join(f"{BUFFERS}.{name}.FIELD" for name in names) or "there is none: write the list first"
    message = f"{BUFFERS} is a list: set a field of one item, {ways}"
    return at_change(change, message)
