"""The flips section: the law behind bit flips."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from qtaml_hw.config.reading.quantities import Quantity, Section
from qtaml_hw.config.sections.kinds import Whole
from qtaml_hw.names import Direction, Law

_OF_KIND: Final[dict[str, frozenset[str]]] = {
    "iid": frozenset(),
    "row_burst": frozenset({"length"}),
    "column_burst": frozenset({"length"}),
    "clustered": frozenset({"weights", "dispersion"}),
}


class StructureSection(Section):
    """How the flips of neighbouring cells depend on each other; every cell keeps its probability."""

    kind: Literal["iid", "row_burst", "column_burst", "clustered"] = Field(
        "iid", description="iid, runs along a row or a column that fail together, or clusters of weak cells"
    )
    length: Annotated[Whole | None, Field(ge=2, le=65536)] = Field(
        None, description="weights of a run that share their fate in a plane (bursts)"
    )
    weights: Annotated[Whole | None, Field(ge=2, le=2**24)] = Field(
        None, description="neighbouring weights of a cluster (clustered)"
    )
    dispersion: Annotated[float | None, Field(ge=1.0)] = Field(
        None, description="variance / mean of the flips of a plane in a cluster (clustered)"
    )

    @model_validator(mode="after")
    def _fields_of_kind(self) -> Self:
        given = {name for name in ("length", "weights", "dispersion") if getattr(self, name) is not None}
        needed = _OF_KIND[self.kind]
        if given != needed:
            what = " and ".join(sorted(needed)) or "no further field"
            raise ValueError(f"the structure {self.kind} takes {what}; given: {', '.join(sorted(given)) or 'none'}")
        return self

    def check(self, p: float) -> None:
        """Raises ValueError where clusters of this size can not have this dispersion at ``p``."""
        if self.weights is not None and self.dispersion is not None and 0.0 < p < 1.0:
            most = self.weights * (1.0 - p)
            if self.dispersion >= most:
                raise ValueError(
                    f"clusters of {self.weights} weights at p = {p:g} reach a dispersion below {most:g}; "
                    f"got {self.dispersion:g}"
                )


class FlipsSection(Section):
    """The law behind bit flips. ``p`` and ``direction`` are stated for the law ``fixed`` only."""

    law: Law = Field(
        "retention", description="retention: the same weak cells fail; poisson: memoryless; fixed: p as stated"
    )
    p: Annotated[float | None, Quantity("fraction", at_least=0.0, at_most=1.0)] = Field(
        None, description="flip probability of a bit when it is read (law fixed)"
    )
    direction: Direction = Field("symmetric", description="which bits flip (law fixed)")
    structure: StructureSection | None = Field(
        None, description="spatial dependence of the flips (law fixed; bits without ECC words)"
    )

    @property
    def structured(self) -> bool:
        """Whether neighbouring cells depend on each other."""
        return self.structure is not None and self.structure.kind != "iid"

    def unused(self) -> set[str]:
        """What no result depends on: all but the law where cells decide, independence where it is spelt out."""
        if self.law != "fixed":
            return {"p", "direction", "structure"}
        return set() if self.structured else {"structure"}

    @model_validator(mode="after")
    def _fixed_has_p(self) -> Self:
        if self.law == "fixed" and self.p is None:
            raise ValueError("law fixed needs p, the flip probability, such as 'p: 0.10'")
        given = [name for name in ("p", "direction", "structure") if name in self.model_fields_set]
        if self.law != "fixed" and given:
            raise ValueError(
                f"{given[0]} is stated for the law fixed only; with the law {self.law} the cell decides "
                f"(remove {' and '.join(given)}, or write law: fixed)"
            )
        if self.structure is not None:
            self.structure.check(float(self.p or 0.0))
        return self
