"""Inverse questions and tables agree with the forward model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qtaml_hw.device import gate_share, longest_interval, population, retention_table, thinnest_t_ox
from tests.device.cells import gain_cell


@pytest.mark.parametrize("p", [1e-9, 1e-4, 0.1])
def test_thinnest_t_ox_just_meets_the_share(p: float) -> None:
    cell = gain_cell(temperature_k=298.15)
    t_m = thinnest_t_ox(cell, p, 2e-6)
    assert float(population(replace(cell, t_ox_m=t_m)).flip_probability(2e-6)) == pytest.approx(p, rel=1e-3)
    assert float(population(replace(cell, t_ox_m=0.99 * t_m)).flip_probability(2e-6)) > p


def test_longest_interval_just_meets_the_share() -> None:
    interval = longest_interval(gain_cell(), 1e-6)
    assert float(population(gain_cell()).flip_probability(interval)) == pytest.approx(1e-6, rel=1e-6)


def test_unreachable_answers_say_why() -> None:
    with pytest.raises(ValueError, match="no oxide is thick enough"):
        thinnest_t_ox(gain_cell(), 1e-6, 1e-3)
    with pytest.raises(ValueError, match="thinnest dielectric"):
        thinnest_t_ox(gain_cell(), 0.5, 1e-15)
    for p in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            longest_interval(gain_cell(), p)


def test_table_holds_the_same_numbers() -> None:
    table = retention_table(gain_cell(), [1.6e-9, 2.4e-9], [298.15, 358.15, 378.15])
    shares, intervals = np.array([1e-6, 0.5]), np.array([1e-6, 1e-5, 1e-4])
    assert table.quantiles_s(shares).shape == (2, 3, 2)
    assert table.flip_probability(intervals).shape == (2, 3, 3)
    one = gain_cell(t_ox_m=2.4e-9, temperature_k=378.15)
    np.testing.assert_array_equal(table.quantiles_s(shares)[1, 2], population(one).retention_quantile(shares))
    assert table.gate_share[1, 2] == gate_share(one) < 0.1
    assert any("changes little" in text for text in table.warnings)
