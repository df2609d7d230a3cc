"""Gate current density against ngspice 39.3 BSIM4 level 54 SiO2 defaults: mean |log10| <= 0.10, max <= 0.25."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qtaml_hw.device import current_density

TABLE = np.genfromtxt(
    Path(__file__).parent / "data" / "bsim4_sio2_default_jg.csv", delimiter=",", skip_header=2, usecols=(1, 2, 3, 4)
)


@pytest.mark.parametrize("celsius", [25.0, 125.0])
def test_closed_form_mean_0_10_max_0_25_decades(celsius: float) -> None:
    t_nm, temperature, voltage, reference = TABLE.T
    inside = (t_nm > 0.99) & (t_nm < 2.51) & (voltage > 0.49) & (temperature == celsius)
    assert inside.sum() == 176
    ours = current_density(t_nm[inside] * 1e-9, voltage[inside], celsius + 273.15) / 1e4
    error = np.abs(np.log10(ours / reference[inside]))
    assert error.mean() <= 0.06  # 0.10 asked for; 0.054 at 25 degC, 0.044 at 125 degC
    assert error.max() <= 0.17  # 0.25 asked for


@pytest.mark.parametrize(
    ("t_nm", "j_a_per_cm2"), [(1.0, 4300), (1.2, 419), (1.5, 13.7), (1.8, 0.484), (2.0, 0.0538), (2.5, 2.46e-4)]
)
def test_density_at_1_v_25_degc_within_half_a_percent(t_nm: float, j_a_per_cm2: float) -> None:
    assert current_density(t_nm * 1e-9, 1.0, 298.15) / 1e4 == pytest.approx(j_a_per_cm2, rel=5e-3)


def test_slope_between_4_6_and_5_2_decades_per_nm_at_1_v() -> None:
    thickness_m = np.linspace(1.0e-9, 2.5e-9, 16)
    slopes = -np.diff(np.log10(current_density(thickness_m, 1.0, 298.15))) / 0.1
    assert np.all((slopes > 4.6) & (slopes < 5.2))


def test_tsu_esaki_within_one_and_a_half_decades() -> None:
    """Uncalibrated, so the claim is one of order: THEORY says about one decade, not more."""
    t_nm, temperature, voltage, reference = TABLE.T
    inside = (t_nm > 0.99) & (t_nm < 2.51) & (voltage > 0.49) & (temperature == 25.0)
    ours = current_density(t_nm[inside] * 1e-9, voltage[inside], 298.15, method="tsu_esaki") / 1e4
    assert np.abs(np.log10(ours / reference[inside])).max() < 1.5
