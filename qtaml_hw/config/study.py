"""A study: every section checked, every effective value with its origin, every point of its sweep."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any, Final

from pydantic import Field, PrivateAttr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from qtaml_hw.config.cell import DEFAULT_PRESET, CellSection
from qtaml_hw.config.checks import CHECKS
from qtaml_hw.config.document import Change, Layer, Origin, locate, nest, written
from qtaml_hw.config.explain import explain
from qtaml_hw.config.fields import FieldSpec, catalogue, suggest
from qtaml_hw.config.layers import Document, change_path
from qtaml_hw.config.problems import Problem, StudyError
from qtaml_hw.config.protection import ProtectionSection
from qtaml_hw.config.quantities import Section
from qtaml_hw.config.sections import (
    AcceleratorSection,
    ArraySection,
    EvaluateSection,
    FlipsSection,
    RefreshSection,
    ScrubSection,
    WeightsSection,
)
from qtaml_hw.config.sources import DataSection, NetworkSection
from qtaml_hw.config.sweep import PointSpec, Source, SweepSection, expand
from qtaml_hw.config.yaml_strict import dotted
from qtaml_hw.units import show

RESULTS_VERSION: Final = 1
"""Raised whenever the same study would give other numbers than before; part of every identity."""


class Study(Section):
    """One design point, and the sweep around it. Frozen; made by ``load_study``, ``parse_study`` and ``with_``."""

    label: str = Field(
        "study", alias="study", min_length=1, max_length=200, description="a name; never part of a result"
    )
    cell: CellSection = Field(description="the memory cell: its kind, a preset with sources, and what overrides it")
    flips: FlipsSection = Field(default_factory=FlipsSection, description="the law behind bit flips")
    array: ArraySection = Field(default_factory=ArraySection, description="the memory array")
    refresh: RefreshSection = Field(default_factory=RefreshSection, description="periodic refresh, or off")
    scrub: ScrubSection = Field(default_factory=ScrubSection, description="periodic scrub, or off")
    weights: WeightsSection = Field(default_factory=WeightsSection, description="number format of the weights")
    protection: ProtectionSection = Field(default_factory=ProtectionSection, description="which bits are guarded")
    network: NetworkSection = Field(default_factory=NetworkSection, description="the network")
    data: DataSection = Field(default_factory=DataSection, description="the labelled images")
    accelerator: AcceleratorSection = Field(default_factory=AcceleratorSection, description="the systolic array")
    evaluate: EvaluateSection = Field(default_factory=EvaluateSection, description="what is measured")
    sweep: SweepSection = Field(default_factory=SweepSection, description="axes around the point")

    _document: Document = PrivateAttr()
    _layer: Layer = PrivateAttr()
    _raw: dict[str, Any] = PrivateAttr()

    @property
    def file(self) -> str:
        """The file that the study was read from, as it was named."""
        return self._document.tree.name

    @property
    def folder(self) -> FilePath:
        """The folder that relative paths in the study are meant from."""
        return self._document.folder

    @property
    def provenance(self) -> dict[str, Origin]:
        """Every effective value by dotted field, in the order of the sections, with where it comes from."""
        found: dict[str, Origin] = {}
        for path, field in catalogue(type(self), self.cell.kind).items():
            leaf = self._layer.get(tuple(path.split(".")))
            if leaf is not None:
                found[path] = leaf.origin
            elif not field.branch and not path.startswith("sweep."):
                text = _shown(_attribute(self, path), field)
                if text:
                    found[path] = Origin("default", "qtaml_hw", text)
        own = {dotted(path): leaf.origin for path, leaf in self._layer.items() if path[0] != "sweep"}
        return found | own

    def with_(self, values: Mapping[str, object]) -> Study:
        """A new study with other values: ``study.with_({"cell.t_ox": "1.6 nm"})``. None gives back the default.

        Raises StudyError: an unknown path (with a suggestion), or values that do not fit.
        """
        return self._changed(
            tuple(
                Change(change_path(path), value, Origin("set", "with_", written(value)))
                for path, value in values.items()
            )
        )

    def points(self) -> tuple[Point, ...]:
        """The points of the sweep, each a valid study; without a sweep the study itself is the one point.

        Raises StudyError with every problem of every point, each naming its point.
        """
        specs, problems = sweep_plan(self._document)
        points: list[Point] = []
        for spec in specs:
            try:
                points.append(Point(spec.label, spec.values, self._changed((*spec.changes, _NO_SWEEP))))
            except StudyError as error:
                problems += [_of_point(problem, spec) for problem in error.errors]
        if problems:
            raise StudyError(problems)
        return tuple(points) or (Point(self.label, {}, self),)

    def resolved(self) -> dict[str, Any]:
        """Every effective value that a result depends on, in SI, as plain JSON values rounded to 12 digits.

        Left out: labels, the sweep, the name of the preset (its values are there), how many fault maps are drawn,
        values that are not set, and what a policy or a law does not use.
        """
        left_out: dict[str, Any] = {"label": True, "sweep": True, "cell": {"preset"}, "evaluate": {"maps"}}
        if self.protection.policy == "none":
            left_out["protection"] = {"group", "budget", "planes", "menu"}
        if self.flips.law != "fixed":
            left_out["flips"] = {"p", "direction"}
        plain: dict[str, Any] = _rounded(self.model_dump(mode="json", exclude=left_out, exclude_none=True))
        return plain

    def identity(self) -> str:
        """SHA-256 of the resolved values and the results version: equal for equal physics, however it is written."""
        canonical = json.dumps([RESULTS_VERSION, self.resolved()], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _changed(self, changes: tuple[Change, ...]) -> Study:
        return build(self._document.changed(changes), self)

    @classmethod
    def _assemble(cls, sections: dict[str, Any], document: Document, layer: Layer, raw: dict[str, Any]) -> Study:
        study = cls.model_construct(**sections)
        study._document, study._layer, study._raw = document, layer, raw
        return study


@dataclass(frozen=True)
class Point:
    """One point of a sweep: its label, its values by dotted field as written, and the study there (without sweep)."""

    label: str
    values: dict[str, Any]
    study: Study


_NO_SWEEP: Final = Change(("sweep",), None, Origin("sweep", "", ""))


def build(document: Document, previous: Study | None = None) -> Study:
    """Check a document. Sections that are as in ``previous`` are taken over. Raises StudyError with every problem."""
    layer, wrong = document.effective(catalogue(Study))
    problems = list(wrong)
    raw = nest(layer)
    kind = raw.get("cell", {}).get("kind") if isinstance(raw.get("cell"), dict) else None
    fields = catalogue(Study, kind) if kind in _KINDS else catalogue(Study)
    sections: dict[str, Any] = {}
    for attribute, (name, adapter) in _ADAPTERS.items():
        if name not in raw and name != "cell":
            sections[attribute] = Study.model_fields[attribute].get_default(call_default_factory=True)
            continue
        values = raw.get(name, {})
        if previous is not None and previous._raw.get(name, {}) == values:
            sections[attribute] = getattr(previous, attribute)
            continue
        try:
            sections[attribute] = adapter.validate_python(values)
        except ValidationError as failure:
            if not (name == "cell" and wrong):
                problems += explain(failure, name, values, layer, fields)
    problems += [_unknown_section(name, layer, fields) for name in raw if name not in _NAMES]
    for needed, check in CHECKS:
        finding = check(sections) if all(name in sections for name in needed) else None
        if finding is not None:
            path, place, message = finding
            problems.append(dataclasses.replace(locate(layer, place), path=dotted(path), message=message))
    if problems:
        raise StudyError(
            sorted(
                {_in_file(problem, document) for problem in problems},
                key=lambda problem: (problem.line, problem.column),
            )
        )
    return Study._assemble(sections, document, layer, raw)


def sweep_plan(document: Document) -> tuple[tuple[PointSpec, ...], list[Problem]]:
    """The points of a document's sweep before they are checked, and what is wrong with the axes."""
    fields = catalogue(Study)
    layer, _ = document.effective(fields)
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


