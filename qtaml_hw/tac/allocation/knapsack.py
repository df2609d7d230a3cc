"""Spending a protection budget: a multiple-choice knapsack over (group, plane) items.

Hull-greedy: take each item's lower convex hull over the menu and buy increments by damage saved per unit of cost.
The linear relaxation, which the same order solves exactly, bounds the optimum from below; the printed gap is against
it (Sinha and Zoltners, Operations Research 27 (1979) 503).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qtaml_hw._jit import njit
from qtaml_hw.arrays import Bool, Float64, Int64, Uint8


@dataclass(frozen=True, eq=False)
class Knapsack:
    """Items x menu options.

    ``damage`` [N, Q]: predicted distortion of item n under option q; option 0 is "none".  ``cost`` [N, Q]: what
    option q costs the item, 0 for option 0.  ``budget`` in the units of cost.
    """

    damage: Float64
    cost: Float64
    budget: float


def relative_gap(value: float, bound: float) -> float:
    """Distance of a value to its lower bound, relative to the bound; 0 where the bound is 0."""
    return (value - bound) / bound if bound > 0.0 else 0.0


@dataclass(frozen=True, eq=False)
class Allocation:
    """The chosen option of every item [N], the damage that is left, and the bound below which no choice can go."""

    choice: Uint8
    predicted_distortion: float
    lower_bound: float
    spent: float

    @property
    def gap(self) -> float:
        """Relative distance to the lower bound, 0 when nothing is left to save."""
        return relative_gap(self.predicted_distortion, self.lower_bound)


@dataclass(frozen=True, eq=False)
class Cheapest:
    """The chosen option of every item [N] that reaches a wanted damage, its cost, and the cost below which none does.

    The same knapsack seen from the other side: the least cost for a damage in place of the least damage for a cost.
    """

    choice: Uint8
    predicted_distortion: float
    spent: float
    least_spent: float

    @property
    def gap(self) -> float:
        """Relative distance of the cost to its lower bound, 0 when nothing has to be spent."""
        return relative_gap(self.spent, self.least_spent)


@dataclass(frozen=True, eq=False)
class Increments:
    """Hull steps in buying order: item, option reached, cost and damage saved by the step."""

    item: Int64
    option: Uint8
    cost: Float64
    saved: Float64


def _hull_increments(damage: Float64, prices: Float64) -> Increments:
    """Walk every item's lower convex hull at once: the next vertex is the option with the steepest saving."""
    items, options = damage.shape
    current = np.zeros(items, dtype=np.intp)
    alive = np.arange(items)
    steps: list[tuple[NDArray[np.intp], NDArray[np.intp], Float64, Float64]] = []
    for _ in range(options - 1):
        base_cost = prices[alive, current[alive]][:, None]
        base_damage = damage[alive, current[alive]][:, None]
        extra, saved = prices[alive] - base_cost, base_damage - damage[alive]
        useful = (saved > 0.0) & ((extra > 0.0) | ((extra == 0.0) & (prices[alive] == 0.0)))
        slope = np.where(useful, np.divide(saved, extra, out=np.full_like(saved, np.inf), where=extra > 0.0), -np.inf)
        best = np.argmax(slope, axis=1)
        rows = np.flatnonzero(slope[np.arange(alive.size), best] > 0.0)
        if rows.size == 0:
            break
        alive, best = alive[rows], best[rows]
        steps.append((alive, best, extra[rows, best], saved[rows, best]))
        current[alive] = best
    if not steps:
        empty = np.empty(0)
        return Increments(np.empty(0, np.int64), np.empty(0, np.uint8), empty, empty)
    item, option = np.concatenate([s[0] for s in steps]), np.concatenate([s[1] for s in steps])
    cost, saved = np.concatenate([s[2] for s in steps]), np.concatenate([s[3] for s in steps])
    slope = np.divide(saved, cost, out=np.full_like(saved, np.inf), where=cost > 0.0)
    order = np.argsort(-slope, kind="stable")
    return Increments(item[order].astype(np.int64), option[order].astype(np.uint8), cost[order], saved[order])


@njit()
def _buy(
    item: Int64,
    option: Uint8,
    cost: Float64,
    budget: float,
    choice: Uint8,
) -> float:
    """Buy increments in order while they fit; an item whose step was skipped buys no later step."""
    closed = np.zeros(choice.size, dtype=np.bool_)
    left = budget
    for j in range(item.size):
        i = item[j]
        if closed[i]:
            continue
        if cost[j] <= left:
            choice[i] = option[j]
            left -= cost[j]
        else:
            closed[i] = True
    return budget - left


