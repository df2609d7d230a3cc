"""Transmission: limits, independent solutions, invariants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import airy, airye

from qtaml_hw.device import Layer, Stack, material, named_stack, transmission
from qtaml_hw.device.transmission import TWO_M_OVER_HBAR2, barrier_of, stack_transmission

ELECTRODE = 0.916


def airy_transmission(energy: float, t_nm: float, phi: float, voltage: float, mass: float) -> float:
    """One tilted barrier solved with Airy functions; scaled ones, whose factors cancel in each product."""
    force = TWO_M_OVER_HBAR2 * mass * voltage / t_nm
    z0, z1 = ((phi - energy) * TWO_M_OVER_HBAR2 * mass / force ** (2 / 3) - force ** (1 / 3) * x for x in (0.0, t_nm))
    ai0, aip0, bi0, bip0 = airye(z0)
    ai1, aip1, bi1, bip1 = airye(z1) if z1 > 0 else airy(z1)
    dz = -(force ** (1 / 3))
    grow = np.exp(2 / 3 * (z0**1.5 - max(z1, 0.0) ** 1.5))
    # (psi, psi'/m) at x = t from that at x = 0, by the Wronskian 1/pi
    m11 = np.pi * (ai1 * bip0 * grow - bi1 * aip0 / grow)
    m12 = np.pi * mass / dz * (bi1 * ai0 / grow - ai1 * bi0 * grow)
    m21 = np.pi * dz / mass * (aip1 * bip0 * grow - bip1 * aip0 / grow)
    m22 = np.pi * (bip1 * ai0 / grow - aip1 * bi0 * grow)
    k1 = np.sqrt(TWO_M_OVER_HBAR2 * ELECTRODE * energy) / ELECTRODE
    k2 = np.sqrt(TWO_M_OVER_HBAR2 * ELECTRODE * (energy + voltage)) / ELECTRODE
    return float(4 * k1 * k2 / ((k1 * m22 + k2 * m11) ** 2 + (m21 - k1 * k2 * m12) ** 2))


@pytest.mark.parametrize("voltage", [0.3, 1.0, 2.0, 2.9])
@pytest.mark.parametrize("t_nm", [0.8, 1.5, 3.0])
def test_exact_equals_airy_solution(t_nm: float, voltage: float) -> None:
    ours = transmission(0.15, t_nm * 1e-9, 3.15, voltage, 0.42, "exact")
    assert ours == pytest.approx(airy_transmission(0.15, t_nm, 3.15, voltage, 0.42), rel=2e-6)


def test_exact_rectangular_barrier_closed_form() -> None:
    """Textbook result with equal masses: T = 1 / (1 + phi^2 sinh^2(kappa t) / (4 E (phi - E)))."""
    energy, phi, t_nm = 0.4, 1.6, 0.9
    kappa = np.sqrt(TWO_M_OVER_HBAR2 * ELECTRODE * (phi - energy))
    expected = 1.0 / (1.0 + phi**2 * np.sinh(kappa * t_nm) ** 2 / (4 * energy * (phi - energy)))
    assert transmission(energy, t_nm * 1e-9, phi, 0.0, ELECTRODE, "exact") == pytest.approx(expected, rel=1e-10)


def test_exact_over_the_barrier_stays_below_one() -> None:
    energy = np.linspace(0.0, 8.0, 200)
    through = transmission(energy, 1e-9, 1.0, 0.7, 0.5, "exact")
    assert np.all((through >= 0.0) & (through <= 1.0 + 1e-12))
    assert through[0] == 0.0
    assert through[-1] > 0.9


def test_zero_voltage_is_the_limit_of_small_voltages() -> None:
    kappa = np.sqrt(TWO_M_OVER_HBAR2 * 0.42 * 3.05)
    for method in ("wkb", "wkb_quadrature"):
        at_zero = transmission(0.1, 1.5e-9, 3.15, 0.0, 0.42, method)
        assert at_zero == pytest.approx(np.exp(-2.0 * kappa * 1.5), rel=1e-12)
        assert transmission(0.1, 1.5e-9, 3.15, 1e-12, 0.42, method) == pytest.approx(float(at_zero), rel=1e-10)


def test_triangle_is_fowler_nordheim_and_joins_the_trapezoid() -> None:
    phi, voltage, t_nm = 1.5, 2.5, 3.0
    slope = 4.0 / 3.0 * np.sqrt(TWO_M_OVER_HBAR2 * 0.42) * phi**1.5
    assert transmission(0.0, t_nm * 1e-9, phi, voltage, 0.42) == pytest.approx(
        np.exp(-slope * t_nm / voltage), rel=1e-12
    )
    below, above = (transmission(0.0, t_nm * 1e-9, phi, phi + step, 0.42) for step in (-1e-9, 1e-9))
    assert below == pytest.approx(float(above), rel=1e-7)


def test_quadrature_equals_closed_form_over_the_ranges() -> None:
    random = np.random.default_rng(3)
    energy, t_m, phi = random.uniform(0, 0.5, 4000), random.uniform(0.5e-9, 9e-9, 4000), random.uniform(0.6, 5.0, 4000)
    voltage, mass = random.uniform(0, 3, 4000), random.uniform(0.03, 1.0, 4000)
    closed, numeric = (transmission(energy, t_m, phi, voltage, mass, m) for m in ("wkb", "wkb_quadrature"))
    seen = closed > 1e-250
    np.testing.assert_allclose(numeric[seen], closed[seen], rtol=1e-8)


def test_stack_of_equal_layers_is_one_layer() -> None:
    sio2 = material("sio2")
    split = Stack((Layer(sio2, 0.6e-9), Layer(sio2, 0.9e-9)))
    for method in ("wkb", "wkb_quadrature", "exact"):
        whole, parts = (
            stack_transmission(barrier_of(one, 1.2, "electron"), 0.1, method)
            for one in (named_stack("sio2", 1.5e-9), split)
        )
        assert parts == pytest.approx(float(whole), rel=1e-6)


def test_bilayer_fields_split_by_permittivity() -> None:
    layers = barrier_of(named_stack("sio2-hfo2", 1.2e-9), 1.0, "electron")
    assert layers[0].drop_ev + layers[1].drop_ev == pytest.approx(1.0)
    assert layers[0].drop_ev == pytest.approx(0.5)
    field_ratio = (layers[0].drop_ev / layers[0].thickness_nm) / (layers[1].drop_ev / layers[1].thickness_nm)
    assert field_ratio == pytest.approx(25.0 / 3.9)


@given(
    energy=st.floats(0.0, 2.0), t_nm=st.floats(0.41, 10.0), phi=st.floats(0.5, 5.0), voltage=st.floats(0.0, 3.0),
    mass=st.floats(0.021, 1.0), method=st.sampled_from(["wkb", "wkb_quadrature", "exact"]),
)  # fmt: skip
def test_probability_everywhere_in_the_accepted_ranges(
    energy: float, t_nm: float, phi: float, voltage: float, mass: float, method: str
) -> None:
    through = float(transmission(energy, t_nm * 1e-9, phi, voltage, mass, method))
    assert 0.0 <= through <= 1.0 + 1e-9
    thicker = float(transmission(energy, min(1.05 * t_nm, 10.0) * 1e-9, phi, voltage, mass, "wkb"))
    assert thicker <= float(transmission(energy, t_nm * 1e-9, phi, voltage, mass, "wkb")) * (1.0 + 1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thickness_m": 0.4e-9}, "no oxide barrier"),
        ({"thickness_m": 1.8}, "10 nm"),
        ({"voltage_v": -0.1}, "0 V"),
        ({"voltage_v": 3.1}, "breakdown"),
        ({"mass_ratio": 0.02}, "tunnelling masses"),
        ({"barrier_ev": 5.1}, "band offsets"),
        ({"energy_ev": -0.1}, "band edge"),
        ({"energy_ev": float("nan")}, "band edge"),
        ({"thickness_m": float("nan")}, "thickness_m|t_ox_m"),
        ({"method": "magic"}, "wkb_quadrature, exact"),
    ],
)
def test_refused_with_the_physical_reason(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "energy_ev": 0.1, "thickness_m": 1e-9, "barrier_ev": 3.15, "voltage_v": 1.0, "mass_ratio": 0.5,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        transmission(**(arguments | change))  # type: ignore[arg-type]
