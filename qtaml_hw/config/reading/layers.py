"""The layers of one study put together: defaults that follow from other values, the preset, the file, the changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Final

from qtaml_hw.config.reading.document import (
    Change,
    Layer,
    Leaf,
    Origin,
    change_layer,
    file_layer,
    locate,
    merge,
    pinned,
)
from qtaml_hw.config.reading.fields import FieldSpec, suggest
from qtaml_hw.config.reading.presets import cell_preset, cell_presets, preset, presets
from qtaml_hw.config.reading.problems import Problem
from qtaml_hw.config.reading.yaml_strict import Path, Tree, dotted
from qtaml_hw.errors import unknown
from qtaml_hw.names import (
    CELLS,
    DEFAULT_DATA,
    DEFAULT_NETWORK,
    FILE_FORMAT,
    LEAKS,
    PLANES,
    POLICIES,
    PRESET_ALIASES,
    SAME_CELLS,
    WIDTH_SCALE,
)

_OPEN: Final = (("sweep", "grid"), ("sweep", "zip"), ("network", "arguments"), ("network", "keys"))
"""Mappings whose keys are the user's own."""
_KIND: Final = ("cell", "kind")
_PRESET: Final = ("cell", "preset")
_LAW: Final = ("flips", "law")
_POLICY: Final = ("protection", "policy")
_BUDGET: Final = ("protection", "budget")
_SCALE: Final = ("weights", "scale")
_FORMAT: Final = ("weights", "format")
_DIRECTION: Final = ("flips", "direction")
_WRITE_DEVICE: Final = ("cell", "write_device")


@dataclass(frozen=True)
class Document:
    """A study file and the changes over it, in order; each group of changes is a layer of its own."""

    tree: Tree
    folder: FilePath
    base: Layer
    changes: tuple[tuple[Change, ...], ...] = ()
    allow_code: tuple[str, ...] = ()

    @classmethod
    def of(cls, tree: Tree, folder: FilePath, allow_code: Collection[str] = ()) -> Document:
        """The document of a file that was read, and the installed packages whose code it may run."""
        return cls(tree, folder, file_layer(tree), allow_code=tuple(allow_code))

    def changed(self, changes: tuple[Change, ...]) -> Document:
        """The document with one more layer of changes."""
        return dataclasses.replace(self, changes=(*self.changes, changes))

    def effective(self, fields: Mapping[str, FieldSpec]) -> tuple[Layer, list[Problem]]:
        """All layers merged, and what is wrong with the changes and the preset."""
        problems: list[Problem] = []
        layer = self.base
        for group in self.changes:
            known = [change for change in group if _is_known(change.path, fields)]
            problems += [_unknown(change, dict(fields)) for change in group if change not in known]
            above, removed = change_layer(known)
            layer = merge(layer, above, (*removed, *pinned(layer, above)))
        for below, wrong in (_preset_layer(layer), _flips_preset_layer(layer)):
            problems += wrong
            layer = merge(below, layer)
        for path, value in _following(layer):
            layer.setdefault(path, Leaf(value, Origin("default", "qtaml_hw", str(value))))
        return layer, problems


def change_path(text: str) -> Path:
    """``cell.t_ox`` -> ("cell", "t_ox"); everything behind ``sweep.grid.`` or ``space.`` names one axis."""
    parts = text.split(".")
    if parts[0] == "sweep" and len(parts) > 3:
        return (*parts[:2], ".".join(parts[2:]))
    if parts[0] == "space" and len(parts) > 2:
        return parts[0], ".".join(parts[1:])
    return tuple(parts)


def _is_known(path: Path, fields: Mapping[str, FieldSpec]) -> bool:
    path = tuple(step for place, step in enumerate(path) if place != 1 or not str(step).isdigit())
    return dotted(path) in fields or (len(path) == 3 and path[:2] in _OPEN) or (len(path) == 2 and path[0] == "space")


def _unknown(change: Change, fields: dict[str, FieldSpec]) -> Problem:
    path = dotted(change.path)
    origin = change.origin
    message = f"no such field {path[:80]!r}{suggest(path, fields)}"
    return Problem(origin.source, origin.line, origin.column, path, message)


