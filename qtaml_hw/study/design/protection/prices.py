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
from qtaml_hw.names import is_code_file
from qtaml_hw.protection import MenuEntry, ProtectionPlan
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.protection.price import PlanCost, Pricing, Spent
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


def budget_of(study: Study, image: StoredSizes, menu: tac.Menu, pricing: Pricing, spends: PlanSpends) -> tac.Budget:
    """The budget of a study as stated, what it buys, and what plans really cost.

    ``spends`` : what a plan adds at most, side information included.  Raises ValueError when an entry has no price in
    the currency.
    """
    protection = study.protection
    if protection.chooses_bits:
        assert protection.budget is not None  # the default is the bits of the format
        bits = protection.budget.value
        return tac.Budget("stored_bits", bits, tac.stored_prices(menu, image, bits))
    if not protection.row.spends:
        return tac.Budget(protection.policy, None, tac.bit_prices(menu, image, 0.0))
    found, budget = unpriced_budget(study, image, menu), protection.budget
    if found is not None:
        return found
    assert budget is not None  # without one it was found
    if budget.kind != "distortion":
        prices, least = _in_currency(study, image, menu, pricing, budget.kind, budget.value)
        prices = replace(prices, true_cost=_true_cost(budget.kind, pricing, spends))
        return tac.Budget(budget.kind, budget.value, prices, least)
    coded = all(e.parity_per_bit > 0.0 for e in menu.entries[1:])
    currency = budget.paid_in or ("parity" if coded else "bits")
    prices, _ = _in_currency(study, image, menu, pricing, currency, 0.0)
    return tac.Budget(budget.kind, budget.value, prices.to_reach(budget.value))


def unpriced_budget(study: Study, image: StoredSizes, menu: tac.Menu) -> tac.Budget | None:
    """The budget of a study that names planes, or none, which is a share of the bits; None where it states another."""
    protection = study.protection
    if protection.planes is not None:
        most = np.minimum(protection.planes, image.planes - image.absent.sum(axis=1))
        share = float(np.diff(image.tensor_starts) @ most) / image.stored_bits
        return tac.Budget("planes", float(protection.planes), tac.bit_prices(menu, image, share))
    if protection.budget is None:
        return tac.Budget("bits", DEFAULT_BITS_BUDGET, tac.bit_prices(menu, image, DEFAULT_BITS_BUDGET))
    return None


def _true_cost(kind: str, pricing: Pricing, spends: PlanSpends) -> tac.TrueCost | None:
    """What a plan adds, in the currency of a budget, without end where the array does not hold its check bits.

    None where prices are exact: a bit costs a bit in an array that is built as large as it has to be.
    """
    if kind == "bits" and pricing.study.array.capacity_bits is None:
        return None
    ways: dict[str, tac.TrueCost] = {
        "bits": lambda plan: float(plan.protected_bits),
        "parity": lambda plan: float(plan.parity_bits),
        "area": lambda plan: spends(plan).area_m2,
        "energy": lambda plan: spends(plan).energy_j,
    }
    return lambda plan: ways[kind](plan) if pricing.fits(plan) else np.inf


def _in_currency(
    study: Study, image: StoredSizes, menu: tac.Menu, pricing: Pricing, kind: str, value: float
) -> tuple[tac.Prices, float | None]:
    """Prices, and what one plane of one tensor costs where that is least (None where it is what the prices say)."""
    if kind in COUNTED:
        return COUNTED[kind](menu, image, value), None
    per_bit, fixed, least = [np.zeros(image.tensor_starts.size - 1)], [np.zeros(image.planes)], np.inf
    for item in menu.entries[1:]:
        found = _Measured(image, item, pricing, kind)
        if item.code is None and found.all_tensors <= 0.0:
            raise ValueError(_unpriced(study, item, kind))
        per_bit.append(found.per_bit)
        fixed.append(found.codecs)
        least = min(least, float(found.alone.min()))
    return tac.Prices(np.stack(per_bit, axis=1), np.stack(fixed, axis=1), value, _UNITS[kind]), least


@dataclass(frozen=True, eq=False)
class _Measured:
    """What one entry costs, asked of the one cost function: a plane at a time, and with its codecs apart."""

    image: StoredSizes
    item: MenuEntry
    pricing: Pricing
    kind: str

    @cached_property
    def alone(self) -> Float64:
        """What the top plane of each tensor adds, float64 [T]."""
        tensors = range(self.image.tensor_starts.size - 1)
        values = [np.nan if one is None else self._value(one) for one in (self._on(np.array([t])) for t in tensors)]
        added = np.array(values) - self._bare
        return np.where(np.isnan(added), np.nanmax(added, initial=0.0), added)  # what does not fit is not bought

    @cached_property
    def all_tensors(self) -> float:
        """What the top plane of all tensors adds."""
        return self._value(self._whole[0]) - self._bare if self._whole else float(self.alone.sum())

    @cached_property
    def codecs(self) -> Float64:
        """What the codecs cost with 1, 2, ... planes of all tensors, whatever they do, float64 [planes]."""
        known = [self._codecs(priced) for priced in self._whole] or [0.0]
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
        return self._value(self.pricing.cost(ProtectionPlan.unprotected(edges, self.image.planes)))

    @cached_property
    def _whole(self) -> list[PlanCost]:
        every = np.arange(self.image.tensor_starts.size - 1)
        found = (self._on(every, planes) for planes in range(1, self.image.planes + 1))
        return [one for one in found if one is not None]

    def _on(self, tensors: Int64, planes: int = 1) -> PlanCost | None:
        """The price of the entry on the top planes of some tensors; None where the array does not hold that."""
        edges = self.image.tensor_starts
        choice = np.zeros((edges.size - 1, self.image.planes), dtype=np.uint8)
        choice[np.ix_(tensors, self.image.plane_order[:planes])] = 1
        menu = ("none", self.item.name)
        plan = ProtectionPlan(edges, edges, "layer", "uniform", menu, choice)
        return self.pricing.cost(plan) if self.pricing.fits(plan) else None

    def _value(self, priced: PlanCost) -> float:
        return float(priced.areas[F.area_m2] if self.kind == "area" else priced.energies[F.energy_per_inference_j])

    def _codecs(self, priced: PlanCost) -> float:
        return priced.codec.area_m2 if self.kind == "area" else priced.codec.leakage_w * priced.energy.seconds


def _unpriced(study: Study, item: MenuEntry, kind: str) -> str:
    """That the model of a currency does not charge for an entry, and what does."""
    other = {"area": "energy", "energy": "area"}[kind]
    priced = (other, "bits") if item.kind in ("cell", "refresh") else ("bits",)
    buys = study.protection.budget is not None and study.protection.budget.kind == "distortion"
    advice = " or ".join(f"paid_in: {name}" if buys else f"{{{name}: ..}}" for name in priced)
    return f"the {kind} model has no price for {item.name}; use {'' if buys else 'budget: '}{advice}"
