"""Retention quantiles of the 65 nm gain cell and thickness of the 1T1C cell against the design reference table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qtaml_hw.device import Edram1T1C, GainCell, population, thinnest_t_ox

GAIN_CELL = GainCell(
    t_ox_m=1.8e-9, v_dd_v=1.0, v_ref_v=0.5, temperature_k=358.15, storage_capacitance_f=1e-15, gate_area_m2=7.8e-15,
    overlap_area_m2=5.4e-15, i_sub_a=0.12e-12, i_sub_activation_ev=0.50, sigma_t_ox=0.02, sigma_v_th_v=0.040,
)  # fmt: skip
EDRAM = Edram1T1C(
    t_ox_m=1.6e-9, v_dd_v=1.0, v_ref_v=0.6, temperature_k=358.15, storage_capacitance_f=20e-15,
    overlap_area_m2=1.5e-15, i_sub_a=0.33e-12, i_sub_activation_ev=0.4985, sigma_t_ox=0.02, sigma_v_th_v=0.024,
)  # fmt: skip
SHARES = (1e-6, 1e-3, 0.05, 0.10, 0.5)


@pytest.mark.parametrize(
    ("t_nm", "celsius", "seconds"),
    [
        (1.0, 25, (0.44e-9, 0.67e-9, 0.96e-9, 1.05e-9, 1.4e-9)),
        (1.5, 25, (0.10e-6, 0.18e-6, 0.31e-6, 0.35e-6, 0.55e-6)),
        (1.8, 85, (2.1e-6, 4.5e-6, 8.0e-6, 9.2e-6, 15e-6)),
        (2.0, 25, (19e-6, 42e-6, 80e-6, 94e-6, 160e-6)),
        (2.0, 85, (2.6e-6, 10e-6, 29e-6, 36e-6, 74e-6)),
        (2.5, 85, (2.6e-6, 11e-6, 39e-6, 53e-6, 160e-6)),
    ],
)
def test_gain_cell_quantiles_within_5_percent(t_nm: float, celsius: float, seconds: tuple[float, ...]) -> None:
    """10 % asked for; the reference has two digits."""
    cell = replace(GAIN_CELL, t_ox_m=t_nm * 1e-9, temperature_k=celsius + 273.15)
    np.testing.assert_allclose(population(cell).retention_quantile(SHARES), seconds, rtol=0.05)


@pytest.mark.parametrize(("p", "t_nm"), [(1e-6, 1.654), (1e-3, 1.594), (0.05, 1.546), (0.10, 1.534)])
def test_1t1c_thickness_for_p_at_40_us_85_degc_within_2_pm(p: float, t_nm: float) -> None:
    assert thinnest_t_ox(EDRAM, p, 40e-6) == pytest.approx(t_nm * 1e-9, abs=2e-12)


def test_subthreshold_current_takes_over_above_2_1_nm_at_85_degc() -> None:
    shares = [population(replace(GAIN_CELL, t_ox_m=t)).gate_share for t in (1.8e-9, 2.0e-9, 2.2e-9, 2.5e-9)]
    assert shares[0] > 0.8
    assert 0.3 < shares[1] < 0.6
    assert shares[2] < 0.15
    assert any(
        "changing its thickness changes little" in text
        for text in population(replace(GAIN_CELL, t_ox_m=2.5e-9)).warnings
    )


def test_memoryless_law_is_0_01_to_0_1_where_the_population_gives_1e_6() -> None:
    for t_m, kelvin in ((1.5e-9, 298.15), (1.8e-9, 358.15), (2.0e-9, 358.15)):
        cells = population(replace(GAIN_CELL, t_ox_m=t_m, temperature_k=kelvin))
        interval = float(cells.retention_quantile(1e-6))
        assert 0.01 < 1.0 - 2.0 ** (-interval / cells.median_s) < 0.2
