"""The array cost model: shape of the laws, bands, extrapolation labels, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from qtaml_hw.memory import array_cost, leakage_factor

MB = 8 * 2**20


@pytest.mark.parametrize("cell", ["sram", "edram"])
@pytest.mark.parametrize("periphery", ["hp", "lop", "lstp"])
@pytest.mark.parametrize("node_nm", [22, 32, 45, 65])
def test_every_technology_costs_something_and_lies_inside_its_bands(cell: str, periphery: str, node_nm: float) -> None:
    cost = array_cost(MB, 64, node_nm * 1e-9, cell, periphery)
    for name in ("area_m2", "read_energy_j", "write_energy_j", "leakage_w", "access_s", "cycle_s"):
        low, high = cost.band(name)
        value = getattr(cost, name)
        assert value > 0.0
        assert low <= high
        assert high >= value or name == "area_m2"
    assert (cost.refresh_w > 0.0) == (cell == "edram")
    assert cost.source.startswith("CACTI 7")


def test_capacity_scales_by_the_power_law() -> None:
    small, large = (array_cost(c, 64, 45e-9) for c in (MB / 4, MB))
    assert math.log(large.area_m2 / small.area_m2, 4) == pytest.approx(0.97, abs=0.03)
    assert math.log(large.read_energy_j / small.read_energy_j, 4) == pytest.approx(0.5, abs=0.05)
    assert math.log(large.leakage_w / small.leakage_w, 4) == pytest.approx(0.98, abs=0.02)


@pytest.mark.parametrize("cell", ["sram", "edram"])
@pytest.mark.parametrize("periphery", ["hp", "lop", "lstp"])
@pytest.mark.parametrize("node_nm", [22, 32, 45, 65, 90])
def test_area_grows_with_capacity_in_every_technology(cell: str, periphery: str, node_nm: float) -> None:
    """A bank with parity columns is never smaller than without."""
    for word_bits in (64, 128, 256):
        areas = [array_cost(2.0**i, word_bits, node_nm * 1e-9, cell, periphery).area_m2 for i in np.arange(14, 28, 0.1)]
        assert np.all(np.diff(areas) > 0.0)


def test_width_and_node_are_interpolated_between_the_fitted_ones() -> None:
    by_width = [array_cost(MB, w, 45e-9).read_energy_j for w in (64, 128, 256)]
    assert by_width[1] == pytest.approx(math.sqrt(by_width[0] * by_width[2]))
    by_node = [array_cost(MB, 64, n * 1e-9).area_m2 for n in (32, 38, 45)]
    assert by_node == sorted(by_node)


def test_refresh_power_follows_the_interval() -> None:
    cost = array_cost(MB, 64, 45e-9, "edram")
    assert cost.refresh_power_w(40e-6) == pytest.approx(cost.refresh_energy_j / 40e-6)
    assert cost.refresh_w == pytest.approx(cost.refresh_energy_j / 126.923e-6)
    assert cost.band("refresh_w")[1] / cost.refresh_w == pytest.approx(
        cost.band("refresh_energy_j")[1] / cost.refresh_energy_j
    )
    with pytest.raises(ValueError, match="interval"):
        cost.refresh_power_w(0.0)


def test_leakage_grows_with_temperature_in_every_class() -> None:
    for periphery in ("hp", "lop", "lstp"):
        factors = [leakage_factor("sram", periphery, n, t) for n in (22e-9, 45e-9) for t in (300, 325, 350, 375, 400)]
        assert factors[:5] == sorted(factors[:5])
        assert factors[5:] == sorted(factors[5:])
        assert factors[2] == factors[7] == 1.0


def test_what_is_extrapolated_says_so_and_widens_its_band() -> None:
    inside, outside = array_cost(MB, 64, 32e-9, "edram", "lstp"), array_cost(MB, 64, 22e-9, "edram", "lop")
    assert "extrapolated" not in inside.source
    assert "extrapolated" in outside.source
    assert "extrapolated" not in array_cost(MB, 64, 45e-9, "edram", "lop").source
    assert outside.band("access_s")[1] / outside.access_s > 1.4 * inside.band("access_s")[1] / inside.access_s
    assert "capacity extrapolated" in array_cost(8192, 64, 45e-9).source


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cell": "mram"}, "mram"),
        ({"periphery": "lp"}, "itrs"),
        ({"node_m": 7e-9}, "7 nm"),
        ({"node_m": 45.0}, "22 nm to 90 nm"),
        ({"word_bits": 0}, "word_bits"),
        ({"capacity_bits": 32}, "one word"),
        ({"capacity_bits": float("nan")}, "one word"),
        ({"temperature_k": 85.0}, "200 K to 450 K"),
        ({"v_dd_v": 12.0}, "up to 3 V"),
        ({"cell_leakage_a": -1.0}, "not negative"),
    ],
)
def test_bad_arguments_are_refused_with_the_range(change: dict[str, Any], words: str) -> None:
    arguments = {"capacity_bits": MB, "word_bits": 64, "node_m": 45e-9} | change
    with pytest.raises(ValueError, match=f"(?i){words}"):
        array_cost(**arguments)


def test_beyond_the_table_of_temperatures_leakage_goes_on_by_one_activation_energy() -> None:
    """ln of the leakage is linear in 1/T outside 300 to 400 K, with the slope between the ends of the table."""
    at = {t: leakage_factor("sram", "lstp", 45e-9, t) for t in (233.15, 250.0, 300.0, 400.0, 423.15, 450.0)}
    slope_k = math.log(at[400.0] / at[300.0]) / (1 / 300.0 - 1 / 400.0)
    for outside, end in ((233.15, 300.0), (250.0, 300.0), (423.15, 400.0), (450.0, 400.0)):
        assert at[outside] == pytest.approx(at[end] * math.exp(slope_k * (1 / end - 1 / outside)))
    cold, warm = (array_cost(MB, 64, 45e-9, temperature_k=t) for t in (233.15, 300.0))
    assert "leakage extrapolated" in cold.source
    assert "extrapolated" not in warm.source
    spread = [c.band("leakage_w")[1] / c.leakage_w for c in (cold, warm)]
    assert spread[0] >= spread[1]


def test_the_supply_scales_a_bank_around_the_nominal_one() -> None:
    """45 nm LSTP: 1.1 V and a threshold of 0.50245 V in CACTI's technology file; at 1.1 V nothing changes."""
    nominal, same, low = (array_cost(MB, 64, 45e-9, v_dd_v=v) for v in (None, 1.1, 0.8))
    assert (same.read_energy_j, same.access_s, same.leakage_w) == (
        nominal.read_energy_j,
        nominal.access_s,
        nominal.leakage_w,
    )
    assert low.read_energy_j / nominal.read_energy_j == pytest.approx((0.8 / 1.1) ** 2)
    assert low.access_s / nominal.access_s == pytest.approx(0.8 / 1.1 * (0.59755 / 0.29755) ** 1.3, rel=0.01)
    assert low.leakage_w < 0.8 / 1.1 * nominal.leakage_w
    assert low.area_m2 == nominal.area_m2
    assert "scaled from 1.1 V to 0.8 V" in low.source
    assert "scaled" not in same.source
    for name in ("read_energy_j", "access_s", "leakage_w", "gate_leakage_w"):
        wide, narrow = (c.band(name)[1] / c.band(name)[0] for c in (low, nominal))
        assert wide > narrow


def test_an_unknown_band_is_refused() -> None:
    with pytest.raises(ValueError, match="area_m2"):
        array_cost(MB, 64, 45e-9).band("area")
