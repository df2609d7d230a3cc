"""Sections that are written as lists over planes, taken apart into documents of one cell for every class of planes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from qtaml_hw.config.reading.document import Change, Leaf, Origin, at_change, at_leaf, written
from qtaml_hw.config.reading.layers import Document
from qtaml_hw.config.reading.problems import Problem
from qtaml_hw.config.reading.yaml_strict import Path

BY_PLANE: Final = ("cell", "flips", "refresh")
"""Sections that may be lists over planes."""
_EXAMPLE = "[{planes: [7], kind: sram6t}, {planes: [0, 1, 2, 3, 4, 5, 6], preset: gain-cell-65nm}]"


@dataclass(frozen=True, eq=False)
class Lists:
    """The lists of a document: by section its items, and where each was written.

    ``document``: with the lists; ``plain``: without them and without what changes them.
    """

    document: Document
    plain: Document
    given: dict[str, list[dict[str, Any]]]
    leaves: dict[str, Leaf]
    problems: list[Problem]

    @classmethod
    def of(cls, document: Document, sections: Sequence[str]) -> Lists:
        """The lists that the file and the changes over it leave, with items changed under ``section.index.field``."""
        own = {name: document.base[name,] for name in sections if (name,) in document.base}
        leaves = {name: leaf for name, leaf in own.items() if isinstance(leaf.value, list)}
        items = {name: [_copied(one) for one in leaf.value] for name, leaf in leaves.items()}
        problems: list[Problem] = []
        kept: list[tuple[Change, ...]] = []
        for group in document.changes:
            rest = []
            for change in group:
                name = str(change.path[0])
                if len(change.path) == 1 and name in sections and isinstance(change.value, list):
                    items[name] = [_copied(one) for one in change.value]
                    leaves[name] = Leaf(change.value, change.origin)
                elif len(change.path) == 1 and name in items:
                    del items[name], leaves[name]
                    rest.append(change)
                elif name in items:
                    problems += _set(items[name], change)
                else:
                    rest.append(change)
            kept.append(tuple(rest))
        base = {path: leaf for path, leaf in document.base.items() if path[0] not in items}
        plain = dataclasses.replace(document, base=base, changes=tuple(kept))
        lists = cls(document, plain, items, leaves, problems)
        problems += lists._no_mappings()
        return lists

    def _at(self, name: str, *inside: str | int) -> Problem:
        """An empty problem at a place of a list."""
        return at_leaf(self.leaves[name], (name, *inside))

    def _no_mappings(self) -> list[Problem]:
        found = []
        for name, items in self.given.items():
            for index, item in enumerate(items):
                if not isinstance(item, dict) or not isinstance(item.get("planes"), list):
                    message = f"an item of a list over planes is a mapping with its planes, as in {name}: {_EXAMPLE}"
                    found.append(dataclasses.replace(self._at(name, index), message=message))
        return found

    def not_covering(self, planes: int, form: str) -> list[Problem]:
        """What is wrong with the planes of the lists: left out, named twice, or none of the format."""
        found = []
        for name, items in self.given.items():
            named = [plane for item in items for plane in item["planes"]]
            odd = [p for p in named if isinstance(p, bool) or not isinstance(p, int) or not 0 <= p < planes]
            known = [p for p in named if p not in odd]
            twice = sorted({p for p in known if known.count(p) > 1})
            wrong = (
                (f"{_listed(odd)} {'is none' if len(odd) == 1 else 'are none'}", odd),
                (f"{_listed(twice)} named twice", twice),
                (f"{_listed(sorted(set(range(planes)) - set(known)))} in no item", len(set(known)) < planes),
            )
            said = "; ".join(text for text, applies in wrong if applies)
            if said:
                message = f"every plane 0 to {planes - 1} of {form} is in one item: {said}"
                found.append(dataclasses.replace(self._at(name), message=message))
        return found

    def classes(self, planes: int) -> list[tuple[int, ...]]:
        """Planes that no list tells apart; the class of the top plane last."""
        members: dict[tuple[int, ...], list[int]] = {}
        for plane in range(planes):
            members.setdefault(tuple(self._item_of(name, plane) for name in self.given), []).append(plane)
        return sorted((tuple(one) for one in members.values()), key=lambda one: one[-1])

    def _item_of(self, name: str, plane: int) -> int:
        return next(index for index, item in enumerate(self.given[name]) if plane in item["planes"])

    def of_plane(self, plane: int, *more: Change) -> Document:
        """The document as it would be with one plane's items for all planes."""
        return self._with({name: self._item_of(name, plane) for name in self.given}, more)

    def first(self, *more: Change) -> Document:
        """The document with the first item of every list."""
        return self._with(dict.fromkeys(self.given, 0), more)

    def _with(self, chosen: dict[str, int], more: tuple[Change, ...]) -> Document:
        changes = []
        for name, index in chosen.items():
            item = self.given[name][index]
            own = {key: value for key, value in item.items() if key != "planes"} if isinstance(item, dict) else {}
            place = self._at(name, index)
            origin = Origin(self.leaves[name].origin.kind, place.file, written(own), place.line, place.column)
            changes += [Change((name, *path), value, origin) for path, value in _leaves(own)]
        return self.plain.changed((*changes, *more))

    def differing(self, classes: Sequence[tuple[str, Any]]) -> list[Problem]:
        """What the memory has once, whatever its planes: the laws that go together, and how it is refreshed."""
        place = next(iter(self.given))
        studies = [study for _, study in classes]
        refreshed = [study.refresh for study in studies if study.refresh.on]
        array = studies[0].array
        ways = {(one.mode, one.ecc_aware) for one in refreshed}
        checks = (
            (len({s.flips.law for s in studies} | {"poisson"}) == 1 + len({s.flips.law for s in studies})
             or {s.flips.law for s in studies} == {"poisson"},
             "the law poisson goes with no other: its cells are new after every write"),
            (len(ways) <= 1, "mode and ecc_aware of refresh are one for the memory: write them alike in every item"),
            (not any(s.refresh.retention_aware for s in studies) or len(studies) == 1,
             "retention_aware bins the rows of one kind of cell: leave it out, or write one cell and one refresh"),
            (not any(s.flips.structured for s in studies) or len(studies) == 1,
             "a structure of flips is one for all planes: leave it out of the list"),
            (array.plane_class is None or len(studies) == 1,
             "the lists say which planes share rows: leave out array.plane_class"),
            (all(len(s.refresh.intervals_s) == 1 for s in studies) or len(studies) == 1,
             "an item of a list over planes has one interval: leave out its list of intervals"),
        )  # fmt: skip
        return [dataclasses.replace(self._at(place), message=text) for holds, text in checks if not holds]


def _copied(item: Any) -> Any:
    return dict(item) if isinstance(item, dict) else item


def _leaves(item: dict[str, Any], path: Path = ()) -> list[tuple[Path, Any]]:
    found: list[tuple[Path, Any]] = []
    for key, value in item.items():
        found += _leaves(value, (*path, key)) if isinstance(value, dict) else [((*path, key), value)]
    return found


def _set(items: list[dict[str, Any]], change: Change) -> list[Problem]:
    """Set a field of an item in place; what is wrong with the change where it names none."""
    name, index, *inside = (str(step) for step in change.path)
    if not index.isdigit() or int(index) >= len(items) or len(inside) != 1:
        ways = ", ".join(f"{name}.{i}.FIELD (planes {_listed(one.get('planes'))})" for i, one in enumerate(items))
        message = f"{name} is a list over planes: set a field of one item, {ways}"
        return [at_change(change, message)]
    items[int(index)][inside[0]] = change.value
    return []


def _listed(planes: Any) -> str:
    return ", ".join(map(str, planes)) if isinstance(planes, list) else "?"
