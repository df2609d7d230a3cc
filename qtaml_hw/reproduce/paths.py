"""A policy as a path: for every budget the plan it would choose, all under one accounting (protected bits)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qtaml_hw import tac
from qtaml_hw.channel import FlipChannel
from qtaml_hw.ecc import ProtectionPlan
from qtaml_hw.study.subject import Subject
from qtaml_hw.weights import GroupKind

IDEAL = tac.Menu.of(["ideal"])


@dataclass(frozen=True)
class Policy:
    """How a budget is spent; ``title`` is what tables call it."""

    name: str
    group: GroupKind
    title: str


UNIFORM = Policy("uniform", "layer", "Uniform-MSP")
INTEGER = Policy("integer", "layer", "Uniform-MSP, whole planes only")
MAGNITUDE = Policy("magnitude", "layer", "magnitude by layer")
TAC_LAYER = Policy("tac", "layer", "TAC by layer")
TAC_CHANNEL = Policy("tac", "channel", "TAC by channel")
TAC_WORD = Policy("tac", "word", "TAC by 32-weight word")
POLICIES = (UNIFORM, INTEGER, MAGNITUDE, TAC_LAYER, TAC_CHANNEL, TAC_WORD)


@dataclass(eq=False)
class PlanPath:
    """The plans of one policy on one stored network under one channel, by budget."""

    subject: Subject
    channel: FlipChannel
    policy: Policy

    @cached_property
    def damage(self) -> tac.DamageModel:
        """The damage model that the policy believes in, by its groups."""
        image, policy = self.subject.image, self.policy
        if policy.name == "magnitude":
            return tac.damage_model(image, tac.magnitude_importance(image), image.group_starts(policy.group))
        return self.subject.damage(policy.group)

    @cached_property
    def _budgets(self) -> tac.BudgetPath:
        problem = tac.knapsack(self.damage, self.channel, IDEAL, tac.bit_prices(IDEAL, self.subject.image, 1.0))
        return tac.BudgetPath(problem.damage, problem.cost)

    def plan(self, share: float) -> ProtectionPlan:
        """The plan for a budget of ``share`` protected bits over stored bits."""
        image, policy = self.subject.image, self.policy
        if policy.name == "integer":
            planes = int(np.floor(share * image.planes + 1e-9))
            return ProtectionPlan.uniform_msb(image.tensor_starts, image.planes, planes, "ideal")
        if policy.name == "uniform":
            return tac.plan_uniform(image, self.channel, IDEAL, tac.bit_prices(IDEAL, image, share))
        choice = self._budgets.at(share * image.stored_bits).choice.reshape(-1, image.planes)
        starts = self.damage.starts
        return ProtectionPlan(starts, image.tensor_starts, policy.group, policy.name, IDEAL.names, choice)
