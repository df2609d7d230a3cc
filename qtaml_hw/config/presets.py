"""Cell presets: one YAML file per source under ``presets/cells``, laid under the user's own values."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Final

from qtaml_hw.config.document import Layer, file_layer
from qtaml_hw.config.yaml_strict import Tree, decode, read

_FOLDER: Final = FilePath(__file__).parent / "presets" / "cells"
_ABOUT: Final = frozenset({"title", "description", "source", "sources", "notes"})


@dataclass(frozen=True)
class Preset:
    """The values of a preset file and what the file says about them."""

    name: str
    tree: Tree

    @property
    def kind(self) -> str:
        """The kind of cell that it describes."""
        return str(self.tree.data["kind"])

    @property
    def about(self) -> dict[str, Any]:
        """Title, sources and notes, as written."""
        return {key: value for key, value in self.tree.data.items() if key in _ABOUT}

    def layer(self) -> Layer:
        """Its values as fields of the cell section."""
        return file_layer(self.tree, "preset", self.tree.name, root=("cell",), skip=_ABOUT)


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
