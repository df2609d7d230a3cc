"""Protection policies under one accounting: TAC and the baselines it is measured against, one row each.

A policy turns a budget into a ``ProtectionPlan``.  TAC, magnitude, random and oracle differ only in what they hold a
weight to be worth; Uniform-MSP protects the same number of top planes everywhere (arXiv:2606.00741).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from qtaml_hw.channel import FlipChannel
from qtaml_hw.names import Solver
from qtaml_hw.protection import Menu, ProtectionPlan
from qtaml_hw.tac.allocation.budget import Budget, Prices
from qtaml_hw.tac.allocation.joint import JointProblem
from qtaml_hw.tac.allocation.spending import Bill, Planned, Share, fitting, share_out
from qtaml_hw.tac.worth.damage import DamageModel
from qtaml_hw.weights import GroupKind
from qtaml_hw.weights.sizes import StoredSizes

Worth = Literal["first_order", "score", "magnitude", "random", "measured"]


@dataclass(frozen=True, eq=False)
class Planning:
    """What a policy plans with.

    ``policy`` : its name, written on the plan; ``group`` : the smallest unit that is decided alone.  ``damage`` gives
    the damage model by what a weight is held to be worth, in groups: ``first_order`` (the logits' Jacobian, by layer),
    ``score`` (the study's), ``magnitude``, ``random`` or ``measured`` (a layer alone).  ``saved`` : a plan made before.
    ``widths``, ``agreement``: what chooses the bits of weights, and how well a plan's outputs agree without labels;
    ``others`` : memories that spend the same budget.
    """

    policy: str
    image: StoredSizes
    channel: FlipChannel
    menu: Menu
    budget: Budget
    group: GroupKind
    solver: Solver
    damage: Callable[[Worth, Planning], DamageModel]
    saved: ProtectionPlan | None = None
    widths: Callable[[Planning], JointProblem] | None = None
    agreement: Callable[[Planned], float] | None = None
    others: tuple[Share, ...] = ()

    def spend(self, damage: DamageModel) -> Planned:
        """The budget spent where this damage is largest, or that of the ``others``.

        Raises ValueError when the menu cannot reach a wanted distortion.
        """
        own = Share(
            damage=damage,
            channel=self.channel,
            menu=self.menu,
            prices=self.budget.prices,
            image=self.image,
            kind=self.group,
            policy=self.policy,
        )
        return share_out((own, *self.others), self.solver)

    def by(self, worth: Worth) -> Planned:
        """The budget spent by what a weight is held to be worth; ValueError where that cannot be told."""
        return self.spend(self.damage(worth, self))


def _nothing(planning: Planning) -> Planned:
    return Planned(ProtectionPlan.unprotected(planning.image.tensor_starts, planning.image.planes))


def _joint(planning: Planning) -> Planned:
    problem, agreement = _widths(planning)
    return problem.best(agreement)


def _widths(planning: Planning) -> tuple[JointProblem, Callable[[Planned], float]]:
    if planning.widths is None or planning.agreement is None:
        raise ValueError(f"policy {planning.policy} chooses the bits of weights and needs the network itself")
    return planning.widths(planning), planning.agreement


def _uniform(planning: Planning) -> Planned:
    if planning.budget.kind == "stored_bits":
        problem, agreement = _widths(planning)
        return problem.uniform(agreement)
    image, channel, menu, prices = planning.image, planning.channel, planning.menu, planning.budget.prices
    if prices.target is None:
        found = fitting(
            lambda linear: Planned(plan_uniform(image, channel, menu, replace(prices, budget=linear))),
            Bill((prices,)),
        )
        return _nothing(planning) if found is None else found
    return Planned(plan_uniform_reaching(image, planning.damage("first_order", planning), channel, menu, prices))


def _saved(planning: Planning) -> Planned:
    if planning.saved is None:
        raise ValueError(f"policy {planning.policy} needs the network that its plan was made for")
    return Planned(planning.saved)


POLICIES: Final[dict[str, Callable[[Planning], Planned]]] = {
    "none": _nothing,
    "uniform": _uniform,
    "magnitude": lambda planning: planning.by("magnitude"),
    "random": lambda planning: planning.by("random"),
    "tac": lambda planning: planning.by("score"),
    "joint": _joint,
    "oracle": lambda planning: planning.by("measured"),
    "plan": _saved,
}
"""How every policy plans; what else is known of it is its row in ``names.POLICIES``."""


def plan_uniform(
    image: StoredSizes, channel: FlipChannel, menu: Menu, prices: Prices, *, option: int = 1
) -> ProtectionPlan:
    """Uniform-MSP: k top planes of every layer; what is left protects plane k + 1 of layers in network order.

    Top planes are the most significant ones of the image (``StoredImage.plane_order``), or of every tensor where they
    differ in their formats.  The remainder goes layer by
    layer from the input and stops at the first layer that it cannot pay whole.
    """
    choice = np.zeros((image.tensor_starts.size - 1, image.planes), dtype=np.uint8)
    price = prices.of_groups(image.tensor_starts, image.tensor_starts)[:, option]
    left = prices.budget * (1.0 + 1e-12) - float(np.atleast_2d(prices.fixed)[0, option])
    orders, tensors = image.plane_orders, np.arange(len(choice))
    for rank in range(image.planes):
        there = ~image.absent[tensors, orders[:, rank]]
        affordable = there & (np.cumsum(price * there) <= left)
        choice[affordable, orders[affordable, rank]] = option
        left -= float(price[affordable].sum())
        if not affordable[there].all():
            break
    return ProtectionPlan(image.tensor_starts, image.tensor_starts, "layer", "uniform", menu.names, choice)


def plan_uniform_reaching(
    image: StoredSizes, layers: DamageModel, channel: FlipChannel, menu: Menu, prices: Prices
) -> ProtectionPlan:
    """The first Uniform-MSP plan on its way from none to all planes that leaves ``prices.target`` of the distortion.

    ``layers``: the damage model by layer that predicts it.  Raises ValueError when all planes leave more.
    """
    assert prices.target is not None
    p01, p10 = menu.residuals(channel)
    before = layers.distortion(p01[:, 0], p10[:, 0])
    saved = before - layers.distortion(p01[:, 1], p10[:, 1])
    in_order = saved[:, layers.plane_order].T.reshape(-1)  # plane by plane from the top, in network order within
    left = before.sum() - np.concatenate([[0.0], np.cumsum(in_order)])
    wanted = prices.target * float(before.sum()) * (1.0 + 1e-9)
    if float(left.min()) > wanted:
        raise ValueError(
            f"uniform protection by {menu.names[1]} leaves {left.min() / before.sum():.3g} of the predicted "
            f"distortion, more than the {prices.target:.3g} wanted"
        )
    steps = int(np.argmax(left <= wanted))
    planes, layer = divmod(np.arange(steps), len(before))
    choice = np.zeros((len(before), image.planes), dtype=np.uint8)
    choice[layer, layers.plane_order[planes]] = 1
    choice[image.absent] = 0
    return ProtectionPlan(image.tensor_starts, image.tensor_starts, "layer", "uniform", menu.names, choice)
