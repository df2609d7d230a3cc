"""The values of a point on the axes of its sweep: as a person writes them, and in SI."""

from __future__ import annotations

from typing import Any

from qtaml_hw.config import Point, Study


def axes_shown(point: Point) -> dict[str, str]:
    """The point's values on the sweep's axes, as a person writes them."""
    return {
        path: ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for path, value in point.values.items()
    }


def axes_si(point: Point) -> dict[str, float | str]:
    """The number in SI behind every axis; the shown text where there is none."""
    shown = axes_shown(point)
    numbers = {path: attribute(point.study, path) for path in shown}
    return {
        path: value if isinstance(value, int | float) and not isinstance(value, bool) else shown[path]
        for path, value in numbers.items()
    }


def attribute(study: Study, path: str) -> Any:
    """The value at a path of the file, whose names are aliases of attributes; None where there is none."""
    node: Any = study
    for step in path.split("."):
        fields = getattr(type(node), "model_fields", {})
        name = next((n for n, f in fields.items() if step in (n, f.alias)), None)
        if name is None:
            return None
        node = getattr(node, name)
    return node
