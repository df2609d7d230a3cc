"""How circuits follow their supply: closed forms, and no difference at the nominal supply."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.supply import ALPHA, DIBL, ENERGY, GATE, SLOPE, Range, Supply

THERMAL_V_AT_300_K = 0.025852


@given(st.floats(0.3, 2.0), st.floats(0.1, 0.6), st.floats(200.0, 450.0))
def test_at_the_nominal_supply_nothing_changes(nominal_v: float, v_th_v: float, kelvin: float) -> None:
    supply = Supply(nominal_v, nominal_v, v_th_v, kelvin)
    for factor in (supply.energy, supply.delay, supply.leakage, supply.gate_leakage):
        assert factor == Range(1.0, 1.0, 1.0)


def test_above_the_threshold_the_laws_are_the_closed_forms() -> None:
    """1.1 V down to 0.8 V, 0.2 V of threshold: V^2, V / (V - V_th)^1.3, V exp(DIBL V / n V_T), V^4."""
    supply = Supply(0.8, 1.1, 0.2, 300.0)
    assert supply.energy.value == pytest.approx((0.8 / 1.1) ** 2)
    assert supply.delay.value == pytest.approx(0.8 / 1.1 * (0.9 / 0.6) ** 1.3, rel=1e-3)
    assert supply.leakage.value == pytest.approx(
        0.8 / 1.1 * math.exp(-0.06 * 0.3 / (1.5 * THERMAL_V_AT_300_K)), rel=1e-3
    )
    assert supply.gate_leakage.value == pytest.approx((0.8 / 1.1) ** 4)


def test_below_the_threshold_the_current_falls_a_decade_per_slope() -> None:
    decade_v = SLOPE * THERMAL_V_AT_300_K * math.log(10.0)
    upper, lower = (Supply(0.3 - k * decade_v, 1.0, 0.6, 300.0) for k in (0, 1))
    current = (upper.delay.value / upper.volts) / (lower.delay.value / lower.volts)
    assert current == pytest.approx(0.1, rel=0.02)


@given(st.floats(0.15, 1.5), st.floats(0.15, 1.5), st.floats(0.1, 0.6), st.floats(200.0, 450.0))
def test_a_lower_supply_saves_energy_and_leakage_and_takes_time(
    a: float, b: float, v_th_v: float, kelvin: float
) -> None:
    low, high = (Supply(v, 1.0, v_th_v, kelvin) for v in sorted((a, b)))
    assert low.energy.value <= high.energy.value
    assert low.leakage.value <= high.leakage.value
    assert low.gate_leakage.value <= high.gate_leakage.value
    for factor in (low.energy, low.delay, low.leakage, low.gate_leakage):
        assert 0.0 < factor.low <= factor.value <= factor.high


@given(st.floats(0.4, 1.5), st.floats(0.4, 1.5), st.floats(0.1, 0.3))
def test_delay_falls_with_the_supply_above_the_threshold(a: float, b: float, v_th_v: float) -> None:
    low, high = (Supply(v, 1.0, v_th_v) for v in sorted((a, b)))
    assert low.delay.value >= high.delay.value * (1.0 - 1e-12)


def test_constants_lie_in_their_ranges() -> None:
    for constant in (ALPHA, ENERGY, DIBL, GATE):
        assert constant.low <= constant.value <= constant.high


@pytest.mark.parametrize("volts", [0.0, -1.0, float("nan"), float("inf")])
def test_a_supply_is_positive(volts: float) -> None:
    with pytest.raises(ValueError, match="volts must be positive"):
        Supply(volts, 1.0, 0.3)
