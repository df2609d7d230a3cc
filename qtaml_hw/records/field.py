"""What is said of a field of a record: a row of the table ``records.fields``, which is the field's name as well."""

from __future__ import annotations

from typing import Any, Literal

from qtaml_hw.records.kinds import Kind

Per = Literal["study", "point", "map", "time", "layer"]
Mark = Literal["measured", "modelled", "assumed"]


class Field(str):
    """A field's name, and what is known of it.

    ``unit`` : SI, or ``%`` (stored as a share from 0 to 1), or what is counted, or empty.  ``per`` : ``study`` and
    ``point`` fields are the same for all fault maps of a point, ``map`` fields differ; ``time`` fields are lists with a
    value per time of ``evaluate.at``, of one map; ``layer`` fields have an entry per layer.  ``mark`` : counted by
    running the network, computed, or an input.  ``kind`` : what the value may be.  ``heading`` : of its column in
    tables, empty where it is none.  ``needed`` : every finished record has it.
    """

    unit: str
    per: Per
    mark: Mark
    what: str
    kind: Kind
    heading: str
    needed: bool

    def __new__(
        cls, name: str, unit: str, per: Per, mark: Mark, kind: Kind, what: str, heading: str = "", needed: bool = False
    ) -> Field:
        """A row of the table."""
        made = super().__new__(cls, name)
        made.unit, made.per, made.mark, made.kind = unit, per, mark, kind
        made.what, made.heading, made.needed = what, heading, needed
        return made

    def __set_name__(self, owner: type, name: str) -> None:
        if name != self:
            raise TypeError(f"the row {name} calls itself {self}")

    def __reduce__(self) -> Any:
        """Between processes a field is its name."""
        return str, (str(self),)
