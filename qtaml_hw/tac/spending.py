"""A budget spent on a damage model: the best plan that it buys, or the cheapest that leaves a wanted distortion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Int64, Uint8
from qtaml_hw.channel import FlipChannel
from qtaml_hw.names import Solver
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.tac.allocation import Allocation, BudgetPath, Cheapest, Knapsack, relative_gap
from qtaml_hw.tac.budget import Menu, Prices
from qtaml_hw.tac.damage import DamageModel
from qtaml_hw.tac.exact import reach_exactly, solve_exactly
from qtaml_hw.tac.pareto import optimum
from qtaml_hw.weights import GroupKind, StoredImage
from qtaml_hw.weights.sizes import StoredSizes

NARROWINGS: Final = 16  # of a linear budget
RESOLUTION: Final = 1e-3  # of a linear budget: narrower is not looked for
SLACK: Final = 1.5  # how far linear prices may lie above true costs before a family is given up too early
MOST_FREELY: Final = 4
MOST_TOGETHER: Final = 2
ROUNDING: Final = 1e-9  # of costs that are sums of many terms


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
    """What a policy decided: its plan, and what was optimised (None for policies that optimise nothing).

    ``image`` : what is stored, of policies that choose the codes too; None where it is the image that was there.
    ``beside`` : the plans of other memories that spend the same budget, in their order.
    """

    plan: ProtectionPlan
    optimum: Optimum | None = None
    image: StoredImage | None = None
    beside: tuple[ProtectionPlan, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Share:
    """One of the memories that spend a budget: what flips do to it and how often they come, menu, prices, sizes.

    ``kind`` : the groups of its plan; ``policy`` : the plan's.
    """

    damage: DamageModel
    channel: FlipChannel
    menu: Menu
    prices: Prices
    image: StoredSizes
    kind: GroupKind = "layer"
    policy: str = "tac"

    @property
    def problem(self) -> Knapsack:
        """Its items alone, at its part of the budget."""
        return knapsack(self.damage, self.channel, self.menu, self.prices, self.image.tensor_starts)

    def plan(self, choice: Uint8) -> ProtectionPlan:
        """A choice [groups x planes] as a plan."""
        by_plane = choice.reshape(-1, self.channel.planes)
        starts = self.damage.starts, self.image.tensor_starts
        return ProtectionPlan(*starts, self.kind, self.policy, self.menu.names, by_plane)


@dataclass(frozen=True, eq=False)
class Bill:
    """What plans cost together: the prices of every memory, whose budgets add up to one."""

    prices: tuple[Prices, ...]

    @property
    def budget(self) -> float:
        """The whole of it."""
        return float(sum(one.budget for one in self.prices))

    @property
    def exact(self) -> bool:
        """Whether plans cost what they cost at the prices of planning."""
        return all(one.true_cost is None for one in self.prices)

    def priced(self, found: Planned) -> float:
        """At the prices of planning."""
        pairs = zip(self.prices, (found.plan, *found.beside), strict=True)
        return float(sum(one.of_plan(plan) for one, plan in pairs))

    def true(self, found: Planned) -> float:
        """What the budget limits."""
        pairs = zip(self.prices, (found.plan, *found.beside), strict=True)
        return float(sum((one.true_cost or one.of_plan)(plan) for one, plan in pairs))


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
            np.concatenate([_padded(table, most) for table in tables])
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


def _padded(table: NDArray[Any], options: int) -> NDArray[Any]:
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


def _cheapest(among: Sequence[Family], problem: Knapsack, wanted: float, solver: Solver) -> Cheapest:
    found = [one for family in among if (one := family.reach(wanted, solver)) is not None]
    if not found:
        BudgetPath(problem.damage, problem.cost).reach(wanted)  # says what the whole menu leaves
    best = min(found, key=lambda one: one.spent)
    return replace(best, least_spent=min(one.least_spent for one in found))


def fitting(plan_at: Callable[[float], Planned | None], bill: Bill) -> Planned | None:
    """The best plan found whose true cost fits the budget, which ``plan_at`` spends at linear prices.

    Capacity steps, decoders by the row and whole words make true costs steps, so the linear budget is narrowed until
    the true cost fits, and widened where prices were too high.  None where no plan that was found fits.
    """
    limit, linear, low, high = bill.budget, bill.budget, 0.0, np.inf
    if bill.exact:
        return plan_at(limit)
    best: Planned | None = None
    for _ in range(NARROWINGS):
        found = plan_at(linear)
        cost = 0.0 if found is None else bill.true(found)
        fits = cost <= limit * (1.0 + ROUNDING)
        if found is not None and fits:
            best = found if best is None or _serves_better(found, best) else best
            everything = all(plan.choice.all() for plan in (found.plan, *found.beside))
            if everything or abs(cost - bill.priced(found)) <= ROUNDING * limit:
                break  # the prices are exact, or everything is bought
        low, high = (linear, high) if fits else (low, linear)
        if high - low <= RESOLUTION * high:
            break
        aim = linear * limit / cost if cost > 0.0 else np.inf
        middle = 2.0 * low if high == np.inf else 0.5 * (low + high)
        linear = aim if low + RESOLUTION * high < aim < high else middle
    return best


def _serves_better(found: Planned, best: Planned) -> bool:
    """Whether a plan leaves less distortion; of plans that optimise nothing, whether it protects more bits."""
    if found.optimum is None or best.optimum is None:
        return found.plan.protected_bits > best.plan.protected_bits
    return found.optimum.predicted_distortion < best.optimum.predicted_distortion


@dataclass(frozen=True, eq=False)
class Spending:
    """The problems of one or several memories, and the budget that they spend together, under every family."""

    shares: tuple[Share, ...]

    def __post_init__(self) -> None:
        units = {share.prices.unit for share in self.shares}
        if len(units) > 1:
            raise ValueError(f"memories share a budget in one unit; got {', '.join(sorted(units))}")

    @cached_property
    def _bill(self) -> Bill:
        return Bill(tuple(share.prices for share in self.shares))

    @cached_property
    def problem(self) -> Knapsack:
        """All items, a memory behind the other, and the whole budget."""
        parts = [share.problem for share in self.shares]
        most = max(part.damage.shape[1] for part in parts)
        damage, cost = (
            np.concatenate([_padded(table, most) for table in tables])
            for tables in zip(*((part.damage, part.cost) for part in parts), strict=True)
        )
        return Knapsack(damage, cost, self._bill.budget)

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """Every choice of decoders in every memory."""
        own = [families(share.problem, share.prices, share.damage.plane_order) for share in self.shares]
        return tuple(Family.joined(parts) for parts in product(*own))

    def planned(self, best: Allocation, least: float | None = None) -> Planned:
        """An allocation as a plan, or plans."""
        optimum = Optimum(best.predicted_distortion, best.lower_bound, best.spent, self.shares[0].prices.unit, least)
        edges = np.cumsum([share.damage.zeros.size for share in self.shares])[:-1]
        choices = zip(self.shares, np.split(best.choice, edges), strict=True)
        first, *others = (share.plan(choice) for share, choice in choices)
        return Planned(first, optimum, beside=tuple(others))

    def best(self, solver: Solver) -> Planned:
        """The plan that leaves least of all that fit; families are left out that could not leave less.

        Where prices are not exact the exact solver looks into the family that serves best by the greedy one.
        """
        limit, exact_prices = self._bill.budget, self._bill.exact
        bounds = {family: bound for family in self.families if (bound := family.bound(limit)) is not None}
        promises = [(bound, family) for family in self.families if (bound := family.bound(SLACK * limit)) is not None]
        promises.sort(key=lambda one: one[0])
        best, chosen = self.planned(Allocation(self._nothing, self._unprotected, self._unprotected, 0.0)), None
        for promise, family in promises:
            if best.optimum is not None and promise >= best.optimum.predicted_distortion:
                break
            way: Solver = solver if exact_prices else "greedy"
            found = self._fitting(family, way)
            if found is None or found.optimum is None:
                continue
            if exact_prices:
                bounds[family] = found.optimum.lower_bound
            if _serves_better(found, best):
                best, chosen = found, family
        if solver != "greedy" and not exact_prices and chosen is not None:
            exact = self._fitting(chosen, solver)
            best = exact if exact is not None and _serves_better(exact, best) else best
        assert best.optimum is not None
        least = min([best.optimum.predicted_distortion, *bounds.values()])
        return replace(best, optimum=replace(best.optimum, lower_bound=least))

    def reaching(self, share: float, solver: Solver) -> Planned:
        """The cheapest plan that leaves a share of the unprotected damage; its bound is that of any plan as cheap.

        Raises ValueError when the menu leaves more.
        """
        found = _cheapest(self.families, self.problem, share * self._unprotected, solver)
        at_that = BudgetPath(self.problem.damage, self.problem.cost).at(found.spent)
        bound = min(at_that.lower_bound, found.predicted_distortion)
        return self.planned(Allocation(found.choice, found.predicted_distortion, bound, found.spent), found.least_spent)

    def _fitting(self, family: Family, solver: Solver) -> Planned | None:
        def plan_at(linear: float) -> Planned | None:
            found = family.at(linear, solver)
            return None if found is None else self.planned(found)

        return fitting(plan_at, self._bill)

    @property
    def _nothing(self) -> Uint8:
        return np.zeros(len(self.problem.damage), dtype=np.uint8)

    @property
    def _unprotected(self) -> float:
        return float(self.problem.damage[:, 0].sum())


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

    The plan's true cost is within the budget.  With ``prices.target`` the cheapest plan, at its
    prices, that reaches it; its ``lower_bound`` is that of any plan as cheap.

    Raises ValueError when the menu cannot reach the target.
    """
    share = Share(damage=damage, channel=channel, menu=menu, prices=prices, image=image, kind=kind, policy=policy)
    return share_out((share,), solver)


def share_out(shares: tuple[Share, ...], solver: Solver = "greedy") -> Planned:
    """One budget, the sum of those of the memories, spent where the damage is largest in any of them.

    The outputs' distortions of the memories add, to first order.  ``plan`` is that of the first memory, ``beside``
    those of the others.  Raises ValueError for prices in unlike units, and where the menus cannot reach a target.
    """
    spending, target = Spending(shares), shares[0].prices.target
    return spending.best(solver) if target is None else spending.reaching(target, solver)


def predicted_distortion(damage: DamageModel, channel: FlipChannel, plan: ProtectionPlan) -> float:
    """First-order output distortion that any plan leaves; the damage model is grouped as the plan is."""
    return float(damage.distortion(*plan.residual(channel)).sum())
