"""Protection policies under one accounting: TAC and the baselines it is measured against.

A policy turns a budget into a ``ProtectionPlan``.  TAC, magnitude and random differ only in what they hold a weight to
be worth; Uniform-MSP protects the same number of top planes everywhere (arXiv:2606.00741).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.channel import FlipChannel
from qtaml_hw.protection import MenuEntry, ProtectionPlan, entry
from qtaml_hw.tac.allocation import Allocation, BudgetPath, Cheapest, Knapsack, relative_gap, solve
from qtaml_hw.tac.damage import DamageModel
from qtaml_hw.tac.exact import reach_exactly, solve_exactly
from qtaml_hw.weights import GroupKind, StoredImage
from qtaml_hw.weights.sizes import StoredSizes

Array = NDArray[np.float64]
Solver = Literal["greedy", "exact"]


@dataclass(frozen=True)
class Prices:
    """What protection is paid in.

    ``per_bit`` : cost of one protected bit under each menu option (0 for "none"); ``fixed`` : cost of having an option
    at all (a decoder), once per option used; ``budget`` and both in ``unit`` (bits, parity bits, m2, J).  ``target``:
    the share of the unprotected predicted distortion that may be left, at the least cost; the budget then limits
    nothing.
    """

    per_bit: tuple[float, ...]
    fixed: tuple[float, ...]
    budget: float
    unit: str
    target: float | None = None

    def to_reach(self, share: float) -> Prices:
        """The same prices, to be spent on reaching a share of the unprotected distortion.

        Raises ValueError outside [0, 1].
        """
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"a wanted distortion is a share of the unprotected one in [0, 1]; got {share}")
        return replace(self, budget=np.inf, target=share)


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
        """Residual p01 and p10 of every plane under every option, each [B, Q], for words of bits that are alike.

        What planning goes by, before it is known which planes share a word; ``ProtectionPlan.residual`` knows.
        """
        raw = list(zip(channel.p01.tolist(), channel.p10.tolist(), strict=True))
        # planes mostly share one channel, and a code's residual is an enumeration: each once
        known = {pair: [e.residual_channel(*pair) for e in self.entries] for pair in set(raw)}
        table = np.array([known[pair] for pair in raw], dtype=np.float64)
        return table[..., 0], table[..., 1]


def bit_prices(menu: Menu, image: StoredSizes, fraction: float) -> Prices:
    """The paper's accounting: every protected bit costs one, the budget is a share of the stored bits."""
    options = len(menu.entries)
    return Prices((0.0, *[1.0] * (options - 1)), (0.0,) * options, fraction * image.stored_bits, "protected bits")


def parity_prices(menu: Menu, image: StoredSizes, fraction: float) -> Prices:
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
    """A plan with what its policy predicts: distortion left, the LP bound below it, and the money spent.

    ``least_spent``: the cost below which no plan reaches the wanted distortion; None where a budget was spent.
    """

    plan: ProtectionPlan
    predicted_distortion: float
    lower_bound: float
    spent: float
    unit: str
    least_spent: float | None = None

    @property
    def gap(self) -> float:
        """Relative distance to the lower bound: of the cost where a distortion was wanted, else of the prediction."""
        if self.least_spent is not None:
            return relative_gap(self.spent, self.least_spent)
        return relative_gap(self.predicted_distortion, self.lower_bound)


def knapsack(damage: DamageModel, channel: FlipChannel, menu: Menu, prices: Prices) -> Knapsack:
    """The allocation problem of a damage model: items are (group, plane), plane fastest."""
    p01, p10 = menu.residuals(channel)
    left = damage.zeros[:, :, None] * p01 + damage.ones[:, :, None] * p10
    cost = np.broadcast_to(damage.sizes[:, None, None] * np.array(prices.per_bit), left.shape)
    options = len(menu.entries)
    return Knapsack(left.reshape(-1, options), np.ascontiguousarray(cost).reshape(-1, options), prices.budget)


def _decoder_sets(prices: Prices) -> Iterator[tuple[NDArray[np.intp], float]]:
    """Every set of options with the fixed cost of having it (decoders); options without one are always there."""
    priced = [q for q in range(1, len(prices.fixed)) if prices.fixed[q] > 0.0]
    free = [q for q in range(len(prices.fixed)) if q not in priced]
    for count in range(len(priced) + 1):
        for extra in combinations(priced, count):
            yield np.array(sorted([*free, *extra])), sum(prices.fixed[q] for q in extra)


def solve_with_fixed_costs(problem: Knapsack, prices: Prices, solver: Solver = "greedy") -> Allocation:
    """The best allocation over every set of options whose fixed costs (decoders) fit the budget."""
    best: Allocation | None = None
    bound = np.inf
    for columns, fixed in _decoder_sets(prices):
        if fixed > problem.budget:
            continue
        part = Knapsack(problem.damage[:, columns], problem.cost[:, columns], problem.budget - fixed)
        found = solve(part) if solver == "greedy" else solve_exactly(part)
        bound = min(bound, found.lower_bound)
        if best is None or found.predicted_distortion < best.predicted_distortion:
            choice = columns[found.choice].astype(np.uint8)
            best = Allocation(choice, found.predicted_distortion, found.lower_bound, found.spent + fixed)
    assert best is not None  # the empty set of decoders always fits
    return Allocation(best.choice, best.predicted_distortion, bound, best.spent)


