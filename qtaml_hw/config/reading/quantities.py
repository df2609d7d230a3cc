"""Pydantic types for values with units: a YAML string such as ``1.2 nm`` becomes a float in SI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from qtaml_hw.errors import nearest
from qtaml_hw.units import DIMENSIONS, parse, show


class Section(BaseModel):
    """A part of the study file: frozen, unknown keys refused, YAML keys as aliases of SI-named fields."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=False,
        validate_default=False,
        allow_inf_nan=False,
        defer_build=True,  # a command that checks one study builds one kind of cell, not all of them
    )

    usual: ClassVar[Mapping[str, object]] = {}
    """Fields that came later, and the values that change nothing: at those they are no part of an identity."""

    if not TYPE_CHECKING:  # type checkers know the fields; a name that is none is asked of pydantic first

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError:
                if name.startswith("_"):
                    raise
                near = nearest(name, [*type(self).model_fields, *vars(type(self))])
                raise AttributeError(f"{type(self).__name__} has no {name!r}{near}") from None

    def unused(self) -> set[str]:
        """Attributes that no result depends on, as the others are."""
        return {name for name, value in self.usual.items() if getattr(self, name) == value}

    def left_out(self) -> dict[str, Any]:
        """What is unused here and in the sections inside, as pydantic's ``exclude``; a section unused as a whole is."""
        found: dict[str, Any] = dict.fromkeys(self.unused(), True)
        for name, value in self:
            if name in found:
                continue
            if isinstance(value, Section):
                found[name] = value.unused() == type(value).model_fields.keys() or value.left_out()
            elif isinstance(value, tuple):
                inner = {i: part.left_out() for i, part in enumerate(value) if isinstance(part, Section)}
                found[name] = {i: part for i, part in inner.items() if part}
        return {name: part for name, part in found.items() if part}  # an empty one would leave out all of it


@dataclass(frozen=True)
class Quantity:
    """Annotation of a float field that is written with a unit; bounds are in SI and part of the field's contract.

    ``off`` is the word that stands for "none" (a refresh that does not happen); such a field holds None then.
    """

    dimension: str
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    off: str | None = None

    def read(self, value: object) -> float | None:
        """The value in SI. Raises ValueError: unit missing or wrong, or outside the bounds."""
        if self.off is not None and value == self.off:
            return None
        try:
            number = parse(value, self.dimension)
        except ValueError as error:
            if self.off is None or any(map(str.isdigit, str(value))):
                raise
            raise ValueError(f"{error}; without one, write '{self.off}'") from None
        if self.dimension == "fraction" and number > 1.0 and (self.at_most or 0.0) > 1.0 and "%" not in str(value):
            raise ValueError(f"{value} without a unit would be {100.0 * number:.9g} %; write it with its % sign")
        low = self.at_least if self.above is None else self.above
        too_low = (self.above is not None and number <= self.above) or (
            self.at_least is not None and number < self.at_least
        )
        if too_low or (self.at_most is not None and number > self.at_most):
            raise ValueError(f"{value} is out of range; allowed: {self._range(low)}")
        return number

    def _range(self, low: float | None) -> str:
        word = "above" if self.above is not None else "at least"
        below = "" if low is None else f"{word} {show(low, self.dimension)}"
        high = "" if self.at_most is None else f"at most {show(self.at_most, self.dimension)}"
        return " and ".join(part for part in (below, high) if part)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        kind = DIMENSIONS[self.dimension]
        text = f"{kind.name} with its unit: {', '.join(unit for unit in kind.units if unit.isascii() and unit)}"
        bounds = self._range(self.at_least if self.above is None else self.above)
        return {
            "type": ["string", "number"] if "" in kind.units else "string",
            "description": text + (f"; {bounds}" if bounds else "") + (f"; or '{self.off}'" if self.off else ""),
            "examples": [kind.example],
        }


Length = Annotated[float, Quantity("length")]
Area = Annotated[float, Quantity("area")]
Voltage = Annotated[float, Quantity("voltage")]
SupplyVoltage = Annotated[float | None, Quantity("voltage", above=0.0, at_most=3.0)]
ElectronVolt = Annotated[float, Quantity("electronvolt")]
Current = Annotated[float, Quantity("current")]
Capacitance = Annotated[float, Quantity("capacitance")]
Temperature = Annotated[float, Quantity("temperature")]
Fraction = Annotated[float, Quantity("fraction")]
