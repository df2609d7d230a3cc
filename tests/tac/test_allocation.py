"""Hull-greedy against brute force and against an independent MILP; the bound is a bound."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from qtaml_hw.tac import Knapsack, solve
from qtaml_hw.tac.allocation import exact
from qtaml_hw.tac.allocation.pareto import dual, optimum


def random_problem(seed: int, items: int, options: int, share: float) -> Knapsack:
    rng = np.random.default_rng(seed)
    base = rng.lognormal(sigma=2.0, size=(items, 1))
    left = np.sort(rng.uniform(size=(items, options - 1)))[:, ::-1]
    overhead = np.concatenate([[0.0], np.cumsum(rng.uniform(0.2, 1.0, options - 1))])
    cost = rng.integers(1, 50, size=(items, 1)) * overhead
    return Knapsack(base * np.concatenate([np.ones((items, 1)), left], axis=1), cost, share * cost[:, -1].sum())


def brute_force(problem: Knapsack) -> float:
    items, options = problem.damage.shape
    best = np.inf
    for choice in itertools.product(range(options), repeat=items):
        rows = np.arange(items), np.array(choice)
        if problem.cost[rows].sum() <= problem.budget * (1 + 1e-12):
            best = min(best, problem.damage[rows].sum())
    return best


@given(seed=st.integers(0, 10**6), share=st.floats(0.0, 1.2))
def test_the_bound_holds_and_the_budget_is_kept(seed: int, share: float) -> None:
    problem = random_problem(seed, 5, 4, share)
    got, optimum = solve(problem), brute_force(problem)
    rows = np.arange(5), got.choice
    assert problem.damage[rows].sum() == pytest.approx(got.predicted_distortion)
    assert problem.cost[rows].sum() == pytest.approx(got.spent, abs=1e-9)
    assert got.spent <= problem.budget
    assert got.lower_bound <= optimum * (1 + 1e-9) + 1e-12
    assert got.predicted_distortion >= optimum * (1 - 1e-9)


def test_equal_costs_with_one_option_are_solved_exactly() -> None:
    damage = np.array([[8.0, 0.0], [1.0, 0.0], [4.0, 0.0], [2.0, 0.0]])
    got = solve(Knapsack(damage, np.array([[0.0, 1.0]] * 4), 2.0))
    assert got.choice.tolist() == [1, 0, 1, 0]
    assert got.predicted_distortion == got.lower_bound == 3.0
    assert got.gap == 0.0


def test_a_budget_for_all_and_for_nothing() -> None:
    problem = random_problem(1, 30, 3, 1.0)
    everything = solve(problem)
    assert everything.predicted_distortion == pytest.approx(problem.damage.min(axis=1).sum())
    nothing = solve(Knapsack(problem.damage, problem.cost, 0.0))
    assert nothing.spent == 0.0
    assert nothing.predicted_distortion == pytest.approx(problem.damage[:, 0].sum())


def test_an_option_that_hurts_is_never_bought() -> None:
    got = solve(Knapsack(np.array([[1.0, 1.5, 2.0]] * 3), np.array([[0.0, 1.0, 2.0]] * 3), 100.0))
    assert not got.choice.any()


@pytest.mark.parametrize("seed", range(4))
def test_close_to_the_milp_optimum_on_network_sized_problems(seed: int) -> None:
    problem = random_problem(seed, 400, 4, 0.15)
    items, options = problem.damage.shape
    one_each = np.kron(np.eye(items), np.ones(options))
    exact = milp(
        problem.damage.reshape(-1),
        constraints=[
            LinearConstraint(one_each, 1, 1),
            LinearConstraint(problem.cost.reshape(1, -1), 0, problem.budget),
        ],
        integrality=np.ones(items * options),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 1e-6, "time_limit": 10},
    )
    got = solve(problem)
    assert got.lower_bound <= exact.fun * (1 + 1e-6)
    assert got.predicted_distortion <= exact.fun * 1.002


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="budget >= 0"):
        solve(Knapsack(np.ones((1, 2)), np.ones((1, 2)), -1.0))


def test_sixty_layers_of_forty_options_are_solved_exactly_and_as_by_branch_and_bound() -> None:
    rng = np.random.default_rng(4)
    weights = rng.integers(400, 40_000, 60)[:, None]
    cost = np.sort(rng.integers(2, 17, (60, 42)), axis=1) * weights * 1.0
    cost -= cost[:, :1]
    damage = rng.gamma(1.0, size=(60, 42)) * 4.0 ** -rng.uniform(0, 6, (60, 42)) * 10 ** rng.uniform(-2, 2, (60, 1))
    damage = np.sort(damage, axis=1)[:, ::-1]
    problem = Knapsack(damage, cost, 0.3 * float(cost.max(axis=1).sum()))
    found, peer = optimum(problem), exact._least(damage, cost, problem.budget, exact.Effort())
    assert found is not None
    assert peer[0] is not None
    assert found.predicted_distortion == pytest.approx(float(damage[np.arange(60), peer[0]].sum()), rel=1e-6)
    assert dual(problem).bound <= found.predicted_distortion <= solve(problem).predicted_distortion
    assert found.spent <= problem.budget
