"""The flips section: the law behind bit flips."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from qtaml_hw.config.quantities import Quantity, Section


class FlipsSection(Section):
    """The law behind bit flips. ``p`` and ``direction`` are stated for the law ``fixed`` only."""

    law: Literal["retention", "poisson", "fixed"] = Field(
        "retention", description="retention: the same weak cells fail; poisson: memoryless; fixed: p as stated"
    )
    p: Annotated[float | None, Quantity("fraction", at_least=0.0, at_most=1.0)] = Field(
        None, description="flip probability of a bit when it is read (law fixed)"
    )
    direction: Literal["symmetric", "1to0", "0to1"] = Field("symmetric", description="which bits flip (law fixed)")

    @model_validator(mode="after")
    def _fixed_has_p(self) -> Self:
        if self.law == "fixed" and self.p is None:
            raise ValueError("law fixed needs p, the flip probability, such as 'p: 0.10'")
        given = [name for name in ("p", "direction") if name in self.model_fields_set]
        if self.law != "fixed" and given:
            raise ValueError(
                f"{given[0]} is stated for the law fixed only; with the law {self.law} the cell decides "
                f"(remove {' and '.join(given)}, or write law: fixed)"
            )
        return self
