"""The study file as a JSON Schema (draft 2020-12), for completion and checks in editors."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from qtaml_hw.config.reading.by_plane import BY_PLANE
from qtaml_hw.config.reading.document import SHORTHAND
from qtaml_hw.config.reading.fields import catalogue, models_in
from qtaml_hw.config.reading.presets import cell_presets
from qtaml_hw.config.reading.quantities import Quantity
from qtaml_hw.config.study import Study
from qtaml_hw.names import PRESET_ALIASES
from qtaml_hw.units import DIMENSIONS, show

_EXAMPLE: Final[dict[str, Any]] = {
    "study": "gain-cell-oxide",
    "cell": {"preset": "gain-cell-65nm", "t_ox": "1.8 nm", "temperature": "85 degC"},
    "refresh": {"interval": "10 us"},
    "protection": {"policy": "tac", "budget": {"bits": "5 %"}, "menu": ["secded-72-64"]},
    "network": {"name": "digits-lenet"},
    "evaluate": {"at": ["1 ms"], "images": 360, "maps": {"min": 8, "max": 64, "ci95_halfwidth": "2.5 %"}},
    "sweep": {"grid": {"cell.t_ox": {"from": "1.5 nm", "to": "2.0 nm", "step": "0.1 nm"}}},
}

_SINGLE: Final[dict[str, Any]] = {"type": ["string", "number"]}

_BY_PLANE: Final[dict[str, Any]] = {
    "type": "array",
    "minItems": 1,
    "description": "by plane: items of the same keys, each with the planes that it is for",
    "items": {
        "type": "object",
        "required": ["planes"],
        "properties": {"planes": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}}},
    },
}

_RANGE: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["from", "to"],
    "properties": {
        "from": {**_SINGLE, "description": "first value"},
        "to": {**_SINGLE, "description": "last value, included when the steps meet it"},
        "step": {**_SINGLE, "description": "distance between values"},
        "count": {"type": "integer", "minimum": 2, "description": "number of values"},
        "spacing": {"enum": ["linear", "log"], "description": "how count values are spaced"},
    },
    "oneOf": [{"required": ["step"]}, {"required": ["count"]}],
}


def json_schema() -> dict[str, Any]:
    """The schema as plain JSON values: every field with its description, units, limits and default."""
    schema = Study.model_json_schema(by_alias=True)
    parts: dict[str, Any] = schema["$defs"]
    properties: dict[str, Any] = schema["properties"]
    for model in _models(Study):
        _in_units(schema if model is Study else parts[model.__name__], model)
    for place in (properties, parts["BufferSection"]["properties"]):
        _open_cell(parts, place["cell"])
    _sweep(parts["SweepSection"])
    parts["SpaceSection"]["additionalProperties"] = {"description": "an axis by its field or short name"}
    buffer = parts["BufferSection"]
    for path, key in SHORTHAND.items():
        name = str(path[-1])
        for place in (properties, buffer["properties"]) if len(path) == 1 else (parts["DataSection"]["properties"],):
            if name in place:
                written = dict(place[name])
                about = {"description": written.pop("description", "")}
                place[name] = {"anyOf": [written, _shorthand(parts, path, key)], **about}
    for name in BY_PLANE:
        for place in (properties, buffer["properties"]):
            place[name]["anyOf"] = [*place[name]["anyOf"], _BY_PLANE]
    buffer["required"] = ["name", "contents"]
    schema.pop("required", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "qtaml_hw study",
        "description": "One design point of a leaking weight memory, and the sweep around it.",
        **{name: value for name, value in schema.items() if name not in ("title", "description")},
        "examples": [_EXAMPLE],
    }


def _models(root: type[BaseModel]) -> list[type[BaseModel]]:
    """A model and all models inside it."""
    inner = [model for info in root.model_fields.values() for model in models_in(info.annotation)]
    return [root, *(model for one in inner for model in _models(one))]


def _in_units(part: dict[str, Any], model: type[BaseModel]) -> None:
    """Descriptions name the units, and defaults are as a person writes them."""
    for key, field in catalogue(model).items():
        written = part["properties"].get(key)
        if written is None:
            continue
        default = written.pop("default", None)
        if field.quantity is None:
            written |= {} if default is None else {"default": default}
            continue
        units = DIMENSIONS[field.quantity.dimension].units
        written["description"] = f"{field.description} ({', '.join(unit for unit in units if unit and unit.isascii())})"
        value = model.model_fields[field.attribute].default
        if isinstance(value, int | float | tuple) or (value is None and field.quantity.off):
            written["default"] = _written_default(value, field.quantity)


def _written_default(value: Any, quantity: Quantity) -> Any:
    """A default in SI as it would be written in the file."""
    if isinstance(value, tuple):
        return [_written_default(one, quantity) for one in value]
    return quantity.off if value is None else show(value, quantity.dimension)


def _shorthand(parts: dict[str, Any], path: tuple[str | int, ...], key: str) -> dict[str, Any]:
    """What may stand in place of a mapping: the schema of the one key that it means."""
    section = {
        "refresh": "RefreshSection",
        "scrub": "ScrubSection",
        "flips": "FlipsSection",
        "network": "NetworkSection",
    }
    name = "NpzFile" if len(path) > 1 else section.get(str(path[0]), "DataSection")
    shown = dict(parts[name]["properties"][key])
    shown.pop("default", None)
    return shown


def _open_cell(parts: dict[str, Any], cell: dict[str, Any]) -> None:
    """A preset supplies what a cell section leaves out, its kind included."""
    kinds = cell.pop("oneOf", None) or [{"$ref": cell.pop("$ref")}]
    cell.pop("discriminator", None)
    cell["anyOf"] = kinds
    for kind in kinds:
        part = parts[kind["$ref"].rpartition("/")[2]]
        part.pop("required", None)
        part["properties"]["preset"] = {
            "type": "string",
            "enum": [*cell_presets(), *PRESET_ALIASES],
            "description": part["properties"]["preset"].get("description", ""),
        }


def _sweep(section: dict[str, Any]) -> None:
    """Axes are named by the fields that there are."""
    names = [path for path in catalogue(Study) if path.split(".")[0] not in ("study", "sweep", "space")]
    axis = {"anyOf": [{"type": "array", "minItems": 1}, _RANGE]}
    for part in ("grid", "zip"):
        section["properties"][part] |= {"propertyNames": {"enum": names}, "additionalProperties": axis}
    section["properties"]["cases"]["items"] = {
        "type": "object",
        "properties": {"label": {"type": "string"}},
        "propertyNames": {"enum": ["label", *names]},
    }
