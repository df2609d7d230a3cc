"""Cells of a measured curve: straight in log p, exact inverse, tails as stated, temperatures joined at equal p."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from qtaml_hw.device import CurvePopulation, MeasuredCell, StaticPopulation, arrhenius, population
from qtaml_hw.names import Tail

POINTS = ((10e-6, 1e-7), (20e-6, 3e-6), (40e-6, 8e-5), (80e-6, 1.2e-3), (160e-6, 1.1e-2), (320e-6, 6e-2))
AT_K = 358.15


def cell(*curves: tuple[float, tuple[tuple[float, float], ...]], **changes: object) -> MeasuredCell:
    values: dict[str, object] = {"axis": "time", "direction": "1to0", "temperature_k": AT_K, "v_dd_v": 1.0}
    return MeasuredCell(curves=curves or ((AT_K, POINTS),), **(values | changes))  # type: ignore[arg-type]


def people(*curves: tuple[float, tuple[tuple[float, float], ...]], **changes: object) -> CurvePopulation:
    found = population(cell(*curves, **changes))
    assert isinstance(found, CurvePopulation)
    return found


def test_points_and_the_straight_lines_between_them() -> None:
    measured = people()
    times, shares = np.array(POINTS).T
    np.testing.assert_allclose(measured.flip_probability(times), shares, rtol=1e-12)
    between = math.sqrt(20e-6 * 40e-6)
    np.testing.assert_allclose(measured.flip_probability(between), math.sqrt(3e-6 * 8e-5), rtol=1e-12)
    assert measured.flip_probability(0.0) == 0.0
    assert measured.gate_share is None
    assert [measured.loses(state) for state in (0, 1)] == [False, True]


@given(st.floats(1e-7, 6e-2))
def test_quantile_is_the_exact_inverse(share: float) -> None:
    measured = people()
    np.testing.assert_allclose(measured.flip_probability(measured.retention_quantile(share)), share, rtol=1e-9)


@pytest.mark.parametrize("interval_s", [9.9e-6, 321e-6, 1.0, math.inf])
def test_beyond_the_points_is_refused(interval_s: float) -> None:
    with pytest.raises(ValueError, match=r"from 10 us to 320 us, .*\(tail: straight or tail: lognormal\)"):
        people().flip_probability(interval_s)
    for share in (9e-8, 0.07):
        with pytest.raises(ValueError, match=r"shares from 1e-07 to 0\.06"):
            people().retention_quantile(share)


def test_a_simulated_short_wait_fails_no_fewer_cells_than_the_first_point() -> None:
    simulated = people().simulated()
    np.testing.assert_allclose(simulated.flip_probability([0.0, 1e-9, 10e-6]), [0.0, 1e-7, 1e-7], rtol=1e-12)
    with pytest.raises(ValueError, match="to 320 us"):
        simulated.flip_probability(400e-6)
    assert simulated.retention_quantile(1e-8) < 1e-200
    np.testing.assert_allclose(simulated.retention_quantile(0.5), 320e-6)


def test_a_straight_tail_is_the_power_law_of_its_end() -> None:
    measured = people(tail="straight")
    first = math.log(3e-6 / 1e-7) / math.log(2.0)
    np.testing.assert_allclose(measured.flip_probability(5e-6), 1e-7 * 0.5**first, rtol=1e-9)
    last = math.log(6e-2 / 1.1e-2) / math.log(2.0)
    np.testing.assert_allclose(measured.flip_probability(400e-6), 6e-2 * 1.25**last, rtol=1e-9)
    assert measured.flip_probability(1.0) == 1.0
    np.testing.assert_allclose(measured.flip_probability(measured.median_s), 0.5, rtol=1e-9)


def test_a_lognormal_tail_is_straight_as_a_normal_quantile() -> None:
    measured = people(tail="lognormal")
    slope = (ndtri(6e-2) - ndtri(1.1e-2)) / math.log(2.0)
    for interval_s in (400e-6, 1e-3, 5e-3):
        wanted = ndtr(ndtri(6e-2) + slope * math.log(interval_s / 320e-6))
        np.testing.assert_allclose(measured.flip_probability(interval_s), wanted, rtol=2e-3)  # knots of 0.1 sigma
    assert 0.0 < float(measured.flip_probability(5e-6)) < 1e-8


@pytest.mark.parametrize("tail", ["straight", "lognormal"])
@given(st.floats(1e-25, 1.0 - 1e-9))
def test_tails_are_inverted_too(tail: Tail, share: float) -> None:
    measured = people(tail=tail)
    again = float(measured.flip_probability(measured.retention_quantile(share)))
    np.testing.assert_allclose(again, share, rtol=1e-6)


def test_between_two_temperatures_times_follow_arrhenius_at_equal_p() -> None:
    """A process that is an Arrhenius law exactly is met exactly at every temperature between."""
    hot_k, warm_k = 378.15, 368.15
    faster = arrhenius(0.5, hot_k) / arrhenius(0.5, AT_K)
    hot = tuple((t / faster, p) for t, p in POINTS)
    measured = people((AT_K, POINTS), (hot_k, hot), temperature_k=warm_k)
    speed = arrhenius(0.5, warm_k) / arrhenius(0.5, AT_K)
    for t, p in POINTS:
        np.testing.assert_allclose(measured.flip_probability(t / speed), p, rtol=1e-9)


def test_only_measured_temperatures_and_supplies_are_answered() -> None:
    with pytest.raises(ValueError, match=r"measured at 85 degC, and the cells are at 105 degC"):
        people(temperature_k=378.15)
    hot = tuple((t / 4.0, p) for t, p in POINTS)
    with pytest.raises(ValueError, match=r"between 85 degC and 105 degC, and the cells are at 25 degC"):
        people((AT_K, POINTS), (378.15, hot), temperature_k=298.15)
    with pytest.raises(ValueError, match=r"holds at 1 V and says nothing of 900 mV"):
        people(supply_v=1.0, v_dd_v=0.9)
    apart = ((1e-3, 0.2), (2e-3, 0.3))
    with pytest.raises(ValueError, match="no range of p"):
        people((AT_K, POINTS), (378.15, apart), temperature_k=368.15)


def test_over_the_supply_the_weak_share_is_read_off_in_decades_per_volt() -> None:
    points = ((0.53, 1.6e-4), (0.54, 4.7e-5), (0.59, 1.4e-7))
    for v_dd_v, wanted in ((0.54, 4.7e-5), (0.535, math.sqrt(1.6e-4 * 4.7e-5))):
        found = population(cell((AT_K, points), axis="voltage", v_dd_v=v_dd_v))
        assert isinstance(found, StaticPopulation)
        np.testing.assert_allclose(found.weak_share, wanted, rtol=1e-12)
        assert (found.loses(0), found.loses(1)) == (False, True)
        np.testing.assert_array_equal(found.flip_probability([0.0, 1.0]), [0.0, found.weak_share])
    with pytest.raises(ValueError, match=r"from 530 mV to 590 mV, and the cells are at 600 mV"):
        population(cell((AT_K, points), axis="voltage", v_dd_v=0.60))
    beyond = population(cell((AT_K, points), axis="voltage", v_dd_v=0.60, tail="straight"))
    assert isinstance(beyond, StaticPopulation)
    np.testing.assert_allclose(beyond.weak_share, 1.4e-7 * (1.4e-7 / 4.7e-5) ** 0.2, rtol=1e-9)


def test_symmetric_cells_lose_what_they_hold() -> None:
    both = people(direction="symmetric")
    assert both.leaky_state == "both"
    assert both.loses(0)
    assert both.loses(1)
