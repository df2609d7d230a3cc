"""Cell presets: one YAML file per source under ``presets/cells``, laid under the user's own values.

A file holds ``name``, ``kind``, ``source`` and ``values``; each value with the source that it has:
``t_ox: {value: 1.8 nm, source: "..."}``; and, where it is known, how far off it may be:
``uncertainty: {value: 4 %, source: "..."}``, in the field's own unit or as a share of the value.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final

from qtaml_hw.config.reading.document import Layer, Leaf, Origin
from qtaml_hw.config.reading.yaml_strict import Tree, decode, read

_FOLDER: Final = FilePath(__file__).parents[1] / "presets" / "cells"


@dataclass(frozen=True)
class Preset:
    """A preset file: a kind of cell, the source of the whole, and values with their own sources."""

    name: str
    tree: Tree

    @property
    def kind(self) -> str:
        """The kind of cell that it describes."""
        return str(self.tree.data["kind"])

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
                widths[f"cell.{name}"] = (str(stated["value"]), str(stated["source"]))
        return widths

    @functools.cached_property
    def layer(self) -> Layer:
        """Its values as fields of the cell section, each with its citation."""
        mark = self.tree.marks[("kind",)]
        origin = Origin("preset", self.tree.name, self.kind, mark.line, mark.column, self.source)
        layer: Layer = {("cell", "kind"): Leaf(self.kind, origin)}
        for field, entry in self.tree.data["values"].items():
            mark = self.tree.marks[("values", field, "value")]
            origin = Origin("preset", self.tree.name, mark.text, mark.line, mark.column, str(entry["source"]))
            layer[("cell", field)] = Leaf(entry["value"], origin)
        return layer


@functools.cache
def cell_presets() -> tuple[str, ...]:
    """The names of all cell presets."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@functools.cache
def cell_preset(name: str) -> Preset:
    """A preset by name. Raises KeyError when there is none of that name."""
    if name not in cell_presets():
        raise KeyError(name)
    file = _FOLDER / f"{name}.yaml"
    return Preset(name, read(decode(file.read_bytes(), file.name), f"presets/cells/{file.name}"))
