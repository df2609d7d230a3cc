"""Protection policies under one accounting: TAC and the baselines it is measured against.

A policy turns a budget into a ``ProtectionPlan``.  TAC, magnitude and random differ only in what they hold a weight to
be worth; Uniform-MSP protects the same number of top planes everywhere (arXiv:2606.00741).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.channel import FlipChannel
from qtaml_hw.ecc import MenuEntry, ProtectionPlan, entry
from qtaml_hw.tac.allocation import Allocation, Knapsack, solve
from qtaml_hw.tac.damage import DamageModel
from qtaml_hw.weights import GroupKind, StoredImage

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Prices:
    """What protection is paid in.

    ``per_bit`` : cost of one protected bit under each menu option (0 for "none"); ``fixed`` : cost of having an option
    at all (a decoder), once per option used; ``budget`` and both in ``unit`` (bits, parity bits, m2, J).
    """

    per_bit: tuple[float, ...]
    fixed: tuple[float, ...]
    budget: float
    unit: str


@dataclass(frozen=True)
class Menu:
    """The options of a plan: "none" first, then the entries the user allows."""

    entries: tuple[MenuEntry, ...]

    @classmethod
    def of(cls, names: Sequence[str]) -> Menu:
        """A menu from registered names; "none" is added."""
        return cls((entry("none"), *(entry(name) for name in names)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names in option order."""
        return tuple(e.name for e in self.entries)

    def residuals(self, channel: FlipChannel) -> tuple[Array, Array]:
        """Residual p01 and p10 of every plane under every option, each [B, Q]."""
        raw = list(zip(channel.p01.tolist(), channel.p10.tolist(), strict=True))
        # planes mostly share one channel, and a code's residual is an enumeration: each once
        known = {pair: [e.residual_channel(*pair) for e in self.entries] for pair in set(raw)}
        table = np.array([known[pair] for pair in raw], dtype=np.float64)
        return table[..., 0], table[..., 1]


def bit_prices(menu: Menu, image: StoredImage, fraction: float) -> Prices:
    """The paper's accounting: every protected bit costs one, the budget is a share of the stored bits."""
    options = len(menu.entries)
    return Prices((0.0, *[1.0] * (options - 1)), (0.0,) * options, fraction * image.stored_bits, "protected bits")