def _preset_layer(layer: Layer) -> tuple[Layer, list[Problem]]:
    """The values of the cell's preset: the one that is named, else the default of the kind."""
    kind = layer[_KIND].value if _KIND in layer else None
    named = layer.get(_PRESET)
    if named is None:
        if kind is not None and (not isinstance(kind, str) or kind not in CELLS):
            return {}, []
        found = cell_preset(CELLS[kind or next(iter(CELLS))].preset)
        return found.layer | {_PRESET: Leaf(found.name, Origin("default", "qtaml_hw", found.name))}, []
    if not isinstance(named.value, str) or named.value not in (*cell_presets(), *PRESET_ALIASES):
        message = unknown("preset", named.value, cell_presets())
        return {}, [dataclasses.replace(locate(layer, _PRESET), message=message)]
    found = cell_preset(named.value)
    if isinstance(kind, str) and kind in CELLS and kind != found.kind:
        fitting = [name for name in cell_presets() if cell_preset(name).kind == kind]
        message = f"the preset {found.name} is a {found.kind}, cell.kind is {kind}; its presets: {', '.join(fitting)}"
        return {}, [dataclasses.replace(locate(layer, _PRESET), message=message)]
    return found.layer, []


def _flips_preset_layer(layer: Layer) -> tuple[Layer, list[Problem]]:
    """The values of the preset of the flip law that is named."""
    path = ("flips", "preset")
    named = layer.get(path)
    if named is None:
        return {}, []
    if not isinstance(named.value, str) or named.value not in presets("flips"):
        message = unknown("preset of flips", named.value, presets("flips"))
        return {}, [dataclasses.replace(locate(layer, path), message=message)]
    return preset("flips", named.value).layer, []


def _following(layer: Layer) -> list[tuple[Path, Any]]:
    """Defaults that depend on what else is given."""
    kind = layer[_KIND].value if _KIND in layer else None
    defaults: list[tuple[Path, Any]] = []
    if isinstance(kind, str) and kind in CELLS and ("refresh",) not in layer:
        defaults.append((("refresh", "interval"), CELLS[kind].refresh))
    if ("refresh",) not in layer:
        defaults.append((("refresh", "ecc_aware"), _correcting_pays(layer)))
    device = layer[_WRITE_DEVICE].value if _WRITE_DEVICE in layer else None
    if _law(layer) == "curve" and _DIRECTION not in layer and isinstance(device, str) and device in LEAKS:
        defaults.append((_DIRECTION, LEAKS[device]))
    stated = {known[:2] for known in layer}
    if _chooses_bits(layer):
        form = layer[_FORMAT].value if _FORMAT in layer else "int8"
        if form != FILE_FORMAT:
            defaults.append((_SCALE, WIDTH_SCALE))
        if _BUDGET not in stated:
            defaults.append(((*_BUDGET, "stored_bits"), float(PLANES.get(str(form), 8))))
            stated.add(_BUDGET)
    for path, alternatives, value in _UNLESS:
        given = path[:1] in layer or any(other in stated for other in alternatives)
        if not given:
            defaults.append((path, value))
    return defaults


def _chooses_bits(layer: Layer) -> bool:
    """Whether the policy chooses how many bits a weight has: by itself, or as its budget asks."""
    name = layer[_POLICY].value if _POLICY in layer else None
    widths = POLICIES[name].widths if isinstance(name, str) and name in POLICIES else "never"
    return widths == "always" or (widths == "asked" and (*_BUDGET, "stored_bits") in layer)


def _law(layer: Layer) -> Any:
    return layer[_LAW].value if _LAW in layer else "retention"


def _correcting_pays(layer: Layer) -> bool:
    """Whether correcting words at refresh can leave fewer errors than decoding them when they are read.

    It can where errors pile up between reads: under the law poisson, and where weak cells stay the same and a phase
    (heat, no refresh) leaves errors that a later one would not make.  Else the same cells fail after every refresh.
    """
    law = _law(layer)
    phases = any(path[:2] == ("timeline", "phases") and leaf.value not in ([], None) for path, leaf in layer.items())
    return law == "poisson" or (law in SAME_CELLS and phases)


_UNLESS: Final[tuple[tuple[Path, tuple[Path, ...], str], ...]] = (
    (
        ("network", "name"),
        tuple(("network", kind) for kind in ("factory", "file", "encoder", "folder", "gguf")),
        DEFAULT_NETWORK,
    ),
    (("data", "name"), (("data", "idx"), ("data", "npz"), ("data", "texts"), ("data", "factory")), DEFAULT_DATA),
    (
        ("protection", "budget", "bits"),
        (("protection", "planes"), ("protection", "budget"), ("protection", "plan")),
        "5 %",
    ),
)
"""(field, its alternatives, its default where none of them is given)."""
