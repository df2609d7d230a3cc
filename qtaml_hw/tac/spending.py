"""A budget spent on a damage model: the best plan that it buys, or the cheapest that leaves a wanted distortion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.channel import FlipChannel
from qtaml_hw.names import Solver
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.tac.allocation import Allocation, BudgetPath, Cheapest, Knapsack, relative_gap, solve
from qtaml_hw.tac.budget import Menu, Prices
from qtaml_hw.tac.damage import DamageModel
from qtaml_hw.tac.exact import reach_exactly, solve_exactly
from qtaml_hw.weights import GroupKind
from qtaml_hw.weights.sizes import StoredSizes


@dataclass(frozen=True)
class Optimum:
    """What a policy that optimises found: distortion left, the LP bound below it, and what was spent in ``unit``.

    In the units of the policy's own score.  ``least_spent``: the cost below which no plan reaches the wanted
    distortion; None where a budget was spent.
    """

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


@dataclass(frozen=True, eq=False)
class Planned:
    """What a policy decided: its plan, and what was optimised (None for policies that optimise nothing)."""

    plan: ProtectionPlan
    optimum: Optimum | None = None


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
        solved = solve(part) if solver == "greedy" else solve_exactly(part)
        bound = min(bound, solved.lower_bound)
        if best is None or solved.predicted_distortion < best.predicted_distortion:
            choice = columns[solved.choice].astype(np.uint8)
            best = Allocation(choice, solved.predicted_distortion, solved.lower_bound, solved.spent + fixed)
    assert best is not None  # the empty set of decoders always fits
    return Allocation(best.choice, best.predicted_distortion, bound, best.spent)


def reach_with_fixed_costs(problem: Knapsack, prices: Prices, solver: Solver = "greedy") -> Cheapest:
    """The cheapest choice that leaves ``prices.target`` of the unprotected damage, over every set of decoders.

    Raises ValueError when the whole menu leaves more.
    """
    assert prices.target is not None  # said by the prices that ask for it
    wanted = prices.target * float(problem.damage[:, 0].sum())
    cheapest: list[Cheapest] = []
    for columns, fixed in _decoder_sets(prices):
        damage, cost = problem.damage[:, columns], problem.cost[:, columns]
        if float(damage.min(axis=1).sum()) > wanted * (1.0 + 1e-12) and columns.size < len(prices.fixed):
            continue  # too few decoders; the last set has them all, and says so when even they are too few
        part = BudgetPath(damage, cost).reach(wanted) if solver == "greedy" else reach_exactly(damage, cost, wanted)
        choice = columns[part.choice].astype(np.uint8)
        cheapest.append(Cheapest(choice, part.predicted_distortion, part.spent + fixed, part.least_spent + fixed))
    best = min(cheapest, key=lambda one: one.spent)
    return replace(best, least_spent=min(one.least_spent for one in cheapest))


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
        best = Allocation(cheapest.choice, cheapest.predicted_distortion, bound, spent)
    else:
        best = solve_with_fixed_costs(problem, prices, solver)
    choice = best.choice.reshape(-1, image.planes)
    plan = ProtectionPlan(damage.starts, image.tensor_starts, kind, policy, menu.names, choice)
    return Planned(plan, Optimum(best.predicted_distortion, best.lower_bound, best.spent, prices.unit, least))


def predicted_distortion(damage: DamageModel, channel: FlipChannel, plan: ProtectionPlan) -> float:
    """First-order output distortion that any plan leaves; the damage model is grouped as the plan is."""
    return float(damage.distortion(*plan.residual(channel)).sum())
