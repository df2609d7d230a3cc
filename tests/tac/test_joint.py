"""Bits and protection chosen together: damage against all flips, the optimum against all choices, codes, budgets."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from qtaml_hw import tac
from qtaml_hw.channel import FlipChannel
from qtaml_hw.tac.allocation.exact import solve_exactly
from qtaml_hw.tac.allocation.joint import JointProblem, Uncoded, compensation
from qtaml_hw.tac.allocation.widths import WidthTable, check_bits, widths
from qtaml_hw.tac.decoding.correction import correction
from qtaml_hw.weights import WeightFormat, number_format, quantise
from qtaml_hw.weights.moments import input_moments
from qtaml_hw.weights.network import weight_arrays

CHANNELS = {
    "symmetric": FlipChannel.uniform(0.1, 8),
    "one way": FlipChannel.uniform(0.08, 8, direction="1to0"),
    "by plane": FlipChannel(np.linspace(0.0, 0.3, 8), np.linspace(0.2, 0.05, 8), "fixed", "test"),
    "none": FlipChannel.uniform(0.0, 8),
}


def problem(
    channel: FlipChannel, menu: str = "ideal-1", bits: float = 7.0, scale: str = "per_channel_log8"
) -> JointProblem:
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 2, groups=3), nn.Flatten(), nn.Linear(54, 5))
    weights, x = weight_arrays(net), torch.randn(24, 2, 6, 6)
    image = quantise(weights, WeightFormat(8), scale)
    importance = np.random.default_rng(0).gamma(0.5, 4.0, image.weights)
    table = WidthTable(image, weights, importance, channel, tac.Menu.of([menu], channel))
    source = Uncoded(image, weights, input_moments(net, set(weights), x))
    return JointProblem(table, bits * image.weights, source, compensation(table, source))


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("menu", ["ideal-1", "secded-8-4"])
def test_the_noise_of_a_width_is_that_of_all_flips_of_all_codes(name: str, menu: str) -> None:
    """Every code of B planes stored as often, every pattern of flips, decoded plane by plane."""
    channel = CHANNELS[name]
    table = problem(channel, menu).table
    up, down = table.menu.residuals(channel)
    for noise, one in zip(table.noise, table.choices, strict=True):
        if one.stored > 4:
            continue
        low, form = 8 - one.stored, WeightFormat(one.stored)
        entry = [0] * one.open + [one.entry] * one.protected
        p01, p10 = up[np.arange(low, 8), entry], down[np.arange(low, 8), entry]
        decoded = correction("planes", form, p01, p10, np.ones(1 << one.stored)).table
        total = 0.0
        for stored, read in product(range(1 << one.stored), repeat=2):
            chance = 1.0
            for i in range(one.stored):
                flip = p10[i] if stored >> i & 1 else p01[i]
                chance *= flip if (stored ^ read) >> i & 1 else 1.0 - flip
            total += chance * (decoded[read] - form.decode_table[stored]) ** 2
        assert noise == pytest.approx(total / (1 << one.stored), abs=1e-12)


def test_symmetric_flips_leave_the_closed_form() -> None:
    table = problem(CHANNELS["symmetric"]).table
    for noise, one in zip(table.noise, table.choices, strict=True):
        assert noise == pytest.approx(0.1 * 0.9 * (4.0**one.open - 1.0) / 3.0)


@pytest.mark.parametrize("scale", ["per_channel_log8", "per_tensor"])
def test_the_damage_of_a_width_is_the_least_over_steps_weight_by_weight(scale: str) -> None:
    table = problem(CHANNELS["symmetric"], scale=scale).table
    t = table.image.tensors[1]
    begin, end = table.image.tensor_starts[1:3]
    weight, worth = table.weights[t.name].reshape(-1), table.importance[begin:end]
    channel = np.repeat(np.arange(6), t.weights // 6) if t.scale.size > 1 else np.zeros(t.weights, dtype=int)
    for column in (0, 9, 30):
        one, total = table.choices[column], 0.0
        for c in range(t.scale.size):
            w, s = weight[channel == c], worth[channel == c]
            clips_nothing = np.ceil(16 * np.log2(np.abs(w).max() / (2.0 ** (one.stored - 1) - 0.5)))
            steps = 2.0 ** (np.arange(clips_nothing - 63, clips_nothing + 1) / 16.0)
            levels = np.clip(np.rint(w / steps[:, None]), -(1 << (one.stored - 1)), (1 << (one.stored - 1)) - 1)
            left = ((levels * steps[:, None] - w) ** 2 + steps[:, None] ** 2 * table.noise[column]) @ s
            total += left.min()
        steps = table.steps(1, one.stored, float(table.noise[column]))
        assert table.damage[1, column] == pytest.approx(total, rel=1e-5)
        assert np.array_equal(t.layout.rounded(steps), steps)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 5))
def test_the_exact_solver_finds_the_best_of_all_choices(seed: int, items: int, options: int) -> None:
    rng = np.random.default_rng(seed)
    cost = np.sort(rng.integers(0, 30, (items, options)).astype(float), axis=1)
    cost -= cost[:, :1]
    damage, budget = rng.gamma(0.3, size=(items, options)), float(rng.integers(0, 60))
    found = solve_exactly(tac.Knapsack(damage, cost, budget))
    rows = np.arange(items)
    every = [np.array(c) for c in product(range(options), repeat=items)]
    best = min(damage[rows, c].sum() for c in every if cost[rows, c].sum() <= budget)
    assert found.predicted_distortion == pytest.approx(best, rel=1e-6)
    assert found.spent <= budget
    assert found.lower_bound <= best * (1 + 1e-9)


@pytest.mark.parametrize("menu", ["ideal-1", "secded-8-4", "shannon"])
def test_no_other_widths_of_the_same_bits_leave_less(menu: str) -> None:
    asked = problem(CHANNELS["symmetric"], menu)
    found = asked.planned(8)
    assert found.optimum is not None
    table, spent = asked.table, found.plan.stored_bits + found.plan.parity_bits
    every = product(range(len(table.choices)), repeat=3)
    best = min(
        float(table.damage[[0, 1, 2], list(c)].sum()) for c in every if table.bits[[0, 1, 2], list(c)].sum() <= spent
    )
    assert found.optimum.predicted_distortion == pytest.approx(best)
    assert found.optimum.spent == spent


@settings(max_examples=25, deadline=None)
@given(st.floats(3.6, 14.0), st.sampled_from(["ideal-1", "secded-8-4", "shannon", "repeat-3"]), st.sampled_from([1, 8]))
def test_a_budget_is_never_exceeded_and_bits_are_counted(bits: float, menu: str, cap: int) -> None:
    asked = problem(CHANNELS["by plane"], menu, bits)

    def worst(one: tac.Planned) -> float:
        return -float(one.plan.stored_bits)

    by_width, alike, best = asked.planned(cap), asked.uniform(worst), asked.best(worst)
    for found in (by_width, alike, best):
        plan = found.plan
        assert asked.total_bits(plan) <= asked.budget_bits
        assert found.optimum is not None
        assert found.optimum.spent == plan.stored_bits + plan.parity_bits
    assert (by_width.plan.stored_planes.sum(axis=1) - by_width.plan.planes_protected()).max() <= cap
    assert np.unique(alike.plan.choice, axis=0).shape[0] == 1


def test_check_bits_are_those_of_the_layout() -> None:
    for name in ("secded-8-4", "repeat-3", "ideal-1.28", "shannon-0.1"):
        asked = problem(CHANNELS["symmetric"], name).planned(1)
        plan, item = asked.plan, asked.plan.entries[1]
        sizes = np.diff(plan.tensor_starts) * plan.planes_protected()
        assert plan.parity_bits == sum(check_bits(item, int(n)) for n in sizes)


@pytest.mark.parametrize("encoding", ["twos_complement", "offset_binary"])
def test_without_flips_the_network_has_exactly_the_weights_of_its_widths(encoding: str) -> None:
    """Codes of B planes times their step, whatever the format that they stand in; nothing is protected for nothing."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 4))
    weights = weight_arrays(net)
    image = quantise(weights, number_format("int8", encoding=encoding), "per_channel_log8")  # type: ignore[arg-type]
    channel = CHANNELS["none"]
    table = WidthTable(image, weights, np.ones(image.weights), channel, tac.Menu.of(["ideal-1"]))
    found = JointProblem(table, 5.7 * image.weights, Uncoded(image, weights, {})).planned(8)
    assert found.image is not None
    assert found.plan.protected_bits == 0
    for t, weight in zip(found.image.tensors, weights.values(), strict=True):
        planes = int(found.plan.stored_planes[found.image.names.index(t.name)].sum())
        step = (t.scale * 2.0 ** (8 - planes))[:, None]
        levels = np.clip(np.rint(weight / step), -(1 << (planes - 1)), (1 << (planes - 1)) - 1)
        np.testing.assert_allclose(found.image.decode()[t.name], levels * step, rtol=1e-6)
        assert not (t.codes & ((1 << (8 - planes)) - 1)).any()
    decoder = tac.ProtectedImage(found.image, found.plan, channel).decoder("planes")
    for name, weight in decoder.decode(found.image.codes()).items():
        assert np.array_equal(weight, found.image.decode()[name])