def _in_file(problem: Problem, document: Document) -> Problem:
    """A problem of a value that nobody wrote is one of the file as a whole."""
    return problem if problem.file else dataclasses.replace(problem, file=document.tree.name)


def _unknown_section(name: str, layer: Layer, fields: dict[str, FieldSpec]) -> Problem:
    place = locate(layer, (name,), key=True)
    hint = suggest(name, fields)
    return dataclasses.replace(place, message=f"unknown section {name[:60]!r}; allowed: {', '.join(_NAMES)}{hint}")


def _of_point(problem: Problem, spec: PointSpec) -> Problem:
    change = next((c for c in spec.changes if dotted(c.path) == problem.path), spec.changes[0])
    line, column = (problem.line, problem.column) if problem.line else (change.origin.line, change.origin.column)
    message = f"at the point {spec.label!r}: {problem.message}"
    return dataclasses.replace(problem, line=line, column=column, message=message)


def _attribute(study: Study, path: str) -> Any:
    """The effective value of a dotted field of the file."""
    node: Any = study
    for key in path.split("."):
        if node is None:
            return None
        fields = type(node).model_fields
        attribute = next(name for name, info in fields.items() if (info.alias or name) == key)
        node = getattr(node, attribute)
    return node


def _shown(value: Any, field: FieldSpec) -> str:
    if value is None:
        return field.quantity.off or "" if field.quantity is not None else ""
    if field.quantity is None:
        return written(value)
    if isinstance(value, tuple):
        return written([show(one, field.quantity.dimension) for one in value])
    return show(value, field.quantity.dimension)


def _rounded(value: Any) -> Any:
    """Floats to 12 significant digits, so that 1.5 nm and 0.0015 um are one value; -0.0 is 0.0."""
    if isinstance(value, float):
        return float(f"{value:.12g}") + 0.0
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def _checked_type(info: FieldInfo) -> Any:
    """The type of a section on its own, with the constraints of its field."""
    extra = [*info.metadata, *([Field(discriminator=info.discriminator)] if info.discriminator else [])]
    return Annotated[(info.annotation, *extra)] if extra else info.annotation


_NAMES: Final = tuple(info.alias or attribute for attribute, info in Study.model_fields.items())
_KINDS: Final = tuple(DEFAULT_PRESET)
_ADAPTERS: Final[dict[str, tuple[str, TypeAdapter[Any]]]] = {
    attribute: (info.alias or attribute, TypeAdapter(_checked_type(info)))
    for attribute, info in Study.model_fields.items()
}
