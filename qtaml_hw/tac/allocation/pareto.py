"""The exact optimum of a multiple-choice knapsack by dynamic programming over (cost, damage) pairs.

Item by item, every state that another one beats in both cost and damage is dropped, and every state whose Lagrangian
bound (Dyer, Kayal and Walker 1984) says that it cannot beat the best choice known.  The greedy choice is mostly within
a per cent of the optimum, so that few states stay: dozens of layers take milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Float64, Uint8
from qtaml_hw.tac.allocation.knapsack import Allocation, Knapsack, solve

MOST_STATES: Final = 1 << 20
BISECTIONS: Final = 60


@dataclass(frozen=True, eq=False)
class Relaxed:
    """A problem at a price of cost: ``best`` [N] is the least damage + price x cost of every item."""

    problem: Knapsack
    price: float

    @property
    def sums(self) -> Float64:
        """Damage + price x cost, [N, Q]."""
        return self.problem.damage + self.price * self.problem.cost

    @property
    def bound(self) -> float:
        """No choice within the budget leaves less."""
        return float(self.sums.min(axis=1).sum()) - self.price * self.problem.budget


def dual(problem: Knapsack) -> Relaxed:
    """The problem at the price whose bound is highest: where the cheapest of its best choices fits the budget."""
    low, high = 0.0, 1.0
    while _cost_at(problem, high) > problem.budget and high < 1e300:
        high *= 4.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high) if low > 0.0 else high * 1e-3
        low, high = (middle, high) if _cost_at(problem, middle) > problem.budget else (low, middle)
        if low == 0.0 and high < 1e-300:
            break
    return max((Relaxed(problem, price) for price in (low, high)), key=lambda one: one.bound)


def _cost_at(problem: Knapsack, price: float) -> float:
    sums = problem.damage + price * problem.cost
    best = np.lexsort((problem.cost, sums), axis=1)[:, :1]
    return float(np.take_along_axis(problem.cost, best, axis=1).sum())


def optimum(problem: Knapsack) -> Allocation | None:
    """The best choice there is; None where more states would be needed than ``MOST_STATES``.

    Raises ValueError for a negative budget or shapes that differ.
    """
    greedy, relaxed = solve(problem), dual(problem)
    sums = relaxed.sums
    over = sums - sums.min(axis=1, keepdims=True)  # what an option adds to the bound
    least, best = relaxed.bound, greedy.predicted_distortion
    limit = problem.budget * (1.0 + 1e-12)
    cost, damage, bound = np.zeros(1), np.zeros(1), np.full(1, least)
    steps: list[tuple[NDArray[np.int64], Uint8]] = []
    items = np.argsort(-over.max(axis=1)).tolist()
    for item in items:
        options = np.flatnonzero(least + over[item] <= best)
        all_cost = (cost[:, None] + problem.cost[item, options]).reshape(-1)
        all_bound = (bound[:, None] + over[item, options]).reshape(-1)
        alive = np.flatnonzero((all_cost <= limit) & (all_bound <= best * (1.0 + 1e-12)))
        if alive.size > MOST_STATES:
            return None
        all_damage = (damage[:, None] + problem.damage[item, options]).reshape(-1)
        alive = alive[_undominated(all_cost[alive], all_damage[alive])]
        cost, damage, bound = all_cost[alive], all_damage[alive], all_bound[alive]
        steps.append((alive // options.size, options[alive % options.size].astype(np.uint8)))
    if cost.size == 0:
        return greedy
    choice, state = np.zeros(len(items), dtype=np.uint8), int(np.argmin(damage))
    for item, (parent, option) in zip(reversed(items), reversed(steps), strict=True):
        choice[item], state = option[state], int(parent[state])
    rows = np.arange(choice.size)
    left = float(problem.damage[rows, choice].sum())
    if left >= greedy.predicted_distortion:
        choice, left = greedy.choice, greedy.predicted_distortion
    return Allocation(choice, left, left, float(problem.cost[rows, choice].sum()))


def _undominated(cost: Float64, damage: Float64) -> NDArray[np.int64]:
    """States that no cheaper one matches in damage."""
    order = np.lexsort((damage, cost))
    before = np.minimum.accumulate(np.concatenate([[np.inf], damage[order][:-1]]))
    return order[damage[order] < before]
