"""Spreads of capacitance and read threshold, and DIBL, against cells drawn and integrated one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.special import ndtr

from qtaml_hw.arrays import Float64
from qtaml_hw.device import (
    STRATA_SHARES,
    CurrentModel,
    GainCell,
    charge_population,
    gate_share,
    stack_current_density,
)
from tests.device.cells import gain_cell

CELLS = 200_000
STEPS = 48


def drawn_lives(cell: GainCell, deviates: Float64) -> Float64:
    """Times of cells whose thickness, threshold, capacitance and read threshold are ``deviates`` [4, cells]."""
    thickness, threshold, capacitance, read = deviates
    factor, voltage = np.linspace(0.88, 1.12, 241), np.linspace(0.2, 1.0, 161)
    gate = np.zeros((241, 161))
    for area_m2, model in (
        (cell.gate_area_m2, CurrentModel(component="channel")),
        (cell.overlap_area_m2, CurrentModel(component="overlap")),
    ):
        stack = cell.dielectric.scaled(factor[:, None])
        gate += area_m2 * stack_current_density(stack, voltage, cell.temperature_k, model)
    swing_v = cell.subthreshold_n * 8.617333e-5 * cell.temperature_k
    steady = cell.i_sub_a * np.exp(-cell.i_sub_activation_ev / 8.617333e-5 * (1 / cell.temperature_k - 1 / 298.15))
    steady = steady * np.exp(-cell.sigma_v_th_v * threshold / swing_v)
    row = (1.0 + cell.sigma_t_ox * thickness - 0.88) / 0.001
    span = cell.v_dd_v - (cell.v_ref_v + cell.sigma_v_ref_v * read)
    charge = cell.storage_capacitance_f * (1.0 + cell.sigma_c * capacitance) * span / STEPS
    total = np.zeros(deviates.shape[1])
    for step in range(STEPS):
        at = cell.v_dd_v - span * (step + 0.5) / STEPS
        column = (at - 0.2) / 0.005
        current = np.exp(map_coordinates(np.log(gate), np.stack((row, column)), order=1))
        total += charge / (current + steady * np.exp(cell.dibl * (at - cell.v_dd_v) / swing_v))
    return total


SPREADS = {"sigma_c": 0.03, "sigma_v_ref_v": 0.02}


@pytest.mark.parametrize(
    "changes",
    [
        SPREADS,
        {**SPREADS, "sigma_t_ox": 0.0},
        {"sigma_c": 0.10},
        {"sigma_v_ref_v": 0.05, "t_ox_m": 2.2e-9},
        {"dibl": 0.08, "t_ox_m": 2.1e-9},
        {**SPREADS, "dibl": 0.15, "t_ox_m": 2.0e-9},
    ],
)
def test_shares_are_those_of_cells_drawn_one_by_one(changes: dict[str, float]) -> None:
    cell = gain_cell(**changes)
    lives = drawn_lives(cell, np.random.default_rng(8).standard_normal((4, CELLS)))
    cells = charge_population(cell)
    for p in (3e-4, 1e-3, 1e-2, 0.1, 0.5, 0.9, 0.99):
        found = float(np.mean(lives < cells.retention_quantile(p)))
        assert abs(found - p) < 4.0 * np.sqrt(p * (1.0 - p) / CELLS) + 0.005 * p


def test_no_spread_is_what_it_was_and_a_small_one_changes_little() -> None:
    plain = charge_population(gain_cell())
    small = charge_population(gain_cell(sigma_c=1e-3, sigma_v_ref_v=1e-4))
    p = np.logspace(-10, -0.01, 30)
    np.testing.assert_allclose(plain.flip_probability(small.retention_quantile(p)), p, rtol=0.02)
    np.testing.assert_array_equal(charge_population(gain_cell(sigma_c=0.0, dibl=0.0)).log_time, plain.log_time)


def test_capacitance_alone_is_a_normal_law_of_time() -> None:
    """Cells alike but for their capacitance: t = t0 (1 + sigma x), down to 1e-12."""
    cell = gain_cell(sigma_t_ox=0.0, sigma_v_th_v=0.0, sigma_c=0.03)
    median = charge_population(replace(cell, sigma_c=0.0)).median_s
    deviates = np.linspace(-7.0, 4.0, 23)
    found = charge_population(cell).flip_probability(median * (1.0 + 0.03 * deviates))
    np.testing.assert_allclose(found, ndtr(deviates), rtol=0.02)


def test_either_spread_shortens_the_weak_end_and_leaves_the_median() -> None:
    p = np.array([1e-6, 1e-3, 0.5])
    times = [
        charge_population(gain_cell(sigma_c=c, sigma_v_ref_v=v)).retention_quantile(p)
        for c, v in ((0.0, 0.0), (0.03, 0.0), (0.03, 0.02), (0.1, 0.04))
    ]
    ratios = np.array(times) / times[0]
    assert np.all(np.diff(ratios[:, 0]) < 0.0)
    np.testing.assert_allclose(ratios[:, 2], 1.0, atol=0.02)


def test_dibl_prolongs_what_the_threshold_leaks_by() -> None:
    """Where only the steady current drains: t = C dV / I x mean of exp(dibl (v_dd - V) / swing) over the swing."""
    cell = gain_cell(t_ox_m=4e-9, sigma_v_th_v=0.0, sigma_t_ox=0.0, dibl=0.1)
    swing_v = cell.subthreshold_n * 8.617333e-5 * cell.temperature_k
    reach = cell.dibl * (cell.v_dd_v - cell.v_ref_v) / swing_v
    longer = charge_population(cell).median_s / charge_population(replace(cell, dibl=0.0)).median_s
    assert longer == pytest.approx(np.expm1(reach) / reach, rel=1e-3)
    thin, thin_plain = (gate_share(gain_cell(dibl=d)) for d in (0.1, 0.0))
    assert thin > thin_plain


def test_cells_keep_their_identity_with_these_spreads() -> None:
    """A common factor of time keeps order: the cells lost at both temperatures, against those drawn."""
    cool = gain_cell(sigma_c=0.05, sigma_v_ref_v=0.03)
    hot = replace(cool, temperature_k=398.15)
    deviates = np.random.default_rng(9).standard_normal((4, CELLS))
    cool_s, hot_s = drawn_lives(cool, deviates), drawn_lives(hot, deviates)
    at_cool, at_hot = charge_population(cool), charge_population(hot)
    kept = at_hot.kept_from(at_cool)
    assert kept is not None
    for p, u in ((1e-2, 1e-2), (1e-2, 0.1), (0.1, 1e-2), (1e-3, 3e-3)):
        both = float(STRATA_SHARES @ np.minimum(kept.thresholds(np.array([p]))[0], u))
        found = np.mean((hot_s < at_hot.retention_quantile(p)) & (cool_s < at_cool.retention_quantile(u)))
        assert abs(both - float(found)) < 4.0 * np.sqrt(both / CELLS) + 0.03 * both
