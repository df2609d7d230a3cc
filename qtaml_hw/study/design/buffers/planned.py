"""How the values of a buffer are protected: within a budget of its own, or as a part of the weights' (tac.share_out).

A flip of a value is worth what it moves the outputs by, as a flip of a weight is, so that both memories can be bought
protection by the same scale.  How often bits of a value flip follows from its own age.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import torch
from torch import nn

from qtaml_hw import tac
from qtaml_hw.activations import Kept
from qtaml_hw.arrays import Bool, Int64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study
from qtaml_hw.config.buffers import shares
from qtaml_hw.protection import MenuEntry, ProtectionPlan
from qtaml_hw.study.design.buffers.placed import Placed
from qtaml_hw.study.design.protection.price import Spent
from qtaml_hw.study.design.protection.prices import COUNTED, Costs, Figures, budget_of, menu_of, stated_budget
from qtaml_hw.study.design.protection.protect import Protection
from qtaml_hw.tac.worth.handed import value_damage, value_starts
from qtaml_hw.tac.worth.sensitivity import OutputName

POLICIES: Final = ("none", "uniform", "tac")


def shares_budget(study: Study) -> bool:
    """Whether a buffer spends the budget of the weights."""
    return any(shares(one.study.protection) for one in study.beside)


@dataclass(frozen=True, eq=False)
class ValueSizes:
    """The values of a buffer as planning sees stored tensors."""

    planes: int
    tensor_starts: Int64
    plane_order: Int64

    @property
    def stored_bits(self) -> int:
        """Data bits of one inference's values."""
        return self.planes * int(self.tensor_starts[-1])

    @property
    def plane_orders(self) -> Int64:
        """The same by value."""
        return np.tile(self.plane_order, (len(self.tensor_starts) - 1, 1))

    @property
    def absent(self) -> Bool:
        """Planes that a value does not have: none."""
        return np.zeros((len(self.tensor_starts) - 1, self.planes), dtype=bool)

    @property
    def read_with(self) -> Int64:
        """Every value is read alone."""
        return np.arange(len(self.tensor_starts) - 1)


@dataclass(frozen=True, eq=False)
class ValuePlanning:
    """What a buffer's plan is made with: its values, unprotected in their places, the network and unlabelled inputs."""

    placed: Placed
    kept: Sequence[Kept]
    module: nn.Module
    inputs: torch.Tensor

    @property
    def study(self) -> Study:
        """The study as it would be with its weights in the buffer."""
        return self.placed.buffer.study

    @property
    def shares(self) -> bool:
        """Whether it spends the budget of the weights."""
        return shares(self.study.protection)

    @cached_property
    def channel(self) -> FlipChannel:
        """Flips of the value that loses most."""
        worst = max((one.at() for one in self.placed.rates()), key=lambda p: float((p[0] + p[1]).max()))
        view = self.placed.cell.channel
        return FlipChannel(worst[0].max(axis=0), worst[1].max(axis=0), view.law, view.source)

    @cached_property
    def menu(self) -> tac.Menu:
        """Codes, detection and bounds.  Raises ValueError for what protects no value."""
        found = menu_of(self.study, self.channel)
        _refuse_entries(found.entries)
        return found

    def damage(self, output: OutputName) -> tac.DamageModel:
        """What flips do to an output, at the channel: less where a value flips less often than the worst one."""
        found = value_damage(self.module, self.kept, self.inputs, output=output)
        often = []
        for state, most in enumerate((self.channel.p01, self.channel.p10)):
            mean = np.array([
                one.at()[state].mean(axis=0) * (place.address is not None)
                for one, place in zip(self.placed.rates(), self.placed.allocation.places, strict=True)
            ])  # fmt: skip
            often.append(np.divide(mean, most, out=np.zeros_like(mean), where=most > 0.0))
        return replace(found, zeros=found.zeros * often[0], ones=found.ones * often[1])

    def _sizes(self, order: Int64) -> ValueSizes:
        return ValueSizes(self.kept[0].numbers.form.planes, value_starts(self.kept), order)

    def plan(self) -> ProtectionPlan:
        """Its own: unprotected, the same top planes of all values, or by damage within its budget.

        Raises ValueError for a policy that plans no values.
        """
        section = self.study.protection
        if section.policy not in POLICIES:
            raise ValueError(f"a buffer is protected by {', '.join(POLICIES)}; got {section.policy}")
        if section.policy == "none":
            return self.placed.plan
        damage = self.damage("logits")
        sizes = self._sizes(damage.plane_order)
        planning = tac.Planning(
            policy=section.policy,
            image=sizes,
            channel=self.channel,
            menu=self.menu,
            budget=budget_of(self.study, sizes, self.menu, costs_of(self.placed)),
            group="layer",
            solver=section.way,
            damage=lambda worth, planning: damage,
        )
        return tac.POLICIES[section.policy](planning).plan

    def share(self, weights: Study) -> tac.Share:
        """Its part in the budget of the weights' study, whose score says which output counts.

        A bit of a value counts as often as inferences go through the layers together.
        """
        scored = weights.protection
        damage = self.damage("fisher" if scored.score == "fisher" else scored.output)
        sizes = self._sizes(damage.plane_order)
        stated = stated_budget(scored.budget, sizes, self.menu, costs_of(self.placed), part=True)
        prices = _of_batch(stated.prices, self.placed.buffer.section.batch)
        return tac.Share(damage=damage, channel=self.channel, menu=self.menu, prices=prices, image=sizes)


