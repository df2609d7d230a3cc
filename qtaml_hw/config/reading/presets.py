"""Presets of cells and of flip laws: one YAML file per source under ``presets``, laid under the user's own values.

A file holds ``name``, ``kind`` (of a cell) or ``law`` (of flips), ``source`` and ``values``; each value with the
source that it has: ``t_ox: {value: 1.8 nm, source: "..."}``; and, where it is known, how far off it may be:
``uncertainty: {value: 4 %, source: "..."}``, in the field's own unit or as a share of the value.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final, Literal

from qtaml_hw.config.reading.document import Layer, Leaf, Origin
from qtaml_hw.config.reading.yaml_strict import Tree, decode, read
from qtaml_hw.names import PRESET_ALIASES

Presettable = Literal["cell", "flips"]
_PRESETS: Final = FilePath(__file__).parents[1] / "presets"
_FOLDERS: Final[dict[Presettable, FilePath]] = {"cell": _PRESETS / "cells", "flips": _PRESETS / "flips"}
_TELLS: Final[dict[Presettable, str]] = {"cell": "kind", "flips": "law"}


@dataclass(frozen=True)
class Preset:
    """A preset file of a section: a kind of cell or law, the source of the whole, and values with their own sources."""

    section: Presettable
    name: str
    tree: Tree

    @property
    def kind(self) -> str:
        """The kind of cell, or the law of flips, that it describes."""
        return str(self.tree.data[_TELLS[self.section]])

    @property
    def source(self) -> str:
        """What the values as a whole were taken from."""
        return str(self.tree.data["source"])

    @functools.cached_property
    def uncertainties(self) -> dict[str, tuple[str, str]]:
        """Dotted field -> (how far off its value may be, as written; why that far)."""
        widths = {}
        for name, entry in self.tree.data["values"].items():
            stated = entry.get("uncertainty")
            if stated is not None:
                widths[f"{self.section}.{name}"] = (str(stated["value"]), str(stated["source"]))
        return widths

    @functools.cached_property
    def layer(self) -> Layer:
        """Its values as fields of its section, each with its citation."""
        tells = _TELLS[self.section]
        mark = self.tree.marks[(tells,)]
        origin = Origin("preset", self.tree.name, self.kind, mark.line, mark.column, self.source)
        layer: Layer = {(self.section, tells): Leaf(self.kind, origin)}
        for field, entry in self.tree.data["values"].items():
            mark = self.tree.marks[("values", field, "value")]
            origin = Origin("preset", self.tree.name, mark.text, mark.line, mark.column, str(entry["source"]))
            layer[(self.section, field)] = Leaf(entry["value"], origin)
        return layer


@functools.cache
def presets(section: Presettable) -> tuple[str, ...]:
    """The names of all presets of a section."""
    return tuple(sorted(path.stem for path in _FOLDERS[section].glob("*.yaml")))


@functools.cache
def preset(section: Presettable, name: str) -> Preset:
    """A preset by its name or an older one. Raises KeyError when there is none of that name."""
    name = PRESET_ALIASES.get(name, name)
    if name not in presets(section):
        raise KeyError(name)
    file = _FOLDERS[section] / f"{name}.yaml"
    tree = read(decode(file.read_bytes(), file.name), f"presets/{file.parent.name}/{file.name}")
    return Preset(section, name, tree)


def cell_presets() -> tuple[str, ...]:
    """The names of all cell presets."""
    return presets("cell")


def cell_preset(name: str) -> Preset:
    """A cell preset by name. Raises KeyError when there is none of that name."""
    return preset("cell", name)
