"""The protection section: which bits are guarded, by what, and how much that may cost."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, ClassVar, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from qtaml_hw.config.reading.quantities import Quantity, Section
from qtaml_hw.config.sections.kinds import NoRepeats, OneOf, ScalarAsList, Whole
from qtaml_hw.config.sections.menu import OnMenu
from qtaml_hw.names import LIKELIHOODS, MENU, POLICIES, CalibratedKind, CorrectionKind, GroupKind, Policy, Solver

BudgetKind = Literal["bits", "parity", "area", "energy", "distortion", "stored_bits", "shared"]
Currency = Literal["bits", "parity", "area", "energy"]
ScoreName = Literal["jacobian", "fisher", "magnitude", "peak", "activation", "measured", "second_order"]
_BUDGET_FIELDS: Final[dict[BudgetKind, str]] = {
    "bits": "bits",
    "parity": "parity",
    "area": "area_m2",
    "energy": "energy_j",
    "distortion": "distortion",
    "stored_bits": "stored_bits",
    "shared": "shared",
}
_OUTPUT_SCORES: Final = ("jacobian", "measured", "second_order")
"""Scores that look at an output of the network that can be chosen."""

MenuName = Annotated[str, OnMenu(MENU, "protection")]


class BudgetSection(Section):
    """What protection may cost, in exactly one currency; or what it must reach, at the least cost in one."""

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
    distortion: Annotated[float | None, Quantity("fraction", at_least=0.0, at_most=1.0)] = Field(
        None, description="predicted output distortion that may be left / that without protection, at the least cost"
    )
    stored_bits: Annotated[float | None, Field(gt=0.0, le=64.0)] = Field(
        None,
        description="all bits stored / weights: data, check bits, scales and side information; joint and uniform "
        "choose the bits of a weight too",
    )
    shared: Literal[True] | None = Field(
        None, description="of a buffer: it spends the budget of the weights with them; written 'budget: shared' too"
    )
    paid_in: Currency | None = Field(
        None,
        description="distortion only: the cost that is made least; the default is parity, bits where an entry has none",
    )

    @model_validator(mode="before")
    @classmethod
    def _in_a_word(cls, raw: Any) -> Any:
        """``budget: shared`` is ``budget: {shared: true}``."""
        return {"shared": True} if raw == "shared" else raw

    @model_validator(mode="after")
    def _one_currency(self) -> Self:
        if self.paid_in is not None and self.distortion is None:
            raise ValueError("paid_in says what a distortion is bought with; any other budget is its own currency")
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
        """The amount, in SI: a fraction, m^2, J or bits."""
        return float(getattr(self, _BUDGET_FIELDS[self.kind]))


class ProtectionSection(Section):
    """The policy that spends the budget on bit planes, and the menu it may choose from."""

    policy: Annotated[str, OneOf(POLICIES, "policy")] = Field(
        "none", description="how protected planes are chosen; plan takes them from a file"
    )
    group: GroupKind = Field("layer", description="smallest unit that is decided alone; a row is one of the memory's")
    budget: BudgetSection | None = Field(None, description="what protection may cost; the default is bits: 5 %")
    planes: Annotated[Whole, Field(ge=0, le=16)] | None = Field(
        None, description="uniform: this many top planes everywhere, in place of a budget"
    )
    menu: Annotated[tuple[MenuName, ...], Field(min_length=1), ScalarAsList, NoRepeats] = Field(
        ("ideal",),
        description="what can protect a plane; ideal is error-free for nothing, shannon at the price that no code "
        "passes, and neither is buildable; codes of any size, or a parity-check file from the study's folder",
    )
    correction: CorrectionKind | CalibratedKind | Literal["auto"] = Field(
        "auto",
        description="mean correction of what stays unprotected; steps and table do not fold into the scale; calibrate "
        "and per_chip match every layer's channels to the clean network's, without labels",
    )
    score: ScoreName = Field(
        "jacobian",
        description="tac: what a weight is held to be worth; fisher where perplexity or bits per byte is measured",
    )
    output: Literal["logits", "softmax"] = Field("logits", description="tac: the output whose distortion counts")
    solver: Solver = Field(
        "auto",
        description="hull-greedy with its bound, or the optimum; auto: the optimum by layer, greedy in smaller groups",
    )
    plan: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        None, description="policy plan: a plan saved by allocate --out, from the study's folder"
    )

    @property
    def row(self) -> Policy:
        """What is known of the policy."""
        return POLICIES[self.policy]

    def judged_by(self, metric: str, stated: Collection[tuple[str, ...]]) -> Self:
        """The section with the score that goes with a metric, where neither it nor an output is ``stated`` by path."""
        score = "fisher" if metric in LIKELIHOODS else "jacobian"
        named = ("protection", "score") in stated or ("protection", "output") in stated
        return self if named or self.score == score else self.model_copy(update={"score": score})

    @model_validator(mode="before")
    @classmethod
    def _a_file_is_a_policy(cls, raw: Any) -> Any:
        """``plan: file.json`` alone says the policy."""
        if isinstance(raw, dict) and raw.get("plan") is not None and "policy" not in raw:
            return {**raw, "policy": "plan"}
        return raw

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if self.planes is not None and self.budget is not None:
            raise ValueError("planes and budget are two ways to say the same; keep one")
        if self.planes is not None and not (self.row.planes or "planes" in self.row.unused):
            takers = ", ".join(name for name, row in POLICIES.items() if row.planes)
            raise ValueError(f"planes is for the policy {takers}; {self.policy} needs a budget such as 'bits: 5 %'")
        return self

    @model_validator(mode="after")
    def _plan_or_policy(self) -> Self:
        if (self.row.needs == "plan") != (self.plan is not None):
            raise ValueError(
                f"plan names a file for the policy plan; the policy is {self.policy}"
                if self.plan is not None
                else "the policy plan needs 'plan: FILE.json', as allocate --out writes it"
            )
        if self.plan is not None and (self.budget is not None or self.planes is not None):
            raise ValueError("a plan is applied as it is; budget and planes have no part in it")
        return self

    @model_validator(mode="after")
    def _output_of_a_score(self) -> Self:
        if self.output != "logits" and self.score not in _OUTPUT_SCORES:
            raise ValueError(f"output goes with the scores {', '.join(_OUTPUT_SCORES)}; {self.score} has its own")
        return self

    usual: ClassVar = {"score": "jacobian", "output": "logits", "solver": "auto"}

    @property
    def way(self) -> Solver:
        """The solver, ``auto`` as it is meant for the group."""
        return "greedy" if self.solver == "auto" and self.group != "layer" else self.solver

    @property
    def chooses_bits(self) -> bool:
        """Whether the policy chooses how many planes a weight stores."""
        asked = self.budget is not None and self.budget.kind == "stored_bits"
        return self.row.widths == "always" or (self.row.widths == "asked" and asked)

    @model_validator(mode="after")
    def _bits_of_weights(self) -> Self:
        if self.row.widths == "always" and self.budget is not None and self.budget.kind != "stored_bits":
            raise ValueError(
                f"{self.policy} chooses the bits of every weight and what protects them, and spends stored_bits, such "
                f"as 'budget: {{stored_bits: 8.0}}', data, check bits and scales per weight; got {self.budget.kind}"
            )
        counted = self.budget is not None and self.budget.kind == "stored_bits"
        if counted and self.row.widths == "never" and self.row.spends:
            raise ValueError(
                "stored_bits counts the bits of weights too, which the policies joint and uniform choose; "
                f"{self.policy} adds protection to weights of fixed bits: use parity"
            )
        if self.chooses_bits and self.correction not in ("auto", "planes", *get_args(CalibratedKind)):
            raise ValueError(
                f"codes of weights whose bits are chosen are rounded for the correction planes, which calibrate and "
                f"per_chip go on top of; got {self.correction}"
            )
        if self.chooses_bits and self.group != "layer" and "group" not in self.row.unused:
            raise ValueError(f"how many bits a weight has is chosen by layer; got group {self.group}")
        return self

    def unused(self) -> set[str]:
        """Fields that no result of this policy depends on, or that say what is done anyway: no part of an identity."""
        return super().unused() | self.row.unused
