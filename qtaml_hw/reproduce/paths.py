"""A policy as a path: for every budget the plan it would choose, all under one accounting.

Overheads are shares of the stored data bits: protected bits with ideal protection (the source paper's accounting),
parity bits with real codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qtaml_hw import tac
from qtaml_hw.arrays import Float64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.study.design.networks.network import StoredNetwork
from qtaml_hw.study.design.protection.price import stronger_cells_area
from qtaml_hw.study.design.protection.scoring import DRAWS, noisy_energy
from qtaml_hw.weights import GroupKind

IDEAL = tac.Menu.of(["ideal"])


@dataclass(frozen=True)
class Policy:
    """How a budget is spent; ``title`` is what tables call it, ``correction`` how weights are decoded.

    The policy ``aware`` is TAC whose damage is what the correction leaves (:func:`qtaml_hw.tac.corrected_damage`),
    ``second`` TAC whose importance is to second order at the noise of its own plan (:func:`qtaml_hw.tac.refine`).
    """

    name: str
    group: GroupKind
    title: str
    correction: tac.CorrectionKind = "none"


UNIFORM = Policy("uniform", "layer", "Uniform-MSP")
INTEGER = Policy("integer", "layer", "Uniform-MSP, whole planes only")
MAGNITUDE = Policy("magnitude", "layer", "magnitude by layer")
TAC_LAYER = Policy("tac", "layer", "TAC by layer")
TAC_CHANNEL = Policy("tac", "channel", "TAC by channel")
TAC_WORD = Policy("tac", "word", "TAC by 32-weight word")
POLICIES = (UNIFORM, INTEGER, MAGNITUDE, TAC_LAYER, TAC_CHANNEL, TAC_WORD)


@dataclass(eq=False)
class PlanPath:
    """The plans of one policy on one stored network under one channel, by budget.

    ``menu``: ideal protection, real codes or stronger cells, of which the uniform policies use the first.
    """

    stored: StoredNetwork
    channel: FlipChannel
    policy: Policy
    menu: tac.Menu = IDEAL

    @property
    def title(self) -> str:
        """For tables."""
        codes = "" if self.menu is IDEAL else f" with {', '.join(self.menu.names[1:])}"
        return f"{self.policy.title}{codes}"

    def overhead(self, plan: ProtectionPlan) -> float:
        """What a plan costs, over the stored data bits."""
        if self.menu is IDEAL:
            return plan.protected_bits_fraction
        return plan.parity_bits_fraction + stronger_cells_area(plan)

    @property
    def most(self) -> float:
        """The largest budget worth asking for: everything protected by the dearest entry, or all stored bits."""
        return max(1.0, float(np.max(self._prices(1.0).per_bit)))

    def _prices(self, share: float) -> tac.Prices:
        if self.menu is IDEAL:
            return tac.bit_prices(self.menu, self.stored.image, share)
        per_bit = tuple(e.parity_per_bit + e.extra_area_per_bit for e in self.menu.entries)
        return tac.Prices(per_bit, (0.0,) * len(per_bit), share * self.stored.image.stored_bits, "cells")

    @cached_property
    def damage(self) -> tac.DamageModel:
        """The damage model that the policy believes in, by its groups."""
        image, policy = self.stored.image, self.policy
        if policy.name == "magnitude":
            return tac.damage_model(image, tac.magnitude_importance(image), image.group_starts(policy.group))
        return self.stored.calibration.damage(self.stored.image, policy.group)

    @cached_property
    def _budgets(self) -> tac.BudgetPath:
        return self._path(self.damage)

    def _path(self, damage: tac.DamageModel) -> tac.BudgetPath:
        problem = tac.knapsack(damage, self.channel, self.menu, self._prices(1.0))
        return tac.BudgetPath(problem.damage, problem.cost)

    def _bought(self, path: tac.BudgetPath, budget: float) -> ProtectionPlan:
        image, policy = self.stored.image, self.policy
        choice = path.at(budget).choice.reshape(-1, image.planes)
        starts = image.group_starts(policy.group)
        return ProtectionPlan(starts, image.tensor_starts, policy.group, policy.name, self.menu.names, choice)

    def _second_order(self, budget: float) -> ProtectionPlan:
        """The plan at the importance that its own noise leads to."""
        stored, image = self.stored, self.stored.image
        starts = image.group_starts(self.policy.group)

        def plan_of(worth: Float64) -> ProtectionPlan:
            return self._bought(self._path(tac.damage_model(image, worth, starts)), budget)

        energy_at = noisy_energy(stored.calibration, "logits")
        return plan_of(tac.refine(image, stored.calibration.importance, energy_at, plan_of, self.channel, DRAWS))

    @cached_property
    def _aware(self) -> tac.BudgetPath:
        image, policy = self.stored.image, self.policy
        starts = image.group_starts(policy.group)
        left = tac.corrected_damage(image, self.stored.calibration.importance, starts, self.channel, policy.correction)
        return tac.ideal_path(left, starts)

    def plan(self, share: float) -> ProtectionPlan:
        """The plan for a budget of ``share`` of the stored data bits."""
        image, policy = self.stored.image, self.policy
        if policy.name == "integer":
            price = float(self._prices(share).per_bit[1])
            planes = min(int(np.floor(share * image.planes / price + 1e-9)), image.planes)
            return ProtectionPlan.uniform_msb(image.tensor_starts, image.planes, planes, self.menu.names[1])
        if policy.name == "uniform":
            return tac.plan_uniform(image, self.channel, self.menu, self._prices(share))
        starts, budget = image.group_starts(policy.group), share * image.stored_bits
        if policy.name == "aware":
            return tac.top_planes_plan(image, starts, self._aware.at(budget).choice, policy.group, policy.name)
        return self._second_order(budget) if policy.name == "second" else self._bought(self._budgets, budget)
