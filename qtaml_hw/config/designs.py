"""The designs of a study's space, each a valid study; those that cannot be are counted by reason."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from qtaml_hw.config.reading.beside import BUFFERS
from qtaml_hw.config.reading.document import Change, Origin
from qtaml_hw.config.reading.problems import Problem, StudyError
from qtaml_hw.config.reading.yaml_strict import Path
from qtaml_hw.config.space import PROTECTION, USUAL, field_of, protections, usual_values
from qtaml_hw.config.study import NO_SWEEP, Point, Study, build, fields_of_study
from qtaml_hw.config.sweep import PointSpec, Source, SweepSection, expand
from qtaml_hw.names import AXES, CELLS

_NO_SPACE = Change(("space",), None, Origin("sweep", "", ""))


_NOT_COMPARED: Final = "what a buffer costs is not among the costs that designs are compared by; sweep it"


@dataclass(frozen=True, eq=False)
class DesignSpace:
    """``points`` : designs that are valid studies; ``refused`` : how many are not, by the first problem of each."""

    points: tuple[Point, ...]
    refused: Counter[str]
    axes: tuple[str, ...]


def design_space(study: Study, over: Sequence[str] = (), *, bound: bool = False) -> DesignSpace:
    """The designs of a study: over its ``space`` section, over the axes named in ``over``, or over the usual ones.

    An axis that is named takes its values from the section, else its usual ones.  Axes that mean nothing to a cell
    (the refresh of one that holds its state) are left out for it.  ``bound`` : with error-free planes as codes.

    Raises StudyError for axes that are none, InputError for values that no design can have.
    """
    written = study.space.axes
    names = tuple(over) or tuple(written) or USUAL
    if of_buffers := [name for name in over if _of_buffer(name)]:
        raise StudyError(Problem("--over", 0, 0, name[:80], _NOT_COMPARED) for name in of_buffers)
    if over and (lost := [name for name in names if not _known(name)]):
        raise StudyError([_unknown_axis(study, name) for name in lost])
    known = {field_of(name): values for name, values in written.items()}
    points, refused = list[Point](), Counter[str]()
    for case in _bases(study):
        here = case.study
        static = CELLS[here.cell.kind].static
        kept = [field_of(name) for name in names if not (static and field_of(name).startswith("refresh."))]
        values = {name: known.get(name) or usual_values(name, here) for name in kept}
        guarded = any(name in PROTECTION for name in kept)
        ways = protections(values, here, bound=bound) if guarded else []
        grid = {name: value for name, value in values.items() if name not in PROTECTION and value}
        for spec in _specs(study, SweepSection.model_construct(grid=grid, zip={}, cases=tuple(ways))):
            try:
                here = build(study._document.changed((*_changes(case), *spec.changes, NO_SWEEP, _NO_SPACE)), here)
            except StudyError as error:
                refused[error.errors[0].message] += 1
                continue
            label = ", ".join(part for part in (case.label, spec.label) if part)
            points.append(Point(label, {**case.values, **spec.values}, here, case.label))
    return DesignSpace(tuple(points), refused, names)


def check_space(study: Study) -> list[Problem]:
    """What is wrong with the axes of a study's space section, before any design is built."""
    fields = {field_of(name): values for name, values in study.space.axes.items() if name not in PROTECTION}
    sweep = SweepSection.model_construct(grid=fields, zip={}, cases=study.space.cases)
    source = _source(study)
    paths: list[Path] = [("sweep", "grid", name) for name in fields]
    paths += [("sweep", "cases", place, name) for place, case in enumerate(study.space.cases) for name in case]
    refused = [source.problem(path, _NOT_COMPARED, key=True) for path in paths if _of_buffer(str(path[-1]))]
    return [*expand(sweep, source)[1], *refused]


def _of_buffer(name: str) -> bool:
    """Whether an axis is a field of a buffer."""
    return name.split(".")[0] == BUFFERS


def _bases(study: Study) -> list[Point]:
    """The cases of the space; the study itself without any."""
    cases = study.space.cases
    if not cases:
        return [Point("", {}, study)]
    return [_base(study, spec) for spec in _specs(study, SweepSection.model_construct(grid={}, zip={}, cases=cases))]


def _base(study: Study, spec: PointSpec) -> Point:
    """The study of a case; cells that hold their state are not refreshed, whatever the others are.

    Raises StudyError for a case that cannot be.
    """
    document, off = study._document, Change(("refresh", "interval"), "off", Origin("sweep", study.file, "off"))
    try:
        return Point(spec.label, spec.values, build(document.changed((*spec.changes, NO_SWEEP)), study), spec.label)
    except StudyError:
        still = build(document.changed((*spec.changes, off, NO_SWEEP)), study)
        if not CELLS[still.cell.kind].static:
            raise
        return Point(spec.label, {**spec.values, "refresh.interval": "off"}, still, spec.label)


def _changes(case: Point) -> tuple[Change, ...]:
    return tuple(
        Change(tuple(path.split(".")), value, Origin("sweep", case.study.file, str(value)))
        for path, value in case.values.items()
    )


def _specs(study: Study, sweep: SweepSection) -> tuple[PointSpec, ...]:
    specs, problems = expand(sweep, _source(study))
    if problems:
        raise StudyError(problems)
    return specs or (PointSpec("", "", ()),)


def _source(study: Study) -> Source:
    """The space as a sweep would have it: axes by their fields, with the marks of what is written."""
    marks: dict[Path, Any] = {}
    for path, mark in study._document.tree.marks.items():
        if path[:1] == ("space",) and len(path) > 1:
            axis = path[1:] if path[1] == "cases" else ("grid", field_of(str(path[1])), *path[2:])
            marks[("sweep", *axis)] = mark
    return Source(study.file, marks, fields_of_study())


def _known(name: str) -> bool:
    return name in PROTECTION or field_of(name) in fields_of_study()


def _unknown_axis(study: Study, name: str) -> Problem:
    allowed = ", ".join(AXES)
    return Problem("--over", 0, 0, name[:80], f"no axis {name[:80]!r}; allowed: {allowed}, or any field of the study")


def said_of_space(problem: Problem) -> Problem:
    """A problem of an axis under the name that the space section has for it."""
    return dataclasses.replace(problem, path=problem.path.replace("sweep.grid.", "space.").replace("sweep.", "space."))
