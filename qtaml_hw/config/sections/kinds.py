"""Small annotated types shared by the sections: whole numbers, truth values, names from a table, lists."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, Strict
from pydantic_core import core_schema

from qtaml_hw.errors import unknown

Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Positive = Annotated[int, Strict(), Field(ge=1)]


@dataclass(frozen=True, eq=False)
class OneOf:
    """Annotation of a text that must be in a table; refuses with the table and the nearest name."""

    names: Collection[str]
    what: str

    def read(self, value: object) -> str:
        """The name itself. Raises ValueError when the table does not hold it."""
        if not isinstance(value, str) or value not in self.names:
            raise ValueError(unknown(self.what, value, self.names))
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.names)}


@dataclass(frozen=True, eq=False)
class CountOr:
    """Annotation of a whole number from 1 up, or a name for one that is worked out."""

    names: tuple[str, ...]
    most: int

    def read(self, value: object) -> int | str:
        """The number or the name. Raises ValueError for anything else."""
        if isinstance(value, str) and value in self.names:
            return value
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= self.most:
            return value
        raise ValueError(f"expected {', '.join(self.names)} or a whole number from 1 to {self.most}, got {value!r}")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        number = {"type": "integer", "minimum": 1, "maximum": self.most}
        return {"anyOf": [number, {"type": "string", "enum": list(self.names)}]}


def factory_name(text: str) -> str:
    """A text that names a function as 'package.module:function'. Raises ValueError when it does not."""
    module, colon, function = text.partition(":")
    if not colon or not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"{text[:80]!r} is not a factory; write it as 'package.module:function'")
    return text


def _non_empty(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError("needs the path of a file or folder")
    return text


FilePath = Annotated[str, AfterValidator(_non_empty)]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str | int | float) and not isinstance(value, bool) else value


@dataclass(frozen=True)
class _ScalarAsList:
    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(_as_list, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        listed = handler(schema)
        return {"anyOf": [listed, listed["items"]]}


ScalarAsList = _ScalarAsList()
"""A single value where a list is meant: ``at: 1 ms`` is ``at: [1 ms]``."""


def _no_repeats(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = next((value for index, value in enumerate(values) if value in values[:index]), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is listed twice; list it once")
    return values


NoRepeats = AfterValidator(_no_repeats)
