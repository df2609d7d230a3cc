"""Flip channels of cells: laws, directions, labels."""

from __future__ import annotations

import pytest

from qtaml_hw.device import flip_channel, population
from tests.device.cells import gain_cell, sram_cell


def test_retention_law_flips_the_leaky_state_with_the_population_share() -> None:
    channel = flip_channel(gain_cell(), 1e-5, 8, "retention")
    assert channel.planes == 8
    assert channel.law == "retention"
    assert channel.p10[0] == float(population(gain_cell()).flip_probability(1e-5))
    assert channel.p01.max() == 0.0
    mirrored = flip_channel(gain_cell(write_device="pmos"), 1e-5, 4)
    assert mirrored.p10.max() == 0.0
    assert mirrored.p01.min() > 0.0


def test_poisson_law_shares_the_median() -> None:
    median = population(gain_cell()).median_s
    assert flip_channel(gain_cell(), median, 1, "poisson").p10[0] == pytest.approx(0.5)
    assert flip_channel(gain_cell(), median / 100, 1, "poisson").p10[0] == pytest.approx(1 - 2**-0.01)


def test_sram_flips_both_ways_and_abstract_rates_are_labelled() -> None:
    weak = flip_channel(sram_cell(v_dd_v=0.3, t_ox_m=1.2e-9), 1e-3, 2)
    assert weak.p01[0] == weak.p10[0] > 1e-4
    abstract = flip_channel(sram_cell(accelerated_flip_rate_hz=100.0), 1e-3, 2, "poisson")
    assert abstract.p10[0] == pytest.approx(0.0951626, rel=1e-5)
    assert abstract.p01[0] == abstract.p10[0]
    assert "ABSTRACT" in abstract.source
    with pytest.raises(ValueError, match="static weak cells"):
        flip_channel(sram_cell(), 1e-3, 2, "poisson")


def test_other_laws_and_negative_intervals_are_refused() -> None:
    with pytest.raises(ValueError, match="retention, poisson"):
        flip_channel(gain_cell(), 1e-5, 8, "fixed")  # type: ignore[arg-type]
    for law in ("retention", "poisson"):
        with pytest.raises(ValueError, match="cannot be negative"):
            flip_channel(gain_cell(), -1e-5, 8, law)
    assert flip_channel(gain_cell(), 0.0, 8).p10.max() == 0.0
