"""The cheapest plan for a wanted distortion: against brute force, against the budget that it is the dual of."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.channel import FlipChannel
from qtaml_hw.study.design.buffers.planned import ValueSizes
from qtaml_hw.tac import (
    BudgetPath,
    DamageModel,
    Knapsack,
    Menu,
    Optimum,
    Prices,
    bit_prices,
    damage_model,
    plan_by_damage,
    plan_uniform_reaching,
    predicted_distortion,
    reach_exactly,
)
from qtaml_hw.tac.allocation.spending import Share, Spending
from qtaml_hw.weights import StoredImage, quantise


def problem(seed: int, items: int = 5, options: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    left = np.sort(rng.uniform(size=(items, options - 1)))[:, ::-1]
    damage = rng.lognormal(sigma=2.0, size=(items, 1)) * np.concatenate([np.ones((items, 1)), left], axis=1)
    overhead = np.concatenate([[0.0], np.cumsum(rng.uniform(0.2, 1.0, options - 1))])
    return damage, rng.integers(1, 50, size=(items, 1)) * overhead


def cheapest(damage: np.ndarray, cost: np.ndarray, wanted: float) -> float:
    rows = np.arange(len(damage))
    choices = (np.array(c) for c in itertools.product(range(damage.shape[1]), repeat=len(damage)))
    return min(float(cost[rows, c].sum()) for c in choices if damage[rows, c].sum() <= wanted * (1 + 1e-12))


@given(seed=st.integers(0, 10**6), share=st.floats(0.0, 1.0))
def test_the_wanted_distortion_is_reached_between_bound_and_optimum(seed: int, share: float) -> None:
    damage, cost = problem(seed)
    most, least = float(damage[:, 0].sum()), float(damage.min(axis=1).sum())
    wanted = least + share * (most - least)
    found = BudgetPath(damage, cost).reach(wanted)
    rows = np.arange(len(damage)), found.choice
    assert damage[rows].sum() == pytest.approx(found.predicted_distortion)
    assert found.predicted_distortion <= wanted * (1 + 1e-9)
    assert cost[rows].sum() == pytest.approx(found.spent, abs=1e-9)
    optimum = cheapest(damage, cost, wanted)
    assert found.least_spent <= optimum * (1 + 1e-9) + 1e-9
    assert found.spent >= optimum * (1 - 1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_branch_and_bound_finds_the_optimum(seed: int) -> None:
    damage, cost = problem(seed)
    wanted = 0.2 * float(damage[:, 0].sum()) + 0.8 * float(damage.min(axis=1).sum())
    exact = reach_exactly(damage, cost, wanted)
    assert exact.spent == pytest.approx(cheapest(damage, cost, wanted))
    assert exact.least_spent == pytest.approx(exact.spent, rel=1e-4)
    assert exact.predicted_distortion <= wanted * (1 + 1e-9)


def test_it_is_the_dual_of_the_budget() -> None:
    damage, cost = problem(3, items=400, options=6)
    path = BudgetPath(damage, cost)
    for share in (0.02, 0.1, 0.5):
        bought = path.at(share * float(cost[:, -1].sum()))
        again = path.reach(bought.predicted_distortion)
        assert again.least_spent <= bought.spent * (1 + 1e-9)
        assert again.gap <= 0.01


def test_what_no_menu_reaches_is_refused_with_the_figure() -> None:
    damage, cost = np.array([[8.0, 3.0], [2.0, 1.0]]), np.array([[0.0, 1.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match=r"leaves a distortion of 4, more than the 1 wanted"):
        BudgetPath(damage, cost).reach(1.0)
    assert BudgetPath(damage, cost).reach(10.0).spent == 0.0


@pytest.fixture(scope="module")
def image() -> StoredImage:
    rng = np.random.default_rng(4)
    return quantise({f"layer{i}": rng.normal(size=(8, 40)).astype(np.float32) * 0.1 * (i + 1) for i in range(4)})


@pytest.mark.parametrize(("decoder", "chosen", "spent"), [(5.0, [1, 1], 4.0), (0.5, [2, 2], 2.5)])
def test_decoders_are_bought_only_where_they_are_worth_it(decoder: float, chosen: list[int], spent: float) -> None:
    task = Knapsack(np.array([[10.0, 1.0, 0.0]] * 2), np.array([[0.0, 2.0, 1.0]] * 2), np.inf)
    prices = Prices((0.0, 1.0, 1.0), (0.0, 0.0, decoder), np.inf, "m2", target=0.1)
    starts, flat = np.arange(3), np.zeros((2, 1))

    class Stated(Share):
        @property
        def problem(self) -> Knapsack:
            return task

    share = Stated(
        damage=DamageModel(starts, flat, flat),
        channel=FlipChannel.uniform(0.1, 1),
        menu=Menu.of(["ideal", "secded-72-64"]),
        prices=prices,
        image=ValueSizes(1, starts, np.zeros(1, dtype=np.int64)),
    )
    found = Spending((share,)).reaching(0.1, "greedy")
    assert found.plan.choice.ravel().tolist() == chosen
    assert isinstance(found.optimum, Optimum)
    assert found.optimum.spent == spent


@pytest.mark.parametrize("solver", ["greedy", "exact"])
def test_a_plan_reaches_the_share_that_is_wanted(image: StoredImage, solver: str) -> None:
    channel, menu = FlipChannel.uniform(0.1, image.planes), Menu.of(["ideal"])
    starts = image.group_starts("layer")
    damage = damage_model(image, np.repeat([1.0, 5.0, 0.2, 30.0], 320), starts)
    prices = bit_prices(menu, image, 0.0).to_reach(0.05)
    planned = plan_by_damage(
        damage,
        channel,
        menu,
        prices,
        image=image,
        kind="layer",
        policy="tac",
        solver=solver,  # type: ignore[arg-type]
    )
    bare = float(damage.distortion(channel.p01, channel.p10).sum())
    optimum = planned.optimum
    assert optimum is not None
    assert predicted_distortion(damage, channel, planned.plan) == pytest.approx(optimum.predicted_distortion)
    assert optimum.predicted_distortion <= 0.05 * bare * (1 + 1e-9)
    assert optimum.least_spent is not None
    assert optimum.least_spent <= optimum.spent == planned.plan.protected_bits
    assert optimum.gap >= 0.0
    uniform = plan_uniform_reaching(image, damage, channel, menu, prices)
    assert predicted_distortion(damage, channel, uniform) <= 0.05 * bare * (1 + 1e-9)
    assert uniform.protected_bits >= planned.plan.protected_bits


def test_a_share_outside_its_range_and_a_menu_too_weak_are_refused(image: StoredImage) -> None:
    channel, menu = FlipChannel.uniform(0.1, image.planes), Menu.of(["secded-72-64"])
    prices = bit_prices(menu, image, 0.0)
    with pytest.raises(ValueError, match=r"share of the unprotected one in \[0, 1\]; got 1.5"):
        prices.to_reach(1.5)
    layers = damage_model(image, np.ones(image.weights), image.group_starts("layer"))
    with pytest.raises(ValueError, match="uniform protection by secded-72-64 leaves"):
        plan_uniform_reaching(image, layers, channel, menu, prices.to_reach(0.01))
