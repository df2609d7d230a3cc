"""6T hold margins: invariants, mismatch, static weak cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import norm

from qtaml_hw.device import Mismatch, failure_distance, hold_lobes, hold_margin, margin_spread, population
from tests.device.cells import sram_cell


def test_symmetric_cell_has_equal_lobes_and_mismatch_trades_them() -> None:
    high, low = hold_lobes(sram_cell())
    assert high == pytest.approx(low, abs=1e-4)
    skewed = hold_lobes(sram_cell(), Mismatch(left_n_v=0.05, right_n_v=-0.05))
    assert (skewed[0] - high) * (skewed[1] - low) < 0.0
    mirrored = hold_lobes(sram_cell(), Mismatch(left_n_v=-0.05, right_n_v=0.05))
    assert mirrored == pytest.approx(skewed[::-1], abs=1e-3)


@given(v_dd=st.floats(0.25, 1.2), kelvin=st.floats(250.0, 400.0), t_nm=st.floats(0.9, 2.5))
@hypothesis_settings(max_examples=12)
def test_margin_bounded_by_half_the_supply_and_not_helped_by_leakage(v_dd: float, kelvin: float, t_nm: float) -> None:
    cell = sram_cell(v_dd_v=v_dd, temperature_k=kelvin, t_ox_m=t_nm * 1e-9)
    ideal = hold_margin(cell, gate_leakage=False)
    assert 0.0 < ideal < 0.5 * v_dd
    assert 0.0 <= hold_margin(cell) <= ideal + 2e-3


def test_weak_share_falls_with_supply_by_decades() -> None:
    shares = [population(sram_cell(v_dd_v=v, t_ox_m=1.2e-9)).weak_share for v in (0.25, 0.30, 0.35, 0.40)]
    assert np.all(np.diff(np.log10(shares)) < -1.0)
    assert margin_spread(sram_cell(sigma_v_th_v=0.06)) == pytest.approx(2.0 * margin_spread(sram_cell()))


@pytest.mark.parametrize("celsius", [25.0, 85.0])
def test_weak_share_falls_with_every_step_of_the_supply(celsius: float) -> None:
    """The first-order spread had 2.7e-41 at 0.60 V above 8.3e-46 at 0.56 V."""
    cells = [
        sram_cell(v_dd_v=v, temperature_k=celsius + 273.15) for v in (0.16, 0.3, 0.5, 0.56, 0.58, 0.6, 0.64, 0.8, 1)
    ]
    distances = [failure_distance(cell) for cell in cells]
    assert np.all(np.diff(distances) > 0.2)
    assert [population(cell).weak_share for cell in cells] == pytest.approx(norm.sf(distances).tolist(), rel=1e-6)


def test_the_tail_is_that_of_drawn_cells() -> None:
    """Importance sampling around the most probable failure; the first order gave 2.8e-12 here, a 300th."""
    cell = sram_cell(v_dd_v=0.30, temperature_k=298.15)
    centre, draws = np.array([-4.34, 4.18, 0.31, -0.30]), 500
    z = np.random.default_rng(1).standard_normal((draws, 4)) + centre
    lost = np.array([hold_lobes(cell, Mismatch(*(one * cell.sigma_v_th_v)))[0] <= 0.0 for one in z])
    share = np.exp(-z @ centre + 0.5 * centre @ centre) * lost
    error = share.std() / np.sqrt(draws)
    assert error < 0.15 * share.mean()
    assert population(cell).weak_share == pytest.approx(share.mean(), abs=3.0 * error + 0.12 * share.mean())


def test_drawn_cells_lose_as_many_states_where_many_are_lost() -> None:
    cell, draws = sram_cell(v_dd_v=0.16, temperature_k=358.15), 1200
    z = np.random.default_rng(2).standard_normal((draws, 4)) * cell.sigma_v_th_v
    lost = sum(hold_lobes(cell, Mismatch(*one))[0] <= 0.0 for one in z)
    p = population(cell).weak_share
    assert abs(lost - 1.07 * p * draws) < 3.5 * np.sqrt(p * draws)  # the nearest failure alone: 7 % short here


def test_cell_that_holds_nothing_is_all_weak() -> None:
    dead = population(sram_cell(t_ox_m=0.7e-9, v_dd_v=0.4))
    assert dead.weak_share == 1.0
    assert dead.gate_share == 1.0
    assert any("extrapolation" in text for text in dead.warnings)


def test_population_is_static_and_says_when_nothing_flips() -> None:
    cells = population(sram_cell(v_dd_v=1.0))
    assert cells.median_s == np.inf
    assert cells.leaky_state == "both"
    assert any("no bit of this memory flips" in text for text in cells.warnings)
    assert any("thickness of the oxide does not matter" in text for text in cells.warnings)
    weak = population(sram_cell(v_dd_v=0.3, t_ox_m=1.2e-9))
    np.testing.assert_array_equal(weak.flip_probability([0.0, 1e-9, 1.0]), [0.0, weak.weak_share, weak.weak_share])
    np.testing.assert_array_equal(weak.retention_quantile([0.0, 0.9999]), [0.0, np.inf])
    with pytest.raises(ValueError, match="cannot be negative"):
        weak.flip_probability(-1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"v_dd_v": 0.0}, "supply is positive"), ({"v_th_n_v": 1.5}, "enhancement"), ({"dibl": 0.9}, "punched-through"),
     ({"gate_length_m": 1.0}, "gate lengths"), ({"accelerated_flip_rate_hz": -1.0}, "not negative")],
)  # fmt: skip
def test_refused_with_the_physical_reason(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sram_cell(**change)
