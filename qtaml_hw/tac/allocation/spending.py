"""A budget spent on a damage model: the best plan that it buys, or the cheapest that leaves a wanted distortion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from qtaml_hw.arrays import Uint8
from qtaml_hw.channel import FlipChannel
from qtaml_hw.names import Solver
from qtaml_hw.protection import Menu, ProtectionPlan
from qtaml_hw.tac.allocation.budget import Prices
from qtaml_hw.tac.allocation.families import Family, cheapest_of, families, knapsack, padded
from qtaml_hw.tac.allocation.frontiers import merged
from qtaml_hw.tac.allocation.knapsack import Allocation, BudgetPath, Knapsack, relative_gap
from qtaml_hw.tac.worth.damage import DamageModel
from qtaml_hw.weights import GroupKind, StoredImage
from qtaml_hw.weights.sizes import StoredSizes

NARROWINGS: Final = 16  # of a linear budget
RESOLUTION: Final = 1e-3  # of a linear budget: narrower is not looked for
SLACK: Final = 1.5  # how far linear prices may lie above true costs before a family is given up too early
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

    def left(self, plan: ProtectionPlan) -> float:
        """The distortion of the outputs that a plan leaves, as planning predicts it."""
        damage = self.problem.damage
        return float(damage[np.arange(len(damage)), plan.choice.reshape(-1)].sum())


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
            np.concatenate([padded(table, most) for table in tables])
            for tables in zip(*((part.damage, part.cost) for part in parts), strict=True)
        )
        return Knapsack(damage, cost, self._bill.budget)

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """Every choice of decoders in every memory; of several memories those that some budget is spent on."""
        own = [families(share.problem, share.prices, share.damage.plane_order) for share in self.shares]
        wanted = self.shares[0].prices.target is not None
        return own[0] if len(own) == 1 else merged(own, np.inf if wanted else SLACK * self._bill.budget)

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
        found = cheapest_of(self.families, self.problem, share * self._unprotected, solver)
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