def costs_of(placed: Placed) -> Costs:
    """Plans of a buffer, by the one cost function of its records."""
    bare = placed.cost()

    def of(plan: ProtectionPlan) -> Figures:
        found = placed.protected(plan)
        cost = found.cost()
        return Figures(cost.area_m2, cost.energy_j, cost.codec_area_m2, found.codec_leakage_j)

    def added(plan: ProtectionPlan) -> Spent:
        found, parts = of(plan), (plan.protected_bits_fraction, plan.parity_bits_fraction)
        return Spent(*parts, found.area_m2 - bare.area_m2, found.energy_j - bare.energy_j)

    def fits(plan: ProtectionPlan) -> bool:
        try:
            placed.protected(plan)
        except ValueError:
            return False
        return True

    return Costs(of, added, fits, placed.buffer.study.array.capacity_bits is None)


@dataclass(frozen=True, eq=False)
class Split:
    """How memories split one budget: what each spends of it, protects, adds and leaves of the outputs' distortion."""

    facts: dict[str, dict[str, float]]

    @classmethod
    def of_weights(cls, weights: Protection) -> Split:
        """With the weights alone, to which all distortion is put down that no buffer takes."""
        left = 0.0 if weights.optimum is None else weights.optimum.predicted_distortion
        return cls({"weights": _split(weights.budget.prices, weights.plan, weights.spent, left)})

    def with_buffer(self, name: str, share: tac.Share, costs: Costs, plan: ProtectionPlan) -> Split:
        """And a buffer."""
        left = share.left(plan)
        weights = {**self.facts["weights"]}
        weights["predicted_distortion"] = max(weights["predicted_distortion"] - left, 0.0)
        return Split({**self.facts, "weights": weights, name: _split(share.prices, plan, costs.added(plan), left)})


def _split(prices: tac.Prices, plan: ProtectionPlan, added: Spent, left: float) -> dict[str, float]:
    return {
        "spent": float((prices.true_cost or prices.of_plan)(plan)),
        "protected_bits_fraction": plan.protected_bits_fraction,
        "parity_bits_fraction": plan.parity_bits_fraction,
        "area_m2": added.area_m2,
        "energy_j": added.energy_j,
        "predicted_distortion": left,
    }


def _of_batch(prices: tac.Prices, batch: int) -> tac.Prices:
    """Bits of all inferences of a batch; areas and energies are of them all, and per inference, already."""
    if prices.unit not in {f"{'protected' if kind == 'bits' else kind} bits" for kind in COUNTED}:
        return prices
    true_cost = prices.true_cost
    return replace(
        prices,
        per_bit=batch * np.asarray(prices.per_bit, dtype=np.float64),
        budget=batch * prices.budget,
        true_cost=None if true_cost is None else lambda plan: batch * true_cost(plan),
    )


def _refuse_entries(entries: Sequence[MenuEntry]) -> None:
    odd = [item.name for item in entries if item.keeping is not None or item.kind == "absent"]
    if odd:
        raise ValueError(
            f"a buffer's planes are protected by codes, detection and bounds; {odd[0]} is none: see refresh"
        )
