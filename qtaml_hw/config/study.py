"""A study: every section checked, every effective value with its origin, every point of its sweep."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import Any, Final

from pydantic import PrivateAttr, ValidationError

from qtaml_hw.config.buffers import checked, refuse, without_values
from qtaml_hw.config.checks import between
from qtaml_hw.config.explain import Context, explain
from qtaml_hw.config.parts import Parts, Told, told
from qtaml_hw.config.reading.beside import BUFFERS, Beside
from qtaml_hw.config.reading.by_plane import BY_PLANE, Lists
from qtaml_hw.config.reading.document import Change, Layer, Origin, locate, nest, written
from qtaml_hw.config.reading.fields import FieldSpec, catalogue, from_si, models_in, rounded, shown, value_at
from qtaml_hw.config.reading.layers import Document, change_path
from qtaml_hw.config.reading.problems import Problem, StudyError
from qtaml_hw.config.reading.yaml_strict import dotted
from qtaml_hw.config.section import CELL_SECTIONS, Refused, lacks_preset, one_section, unknown_section
from qtaml_hw.config.sections.buffers import PARTS, BufferSection
from qtaml_hw.config.sweep import PointSpec, Source, SweepSection, expand, of_point
from qtaml_hw.names import PLANES
from qtaml_hw.prompt import Rows, as_html, as_text

RESULTS_VERSION: Final = 4
"""Raised whenever the same study would give other numbers than before; part of every identity."""


class Study(Parts):
    """One design point, and the sweep around it. Frozen; made by ``load_study``, ``parse_study`` and ``with_``."""

    _document: Document = PrivateAttr()
    _layer: Layer = PrivateAttr()
    _raw: dict[str, Any] = PrivateAttr()
    _points: tuple[Point, ...] | None = PrivateAttr(None)
    _classes: tuple[PlaneClass, ...] = PrivateAttr(())
    _beside: tuple[Buffer, ...] = PrivateAttr(())
    _of_buffer: bool = PrivateAttr(default=False)
    _told: Told = PrivateAttr(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Equal labels, values and sweep; where the values were written does not count."""
        if not isinstance(other, Study):
            return NotImplemented
        return self.model_dump() == other.model_dump() and self._classes == other._classes

    def __hash__(self) -> int:
        return hash(self.identity())

    def unused(self) -> set[str]:
        """A name, the points around this one, and what every plane class has of its own."""
        return {"label", "sweep", "space", BUFFERS, *(BY_PLANE if self._classes else ())}

    @property
    def beside(self) -> tuple[Buffer, ...]:
        """The buffers, each with the study as it would be with its weights there."""
        return self._beside

    @property
    def classes(self) -> tuple[PlaneClass, ...]:
        """The planes that share a cell, its flips and its refresh; one class of all planes unless a list says more.

        ``cell``, ``flips`` and ``refresh`` of the study itself are those of the class of the top plane, the last.
        """
        return self._classes or (PlaneClass(tuple(range(PLANES[self.weights.format])), self),)

    @property
    def by_plane(self) -> bool:
        """Whether planes differ in their cell, their flips or their refresh."""
        return bool(self._classes)

    @property
    def file(self) -> str:
        """The file that the study was read from, as it was named."""
        return self._document.tree.name

    @property
    def folder(self) -> FilePath:
        """The folder that relative paths in the study are meant from."""
        return self._document.folder

    @property
    def allow_code(self) -> tuple[str, ...]:
        """Installed packages whose code the user lets the study run; never a part of the study or of its results."""
        return self._document.allow_code

    @property
    def provenance(self) -> dict[str, Origin]:
        """Every effective value by dotted field, in the order of the sections; of lower planes by its class."""
        found: dict[str, Origin] = {}
        for path, field in catalogue(type(self), self.cell.kind).items():
            leaf = self._layer.get(tuple(path.split(".")))
            if leaf is not None:
                found[path] = leaf.origin
            elif not field.branch and not path.startswith(("sweep.", "space.", f"{BUFFERS}.")):
                text = shown(value_at(self, path), field)
                if text:
                    found[path] = Origin("default", "qtaml_hw", text)
        own = {dotted(path): leaf.origin for path, leaf in self._layer.items() if path[0] not in ("sweep", "space")}
        others = {
            f"{path} ({one.name})": origin
            for one in self._classes[:-1]
            for path, origin in one.study.provenance.items()
            if path.split(".")[0] in BY_PLANE
        }
        return found | own | others | {path: origin for one in self._beside for path, origin in one.provenance.items()}

    def __repr__(self) -> str:
        return as_text(*self._shown())

    def _repr_html_(self) -> str:
        return as_html(*self._shown())

    def _shown(self) -> tuple[str, Rows]:
        """Every value that is no default, with where it comes from."""
        said = [(path, o.text, o.citation or o.source) for path, o in self.provenance.items() if o.kind != "default"]
        return f"Study {self.label}", [("value", "", "from"), *said]

    def with_(self, values: Mapping[str, object]) -> Study:
        """A new study with other values: ``study.with_({"cell.t_ox": "1.6 nm"})``. None gives back the default.

        A number in SI goes under the field's SI name: ``study.with_({"cell.t_ox_m": 1.6e-9})``.

        Raises StudyError: an unknown path (with a suggestion), or values that do not fit.
        """
        fields = catalogue(type(self))
        as_written = [from_si(path, value, fields) for path, value in values.items()]
        return self._changed(
            tuple(
                Change(change_path(path), value, Origin("set", "with_", written(value))) for path, value in as_written
            )
        )

    def points(self) -> tuple[Point, ...]:
        """The points of the sweep, each a valid study; without a sweep the study itself is the one point.

        Raises StudyError with every problem of every point, each naming its point.
        """
        if self._points is None:
            self._points = self._checked_points()
        return self._points

    def _checked_points(self) -> tuple[Point, ...]:
        specs, problems = sweep_plan(self._document)
        points: list[Point] = []
        study = self
        for spec in specs:
            try:  # neighbours differ in the fastest axis: all other sections are shared, checked once
                study = build(self._document.changed((*spec.changes, NO_SWEEP)), study)
                points.append(Point(spec.label, spec.values, study, spec.case))
            except StudyError as error:
                problems += [of_point(problem, spec) for problem in error.errors]
        if problems:
            raise StudyError(problems)
        return tuple(points) or (Point(self.label, {}, self),)

    def resolved(self) -> dict[str, Any]:
        """Every effective value that a result depends on, in SI, as plain JSON values rounded to 12 digits.

        Left out: labels, the sweep, the name of the preset (its values are there), how many fault maps are drawn,
        values that are not set, and what a policy or a law does not use.
        """
        return copy.deepcopy(self._resolved())

    def _resolved(self) -> dict[str, Any]:
        """The same; points of a sweep share its parts."""
        plain = told(self, self._told)
        if self._classes:
            own = [{name: one.study._resolved()[name] for name in BY_PLANE} for one in self._classes]
            planes = [list(one.planes) for one in self._classes]
            plain["planes"] = [{"planes": p, **one} for p, one in zip(planes, own, strict=True)]
        return plain | ({BUFFERS: [one.resolved() for one in self._beside]} if self._beside else {})

    def identity(self) -> str:
        """SHA-256 of the resolved values and the results version: equal for equal physics, however it is written."""
        canonical = json.dumps([RESULTS_VERSION, self._resolved()], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _changed(self, changes: tuple[Change, ...]) -> Study:
        found = (_of_weights if self._of_buffer else build)(self._document.changed(changes), self)
        found._of_buffer = self._of_buffer
        return found

    @classmethod
    def _assemble(cls, sections: dict[str, Any], document: Document, layer: Layer, raw: dict[str, Any]) -> Study:
        study = cls.model_construct(**sections)
        study._document, study._layer, study._raw = document, layer, raw
        return study


@dataclass(frozen=True)
class PlaneClass:
    """Planes, least significant first, and the study as it would be with their cell, flips and refresh for all."""

    planes: tuple[int, ...]
    study: Study

    @property
    def name(self) -> str:
        """The planes in words."""
        return f"planes {', '.join(map(str, self.planes))}" if len(self.planes) > 1 else f"plane {self.planes[0]}"


@dataclass(frozen=True)
class Buffer:
    """A memory beside the weights', and the study as it would be with its weights in that memory."""

    section: BufferSection
    study: Study

    @property
    def provenance(self) -> dict[str, Origin]:
        """Its values that are no default by field, with where they come from."""
        inner = self.study.provenance.items()
        return {f"{BUFFERS}.{self.section.name}.{p}": o for p, o in inner if p.split(".")[0] in PARTS and o.line}

    def resolved(self) -> dict[str, Any]:
        """What a result depends on, as ``Study.resolved``."""
        unused = self.section.left_out() | dict.fromkeys(PARTS, True)
        own: dict[str, Any] = rounded(self.section.model_dump(mode="json", exclude=unused, exclude_none=True))
        inner = self.study.resolved()
        return own | {name: inner[name] for name in (*PARTS, "planes") if name in inner}


@dataclass(frozen=True)
class Point:
    """One point of a sweep: its label, its values by dotted field as written, and the study there (without sweep).

    ``case`` : the label of its case, as the sweep writes it; empty without cases.
    """

    label: str
    values: dict[str, Any]
    study: Study
    case: str = ""


NO_SWEEP: Final = Change(("sweep",), None, Origin("sweep", "", ""))


def build(document: Document, previous: Study | None = None) -> Study:
    """Check a document. Sections that are as in ``previous`` are taken over. Raises StudyError with every problem."""
    beside = Beside.of(document)
    if beside.leaf is None and not beside.problems:
        study = _of_weights(document, previous)
        refuse(beside, (), study.protection, study.evaluate, partial(locate, study._layer))
        return study
    found, problems = checked(beside, _of_weights, catalogue(Study))
    try:
        study = _of_weights(beside.plain, previous)
    except StudyError as error:
        raise StudyError([*error.errors, *problems]) from None
    if problems := [*problems, *without_values(beside, study.evaluate)]:
        raise StudyError(problem.in_file(document.tree.name) for problem in problems)
    study = study.model_copy(update={BUFFERS: tuple(section for section, _ in found)})
    study._document, study._beside = document, tuple(Buffer(*both) for both in found)
    for _, inner in found:
        inner._of_buffer = True
    refuse(beside, study.buffers or (), study.protection, study.evaluate, partial(locate, study._layer))
    return study


def _of_weights(document: Document, previous: Study | None = None) -> Study:
    """The same without buffers."""
    lists = Lists.of(document, BY_PLANE)
    return _by_plane(lists, previous) if lists.given or lists.problems else _build(document, previous)


def _by_plane(lists: Lists, previous: Study | None) -> Study:
    """A study whose planes differ: one of today's form for every class of planes.  Raises StudyError."""
    sample = lists.first(NO_SWEEP)
    form = nest(sample.effective(catalogue(Study))[0]).get("weights", {}).get("format", "int8")
    planes = PLANES.get(form) if isinstance(form, str) else None
    problems = lists.problems or ([] if planes is None else lists.not_covering(planes, str(form)))
    if planes is None or problems:  # what is wrong with the format is said with the rest
        try:
            _build(sample)
        except StudyError as error:
            problems = [*problems, *error.errors]
        raise StudyError(problems)
    classes, found = [], list[Problem]()
    for members in lists.classes(planes):
        try:
            classes.append(PlaneClass(members, _build(lists.of_plane(members[-1], NO_SWEEP))))
        except StudyError as error:
            found += error.errors
    found += [] if found else lists.differing([(one.name, one.study) for one in classes])
    if found:
        raise StudyError(found)
    study = _build(lists.of_plane(planes - 1))
    study._document = lists.document
    study._classes = tuple(classes) if len(classes) > 1 else ()
    return study


def _build(document: Document, previous: Study | None = None) -> Study:
    """The same of a document that has one cell, one law and one refresh for all planes."""
    layer, problems = document.effective(catalogue(Study))
    raw = nest(layer)
    fields = _fields_of(raw)
    sections: dict[str, Any] = {}
    for attribute, info in Study.model_fields.items():
        name = info.alias or attribute
        if attribute == BUFFERS:
            sections[attribute] = ()
        elif previous is not None and previous._raw.get(name) == raw.get(name):
            sections[attribute] = getattr(previous, attribute)
        elif name not in raw:
            if attribute == "label":
                sections[attribute] = info.default
            elif attribute != "cell":  # as its fields say, without building what would check it
                sections[attribute] = models_in(info.annotation)[0].model_construct()
        else:
            try:
                sections[attribute] = one_section(attribute, raw[name], models_in(info.annotation))
            except ValidationError as failure:
                problems += explain(failure, name, raw[name], Context(layer, fields, catalogue(Study)))
            except Refused as refusal:
                path = (name, *refusal.inside)
                problems.append(dataclasses.replace(locate(layer, path), path=dotted(path), message=str(refusal)))
    if any(problem.path == "cell.preset" for problem in problems):
        problems = [problem for problem in problems if not lacks_preset(problem)]
    if {"protection", "evaluate"} <= sections.keys():
        sections["protection"] = sections["protection"].judged_by(sections["evaluate"].metric, layer)
    problems += [unknown_section(name, _NAMES, layer, fields) for name in raw if name not in _NAMES]
    problems += between(sections, layer)
    if problems:
        raise StudyError(problem.in_file(document.tree.name) for problem in problems)
    study = Study._assemble(sections, document, layer, raw)
    if previous is not None:
        study._told = previous._told
    return study


def _fields_of(raw: dict[str, Any]) -> dict[str, FieldSpec]:
    """The fields of a study with the kind of cell that it has; of all kinds where that is not known."""
    kind = raw["cell"].get("kind") if isinstance(raw.get("cell"), dict) else None
    return catalogue(Study, kind) if isinstance(kind, str) and kind in CELL_SECTIONS else catalogue(Study)


def fields_of_study() -> dict[str, FieldSpec]:
    """Every field that an axis can name, of all kinds of cells."""
    return catalogue(Study)


def sweep_plan(document: Document) -> tuple[tuple[PointSpec, ...], list[Problem]]:
    """The points of a document's sweep before they are checked, and what is wrong with the axes."""
    fields = catalogue(Study)
    layer, _ = Beside.of(document).plain.effective(fields)
    try:
        sweep = SweepSection.model_validate(nest(layer).get("sweep", {}))
    except ValidationError:
        return (), []
    return expand(sweep, Source(document.tree.name, document.tree.marks, fields))


def first_point(document: Document) -> Document:
    """The document with what only its sweep states set to the first point, so that the base can be checked."""
    specs, _ = sweep_plan(document)
    layer, _ = document.effective(catalogue(Study))
    missing = tuple(change for change in specs[0].changes if change.path not in layer) if specs else ()
    return document.changed(missing) if missing else document


_NAMES: Final = tuple(info.alias or attribute for attribute, info in Study.model_fields.items())
