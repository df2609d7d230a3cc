"""One section of a study, checked by its model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final, get_args

from pydantic import BaseModel

from qtaml_hw.config.explain import MISSING
from qtaml_hw.config.reading.document import Layer, locate
from qtaml_hw.config.reading.fields import FieldSpec, models_in, suggest
from qtaml_hw.config.reading.problems import Problem
from qtaml_hw.config.sections.cell import CellSection
from qtaml_hw.errors import unknown
from qtaml_hw.units import shorten

_LONGEST_LABEL: Final = 200
CELL_SECTIONS: Final[dict[str, type[BaseModel]]] = {
    kind: model for model in models_in(CellSection) for kind in get_args(model.model_fields["kind"].annotation)
}
"""Kind of cell -> its section."""


def lacks_preset(problem: Problem) -> bool:
    """Whether a value of the cell is missing only because its preset is."""
    return problem.path.startswith("cell.") and problem.message == MISSING


class Refused(ValueError):
    """A value that no model of pydantic looks at."""

    def __init__(self, message: str, *inside: str) -> None:
        super().__init__(message)
        self.inside = inside


def one_section(attribute: str, raw: Any, models: Sequence[type[BaseModel]]) -> Any:
    """One section by the first of its models, a cell by that of its kind. Raises ValidationError or Refused."""
    if attribute == "label":
        if not isinstance(raw, str) or not 0 < len(raw) <= _LONGEST_LABEL:
            raise Refused(f"expected a name of 1 to {_LONGEST_LABEL} characters, got {shorten(raw)}")
        return raw
    if attribute == "cell" and isinstance(raw, dict):
        kind = raw.get("kind")
        if kind is None:
            raise Refused(MISSING, "kind")
        if not isinstance(kind, str) or kind not in CELL_SECTIONS:
            raise Refused(unknown("kind of cell", kind, CELL_SECTIONS), "kind")
        return CELL_SECTIONS[kind].model_validate(raw)
    return models[0].model_validate(raw)


def unknown_section(name: str, known: Collection[str], layer: Layer, fields: dict[str, FieldSpec]) -> Problem:
    """The complaint of a section that is none of the known ones."""
    place = locate(layer, (name,), key=True)
    hint = suggest(name, fields)
    return replace(place, message=f"unknown section {name[:60]!r}; allowed: {', '.join(known)}{hint}")
