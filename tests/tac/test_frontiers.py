"""Families of several memories merged, against every plan of all of them."""

from __future__ import annotations

from itertools import product

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from qtaml_hw.arrays import Float64
from qtaml_hw.tac.allocation.budget import Prices
from qtaml_hw.tac.allocation.families import Family, families
from qtaml_hw.tac.allocation.frontiers import Frontier, merged
from qtaml_hw.tac.allocation.knapsack import Knapsack


def memory(rng: np.random.Generator, items: int, options: int, decoder: float) -> tuple[Knapsack, Float64]:
    """A problem of random damages and prices, and what the decoders of each option cost."""
    damage = rng.uniform(0.5, 4.0, (items, 1)) * np.concatenate([[1.0], rng.uniform(0.0, 0.9, options)])
    cost = rng.integers(1, 6, (items, 1)) * np.concatenate([[0.0], rng.uniform(0.2, 2.0, options)])
    return Knapsack(damage, cost, 0.0), np.concatenate([[0.0], rng.uniform(0.1, 2.0, options)]) * decoder


def least_of_all(memories: list[tuple[Knapsack, Float64]], budget: float) -> float:
    """Damage of the best of all choices, decoders of a memory paid once where it uses their option."""
    plans = []
    for problem, fixed in memories:
        own, every = [], np.arange(len(problem.damage))
        for choice in product(range(problem.damage.shape[1]), repeat=len(every)):
            spent = float(problem.cost[every, choice].sum()) + sum(float(fixed[q]) for q in set(choice))
            own.append((spent, float(problem.damage[every, choice].sum())))
        plans.append(own)
    found = (tuple(map(sum, zip(*parts, strict=True))) for parts in product(*plans))
    return min(left for spent, left in found if spent <= budget)


@given(seed=st.integers(0, 10**6), share=st.floats(0.0, 1.2), decoder=st.sampled_from([0.0, 0.5, 3.0, 10.0]))
@settings(max_examples=50, deadline=None)
def test_the_best_of_all_plans_is_in_a_family_that_is_kept(seed: int, share: float, decoder: float) -> None:
    rng = np.random.default_rng(seed)
    memories = [memory(rng, items, options, decoder) for items, options in ((2, 2), (1, 3), (2, 1))]
    most = sum(float(problem.cost.max(axis=1).sum() + fixed.sum()) for problem, fixed in memories)
    own = [families(problem, Prices(0.0, fixed, 0.0, "x")) for problem, fixed in memories]
    kept = merged(own, share * most)
    assert len(kept) <= np.prod([len(one) for one in own])
    for budget in (share * most, 0.6 * share * most):
        found = [one.at(budget, "exact") for one in kept]
        best = min(one.predicted_distortion for one in found if one is not None)
        assert best == pytest.approx(least_of_all(memories, budget), rel=1e-9)


def test_a_frontier_of_two_memories_is_that_of_their_items_together() -> None:
    rng = np.random.default_rng(2)
    own = [families(problem, Prices(0.0, fixed, 0.0, "x"))[-1] for problem, fixed in (memory(rng, 4, 3, 1.0),) * 2]
    both, joined = Frontier.of(own[0]).with_(Frontier.of(own[1])), Family.joined(own)
    for budget in np.linspace(joined.fixed, float(both.cost[-1]) + 1.0, 23):
        assert float(both.bound(np.array([budget]))[0]) == pytest.approx(joined.bound(float(budget)), rel=1e-9)


def test_six_memories_of_twenty_five_families_keep_a_handful() -> None:
    """Two codes whose decoders are paid by planes: 25 families a memory, 244 million of six."""
    rng, planes, own = np.random.default_rng(5), 8, []
    for _ in range(6):
        harm = np.repeat(np.exp(rng.normal(0.0, 1.5, 5)), planes) * np.tile(4.0 ** np.arange(planes), 5)
        bits = np.repeat(rng.integers(50, 2000, 5), planes)
        problem = Knapsack(np.outer(harm, [1.0, 0.05, 0.2]), np.outer(bits, [0.0, 0.625, 0.125]), 0.0)
        decoders = np.outer(np.arange(1, planes + 1), [0.0, 300.0, 750.0])
        own.append(families(problem, Prices(0.0, decoders, 0.0, "m2"), np.arange(planes)[::-1]))
    assert [len(one) for one in own] == [25] * 6
    whole = sum(float(one[-1].path.cost.max(axis=1).sum()) for one in own)
    kept = merged(own, 0.75 * whole)
    assert len(kept) < 200
    budget = 0.5 * whole
    best = min(found.predicted_distortion for one in kept if (found := one.at(budget)) is not None)
    for parts in rng.integers(0, 25, (40, 6)):
        bound = Family.joined([one[part] for one, part in zip(own, parts, strict=True)]).bound(budget)
        assert bound is None or best <= bound * (1.0 + 1e-9)