def test_widths_of_a_format_of_three_planes() -> None:
    menu = tac.Menu.of(["ideal-1", "repeat-3"])
    assert [(w.stored, w.protected, w.entry) for w in widths(3, menu)] == [
        (2, 0, 0), (2, 1, 1), (2, 1, 2), (2, 2, 1), (2, 2, 2),
        (3, 0, 0), (3, 1, 1), (3, 1, 2), (3, 2, 1), (3, 2, 2), (3, 3, 1), (3, 3, 2),
    ]  # fmt: skip


def test_what_cannot_be_had_is_said() -> None:
    with pytest.raises(ValueError, match=r"buys no weights: the fewest planes and their scales take 2\.376"):
        problem(CHANNELS["symmetric"], bits=2.2).planned(3)
    asked = problem(CHANNELS["symmetric"]).table
    gray = quantise(asked.weights, number_format("int8", encoding="gray"))
    with pytest.raises(ValueError, match="two's complement or offset binary; the weights are int8/gray"):
        WidthTable(gray, asked.weights, asked.importance, asked.channel, asked.menu)


def test_what_compensation_saves_is_measured_and_makes_plans_no_worse_in_its_own_terms() -> None:
    asked = problem(CHANNELS["symmetric"])
    assert asked.credit is not None
    assert asked.credit.shape == (3, 9)
    assert (asked.credit[:, 2:] <= 1.0 + 1e-9).all()
    assert (asked.credit[:, 2:] < 0.9).any()
    with_credit = JointProblem(replace(asked.table, credit=asked.credit), asked.budget_bits, asked.source).planned(8)
    without = asked.planned(8)
    assert with_credit.optimum is not None
    assert without.optimum is not None
    assert with_credit.optimum.predicted_distortion <= without.optimum.predicted_distortion


def test_the_plan_whose_outputs_agree_best_is_taken() -> None:
    asked, seen = problem(CHANNELS["symmetric"]), []

    def narrowest(one: tac.Planned) -> float:
        seen.append(one.plan.stored_bits)
        return -float(one.plan.stored_bits)

    assert asked.best(narrowest).plan.stored_bits == min(seen)
    assert len(seen) > 1
