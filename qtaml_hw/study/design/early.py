"""What a study asks of its array that no network is needed to refuse: a refresh pass against its interval."""

from __future__ import annotations

import numpy as np

from qtaml_hw import memory
from qtaml_hw.config import Point, Study, StudyError
from qtaml_hw.config.reading.problems import Problem
from qtaml_hw.names import PLANES
from qtaml_hw.study.design.array import cost_temperature_k, geometry_of


def check_arrays(points: tuple[Point, ...]) -> None:
    """Raises StudyError with every array of known capacity that cannot be refreshed as often as a point asks."""
    arrays: dict[str, Point] = {}
    for point in points:
        study = point.study
        if study.array.capacity_bits is not None and study.refresh.on:
            key = repr((study.array, study.refresh.interval_s, study.cell.kind, cost_temperature_k(study)))
            arrays.setdefault(key, point)
    problems = [problem for point in arrays.values() if (problem := _refresh_problem(point)) is not None]
    if problems:
        raise StudyError(problems)


def _refresh_problem(point: Point) -> Problem | None:
    """What is wrong with the refresh of one array, at the place of its interval."""
    study = point.study
    layout, given = _full_layout(study), study.refresh.intervals_s
    try:
        layout.check_refresh(given if len(given) > 1 else given * layout.classes)
    except ValueError as error:
        origin = study.provenance["refresh.interval"]
        label = f"at the point {point.label!r}: " if point.values else ""
        return Problem(study.file, origin.line, origin.column, "refresh.interval", f"{label}{error}")
    return None


def _full_layout(study: Study) -> memory.ArrayLayout:
    """The array filled with weights."""
    planes = PLANES[study.weights.format]
    starts = np.array([0, int(study.array.capacity_bits or 0) // planes], dtype=np.int64)
    return memory.ArrayLayout(geometry_of(study), starts, planes, np.zeros(1, dtype=np.int64))
