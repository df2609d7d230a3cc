"""The same cells at two temperatures: which are lost, against 400,000 cells drawn one by one with their identity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from qtaml_hw.device import STRATA_EDGES, STRATA_SHARES, Die, charge_population
from tests.device.cells import gain_cell
from tests.device.drawn import HOT_K, near, two_temperatures


@pytest.mark.parametrize(("t_ox_nm", "correlation"), [(1.8, 0.86), (2.2, 0.997)])
def test_ranks_mix_where_both_currents_matter(t_ox_nm: float, correlation: float) -> None:
    _, _, kept, cool_s, hot_s = two_temperatures(t_ox_nm)
    assert spearmanr(cool_s, hot_s).statistic == pytest.approx(correlation, abs=0.003)
    u = np.random.default_rng(3).random(20_000)
    stratum = np.searchsorted(STRATA_EDGES, np.random.default_rng(4).random(u.size), side="right") - 1
    ranks = np.array([np.interp(a, kept.reference[:, k], kept.rank) for a, k in zip(u, stratum, strict=True)])
    assert spearmanr(u, ranks).statistic == pytest.approx(correlation, abs=0.01)


@pytest.mark.parametrize("p", [1e-2, 1e-3])
@pytest.mark.parametrize("t_ox_nm", [1.8, 2.2])
def test_cells_that_pass_a_cool_profile_are_lost_in_the_heat(t_ox_nm: float, p: float) -> None:
    """At 1.8 nm 0.4 % and 0.07 % of all cells; with ranks kept it would be none, since p(2 t) at 85 degC is larger."""
    cool, hot, kept, cool_s, hot_s = two_temperatures(t_ox_nm)
    interval_s = float(hot.retention_quantile(p))
    passed = cool.flip_probability(2.0 * interval_s)
    lost = float(STRATA_SHARES @ np.maximum(kept.thresholds(np.array([p]))[0] - passed, 0.0))
    assert near(lost, float(np.mean((cool_s >= 2.0 * interval_s) & (hot_s < interval_s))))
    assert (max(p - passed, 0.0) == 0.0) == (t_ox_nm == 1.8)


@pytest.mark.parametrize("t_ox_nm", [1.8, 2.2])
def test_every_quadrant_of_cool_and_hot_losses(t_ox_nm: float) -> None:
    cool, hot, kept, cool_s, hot_s = two_temperatures(t_ox_nm)
    for p in (0.3, 0.05, 3e-3):
        theta = kept.thresholds(np.array([p]))[0]
        hot_lost = hot_s < hot.retention_quantile(p)
        for other in (0.5, 0.1, 1e-2, 1e-3):
            both = float(STRATA_SHARES @ np.minimum(theta, other))
            assert near(both, float(np.mean(hot_lost & (cool_s < cool.retention_quantile(other)))))


@given(st.floats(1.2, 2.4), st.floats(0.0, 0.06), st.floats(0.002, 0.05), st.sampled_from([318.15, 378.15, 398.15]))
def test_the_strata_together_are_the_population(nm: float, sigma_v: float, sigma_t: float, other_k: float) -> None:
    """At every share, to rounding; thresholds never fall when the share rises, so masks stay nested."""
    cell = gain_cell(t_ox_m=nm * 1e-9, sigma_v_th_v=sigma_v, sigma_t_ox=sigma_t)
    kept = charge_population(replace(cell, temperature_k=other_k)).kept_from(charge_population(cell))
    assert kept is not None
    p = np.concatenate((np.logspace(-14, 0, 300), 1.0 - np.logspace(-12, -1, 50), [0.0]))
    theta = kept.thresholds(np.sort(p))
    np.testing.assert_allclose(theta @ STRATA_SHARES, np.sort(p), rtol=1e-12, atol=1e-30)
    assert np.all(np.diff(theta, axis=0) >= -1e-12)
    assert theta.min() >= 0.0
    assert theta.max() <= 1.0


def test_one_mechanism_keeps_its_order() -> None:
    """Only thickness, or only the threshold, varies: every cell keeps its rank."""
    for changes in ({"sigma_v_th_v": 0.0}, {"sigma_t_ox": 0.0}):
        cell = gain_cell(**changes)
        kept = charge_population(replace(cell, temperature_k=HOT_K)).kept_from(charge_population(cell))
        assert kept is not None
        p = np.logspace(-6, -0.1, 40)
        np.testing.assert_allclose(kept.thresholds(p), np.broadcast_to(p[:, None], (40, len(STRATA_SHARES))), rtol=0.02)


def test_ranks_and_thresholds_are_inverses() -> None:
    _, _, kept, _, _ = two_temperatures(1.8)
    p = np.array([1e-6, 1e-3, 0.2])
    for share, theta in zip(p, kept.thresholds(p), strict=True):
        np.testing.assert_allclose(kept.ranks(theta), share, rtol=1e-9)


def test_other_cells_and_the_same_condition_keep_ranks() -> None:
    cell = gain_cell()
    population = charge_population(cell)
    assert charge_population(cell).kept_from(population) is None
    assert charge_population(gain_cell(t_ox_m=1.9e-9, temperature_k=HOT_K)).kept_from(population) is None
    assert charge_population(replace(cell, temperature_k=HOT_K), Die(0.01)).kept_from(population) is None


@pytest.mark.parametrize("changes", [{"t_ox_gradient": 0.03}, {"defect_fraction": 1e-3, "defect_current_a": 5e-12}])
def test_gradients_and_defects_keep_the_shares(changes: dict[str, float]) -> None:
    cell = gain_cell(**changes)
    kept = charge_population(replace(cell, temperature_k=HOT_K)).kept_from(charge_population(cell))
    assert kept is not None
    p = np.logspace(-9, 0, 50)
    np.testing.assert_allclose(kept.thresholds(p) @ STRATA_SHARES, p, rtol=1e-12)
