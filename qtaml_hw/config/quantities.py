"""Pydantic types for values with units: a YAML string such as ``1.2 nm`` becomes a float in SI."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from qtaml_hw.units import DIMENSIONS, parse


class Section(BaseModel):
    """A part of the study file: frozen, unknown keys refused, YAML keys as aliases of SI-named fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=False, validate_default=False, allow_inf_nan=False)


def _quantity(dimension: str) -> Any:
    kind = DIMENSIONS[dimension]
    schema = {"type": ["string", "number"] if "" in kind.units else "string", "examples": [kind.example],
              "description": f"{kind.name}; units: {', '.join(u for u in kind.units if u)}"}
    return Annotated[float, BeforeValidator(lambda value: parse(value, dimension)), WithJsonSchema(schema)]


Length = _quantity("length")
Area = _quantity("area")
Time = _quantity("time")
Frequency = _quantity("frequency")
Voltage = _quantity("voltage")
Energy = _quantity("energy")
ElectronVolt = _quantity("electronvolt")
Current = _quantity("current")
Capacitance = _quantity("capacitance")
Temperature = _quantity("temperature")
Fraction = _quantity("fraction")
Capacity = _quantity("capacity")
