"""One budget for several memories: the best of all choices, the plan of one alone where the others lose nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.names import Solver
from qtaml_hw.protection import Menu, ProtectionPlan
from qtaml_hw.study.design.buffers.planned import ValueSizes
from qtaml_hw.tac.allocation.budget import Prices
from qtaml_hw.tac.allocation.spending import Planned, Share, share_out
from qtaml_hw.tac.worth.damage import DamageModel

MENU = Menu.of(["ideal"])


def share(rng: np.random.Generator, groups: int, planes: int, budget: float = 0.0, fixed: float = 0.0) -> Share:
    """A memory of random damage and sizes, whose bits cost 1 each."""
    starts: Int64 = np.concatenate([[0], np.cumsum(rng.integers(1, 6, groups))]).astype(np.int64)
    return Share(
        damage=DamageModel(starts, rng.random((groups, planes)), rng.random((groups, planes))),
        channel=FlipChannel.uniform(rng.random() / 2, planes),
        menu=MENU,
        prices=Prices((0.0, 1.0), (0.0, fixed), budget, "protected bits"),
        image=ValueSizes(planes, starts, np.arange(planes)[::-1]),
    )


def all_choices(shares: tuple[Share, ...], budget: float) -> float:
    """The least distortion of all plans within the budget, decoders of a memory paid once where it protects a bit."""
    harm: list[Float64] = [s.damage.distortion(s.channel.p01, s.channel.p10).reshape(-1) for s in shares]
    size = [np.repeat(s.damage.sizes, s.channel.planes) for s in shares]
    least = np.inf
    for kept in product((0, 1), repeat=sum(map(len, harm))):
        parts = np.split(np.array(kept), np.cumsum([len(one) for one in harm])[:-1])
        decoders = sum(float(np.max(s.prices.fixed)) for s, own in zip(shares, parts, strict=True) if own.any())
        if decoders + sum(float(one @ own) for one, own in zip(size, parts, strict=True)) <= budget:
            least = min(least, sum(float(one @ (1 - own)) for one, own in zip(harm, parts, strict=True)))
    return least


@pytest.mark.parametrize("budget", [0.0, 7.0, 15.0, 100.0])
@pytest.mark.parametrize("fixed", [0.0, 3.0])
def test_a_budget_is_spent_as_the_best_of_all_choices(budget: float, fixed: float) -> None:
    rng = np.random.default_rng(3)
    shares = share(rng, 2, 3, 0.25 * budget), share(rng, 3, 2, 0.75 * budget, fixed)
    found = share_out(shares, "exact")
    assert found.optimum is not None
    assert found.optimum.predicted_distortion == pytest.approx(all_choices(shares, budget), rel=1e-12)
    plans = (found.plan, *found.beside)
    assert sum(plan.protected_bits for plan in plans) <= found.optimum.spent <= budget
    assert [plan.planes for plan in plans] == [3, 2]


@pytest.mark.parametrize("solver", ["greedy", "auto", "exact"])
def test_beside_a_memory_that_loses_nothing_the_plan_is_the_one_alone(solver: Solver) -> None:
    rng = np.random.default_rng(5)
    alone = share(rng, 40, 8, 250.0, 4.0)
    none = replace(share(rng, 1, 6, 0.0, 9.0), channel=FlipChannel.uniform(0.0, 6))
    one, both = share_out((alone,), solver), share_out((alone, none), solver)
    np.testing.assert_array_equal(both.plan.choice, one.plan.choice)
    assert both.optimum == one.optimum
    assert both.beside[0].protected_bits == 0


def test_true_costs_of_all_memories_together_stay_within_the_budget() -> None:
    """Whole words of eight bits a plane: what planning takes for linear is not."""
    rng = np.random.default_rng(6)

    def words(plan: ProtectionPlan) -> float:
        return float((8 * -(-np.diff(plan.starts)[:, None] // 8) * (plan.choice > 0)).sum())

    shares = tuple(
        replace(one, prices=replace(one.prices, true_cost=words)) for one in (share(rng, 9, 4, 60.0), share(rng, 7, 3))
    )
    found = share_out(shares)
    spent = words(found.plan) + words(found.beside[0])
    assert 0.0 < spent <= 60.0
    assert words(found.plan) > 0.0 < words(found.beside[0])


def test_a_wanted_distortion_is_that_of_all_memories() -> None:
    rng = np.random.default_rng(8)
    plain = share(rng, 5, 4), share(rng, 4, 6)
    shares = tuple(replace(one, prices=one.prices.to_reach(0.2)) for one in plain)
    found, bare = share_out(shares), share_out(plain)

    def left(planned: Planned) -> float:
        assert planned.optimum is not None
        return planned.optimum.predicted_distortion

    assert 0.0 < left(found) <= 0.2 * left(bare) * (1.0 + 1e-9)


def test_unlike_units_are_refused() -> None:
    rng = np.random.default_rng(9)
    one, other = share(rng, 2, 2), share(rng, 2, 2)
    with pytest.raises(ValueError, match="one unit; got m2, protected bits"):
        share_out((one, replace(other, prices=replace(other.prices, unit="m2"))))
