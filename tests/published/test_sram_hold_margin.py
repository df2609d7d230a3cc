"""Hold margin of the 6T cell against ngspice BSIM4 (Seevinck's method): within the stated band at t_ox >= 0.9 nm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qtaml_hw.device import Sram6T, hold_margin
from qtaml_hw.device.sram import MARGIN_BAND_V

TABLE = np.genfromtxt(
    Path(__file__).parent / "data" / "sram_hold_margin_ngspice.csv",
    delimiter=",",
    skip_header=2,
    usecols=(0, 1, 2, 3, 6),
)


def cell(t_nm: float, v_dd_v: float, celsius: float) -> Sram6T:
    """The calibrated 65 nm cell (values of the preset sram6t-65nm)."""
    return Sram6T(
        t_ox_m=t_nm * 1e-9, v_dd_v=v_dd_v, temperature_k=celsius + 273.15, sigma_v_th_v=0.03, v_th_n_v=0.381,
        v_th_p_v=0.313, pull_up_ratio=0.0323, dibl=0.0556, gate_length_m=63e-9, overlap_share=0.110,
    )  # fmt: skip


def errors(thinnest_nm: float, thickest_nm: float) -> np.ndarray:
    rows = TABLE[(TABLE[:, 1] >= thinnest_nm - 1e-6) & (TABLE[:, 1] <= thickest_nm + 1e-6)]
    ours = [hold_margin(cell(t, v, c), gate_leakage=bool(leak)) for leak, t, v, c, _ in rows]
    return np.asarray(ours) - np.nan_to_num(rows[:, 4])


def test_margin_within_30_mv_and_9_mv_rms_from_0_9_nm() -> None:
    error = errors(0.9, 2.0)
    assert error.size == 100
    assert np.abs(error).max() < MARGIN_BAND_V
    assert np.sqrt(np.mean(error**2)) < 9e-3


def test_margin_within_50_mv_at_0_8_nm() -> None:
    assert np.abs(errors(0.8, 0.8)).max() < 0.05


@pytest.mark.parametrize("t_nm", [1.2, 1.5, 2.0])
@pytest.mark.parametrize("v_dd_v", [0.6, 1.0])
@pytest.mark.parametrize("celsius", [25.0, 85.0])
def test_gate_leakage_costs_at_most_4_mv_from_1_2_nm_and_0_6_v(t_nm: float, v_dd_v: float, celsius: float) -> None:
    one = cell(t_nm, v_dd_v, celsius)
    assert 0.0 <= hold_margin(one, gate_leakage=False) - hold_margin(one) <= 4e-3


def test_gate_leakage_matters_at_1_0_nm_and_0_4_v() -> None:
    one = cell(1.0, 0.4, 25.0)
    assert hold_margin(one, gate_leakage=False) - hold_margin(one) > 0.05
