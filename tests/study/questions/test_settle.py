"""Settling a front without measuring everything: the front of all, whatever order and however many at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.arrays import Bool
from qtaml_hw.study.questions.settle import MARGIN, Designs, Settling, settle


def space(seed: int, kins: int, steps: int, families: int) -> Designs:
    """Kin with more and more harm for less and less of the second cost; the first cost is the kin's own."""
    rng = np.random.default_rng(seed)
    kin = np.repeat(np.arange(kins), steps)
    family = rng.integers(0, families, kins)[kin]
    step = np.tile(np.arange(steps), kins)
    harm = rng.uniform(-1.0, 1.0, kins)[kin] + 0.8 * step
    first = rng.uniform(1.0, 2.0, kins)[kin]
    second = (1.0 + rng.uniform(0.0, 0.5, kins)[kin]) * 0.8**step
    return Designs(np.stack([first, second], axis=1), harm, kin, family)


def truth(designs: Designs, good: Bool) -> set[tuple[float, ...]]:
    whole = Settling(designs, good=np.flatnonzero(good).tolist())
    return {tuple(designs.costs[one].tolist()) for one in whole.front}


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 8), st.integers(1, 4), st.integers(1, 4))
def test_where_families_have_an_edge_the_front_is_that_of_all(
    seed: int, kins: int, steps: int, families: int, at_once: int
) -> None:
    """Edges differ from family to family by any factor, and from kin to kin by less than the margin."""
    designs = space(seed, kins, steps, families)
    rng = np.random.default_rng(seed + 1)
    edge = rng.uniform(-3.0, 6.0, families)[designs.family] + rng.uniform(0.0, MARGIN, kins)[designs.kin]
    good = designs.harm < edge
    found = settle(designs, lambda asked: [bool(good[one]) for one in asked], at_once)
    assert {tuple(designs.costs[one].tolist()) for one in found.front} == truth(designs, good)
    measured = [*found.good, *found.bad]
    assert len(measured) == len(set(measured)) <= len(good)


def test_a_large_space_takes_a_twentieth_of_the_measurements() -> None:
    designs = space(7, 400, 25, 8)
    good = designs.harm < np.linspace(1.0, 5.0, 8)[designs.family]
    found = settle(designs, lambda asked: [bool(good[one]) for one in asked])
    assert {tuple(designs.costs[one].tolist()) for one in found.front} == truth(designs, good)
    assert len(found.good) + len(found.bad) <= 0.05 * len(good)


def test_a_margin_that_misjudges_is_found_by_the_audit_and_widened() -> None:
    """One family, two kin: the second is good at more than twice the harm at which the first is bad."""
    costs = np.array([[2.0, 1.0], [1.0, 1.0], [1.0, 0.9]])
    designs = Designs(costs, np.array([0.0, 0.1, 1.0]), np.array([0, 0, 1]), np.zeros(3, dtype=np.int64))
    found = Settling(designs)
    found.tell(0, True)
    found.tell(1, False)
    assert found.left == 0
    assert found.wanted(4) == [2]
    found.tell(2, True)
    assert found.front == [2]
    assert found.wanted(4) == []
    assert (found.audited, found.misjudged) == ([2], [2])
    assert found.margin(0) == pytest.approx(0.9 + MARGIN)


def test_what_cannot_be_measured_settles_nothing() -> None:
    designs = Designs(np.ones((2, 1)), np.array([0.0, 1.0]), np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64))
    found = settle(designs, lambda asked: [None if one == 0 else True for one in asked])
    assert (found.failed, found.good, found.front) == ([0], [1], [1])


def test_costs_that_are_one_are_one_place_of_the_front_the_gentlest_first() -> None:
    designs = Designs(np.ones((3, 2)), np.array([2.0, 0.0, 1.0]), np.arange(3), np.zeros(3, dtype=np.int64))
    found = settle(designs, lambda asked: [True] * len(asked))
    assert found.good == found.front == [1]


def test_nothing_good_is_settled_too() -> None:
    designs = space(3, 20, 10, 3)
    found = settle(designs, lambda asked: [False] * len(asked))
    assert found.front == []
    assert found.left == 0