def parity_prices(menu: Menu, image: StoredImage, fraction: float) -> Prices:
    """Parity bits per protected bit; the budget is a share of the stored data bits.

    Raises ValueError for an option without parity (``ideal`` would be free, and is not buildable).
    """
    free = [e.name for e in menu.entries[1:] if e.parity_per_bit <= 0.0]
    if free:
        raise ValueError(f"a parity budget cannot price {', '.join(free)}: no parity bits; use budget: {{bits: ..}}")
    per_bit = tuple(float(e.parity_per_bit) for e in menu.entries)
    return Prices(per_bit, (0.0,) * len(per_bit), fraction * image.stored_bits, "parity bits")


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan with what its policy predicts: distortion left, the LP bound below it, and the money spent."""

    plan: ProtectionPlan
    predicted_distortion: float
    lower_bound: float
    spent: float
    unit: str

    @property
    def gap(self) -> float:
        """Relative distance of the prediction to the lower bound."""
        if self.lower_bound <= 0.0:
            return 0.0
        return (self.predicted_distortion - self.lower_bound) / self.lower_bound


def knapsack(damage: DamageModel, channel: FlipChannel, menu: Menu, prices: Prices) -> Knapsack:
    """The allocation problem of a damage model: items are (group, plane), plane fastest."""
    p01, p10 = menu.residuals(channel)
    left = damage.zeros[:, :, None] * p01 + damage.ones[:, :, None] * p10
    cost = np.broadcast_to(damage.sizes[:, None, None] * np.array(prices.per_bit), left.shape)
    options = len(menu.entries)
    return Knapsack(left.reshape(-1, options), np.ascontiguousarray(cost).reshape(-1, options), prices.budget)


def solve_with_fixed_costs(problem: Knapsack, prices: Prices) -> Allocation:
    """The best allocation over every set of options whose fixed costs (decoders) fit the budget."""
    priced = [q for q in range(1, len(prices.fixed)) if prices.fixed[q] > 0.0]
    free = [q for q in range(len(prices.fixed)) if q not in priced]
    best: Allocation | None = None
    bound = np.inf
    for count in range(len(priced) + 1):
        for extra in combinations(priced, count):
            fixed = sum(prices.fixed[q] for q in extra)
            if fixed > problem.budget:
                continue
            columns = np.array(sorted([*free, *extra]))
            found = solve(Knapsack(problem.damage[:, columns], problem.cost[:, columns], problem.budget - fixed))
            bound = min(bound, found.lower_bound)
            if best is None or found.predicted_distortion < best.predicted_distortion:
                choice = columns[found.choice].astype(np.uint8)
                best = Allocation(choice, found.predicted_distortion, found.lower_bound, found.spent + fixed)
    assert best is not None  # the empty set of decoders always fits
    return Allocation(best.choice, best.predicted_distortion, bound, best.spent)


def plan_by_damage(
    damage: DamageModel,
    channel: FlipChannel,
    menu: Menu,
    prices: Prices,
    *,
    image: StoredImage,
    kind: GroupKind,
    policy: str,
) -> Planned:
    """Spend the budget where the damage is largest (TAC when its importance is the Jacobian energy)."""
    found = solve_with_fixed_costs(knapsack(damage, channel, menu, prices), prices)
    choice = found.choice.reshape(-1, image.planes)
    plan = ProtectionPlan(damage.starts, image.tensor_starts, kind, policy, menu.names, choice)
    return Planned(plan, found.predicted_distortion, found.lower_bound, found.spent, prices.unit)


def plan_uniform(
    image: StoredImage, channel: FlipChannel, menu: Menu, prices: Prices, *, option: int = 1
) -> ProtectionPlan:
    """Uniform-MSP: k top planes of every layer; what is left protects plane k + 1 of layers in network order.

    The remainder goes layer by layer from the input and stops at the first layer that it cannot pay whole.
    """
    sizes = np.diff(image.tensor_starts)
    choice = np.zeros((sizes.size, image.planes), dtype=np.uint8)
    unit, left = prices.per_bit[option], prices.budget * (1.0 + 1e-12) - prices.fixed[option]
    for plane in reversed(range(image.planes)):
        affordable = np.cumsum(sizes * unit) <= left
        choice[affordable, plane] = option
        left -= float((sizes[affordable] * unit).sum())
        if not affordable.all():
            break
    return ProtectionPlan(image.tensor_starts, image.tensor_starts, "layer", "uniform", menu.names, choice)


def predicted_distortion(damage: DamageModel, channel: FlipChannel, plan: ProtectionPlan, menu: Menu) -> float:
    """First-order output distortion that any plan leaves; the damage model is grouped as the plan is."""
    p01, p10 = menu.residuals(channel)
    planes = np.arange(plan.planes)
    return float(damage.distortion(p01[planes, plan.choice], p10[planes, plan.choice]).sum())


def magnitude_importance(image: StoredImage) -> Array:
    """The magnitude baseline: the layer's mean squared weight in place of the Jacobian energy, [weights]."""
    arrays = image.decode()
    return np.concatenate(
        [np.full(t.weights, float(np.mean(np.square(arrays[t.name], dtype=np.float64)))) for t in image.tensors]
    )


def random_importance(image: StoredImage, kind: GroupKind, seed: int) -> Array:
    """The random baseline: groups in random worth, independent of everything, [weights]."""
    starts = image.group_starts(kind)
    worth = np.random.default_rng([seed, 0x5EED]).permutation(starts.size - 1) + 1.0
    scale = np.concatenate([np.broadcast_to(t.weight_scale(), t.weights) for t in image.tensors]).astype(np.float64)
    return np.repeat(worth, np.diff(starts)) / scale**2