@njit()
def _undo(item: Int64, saved: Float64, bought: Bool, count: int, spare: float) -> None:
    """Give back purchases, last first, while the damage that they save is to spare; an item's last step goes first."""
    closed = np.zeros(count, dtype=np.bool_)
    for j in range(item.size - 1, -1, -1):
        if not bought[j] or closed[item[j]]:
            continue
        if saved[j] <= spare:
            bought[j] = False
            spare -= saved[j]
        else:
            closed[item[j]] = True


@dataclass(frozen=True, eq=False)
class BudgetPath:
    """One allocation problem for every budget: the hull is walked and sorted once, each budget only buys.

    ``damage`` and ``cost`` [N, Q] as in :class:`Knapsack`.
    """

    damage: Float64
    cost: Float64

    def __post_init__(self) -> None:
        if self.damage.shape != self.cost.shape:
            raise ValueError(f"need damage and cost of equal shapes; got {self.damage.shape}, {self.cost.shape}")

    @cached_property
    def steps(self) -> Increments:
        """The hull in buying order."""
        return _hull_increments(self.damage, self.cost)

    def at(self, budget: float) -> Allocation:
        """Hull-greedy choice and the LP lower bound for a budget in the units of cost.

        Raises ValueError for a negative budget.
        """
        if budget < 0.0:
            raise ValueError(f"need a budget >= 0; got {budget}")
        steps, choice = self.steps, np.zeros(self.damage.shape[0], dtype=np.uint8)
        # costs are sums of many terms: a relative 1e-12 keeps a budget that fits exactly from being missed by rounding
        spent = _buy(steps.item, steps.option, steps.cost, budget * (1.0 + 1e-12), choice)
        left = float(self.damage[np.arange(choice.size), choice].sum())
        return Allocation(choice, left, min(self._lower_bound(budget), left), min(float(spent), budget))

    def reach(self, distortion: float) -> Cheapest:
        """The cheapest choice on the hull whose damage is at most ``distortion``, and the bound of the relaxation.

        Steps are bought in order until the damage is reached; the last one is the cheapest that suffices, and earlier
        ones that it makes needless are given back.  Raises ValueError when everything bought leaves more.
        """
        steps, count = self.steps, self.damage.shape[0]
        total = float(self.damage[:, 0].sum())
        need = total - distortion * (1.0 + 1e-12)
        cumulative = np.concatenate([[0.0], np.cumsum(steps.saved)])
        if cumulative[-1] < need:
            left = max(total - float(cumulative[-1]), 0.0)
            raise ValueError(f"the whole menu leaves a distortion of {left:.4g}, more than the {distortion:.4g} wanted")
        whole = max(int(np.searchsorted(cumulative, need)) - 1, 0)
        bought = np.arange(steps.item.size) < whole
        rest = need - float(cumulative[whole])
        bound = float(steps.cost[:whole].sum())
        if rest > 0.0:
            bound += float(steps.cost[whole]) * rest / float(steps.saved[whole])
            bought[self._last_step(whole, rest)] = True
        _undo(steps.item, steps.saved, bought, count, float(steps.saved[bought].sum()) - need)
        choice = np.zeros(count, dtype=np.uint8)
        choice[steps.item[bought]] = steps.option[bought]  # in buying order: an item's last step stays
        spent = float(steps.cost[bought].sum())
        return Cheapest(choice, float(self.damage[np.arange(count), choice].sum()), spent, min(bound, spent))

    def _last_step(self, whole: int, rest: float) -> int:
        """The cheapest step that saves ``rest`` among every item's first one after the first ``whole`` steps."""
        steps = self.steps
        _, first = np.unique(steps.item[whole:], return_index=True)
        enough = whole + first[steps.saved[whole + first] >= rest]
        return whole if enough.size == 0 else int(enough[np.argmin(steps.cost[enough])])

    def _lower_bound(self, budget: float) -> float:
        """Least damage of the relaxation: increments in order, the last one in part."""
        steps = self.steps
        total = float(self.damage[:, 0].sum())
        cumulative = np.cumsum(steps.cost)
        whole = int(np.searchsorted(cumulative, budget, side="right"))
        saved = float(steps.saved[:whole].sum())
        if whole < steps.cost.size:
            room = budget - (float(cumulative[whole - 1]) if whole else 0.0)
            saved += float(steps.saved[whole]) * room / float(steps.cost[whole])
        return max(total - saved, 0.0)


def solve(problem: Knapsack) -> Allocation:
    """Hull-greedy choice and the LP lower bound of one problem.

    Raises ValueError for a negative budget or shapes that differ.
    """
    return BudgetPath(problem.damage, problem.cost).at(problem.budget)
