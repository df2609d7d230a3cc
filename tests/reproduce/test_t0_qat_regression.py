"""The linear regression of T0-QAT: its loss in closed form, its published run beside ours."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from qtaml_hw.reproduce.t0_qat_regression import (
    DROP,
    FULL_PRECISION,
    QUANTISED,
    READ_NOISE,
    SCALING,
    XI,
    Trained,
    regression_rows,
    regressions,
    rounded,
    trained,
)

SEEDS = tuple(range(1, 65))


def test_the_published_table_is_consistent_with_itself() -> None:
    published = {"standard": 2.935914, "T0": 1.435758}
    assert pytest.approx(published, abs=1e-6) == DROP
    assert pytest.approx(32.0 / 3.0) == XI * SCALING


def test_the_loss_is_the_mean_squared_error_of_the_samples() -> None:
    draw = torch.Generator().manual_seed(1_000_003 * 7)
    features = torch.randn(1000, 10, generator=draw, dtype=torch.float64)
    truth = torch.randn(10, generator=draw, dtype=torch.float64)
    target = features @ truth + 0.1 * torch.randn(1000, generator=draw, dtype=torch.float64)
    problem = regressions((7,))
    weights = torch.linspace(-1.0, 2.0, 11, dtype=torch.float64)
    wanted = functional.mse_loss(functional.linear(features, weights[None, :10], weights[10:])[:, 0], target)
    assert float(problem.loss(weights[None])[0]) == pytest.approx(float(wanted), rel=1e-12)


def test_training_is_that_of_a_torch_layer_under_adam() -> None:
    problem = regressions((3,))
    weights = problem.start[0].clone().requires_grad_(True)
    optimiser = torch.optim.Adam([weights], lr=0.005)
    for _ in range(300):
        optimiser.zero_grad()
        loss = weights @ problem.hessian[0] @ weights - 2.0 * weights @ problem.linear[0] + problem.constant[0]
        loss.backward()
        optimiser.step()
    assert torch.allclose(trained(problem, 0.0)[0], weights.detach(), atol=1e-12)


def test_a_seed_gives_the_same_regression_in_any_company() -> None:
    alone, together = Trained(regressions((5,)), 10.0), Trained(regressions((4, 5, 6)), 10.0)
    assert torch.allclose(alone.weights[0], together.weights[1], atol=1e-12)


def test_rounding_keeps_the_largest_weight_and_the_number_of_levels() -> None:
    weights = torch.randn(8, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for bits in (2, 3, 4):
        found = rounded(weights, bits)
        assert torch.allclose(found.abs().amax(1), weights.abs().amax(1))
        assert all(len(row.unique()) <= 2**bits - 1 for row in found)


def test_fixed_noise_costs_the_same_wherever_the_weights_are() -> None:
    problems = regressions(SEEDS)
    for amplitude in (0.0, XI * SCALING):
        method = Trained(problems, amplitude)
        left = method.mean_noise_drop() - problems.expected_drop(READ_NOISE)
        assert abs(float(left.mean())) < 4.0 * float(left.std()) / len(SEEDS) ** 0.5
    expected = problems.expected_drop(READ_NOISE)
    assert float(expected.mean()) == pytest.approx(DROP["standard"], rel=0.02)  # tr H = 11 for unit features


def test_the_published_losses_are_usual_single_runs_and_t0_ends_worse() -> None:
    rows = {row.what: row for row in regression_rows(len(SEEDS))}
    for name in ("standard", "T0"):
        assert rows[f"full-precision loss, {name}"].published == FULL_PRECISION[name]
        assert rows[f"loss after one draw of weight noise, {name}"].published == QUANTISED[name]
        assert rows[f"full-precision loss, {name}"].verdict.startswith("a usual single run")
    worse = rows["loss after one draw of weight noise, T0 minus standard, same seeds"]
    assert worse.ci95 is not None
    assert worse.ci95[0] > 4.0
    assert "no gain in loss" in worse.verdict
    assert all(row.verdict.startswith("holds") for what, row in rows.items() if what.startswith("expected drop"))
