"""Drift and variance in closed form: against enumeration of all flips, and the constants of the theory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.tac import affine_drift, symmetric_variance, value_statistics
from qtaml_hw.weights import ENCODINGS, LINEAR_ENCODINGS, WeightFormat

probabilities = st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4).map(np.array)


@given(p01=probabilities, p10=probabilities, encoding=st.sampled_from(ENCODINGS))
def test_mean_and_variance_equal_the_sum_over_all_flip_patterns(
    p01: np.ndarray, p10: np.ndarray, encoding: str
) -> None:
    form = WeightFormat(4, encoding)
    got = value_statistics(form, p01, p10)
    for code in range(16):
        bits = form.bit_table[code]
        chance = np.where(bits == 1, p10, p01)
        mean = second = 0.0
        for flips in itertools.product((0, 1), repeat=4):
            weight = np.prod(np.where(flips, chance, 1.0 - chance))
            value = form.decode_table[code ^ sum(f << i for i, f in enumerate(flips))]
            mean += weight * value
            second += weight * value**2
        assert got.mean[code] == pytest.approx(mean, abs=1e-9)
        assert got.variance[code] == pytest.approx(second - mean**2, abs=1e-8)


@pytest.mark.parametrize("encoding", LINEAR_ENCODINGS)
def test_drift_is_affine_in_the_weight(encoding: str) -> None:
    form = WeightFormat(8, encoding)
    p01, p10 = 0.03, 0.2
    mean = value_statistics(form, np.full(8, p01), np.full(8, p10)).mean
    a, c = affine_drift(form, p01, p10)
    np.testing.assert_allclose(mean - form.offset, a * (form.decode_table - form.offset) + c, atol=1e-10)
    assert c == pytest.approx(-p01 if encoding == "twos_complement" else 255 * p01)


def test_symmetric_variance_is_the_same_for_every_weight_and_msbs_dominate() -> None:
    form, p = WeightFormat(8), 0.1
    variance = value_statistics(form, np.full(8, p), np.full(8, p)).variance
    np.testing.assert_allclose(variance, symmetric_variance(p, 8), rtol=1e-12)
    assert symmetric_variance(p, 8) / symmetric_variance(p, 8, protected=1) == pytest.approx(4.0, rel=1e-4)
    share = 1.0 - symmetric_variance(p, 8, 1) / symmetric_variance(p, 8)
    assert share == pytest.approx(3 * 4**7 / (4**8 - 1), rel=1e-12)
    assert share == pytest.approx(0.75, abs=1e-4)
    assert 1.0 - symmetric_variance(p, 8, 2) / symmetric_variance(p, 8) == pytest.approx(0.938, abs=5e-4)
