"""The protection section: which bits are guarded, by what, and how much that may cost."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from qtaml_hw.config.kinds import NoRepeats, OneOf, ScalarAsList, Whole
from qtaml_hw.config.names import MENU
from qtaml_hw.config.quantities import Quantity, Section

BudgetKind = Literal["bits", "parity", "area", "energy"]
_BUDGET_FIELDS: Final[dict[BudgetKind, str]] = {
    "bits": "bits",
    "parity": "parity",
    "area": "area_m2",
    "energy": "energy_j",
}

MenuEntry = Annotated[str, OneOf(MENU, "protection")]


class BudgetSection(Section):
    """What protection may cost, in exactly one currency."""

    bits: Annotated[float | None, Quantity("fraction", at_least=0.0, at_most=1.0)] = Field(
        None, description="protected bits / stored bits"
    )
    parity: Annotated[float | None, Quantity("fraction", at_least=0.0, at_most=10.0)] = Field(
        None, description="parity bits / data bits"
    )
    area_m2: Annotated[float | None, Quantity("area", at_least=0.0)] = Field(
        None, alias="area", description="added silicon area"
    )
    energy_j: Annotated[float | None, Quantity("energy", at_least=0.0)] = Field(
        None, alias="energy", description="added energy per inference"
    )

    @model_validator(mode="after")
    def _one_currency(self) -> Self:
        given = [kind for kind, name in _BUDGET_FIELDS.items() if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"got {' and '.join(given)}" if given else "got none"
            raise ValueError(f"a budget has exactly one of {', '.join(_BUDGET_FIELDS)}; {found}")
        return self

    @property
    def kind(self) -> BudgetKind:
        """The currency."""
        return next(kind for kind, name in _BUDGET_FIELDS.items() if getattr(self, name) is not None)

    @property
    def value(self) -> float:
        """The amount, in SI: a fraction, m^2 or J."""
        return float(getattr(self, _BUDGET_FIELDS[self.kind]))


class ProtectionSection(Section):
    """The policy that spends the budget on bit planes, and the menu it may choose from."""

    policy: Literal["none", "uniform", "magnitude", "random", "tac", "oracle"] = Field(
        "none", description="how protected planes are chosen"
    )
    group: Literal["layer", "channel", "word"] = Field("layer", description="smallest unit that is decided alone")
    budget: BudgetSection | None = Field(None, description="what protection may cost; the default is bits: 5 %")
    planes: Annotated[Whole, Field(ge=0, le=8)] | None = Field(
        None, description="uniform: this many top planes everywhere, in place of a budget"
    )
    menu: Annotated[tuple[MenuEntry, ...], Field(min_length=1), ScalarAsList, NoRepeats] = Field(
        ("ideal",), description="what can protect a plane; ideal is error-free and not buildable"
    )
    correction: Literal["none", "unbias", "offset", "shrink", "auto"] = Field(
        "auto", description="mean correction of what stays unprotected"
    )

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if self.planes is not None and self.budget is not None:
            raise ValueError("planes and budget are two ways to say the same; keep one")
        if self.planes is not None and self.policy not in ("none", "uniform"):
            raise ValueError(f"planes is for the policy uniform; {self.policy} needs a budget such as 'bits: 5 %'")
        return self
