"""Allocation problems of damage models, and the families of plans in which decoders are paid once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Int64, Uint8
from qtaml_hw.channel import FlipChannel
from qtaml_hw.names import Solver
from qtaml_hw.protection import Menu
from qtaml_hw.tac.allocation.budget import Prices
from qtaml_hw.tac.allocation.exact import reach_exactly, solve_exactly
from qtaml_hw.tac.allocation.knapsack import Allocation, BudgetPath, Cheapest, Knapsack
from qtaml_hw.tac.allocation.pareto import optimum
from qtaml_hw.tac.worth.damage import DamageModel

MOST_FREELY: Final = 4
MOST_TOGETHER: Final = 2


def knapsack(
    damage: DamageModel, channel: FlipChannel, menu: Menu, prices: Prices, tensor_starts: Int64 | None = None
) -> Knapsack:
    """The allocation problem of a damage model: items are (group, plane), plane fastest.

    ``tensor_starts`` int64 [T + 1]: needed where prices depend on the tensor.
    """
    p01, p10 = menu.residuals(channel)
    left = damage.zeros[:, :, None] * p01 + damage.ones[:, :, None] * p10
    price = prices.of_groups(damage.starts, damage.starts if tensor_starts is None else tensor_starts)
    cost = np.broadcast_to(price[:, None, :], left.shape)
    options = len(menu.entries)
    return Knapsack(left.reshape(-1, options), np.ascontiguousarray(cost).reshape(-1, options), prices.budget)


@dataclass(frozen=True, eq=False)
class Family:
    """The plans that use some options (decoders) on some planes: what these cost at all, and the problem among them.

    ``items`` : (group, plane) items that may be protected; ``columns`` [items, options] : options of each, "none"
    first; ``fixed`` : cost of the decoders; ``path`` : the problem of these items and options; ``rest`` : damage of all
    other items.
    """

    columns: NDArray[np.intp]
    items: NDArray[np.intp]
    count: int
    fixed: float
    path: BudgetPath
    rest: float

    @classmethod
    def of(cls, problem: Knapsack, columns: NDArray[np.intp], items: NDArray[np.intp], fixed: float) -> Family:
        """Of a problem; the items keep their order."""
        damage, cost = problem.damage[np.ix_(items, columns)], problem.cost[np.ix_(items, columns)]
        rest = float(problem.damage[:, 0].sum()) - float(damage[:, 0].sum())
        every = np.broadcast_to(columns, damage.shape)
        return cls(every, items, len(problem.damage), fixed, BudgetPath(damage, cost), max(rest, 0.0))

    @classmethod
    def joined(cls, parts: Sequence[Family]) -> Family:
        """The plans of several memories, the items of one behind those of the other."""
        if len(parts) == 1:
            return parts[0]
        first = np.cumsum([0, *(one.count for one in parts)])
        most = max(one.columns.shape[1] for one in parts)
        damage, cost, columns = (
            np.concatenate([padded(table, most) for table in tables])
            for tables in zip(*((one.path.damage, one.path.cost, one.columns) for one in parts), strict=True)
        )
        items = np.concatenate([one.items + at for one, at in zip(parts, first, strict=False)])
        fixed, rest = sum(one.fixed for one in parts), sum(one.rest for one in parts)
        return cls(columns, items, int(first[-1]), fixed, BudgetPath(damage, cost), rest)

    def at(self, budget: float, solver: Solver = "greedy") -> Allocation | None:
        """The best allocation for a budget; None where it does not pay the decoders."""
        left = budget - self.fixed
        if left < 0.0:
            return None
        path = self.path
        found = _ways(Knapsack(path.damage, path.cost, left))[solver]() or path.at(left)
        return Allocation(
            self._all(found.choice),
            found.predicted_distortion + self.rest,
            found.lower_bound + self.rest,
            found.spent + self.fixed,
        )

    def bound(self, budget: float) -> float | None:
        """The damage below which no plan of the family goes at these prices; None where decoders are not paid."""
        found = self.at(budget)
        return None if found is None else found.lower_bound

    def reach(self, wanted: float, solver: Solver = "greedy") -> Cheapest | None:
        """The cheapest choice that leaves a wanted damage; None where the family leaves more."""
        path, own = self.path, wanted - self.rest
        if float(path.damage.min(axis=1).sum()) > own + 1e-12 * wanted:
            return None
        found = reach_exactly(path.damage, path.cost, own) if solver == "exact" else path.reach(own)
        spent, least = found.spent + self.fixed, found.least_spent + self.fixed
        return Cheapest(self._all(found.choice), found.predicted_distortion + self.rest, spent, least)

    def _all(self, choice: Uint8) -> Uint8:
        """A choice of the family's items and options among all of them."""
        whole = np.zeros(self.count, dtype=np.uint8)
        whole[self.items] = np.take_along_axis(self.columns, choice[:, None].astype(np.intp), axis=1)[:, 0]
        return whole


def padded(table: NDArray[Any], options: int) -> NDArray[Any]:
    """With "none" again for options that a shorter menu does not have."""
    return np.concatenate([table, np.repeat(table[:, :1], options - table.shape[1], axis=1)], axis=1)


def _ways(problem: Knapsack) -> dict[Solver, Callable[[], Allocation | None]]:
    """How a solver spends a budget; None where it is left to the greedy choice."""
    return {"greedy": lambda: None, "auto": lambda: optimum(problem), "exact": lambda: solve_exactly(problem)}


def families(problem: Knapsack, prices: Prices, plane_order: Int64 | None = None) -> tuple[Family, ...]:
    """Every set of options that have a fixed cost, on the top 1, 2, ... planes where that decides how many decoders.

    Options without a fixed cost are in every family.  Of many options at most ``MOST_TOGETHER`` are taken at once:
    each asks for decoders of its own.
    """
    fixed = np.atleast_2d(np.asarray(prices.fixed, dtype=np.float64))  # [planes or 1, Q]
    priced = [q for q in range(1, fixed.shape[1]) if fixed[:, q].any()]
    free = [q for q in range(fixed.shape[1]) if q not in priced]
    together = len(priced) if len(priced) <= MOST_FREELY else MOST_TOGETHER
    found, count = [], len(problem.damage)
    for size in range(together + 1):
        for extra in combinations(priced, size):
            columns, known = np.array(sorted([*free, *extra])), None
            for top in range(len(fixed), 0, -1):  # fewer planes only where they save decoders
                cost = float(fixed[top - 1, list(extra)].sum())
                if cost != known:
                    known = cost
                    items = _top_items(count, plane_order, top) if len(fixed) > 1 else np.arange(count)
                    found.append(Family.of(problem, columns, items, cost))
    return tuple(found)


def _top_items(count: int, plane_order: Int64 | None, top: int) -> NDArray[np.intp]:
    """Items of the most significant planes, of items in order of groups, plane fastest."""
    assert plane_order is not None  # fixed costs by planes come with planes
    return np.flatnonzero(np.isin(np.arange(count) % plane_order.size, plane_order[:top]))


def cheapest_of(among: Sequence[Family], problem: Knapsack, wanted: float, solver: Solver) -> Cheapest:
    """The cheapest choice of any family that leaves a wanted damage.  Raises ValueError when the menu leaves more."""
    found = [one for family in among if (one := family.reach(wanted, solver)) is not None]
    if not found:
        BudgetPath(problem.damage, problem.cost).reach(wanted)  # says what the whole menu leaves
    best = min(found, key=lambda one: one.spent)
    return replace(best, least_spent=min(one.least_spent for one in found))
