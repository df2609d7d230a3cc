"""The values of a point on the axes of its sweep: as a person writes them, and in SI."""

from __future__ import annotations

from typing import Any

from qtaml_hw.config import Point
from qtaml_hw.config.reading.fields import value_at
from qtaml_hw.config.study import fields_of_study
from qtaml_hw.config.sweep import field_of


def axes_shown(point: Point) -> dict[str, str]:
    """The point's values on the sweep's axes, as a person writes them."""
    return {
        path: ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for path, value in point.values.items()
    }


def axes_si(point: Point) -> dict[str, float | str]:
    """The number in SI behind every axis; the shown text where there is none."""
    shown = axes_shown(point)
    numbers = {path: _number(point, path) for path in shown}
    return {
        path: value if isinstance(value, int | float) and not isinstance(value, bool) else shown[path]
        for path, value in numbers.items()
    }


def _number(point: Point, path: str) -> Any:
    """What the study has at a path; of an item of a list, what was written there."""
    if field_of(path) == path:
        return value_at(point.study, path)
    value, field = point.values[path], fields_of_study()[field_of(path)]
    try:
        return value if field.quantity is None else field.quantity.read(value)
    except ValueError:  # several values, or the short form of a section
        return value
