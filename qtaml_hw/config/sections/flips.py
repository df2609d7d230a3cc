"""The flips section: the law behind bit flips."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from qtaml_hw.config.reading.curves import AsPoints, Points
from qtaml_hw.config.reading.quantities import Quantity, Section
from qtaml_hw.config.sections.kinds import FilePath, Whole
from qtaml_hw.names import SAME_CELLS, Direction, Law, Tail

_OF_KIND: Final[dict[str, tuple[frozenset[str], ...]]] = {
    "iid": (frozenset(),),
    "row_burst": (frozenset({"length"}),),
    "column_burst": (frozenset({"length"}),),
    "clustered": (frozenset({"weights", "dispersion"}), frozenset({"weights", "rate_variance"})),
}
"""Kind -> the fields that it takes, any of the sets."""


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

    rate_variance: Annotated[float | None, Field(gt=0.0)] = Field(
        None, description="in place of dispersion: variance of a cluster's flip rate over its mean squared, at every p"
    )

    @model_validator(mode="after")
    def _fields_of_kind(self) -> Self:
        names = ("length", "weights", "dispersion", "rate_variance")
        given = {name for name in names if getattr(self, name) is not None}
        needed = _OF_KIND[self.kind]
        if given not in needed:
            what = ", or ".join(" and ".join(sorted(fields)) or "no further field" for fields in needed)
            raise ValueError(f"the structure {self.kind} takes {what}; given: {', '.join(sorted(given)) or 'none'}")
        return self

    def dispersion_at(self, p: float) -> float:
        """Variance / mean of the flips of a plane in a cluster, or in windows much longer than a run, at ``p``."""
        if self.rate_variance is not None:
            return 1.0 - p + ((self.weights or 1) - 1) * self.rate_variance * p
        return self.dispersion or (self.length or 1) * (1.0 - p)

    def check(self, p: float) -> None:
        """Raises ValueError where clusters of this size can not have this dispersion at ``p``."""
        if self.weights is not None and 0.0 < p < 1.0:
            most, found = self.weights * (1.0 - p), self.dispersion_at(p)
            if found >= most:
                raise ValueError(
                    f"clusters of {self.weights} weights at p = {p:g} reach a dispersion below {most:g}; got {found:g}"
                )


_STATED_BY: Final[dict[Law, frozenset[str]]] = {
    "retention": frozenset(),
    "poisson": frozenset(),
    "fixed": frozenset({"p", "direction", "structure"}),
    "curve": frozenset({"points", "file", "temperature_k", "tail", "direction"}),
    "voltage": frozenset({"preset", "v_zero_v", "decade_v", "measured_v", "direction", "structure"}),
}
"""Law -> the fields that state it, beside the cell."""


class FlipsSection(Section):
    """The law behind bit flips: the cell's own, or one that the study states."""

    law: Law = Field(
        "retention",
        description="retention: the same weak cells fail; poisson: memoryless; fixed: p as stated; curve: retention as "
        "measured; voltage: failures of SRAM by supply",
    )
    preset: str | None = Field(None, description="a file of values of the law voltage, with their sources")
    p: Annotated[float | None, Quantity("fraction", at_least=0.0, at_most=1.0)] = Field(
        None, description="flip probability of a bit when it is read (law fixed)"
    )
    points: Annotated[Points | None, AsPoints()] = Field(
        None, description="measured [time, share of cells that lost their bit], or [v_dd, share] of SRAM (law curve)"
    )
    file: FilePath | None = Field(None, description="a CSV file of such points: time,p[,temperature] (law curve)")
    temperature_k: Annotated[float | None, Quantity("temperature")] = Field(
        None, alias="temperature", description="at which the points were measured; without it the cell's (law curve)"
    )
    tail: Tail | None = Field(
        None, description="how the curve goes on beyond its points; without it nothing is read off there (law curve)"
    )
    v_zero_v: Annotated[float | None, Quantity("voltage", at_least=0.0)] = Field(
        None, alias="v_zero", description="supply at which the straight line log p against v_dd reaches 1 (law voltage)"
    )
    decade_v: Annotated[float | None, Quantity("voltage", above=0.0, at_most=1.0)] = Field(
        None, alias="decade", description="rise of the supply that fails ten times fewer cells (law voltage)"
    )
    measured_v: Annotated[
        tuple[Annotated[float, Quantity("voltage", above=0.0)], ...] | None, Field(min_length=2, max_length=2)
    ] = Field(
        None,
        alias="measured",
        description="lowest and highest supply of the measurement; a warning beyond (law voltage)",
    )
    direction: Direction = Field(
        "symmetric", description="which bits flip (laws fixed, curve and voltage); of a curve of time the cell's"
    )
    structure: StructureSection | None = Field(
        None, description="spatial dependence of the flips (laws fixed and voltage; bits without ECC words)"
    )

    @property
    def structured(self) -> bool:
        """Whether neighbouring cells depend on each other."""
        return self.structure is not None and self.structure.kind != "iid"

    @property
    def same_cells(self) -> bool:
        """Whether the same weak cells fail at every interval or supply: the model's, or measured ones."""
        return self.law in SAME_CELLS

    def unused(self) -> set[str]:
        """What no result depends on: what states other laws, independence where it is spelt out."""
        kept = {"law"} | _STATED_BY[self.law] - (set() if self.structured else {"structure"})
        return set(type(self).model_fields) - kept | {"preset", "measured_v"}

    @model_validator(mode="after")
    def _stated_as_its_law_is(self) -> Self:
        of_law = _STATED_BY[self.law]
        given = [name for name in type(self).model_fields if name in self.model_fields_set - {"law"} - of_law]
        if given:
            laws = [law for law, names in _STATED_BY.items() if given[0] in names]
            keys = " and ".join(type(self).model_fields[name].alias or name for name in given)
            listed = f"law {laws[0]}" if len(laws) == 1 else f"laws {', '.join(laws[:-1])} and {laws[-1]}"
            raise ValueError(
                f"{keys.split(' and ')[0]} is stated for the {listed} only; with the law {self.law} "
                f"{'the cell decides' if not of_law else 'it decides nothing'} (remove {keys}, or write law: {laws[0]})"
            )
        return self

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.law == "fixed" and self.p is None:
            raise ValueError("law fixed needs p, the flip probability, such as 'p: 0.10'")
        if self.law == "curve" and (self.points is None) == (self.file is None):
            raise ValueError(
                "law curve takes its points from one of points, such as 'points: [[10 us, 1e-7], [320 us, 6e-2]]', and "
                f"file, a CSV of time,p[,temperature]; got {'none' if self.points is None else 'both'}"
            )
        if self.law == "voltage" and (self.v_zero_v is None or self.decade_v is None):
            raise ValueError(
                "law voltage is p = 10^((v_zero - v_dd) / decade): give v_zero and decade, such as 'v_zero: 0.453 V, "
                "decade: 20 mV', or a preset"
            )
        if self.structure is not None:
            self.structure.check(float(self.p or 0.0))
        return self