def reach_with_fixed_costs(problem: Knapsack, prices: Prices, solver: Solver = "greedy") -> Cheapest:
    """The cheapest choice that leaves ``prices.target`` of the unprotected damage, over every set of decoders.

    Raises ValueError when the whole menu leaves more.
    """
    assert prices.target is not None  # said by the prices that ask for it
    wanted = prices.target * float(problem.damage[:, 0].sum())
    found: list[Cheapest] = []
    for columns, fixed in _decoder_sets(prices):
        damage, cost = problem.damage[:, columns], problem.cost[:, columns]
        if float(damage.min(axis=1).sum()) > wanted * (1.0 + 1e-12) and columns.size < len(prices.fixed):
            continue  # too few decoders; the last set has them all, and says so when even they are too few
        part = BudgetPath(damage, cost).reach(wanted) if solver == "greedy" else reach_exactly(damage, cost, wanted)
        choice = columns[part.choice].astype(np.uint8)
        found.append(Cheapest(choice, part.predicted_distortion, part.spent + fixed, part.least_spent + fixed))
    best = min(found, key=lambda one: one.spent)
    return replace(best, least_spent=min(one.least_spent for one in found))


def plan_by_damage(
    damage: DamageModel,
    channel: FlipChannel,
    menu: Menu,
    prices: Prices,
    *,
    image: StoredSizes,
    kind: GroupKind,
    policy: str,
    solver: Solver = "greedy",
) -> Planned:
    """Spend the budget where the damage is largest (TAC when its importance is the Jacobian energy).

    With ``prices.target`` the cheapest plan that reaches it; its ``lower_bound`` is that of any plan as cheap.

    Raises ValueError when the menu cannot reach the target.
    """
    problem = knapsack(damage, channel, menu, prices)
    least: float | None = None
    if prices.target is not None:
        cheapest = reach_with_fixed_costs(problem, prices, solver)
        least, spent = cheapest.least_spent, cheapest.spent
        bound = min(BudgetPath(problem.damage, problem.cost).at(spent).lower_bound, cheapest.predicted_distortion)
        found = Allocation(cheapest.choice, cheapest.predicted_distortion, bound, spent)
    else:
        found = solve_with_fixed_costs(problem, prices, solver)
    choice = found.choice.reshape(-1, image.planes)
    plan = ProtectionPlan(damage.starts, image.tensor_starts, kind, policy, menu.names, choice)
    return Planned(plan, found.predicted_distortion, found.lower_bound, found.spent, prices.unit, least)


def plan_uniform(
    image: StoredSizes, channel: FlipChannel, menu: Menu, prices: Prices, *, option: int = 1
) -> ProtectionPlan:
    """Uniform-MSP: k top planes of every layer; what is left protects plane k + 1 of layers in network order.

    Top planes are the most significant ones of the image (``StoredImage.plane_order``).  The remainder goes layer by
    layer from the input and stops at the first layer that it cannot pay whole.
    """
    sizes = np.diff(image.tensor_starts)
    choice = np.zeros((sizes.size, image.planes), dtype=np.uint8)
    unit, left = prices.per_bit[option], prices.budget * (1.0 + 1e-12) - prices.fixed[option]
    for plane in image.plane_order.tolist():
        affordable = np.cumsum(sizes * unit) <= left
        choice[affordable, plane] = option
        left -= float((sizes[affordable] * unit).sum())
        if not affordable.all():
            break
    return ProtectionPlan(image.tensor_starts, image.tensor_starts, "layer", "uniform", menu.names, choice)


def plan_uniform_reaching(
    image: StoredImage, layers: DamageModel, channel: FlipChannel, menu: Menu, prices: Prices
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
    return ProtectionPlan(image.tensor_starts, image.tensor_starts, "layer", "uniform", menu.names, choice)


def predicted_distortion(damage: DamageModel, channel: FlipChannel, plan: ProtectionPlan) -> float:
    """First-order output distortion that any plan leaves; the damage model is grouped as the plan is."""
    return float(damage.distortion(*plan.residual(channel)).sum())


def magnitude_importance(image: StoredImage) -> Array:
    """The magnitude baseline: the layer's mean squared weight in place of the Jacobian energy, [weights]."""
    arrays = image.decode()
    return np.concatenate(
        [np.full(t.weights, float(np.mean(np.square(arrays[t.name], dtype=np.float64)))) for t in image.tensors]
    )


def random_importance(image: StoredImage, groups: GroupKind | NDArray[np.int64], seed: int) -> Array:
    """The random baseline: groups (of a kind, or from starts [G + 1]) in random worth, [weights]."""
    starts = image.group_starts(groups) if isinstance(groups, str) else groups
    worth = np.random.default_rng([seed, 0x5EED]).permutation(starts.size - 1) + 1.0
    scale = np.concatenate([np.broadcast_to(t.weight_scale(), t.weights) for t in image.tensors]).astype(np.float64)
    return np.repeat(worth, np.diff(starts)) / scale**2
