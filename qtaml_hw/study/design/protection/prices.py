"""A study's budget: what protection is planned with, measured on the one cost function, and what plans really cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from qtaml_hw import tac
from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study
from qtaml_hw.config.sections.protection import BudgetSection
from qtaml_hw.names import is_code_file
from qtaml_hw.protection import MenuEntry, ProtectionPlan
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.protection.price import Pricing, Spent
from qtaml_hw.weights.sizes import StoredSizes

DEFAULT_BITS_BUDGET = 0.05
PlanSpends = Callable[[ProtectionPlan], Spent]
COUNTED: Final[dict[str, Callable[[tac.Menu, StoredSizes, float], tac.Prices]]] = {
    "bits": tac.bit_prices,
    "parity": tac.parity_prices,
}
"""Currencies whose prices follow from the menu alone."""
_UNITS: Final = {"area": "m2", "energy": "J"}


def menu_of(study: Study, channel: FlipChannel) -> tac.Menu:
    """The study's menu, code files from its folder, Shannon's bound at the price of its channel.

    Raises ValueError for codes that there are not.
    """
    names = study.protection.menu
    if study.protection.chooses_bits:  # papers count a bit for every bit that they protect
        names = tuple("ideal-1" if name == "ideal" else name for name in names)
    return tac.Menu.of([str(study.folder / name) if is_code_file(name) else name for name in names], channel)


@dataclass(frozen=True)
class Figures:
    """What a plan costs in the currencies that a memory is asked for, m2 and J per inference; of its codecs alone."""

    area_m2: float
    energy_j: float
    codec_area_m2: float
    codec_leakage_j: float

    def of(self, kind: str) -> float:
        """All of it in a currency."""
        return {"area": self.area_m2, "energy": self.energy_j}[kind]

    def codecs(self, kind: str) -> float:
        """What codecs take whatever they do."""
        return {"area": self.codec_area_m2, "energy": self.codec_leakage_j}[kind]


@dataclass(frozen=True, eq=False)
class Costs:
    """The plans of one memory with their costs.

    ``of`` : a plan's; ``added`` : what it adds at most to the unprotected memory, side information included; ``fits`` :
    whether the array holds it; ``grows`` : whether the array is built as large as it has to be.
    """

    of: Callable[[ProtectionPlan], Figures]
    added: PlanSpends
    fits: Callable[[ProtectionPlan], bool]
    grows: bool

    @classmethod
    def of_weights(cls, pricing: Pricing, spends: PlanSpends) -> Costs:
        """Of the weights' memory."""

        def of(plan: ProtectionPlan) -> Figures:
            found = pricing.cost(plan)
            leakage_j = found.codec.leakage_w * found.energy.seconds
            total_j = float(found.energies[F.energy_per_inference_j])
            return Figures(float(found.areas[F.area_m2]), total_j, found.codec.area_m2, leakage_j)

        return cls(of, spends, pricing.fits, pricing.study.array.capacity_bits is None)


def budget_of(study: Study, image: StoredSizes, menu: tac.Menu, costs: Costs) -> tac.Budget:
    """The budget of a study as stated, what it buys, and what plans really cost.

    Raises ValueError when an entry has no price in the currency.
    """
    protection = study.protection
    if protection.chooses_bits:
        assert protection.budget is not None  # the default is the bits of the format
        bits = protection.budget.value
        return tac.Budget("stored_bits", bits, tac.stored_prices(menu, image, bits))
    if not protection.row.spends:
        return tac.Budget(protection.policy, None, tac.bit_prices(menu, image, 0.0))
    if protection.planes is not None:
        most = np.minimum(protection.planes, image.planes - image.absent.sum(axis=1))
        share = float(np.diff(image.tensor_starts) @ most) / image.stored_bits
        return tac.Budget("planes", float(protection.planes), tac.bit_prices(menu, image, share))
    return stated_budget(protection.budget, image, menu, costs)


def stated_budget(
    budget: BudgetSection | None, image: StoredSizes, menu: tac.Menu, costs: Costs, *, part: bool = False
) -> tac.Budget:
    """A budget in one of the currencies, or a share of the bits where none is stated.

    ``part`` : of a memory that spends the budget of another, to which amounts in m2 and J belong; shares of bits are of
    its own bits.  Raises ValueError when an entry has no price in the currency.
    """
    if budget is None:
        return tac.Budget("bits", DEFAULT_BITS_BUDGET, tac.bit_prices(menu, image, DEFAULT_BITS_BUDGET))
    if budget.kind != "distortion":
        value = 0.0 if part and budget.kind not in COUNTED else budget.value
        prices, least = _in_currency(budget, image, menu, costs, budget.kind, value)
        prices = replace(prices, true_cost=_true_cost(budget.kind, costs))
        return tac.Budget(budget.kind, budget.value, prices, least)
    coded = all(e.parity_per_bit > 0.0 for e in menu.entries[1:])
    currency = budget.paid_in or ("parity" if coded else "bits")
    prices, _ = _in_currency(budget, image, menu, costs, currency, 0.0)
    return tac.Budget(budget.kind, budget.value, prices.to_reach(budget.value))


