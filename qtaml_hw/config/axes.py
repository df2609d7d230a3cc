"""The values of a point on the axes of its sweep: as a person writes them, and in SI."""

from __future__ import annotations

from qtaml_hw.config import Point
from qtaml_hw.config.reading.fields import value_at


def axes_shown(point: Point) -> dict[str, str]:
    """The point's values on the sweep's axes, as a person writes them."""
    return {
        path: ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for path, value in point.values.items()
    }


def axes_si(point: Point) -> dict[str, float | str]:
    """The number in SI behind every axis; the shown text where there is none."""
    shown = axes_shown(point)
    numbers = {path: value_at(point.study, path) for path in shown}
    return {
        path: value if isinstance(value, int | float) and not isinstance(value, bool) else shown[path]
        for path, value in numbers.items()
    }
