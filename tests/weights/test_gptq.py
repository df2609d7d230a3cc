"""Error-compensated rounding against its definition, solved anew at every column, and against all codes there are."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from qtaml_hw.weights import WeightFormat, quantise
from qtaml_hw.weights.gptq import CodeBook, compensated, gptq_rounding
from qtaml_hw.weights.moments import LayerToRound, input_moments
from qtaml_hw.weights.network import weight_arrays


def layer(seed: int, rows: int, columns: int, groups: int = 1, step: float = 0.4) -> LayerToRound:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(groups, columns, columns))
    moment = mixing @ np.swapaxes(mixing, 1, 2) / columns
    weight = rng.normal(size=(rows, columns)).astype(np.float32)
    return LayerToRound.stepped(weight, np.full(weight.shape, step, dtype=np.float32), moment)


def by_definition(one: LayerToRound, values: np.ndarray) -> np.ndarray:
    """Values [rows, columns]: after every column the free ones are set where the quadratic error is least."""
    found = np.empty_like(one.target)
    for r, target in enumerate(one.target):
        h = one.moment[one.group[r]]
        order = np.argsort(-np.diagonal(h), kind="stable")
        left = target.copy()
        for j, column in enumerate(order):
            found[r, column] = values[np.argmin(np.abs(values - left[column] / one.step[r, column]))]
            found[r, column] *= one.step[r, column]
            done, free = order[: j + 1], order[j + 1 :]
            fixed = found[r, done] - target[done]
            left[free] = target[free] - np.linalg.solve(h[np.ix_(free, free)], h[np.ix_(free, done)] @ fixed)
    return found


@given(st.integers(0, 10**6), st.integers(2, 7), st.sampled_from([1, 2]), st.sampled_from([2, 3, 4, 8]))
def test_columns_are_where_the_error_is_least_for_those_before(seed: int, columns: int, groups: int, bits: int) -> None:
    one, form = layer(seed, 4, columns, groups), WeightFormat(bits)
    codes = compensated(one, CodeBook.of(form))
    value, reference = form.decode_table[codes] * one.step, by_definition(one, CodeBook.of(form).values)
    nearest = form.decode_table[form.encode(np.clip(one.target / one.step, -form.largest, form.largest))] * one.step
    kept = one.quadratic_error(reference) < one.quadratic_error(nearest)
    np.testing.assert_allclose(value[kept], reference[kept])
    assert np.all(one.quadratic_error(value) <= one.quadratic_error(nearest) * (1 + 1e-12))


@pytest.mark.parametrize("seed", range(8))
def test_no_codes_at_all_are_better_than_the_best_of_all_and_these_come_near(seed: int) -> None:
    one, form = layer(seed, 3, 4), WeightFormat(3)
    values = CodeBook.of(form).values
    every = np.array(list(product(values, repeat=4))) * one.step[0, 0]
    best = np.array([one.quadratic_error(np.tile(v, (3, 1))) for v in every]).min(axis=0)
    found = one.quadratic_error(form.decode_table[compensated(one, CodeBook.of(form))] * one.step)
    assert np.all(found >= best - 1e-12)
    assert found.sum() < 4.0 * best.sum()


def test_an_encoding_changes_the_codes_and_not_the_values() -> None:
    one = layer(3, 5, 6)
    values = [
        form.decode_table[compensated(one, CodeBook.of(form))]
        for form in (WeightFormat(4), WeightFormat(4, "sign_magnitude"), WeightFormat(4, "gray"))
    ]
    assert np.array_equal(values[0], values[1])
    assert np.array_equal(values[0], values[2])


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_every_kind_of_layer_keeps_its_outputs_better_than_by_the_nearest_code(bits: int) -> None:
    """Convolution, grouped, depthwise, linear: the quadratic error of each on the inputs that it saw."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=4),
        nn.Conv2d(8, 8, 2, groups=8),
        nn.Flatten(),
        nn.Linear(8, 6),
    ).eval()
    x = nn.functional.interpolate(torch.randn(48, 3, 3, 3), 8, mode="bilinear")  # neighbouring pixels are alike
    weights = weight_arrays(net)
    nearest = quantise(weights, WeightFormat(bits), "per_channel", clip="mse")
    found = gptq_rounding(nearest, weights, net, x)
    moments = input_moments(net, set(weights), x)
    assert moments.keys() == set(weights)
    errors = np.array(
        [
            [
                LayerToRound.of(t, weights[t.name], moments[t.name])
                .quadratic_error(image.decode()[t.name].reshape(t.shape[0], -1).astype(np.float64))
                .sum()
                for t in image.tensors
            ]
            for image in (nearest, found)
        ]
    )
    assert np.all(errors[1] <= errors[0] * (1 + 1e-6))
    assert errors[1].sum() < 0.8 * errors[0].sum()
    assert all(np.array_equal(a.scale, b.scale) for a, b in zip(nearest.tensors, found.tensors, strict=True))


def test_inputs_that_are_always_zero_leave_the_nearest_codes() -> None:
    one = layer(5, 4, 3)
    silent = LayerToRound.stepped(one.target.astype(np.float32), one.step.astype(np.float32), np.zeros((1, 3, 3)))
    nearest = np.clip(np.rint(silent.target / silent.step), -7, 7)
    form = WeightFormat(4)
    assert np.array_equal(form.decode_table[compensated(silent, CodeBook.of(form))], nearest)


def test_gptq_needs_inputs() -> None:
    net = nn.Linear(3, 2)
    weights = weight_arrays(net)
    with pytest.raises(ValueError, match="needs unlabelled calibration inputs"):
        gptq_rounding(quantise(weights), weights, net, torch.zeros(0, 3))