def _true_cost(kind: str, costs: Costs) -> tac.TrueCost | None:
    """What a plan adds, in the currency of a budget, without end where the array does not hold its check bits.

    None where prices are exact: a bit costs a bit in an array that is built as large as it has to be.
    """
    if kind == "bits" and costs.grows:
        return None
    ways: dict[str, tac.TrueCost] = {
        "bits": lambda plan: float(plan.protected_bits),
        "parity": lambda plan: float(plan.parity_bits),
        "area": lambda plan: costs.added(plan).area_m2,
        "energy": lambda plan: costs.added(plan).energy_j,
    }
    return lambda plan: ways[kind](plan) if costs.fits(plan) else np.inf


def _in_currency(
    budget: BudgetSection, image: StoredSizes, menu: tac.Menu, costs: Costs, kind: str, value: float
) -> tuple[tac.Prices, float | None]:
    """Prices, and what one plane of one tensor costs where that is least (None where it is what the prices say)."""
    if kind in COUNTED:
        return COUNTED[kind](menu, image, value), None
    per_bit, fixed, least = [np.zeros(image.tensor_starts.size - 1)], [np.zeros(image.planes)], np.inf
    for item in menu.entries[1:]:
        found = _Measured(image, item, costs, kind)
        if item.code is None and found.all_tensors <= 0.0:
            raise ValueError(_unpriced(budget, item, kind))
        per_bit.append(found.per_bit)
        fixed.append(found.codecs)
        least = min(least, float(found.alone.min()))
    return tac.Prices(np.stack(per_bit, axis=1), np.stack(fixed, axis=1), value, _UNITS[kind]), least


@dataclass(frozen=True, eq=False)
class _Measured:
    """What one entry costs, asked of the one cost function: a plane at a time, and with its codecs apart."""

    image: StoredSizes
    item: MenuEntry
    costs: Costs
    kind: str

    @cached_property
    def alone(self) -> Float64:
        """What the top plane of each tensor adds, float64 [T]."""
        tensors = range(self.image.tensor_starts.size - 1)
        values = [np.nan if one is None else one.of(self.kind) for one in (self._on(np.array([t])) for t in tensors)]
        added = np.array(values) - self._bare
        return np.where(np.isnan(added), np.nanmax(added, initial=0.0), added)  # what does not fit is not bought

    @cached_property
    def all_tensors(self) -> float:
        """What the top plane of all tensors adds."""
        return self._whole[0].of(self.kind) - self._bare if self._whole else float(self.alone.sum())

    @cached_property
    def codecs(self) -> Float64:
        """What the codecs cost with 1, 2, ... planes of all tensors, whatever they do, float64 [planes]."""
        known = [priced.codecs(self.kind) for priced in self._whole] or [0.0]
        return np.array(known + [known[-1]] * (self.image.planes - len(known)))

    @property
    def per_bit(self) -> Float64:
        """Cost of a bit of each tensor, float64 [T]: their proportions as each alone, the level as all together."""
        sizes = np.diff(self.image.tensor_starts)
        own = np.maximum(self.alone - self.codecs[0], 0.0)
        level = max(self.all_tensors - float(self.codecs[0]), 0.0)
        return np.asarray(own / sizes * (level / own.sum())) if own.any() else np.full(sizes.size, level / sizes.sum())

    @cached_property
    def _bare(self) -> float:
        edges = self.image.tensor_starts
        return self.costs.of(ProtectionPlan.unprotected(edges, self.image.planes)).of(self.kind)

    @cached_property
    def _whole(self) -> list[Figures]:
        every = np.arange(self.image.tensor_starts.size - 1)
        found = (self._on(every, planes) for planes in range(1, self.image.planes + 1))
        return [one for one in found if one is not None]

    def _on(self, tensors: Int64, planes: int = 1) -> Figures | None:
        """The price of the entry on the top planes of some tensors; None where the array does not hold that."""
        edges = self.image.tensor_starts
        choice = np.zeros((edges.size - 1, self.image.planes), dtype=np.uint8)
        choice[np.ix_(tensors, self.image.plane_order[:planes])] = 1
        menu = ("none", self.item.name)
        plan = ProtectionPlan(edges, edges, "layer", "uniform", menu, choice)
        return self.costs.of(plan) if self.costs.fits(plan) else None


def _unpriced(budget: BudgetSection, item: MenuEntry, kind: str) -> str:
    """That the model of a currency does not charge for an entry, and what does."""
    other = {"area": "energy", "energy": "area"}[kind]
    priced = (other, "bits") if item.kind in ("cell", "refresh") else ("bits",)
    buys = budget.kind == "distortion"
    advice = " or ".join(f"paid_in: {name}" if buys else f"{{{name}: ..}}" for name in priced)
    return f"the {kind} model has no price for {item.name}; use {'' if buys else 'budget: '}{advice}"
