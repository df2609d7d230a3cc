"""Scores, stopping rule, measured response, exact allocation, correction-aware allocation, side information, plans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

from qtaml_hw import protection, tac
from qtaml_hw.channel import FlipChannel
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.tac.worth.response import _decreasing
from qtaml_hw.weights import quantise
from qtaml_hw.weights.network import weight_arrays


def small() -> tuple[nn.Module, tac.Calibration]:
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5)).eval()
    return net, tac.Calibration(quantise(weight_arrays(net)), net, torch.randn(16, 2, 5, 5))


def forward_of(net: nn.Module, inputs: torch.Tensor) -> object:
    def forward(weights: dict[str, np.ndarray]) -> np.ndarray:
        tensors = {name: torch.from_numpy(np.ascontiguousarray(w)) for name, w in weights.items()}
        with torch.inference_mode():
            return functional_call(net, tensors, (inputs,)).double().numpy()

    return forward


@pytest.mark.parametrize("score", tac.SCORES)
def test_every_score_has_one_positive_value_per_weight(score: str) -> None:
    _, calibration = small()
    worth = tac.importance(score, calibration)
    assert worth.shape == (calibration.image.weights,)
    assert np.all(worth >= 0.0)
    assert worth.sum() > 0.0


def test_an_unknown_score_is_refused_with_a_hint() -> None:
    with pytest.raises(ValueError, match=r"unknown score 'fischer'.*did you mean 'fisher'"):
        tac.importance("fischer", small()[1])


def test_activation_scores_are_input_energies() -> None:
    net, calibration = small()
    worth = tac.importance("activation", calibration)
    x = calibration.inputs.double().square().mean(dim=(0, 2, 3)).numpy()
    np.testing.assert_allclose(worth[:72].reshape(4, 2, 9)[:, :, 0], np.tile(x, (4, 1)), rtol=1e-6)
    with torch.no_grad():
        hidden = net[:3](calibration.inputs).double().square().mean(0).numpy()
    np.testing.assert_allclose(worth[72:].reshape(5, 36), np.tile(hidden, (5, 1)), rtol=1e-6)


def test_fisher_scores_are_the_gauss_newton_diagonal() -> None:
    torch.manual_seed(1)
    net, x = nn.Linear(4, 3), torch.randn(6, 4)
    weight = net.weight.detach()
    jacobian = jacrev(lambda w: functional_call(net, {"weight": w, "bias": net.bias.detach()}, (x,)))(weight)
    p = torch.softmax(net(x), dim=-1).detach()
    h = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    exact = torch.einsum("nciw,ncd,ndiw->iw", jacobian, h, jacobian).reshape(-1).numpy() / 6
    got = tac.jacobian_energy(net, ["weight"], x, probes=200, output="fisher", seed=2)
    # signs give a relative spread of at most sqrt(2) per probe: 5 sigma over 200 probes
    np.testing.assert_allclose(got.values, exact, rtol=5 * np.sqrt(2 / 200))


def test_the_stopping_rule_goes_on_until_the_error_is_small() -> None:
    net, calibration = small()
    names = [t.name for t in calibration.image.tensors]
    few = tac.jacobian_energy(net, names, calibration.inputs, probes=4)
    rule = tac.Stopping(relative_error=0.5 * float(few.relative_error.max()), most=200)
    more = tac.jacobian_energy(net, names, calibration.inputs, probes=4, until=rule)
    assert few.probes < more.probes <= 200
    assert more.relative_error.max() <= rule.relative_error
    capped = tac.jacobian_energy(net, names, calibration.inputs, probes=4, until=tac.Stopping(1e-9, most=12))
    assert capped.probes == 12


def test_responses_fall_with_protection_and_refine_the_damage() -> None:
    net, calibration = small()
    image, channel = calibration.image, FlipChannel.uniform(0.1, 8)
    probe = tac.Probe(measure="squared", maps=3)
    response = tac.measured_response(image, forward_of(net, calibration.inputs), channel, probe)
    assert np.all(response.values[:, 0] > response.values[:, 2])
    assert np.all(response.values[:, 8] == 0.0)
    starts = image.group_starts("channel")
    damage = tac.damage_model(image, tac.importance("jacobian", calibration), starts)
    refined = tac.refined_damage(damage, image.tensor_starts, response, channel)
    owner = np.searchsorted(image.tensor_starts, starts[:-1], side="right") - 1
    total = np.zeros((2, 8))
    np.add.at(total, owner, refined.distortion(channel.p01, channel.p10))
    np.testing.assert_allclose(total, response.marginals(), rtol=1e-9)
    assert np.all(np.diff(response.marginals(), axis=1) >= 0.0)


def test_pooling_gives_the_nearest_falling_sequence() -> None:
    assert _decreasing(np.array([3.0, 5.0, 1.0, 2.0]), 0.0).tolist() == [4.0, 4.0, 1.5, 1.5]


def test_a_small_noise_response_is_the_first_order_prediction() -> None:
    torch.manual_seed(0)
    net, x = nn.Linear(40, 4, bias=False), torch.randn(64, 40)
    image = quantise(weight_arrays(net))
    low = FlipChannel.uniform(0.02, 8).with_planes(range(3, 8), 0.0, 0.0)
    probe = tac.Probe(measure="squared", maps=40, deepest=0)
    measured = tac.measured_response(image, forward_of(net, x), low, probe)
    energy = tac.jacobian_energy(net, ["weight"], x, probes=1).values
    predicted = tac.damage_model(image, energy, image.tensor_starts).distortion(low.p01, low.p10).sum()
    assert measured.values[0, 0] == pytest.approx(predicted, abs=4 * measured.error[0, 0])


def test_the_exact_optimum_is_never_worse_than_greedy() -> None:
    rng = np.random.default_rng(7)
    base = rng.lognormal(sigma=2.0, size=(60, 1))
    left = base * np.concatenate([np.ones((60, 1)), np.sort(rng.uniform(size=(60, 3)))[:, ::-1]], axis=1)
    cost = rng.integers(1, 50, (60, 1)) * np.array([0.0, 0.3, 0.7, 1.0])
    for share in (0.03, 0.2):
        problem = tac.Knapsack(left, cost, share * float(cost[:, -1].sum()))
        greedy, exact = tac.solve(problem), tac.solve_exactly(problem)
        assert exact.lower_bound * (1 - 1e-9) <= exact.predicted_distortion <= greedy.predicted_distortion
        assert exact.gap <= 1e-5
        assert exact.spent <= problem.budget * (1 + 1e-9)


def test_one_path_answers_every_budget_as_solve_does() -> None:
    rng = np.random.default_rng(9)
    left = np.sort(rng.lognormal(size=(50, 4)), axis=1)[:, ::-1].copy()
    cost = rng.integers(1, 9, (50, 1)) * np.arange(4.0)
    path = tac.BudgetPath(left, cost)
    for budget in (0.0, 3.0, 40.0, 1e4):
        assert np.array_equal(path.at(budget).choice, tac.solve(tac.Knapsack(left, cost, budget)).choice)


def test_correction_aware_damage_without_correction_is_the_damage_model() -> None:
    _, calibration = small()
    image, channel = calibration.image, FlipChannel.uniform(0.1, 8)
    worth, starts = tac.importance("jacobian", calibration), image.group_starts("channel")
    left = tac.corrected_damage(image, worth, starts, channel, "none")
    planes = tac.damage_model(image, worth, starts).distortion(channel.p01, channel.p10)
    # second moments: independent flips plus the product of the planes' drifts, which the plane-wise model leaves out
    assert np.all(np.abs(left[:, 7] / planes[:, 0] - 1.0) < 1e-9)
    assert np.all(np.diff(left, axis=1) < 0.0)
    assert np.all(tac.corrected_damage(image, worth, starts, channel, "table")[:, :7] < left[:, :7])


def test_top_planes_plans_protect_from_the_top_within_the_budget() -> None:
    _, calibration = small()
    image, channel = calibration.image, FlipChannel.uniform(0.1, 8)
    starts = image.group_starts("word")
    path = tac.ideal_path(
        tac.corrected_damage(image, tac.importance("magnitude", calibration), starts, channel, "steps"), starts
    )
    plan = tac.top_planes_plan(image, starts, path.at(0.2 * image.stored_bits).choice, "word", "aware")
    assert 0.1 < plan.protected_bits_fraction <= 0.2
    assert np.all(np.diff(plan.choice.astype(int), axis=1) >= 0)


def test_side_information_counts_patterns_and_numbers() -> None:
    choice = np.zeros((4, 8), dtype=np.uint8)
    choice[1, 7] = choice[2, 7] = choice[3, 6] = choice[3, 7] = 1
    plan = ProtectionPlan([0, 10, 20, 30, 40], [0, 20, 40], "channel", "test", ("none", "ideal"), choice)
    found = tac.side_information(plan, "shrink")
    assert (found.class_bits, found.correction_bits) == (4 * 2, 4 * 32)
    assert found.fraction == pytest.approx((8 + 128) / 320)
    assert tac.side_information(ProtectionPlan.unprotected([0, 20], 8), "none").fraction == 0.0


def test_plans_are_saved_loaded_and_compared(tmp_path: Path) -> None:
    before = ProtectionPlan.uniform_msb([0, 20, 40], 8, 1, "ideal")
    choice = np.zeros((4, 8), dtype=np.uint8)
    choice[0, 7] = choice[3, 6] = 1
    after = ProtectionPlan([0, 10, 20, 30, 40], [0, 20, 40], "channel", "test", ("none", "secded-13-8"), choice)
    found = protection.plan_difference(before, after)
    assert found.bits == {("ideal", "none"): 30, ("ideal", "secded-13-8"): 10, ("none", "secded-13-8"): 10}
    assert found.by_tensor == (20, 30)
    assert found.protected_bits == (40, 20)
    protection.save_plan(after, tmp_path / "plan.json")
    assert protection.plan_difference(after, protection.load_plan(tmp_path / "plan.json")).same
    with pytest.raises(ValueError, match="different images"):
        protection.plan_difference(before, ProtectionPlan.unprotected([0, 20], 8))
