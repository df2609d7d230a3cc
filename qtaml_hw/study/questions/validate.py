"""Whether a study can be run, as far as that can be told without loading its network."""

from __future__ import annotations

from qtaml_hw.config import Point, Study, StudyError, takes_study
from qtaml_hw.config.outside import missing


@takes_study
def validate(study: Study) -> tuple[Point, ...]:
    """The points of a study that nothing is wrong with: files and functions are there, arrays can be refreshed.

    Raises StudyError with everything that is wrong.
    """
    if absent := missing(study):
        raise StudyError(absent)
    points = study.points()
    if any(point.study.array.capacity_bits is not None for point in points):
        from qtaml_hw.study.design.cells.array import check_arrays

        check_arrays(points)
    return points
