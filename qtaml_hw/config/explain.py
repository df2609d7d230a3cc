"""From a pydantic error to a sentence at a place in the file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from qtaml_hw.config.reading.document import Layer, locate
from qtaml_hw.config.reading.fields import FieldSpec, children, suggest
from qtaml_hw.config.reading.problems import Problem
from qtaml_hw.config.reading.yaml_strict import Path, dotted
from qtaml_hw.errors import nearest, unknown
from qtaml_hw.units import shorten

MISSING: Final = "is missing; it has no default"

_LIMITS: Final = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def _limit(error: ErrorDetails) -> str:
    word, key = _LIMITS[error["type"]]
    return f"{shorten(error['input'])} is out of range; allowed: {word} {error['ctx'][key]}"


def _choice(error: ErrorDetails) -> str:
    expected, given = str(error["ctx"]["expected"]), error["input"]
    names = re.findall(r"'([^']*)'", expected)
    if not isinstance(given, str) or not names:
        return f"got {shorten(given)}; allowed: {', '.join(names) or expected}"
    return unknown("value", given, names)


def _expected(what: str) -> Callable[[ErrorDetails], str]:
    return lambda error: f"expected {what}, got {shorten(error['input'])}"


_MESSAGES: Final[Mapping[str, Callable[[ErrorDetails], str]]] = {
    "missing": lambda error: MISSING,
    "literal_error": _choice,
    "value_error": lambda error: str(error["ctx"]["error"]),
    "int_type": _expected("a whole number"),
    "int_from_float": _expected("a whole number"),
    "int_parsing": _expected("a whole number"),
    "float_type": _expected("a number"),
    "float_parsing": _expected("a number"),
    "finite_number": _expected("a finite number"),
    "bool_type": _expected("true or false"),
    "string_type": _expected("a text"),
    "string_too_long": lambda error: f"the text is longer than {error['ctx']['max_length']} characters",
    "tuple_type": _expected("a list such as [a, b]"),
    "list_type": _expected("a list such as [a, b]"),
    "dict_type": _expected("a mapping such as {key: value}"),
    "too_short": lambda error: "the list is empty; give at least one",
    "too_long": lambda error: f"the list is longer than {error['ctx']['max_length']}",
    **dict.fromkeys(_LIMITS, _limit),
}


@dataclass(frozen=True)
class Context:
    """What the sentences need to know: where values stand, the fields of this study, and those of any study."""

    layer: Layer
    fields: dict[str, FieldSpec]
    every_field: dict[str, FieldSpec]


def explain(failure: ValidationError, section: str, raw: Any, context: Context) -> list[Problem]:
    """The problems of one section, of which ``raw`` was validated."""
    errors = failure.errors(include_url=False)
    return [_problem(error, section, raw, context) for error in errors if not _follows(error)]


def _follows(error: ErrorDetails) -> bool:
    """Whether a list is called too short only because its elements were refused, each with its own error."""
    return error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]


def _problem(error: ErrorDetails, section: str, raw: Any, context: Context) -> Problem:
    layer, fields = context.layer, context.fields
    path = (section, *_written_path(error["loc"], raw))
    kind = error["type"]
    if kind == "extra_forbidden":
        return dataclasses.replace(locate(layer, path, key=True), message=_unknown_key(path, context))
    if error["input"] is None and kind != "missing":
        return dataclasses.replace(locate(layer, path), message="has no value; give one, or remove the line")
    if kind in ("model_type", "model_attributes_type"):
        keys = ", ".join(children(fields, dotted(tuple(step for step in path if isinstance(step, str)))))
        message = f"expected a mapping with the keys {keys}, got {shorten(error['input'])}"
        return dataclasses.replace(locate(layer, path), message=message)
    message = _MESSAGES[kind](error) if kind in _MESSAGES else error["msg"]
    place = locate(layer, path, key=kind == "missing")
    leaf = layer.get(path)
    if leaf is not None and leaf.origin.kind == "preset":
        message = f"{message} ({path[-1]} is {leaf.origin.text} in the preset)"
        path = path[:-1]
    if kind == "value_error":
        place = locate(layer, _named_field(message, path, layer, fields), key=kind == "missing")
    return dataclasses.replace(place, message=message)


def _written_path(location: tuple[int | str, ...], raw: Any) -> Path:
    """A pydantic location without the branches of unions, which are no part of the file."""
    path: list[str | int] = []
    node = raw
    for index, step in enumerate(location):
        if step in node if isinstance(node, dict) else isinstance(node, list) and step in range(len(node)):
            node = node[step]
            path.append(step)
        elif index == len(location) - 1 and isinstance(node, dict):
            path.append(step)
    return tuple(path)


def _named_field(message: str, path: Path, layer: Layer, fields: dict[str, FieldSpec]) -> Path:
    """A mistake between fields is shown at the first field that the message names and the user wrote."""
    words = re.findall(r"\w+", message)
    named: list[tuple[int, Path]] = []
    for known, leaf in layer.items():
        if known[: len(path)] != path or len(known) == len(path) or leaf.origin.kind in ("default", "preset"):
            continue
        field = fields.get(dotted(known[: len(path) + 1]))
        spellings = {str(known[len(path)]), field.attribute if field else ""}
        places = [index for index, word in enumerate(words) if word in spellings]
        named += [(places[0], known)] if places else []
    return min(named)[1] if named else path


def _unknown_key(path: Path, context: Context) -> str:
    key, prefix = str(path[-1]), dotted(tuple(step for step in path[:-1] if isinstance(step, str)))
    allowed = children(context.fields, prefix)
    if path[0] == "cell" and dotted(path) in context.every_field:
        return f"{key!r} is a field of other kinds of cell; this kind has: {', '.join(allowed)}"
    hint = nearest(key, allowed) or suggest(dotted((prefix, key)), context.fields)
    return f"unknown key {key[:60]!r}; allowed: {', '.join(allowed)}{hint}"
