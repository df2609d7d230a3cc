"""The fields that a study file has, read off the models: for suggestions, allowed keys, sweeps and provenance."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, SupportsFloat, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from qtaml_hw.config.reading.document import written
from qtaml_hw.config.reading.quantities import Quantity
from qtaml_hw.errors import closest, nearest
from qtaml_hw.units import DIMENSIONS, show


@dataclass(frozen=True)
class FieldSpec:
    """One field of the file: its dotted path, the attribute that holds it, its unit, whether it holds fields itself."""

    path: str
    attribute: str
    quantity: Quantity | None
    branch: bool
    description: str


def _parts(annotation: Any) -> list[Any]:
    """An annotation and everything inside its brackets."""
    return [annotation, *(part for argument in get_args(annotation) for part in _parts(argument))]


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field can hold."""
    return [part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]


def _quantity(info: FieldInfo) -> Quantity | None:
    found = [*info.metadata, *_parts(info.annotation)]
    return next((part for part in found if isinstance(part, Quantity)), None)


def _has_kind(model: type[BaseModel], kind: str | None) -> bool:
    tag = model.model_fields.get("kind")
    return kind is None or tag is None or kind in get_args(tag.annotation)


@functools.cache
def catalogue(root: type[BaseModel], kind: str | None = None) -> dict[str, FieldSpec]:
    """Dotted path -> field, in the order of the models. ``kind`` keeps one kind of cell; None keeps all."""
    found: dict[str, FieldSpec] = {}
    _collect(root, "", kind, found)
    return found


def _collect(model: type[BaseModel], prefix: str, kind: str | None, found: dict[str, FieldSpec]) -> None:
    for attribute, info in model.model_fields.items():
        path = prefix + (info.alias or attribute)
        inner = [one for one in models_in(info.annotation) if _has_kind(one, kind)]
        if path not in found:
            found[path] = FieldSpec(path, attribute, _quantity(info), bool(inner), info.description or "")
        for one in inner:
            _collect(one, f"{path}.", kind, found)


def value_at(root: BaseModel, path: str) -> Any:
    """The value at a path of the file, whose names are aliases of attributes; None where there is none."""
    node: Any = root
    for step in path.split("."):
        fields = getattr(type(node), "model_fields", {})
        name = next((n for n, f in fields.items() if step in (n, f.alias)), None)
        if name is None:
            return None
        node = getattr(node, name)
    return node


def from_si(path: str, value: object, fields: dict[str, FieldSpec]) -> tuple[str, object]:
    """A number, or numbers, under a field's SI name (``cell.t_ox_m``): the path, and the values with their unit."""
    section, _, name = path.rpartition(".")
    meant = (f for f in fields.values() if f.attribute == name and f.path.rpartition(".")[0] == section)
    spec = None if path in fields else next((f for f in meant if f.quantity is not None), None)
    if spec is None or spec.quantity is None:
        return path, value
    listed = value if isinstance(value, list | tuple) else [value]
    numbers = [number for number in listed if isinstance(number, SupportsFloat) and not isinstance(number, bool)]
    if len(numbers) < len(listed):
        return spec.path, value
    unit = DIMENSIONS[spec.quantity.dimension].si
    written = [f"{float(number)!r} {unit}".removesuffix(" 1") for number in numbers]
    return spec.path, written if isinstance(value, list | tuple) else written[0]


def children(fields: dict[str, FieldSpec], prefix: str) -> list[str]:
    """The keys that a mapping of the file can have."""
    start = f"{prefix}." if prefix else ""
    return [path[len(start) :] for path in fields if path.startswith(start) and "." not in path[len(start) :]]


_FEW = 3  # fields of one key in different sections, all of them worth naming


def suggest(path: str, fields: dict[str, FieldSpec]) -> str:
    """``; did you mean 'cell.t_ox'?`` for a path that is no field: same key elsewhere, else the closest spelling."""
    key = path.rpartition(".")[2].lower()
    if not path.startswith("buffers"):  # whose fields are those of other sections again
        fields = {known: field for known, field in fields.items() if not known.startswith("buffers.")}
    same = [known for known in fields if known.rpartition(".")[2] == key]
    if 1 <= len(same) <= _FEW:
        return f"; did you mean {' or '.join(repr(known) for known in same)}?"
    near = nearest(path, fields, 0.7)
    if near:
        return near
    by_key = {known.rpartition(".")[2]: known for known in fields}
    match = closest(key, by_key, 0.75)
    return f"; did you mean {by_key[match]!r}?" if match else ""


def shown(value: Any, field: FieldSpec) -> str:
    """A value in SI as a person writes it."""
    if value is None:
        return field.quantity.off or "" if field.quantity is not None else ""
    if field.quantity is None:
        return written(value)
    if isinstance(value, tuple):
        off = field.quantity.off
        return written([off if one is None else show(one, field.quantity.dimension) for one in value])
    return show(value, field.quantity.dimension)


def rounded(value: Any) -> Any:
    """Floats to 12 significant digits, so that 1.5 nm and 0.0015 um are one value; -0.0 is 0.0."""
    if isinstance(value, float):
        return float(f"{value:.12g}") + 0.0
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value
