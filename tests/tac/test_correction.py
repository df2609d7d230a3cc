"""Corrections: closed forms, optimality of the conditional mean, what folds and what does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.tac import KINDS, channel_matrix, corrected_noise, correction, value_statistics
from qtaml_hw.weights import ENCODINGS, WeightFormat

FORM = WeightFormat(8)


def peaked(form: WeightFormat, spread: float = 8.0) -> np.ndarray:
    return np.exp(-0.5 * (form.decode_table / spread) ** 2)


def mean_square(form: WeightFormat, kind: str, p01: np.ndarray, p10: np.ndarray, histogram: np.ndarray) -> float:
    bias, variance = corrected_noise(form, p01, p10, correction(kind, form, p01, p10, histogram).table)
    return float(histogram @ (bias**2 + variance) / histogram.sum())


@given(seed=st.integers(0, 1000), encoding=st.sampled_from(ENCODINGS))
def test_the_channel_matrix_holds_the_closed_form_moments(seed: int, encoding: str) -> None:
    form, rng = WeightFormat(8, encoding), np.random.default_rng(seed)
    p01, p10 = rng.uniform(0, 0.3, 8), rng.uniform(0, 0.3, 8)
    transition = channel_matrix(p01, p10)
    expected = value_statistics(form, p01, p10)
    np.testing.assert_allclose(transition.sum(axis=1), 1.0, rtol=1e-12)
    mean = transition @ form.decode_table
    np.testing.assert_allclose(mean, expected.mean, atol=1e-9)
    np.testing.assert_allclose(transition @ form.decode_table**2 - mean**2, expected.variance, atol=1e-7)


@pytest.mark.parametrize("direction", ["symmetric", "1to0", "0to1"])
def test_finer_tables_leave_no_more_error(direction: str) -> None:
    p01 = np.full(8, 0.0 if direction == "1to0" else 0.1)
    p10 = np.full(8, 0.0 if direction == "0to1" else 0.1)
    left = {kind: mean_square(FORM, kind, p01, p10, peaked(FORM)) for kind in KINDS}
    assert left["table"] <= left["steps"] <= left["offset"] <= left["none"]
    assert left["table"] <= left["shrink"] <= left["offset"]
    assert left["table"] < 0.1 * left["none"]


def test_the_conditional_mean_is_bayes_rule() -> None:
    p, histogram = np.full(8, 0.1), peaked(FORM)
    table = correction("table", FORM, p, p, histogram).table
    joint = histogram[:, None] * channel_matrix(p, p)
    np.testing.assert_allclose(table, (FORM.decode_table @ joint) / joint.sum(axis=0), atol=1e-9)


def test_steps_are_sixteen_offsets_and_keep_the_mean() -> None:
    p, histogram = np.full(8, 0.05), peaked(FORM)
    table = correction("steps", FORM, p, np.zeros(8), histogram).table
    offsets = (table - FORM.decode_table).reshape(16, 16)
    assert np.ptp(offsets, axis=1) == pytest.approx(0.0, abs=1e-12)
    bias, _ = corrected_noise(FORM, p, np.zeros(8), table)
    assert histogram @ bias / histogram.sum() == pytest.approx(0.0, abs=1e-9)


def test_codes_that_are_never_read_stay_plain() -> None:
    histogram = np.zeros(256)
    histogram[3] = 1.0
    p10 = np.zeros(8)
    p10[0] = 0.1
    table = correction("table", FORM, np.zeros(8), p10, histogram).table
    unread = np.setdiff1d(np.arange(256), [2, 3])
    assert np.array_equal(table[unread], FORM.decode_table[unread])
    assert table[2] == table[3] == pytest.approx(3.0)


def test_what_folds_into_scale_and_bias_says_so() -> None:
    p, histogram = np.full(8, 0.1), peaked(FORM)
    folds = {kind: correction(kind, FORM, p, p, histogram).folds for kind in KINDS}
    assert [kind for kind in KINDS if not folds[kind]] == ["steps", "table"]
    for kind in ("unbias", "offset", "shrink", "planes"):
        table = correction(kind, FORM, p, p, histogram).table
        slope, shift = np.polyfit(FORM.decode_table, table, 1)
        np.testing.assert_allclose(table, slope * FORM.decode_table + shift, atol=1e-9)
