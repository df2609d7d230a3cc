"""Gate current density: shape, invariants, mistakes of known size, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.device import (
    STACKS,
    CurrentModel,
    Layer,
    Stack,
    calibration_warnings,
    current_density,
    material,
    named_stack,
    stack_current_density,
    transmission,
)

thickness = st.floats(0.6e-9, 9.5e-9)
voltage = st.floats(0.02, 3.0)
kelvin = st.floats(200.0, 450.0)


def test_surface_value() -> None:
    assert current_density(t_ox_m=1.5e-9, voltage_v=1.0, temperature_k=298.15) == pytest.approx(1.37e5, rel=0.02)


def test_broadcasts_over_thickness_voltage_and_temperature() -> None:
    t_m, volts, temperature = (
        np.array([1e-9, 2e-9])[:, None, None],
        np.array([0.5, 1.0, 1.5])[:, None],
        np.array([250.0, 400.0]),
    )
    for method in ("closed_form", "tsu_esaki"):
        grid = current_density(t_m, volts, temperature, method=method)
        assert grid.shape == (2, 3, 2)
        assert grid[1, 2, 0] == pytest.approx(float(current_density(2e-9, 1.5, 250.0, method=method)), rel=1e-12)


def test_no_current_without_voltage() -> None:
    for component in ("channel", "overlap"):
        assert current_density(1.5e-9, 0.0, 298.15, component=component) == 0.0
    assert current_density(1.5e-9, 0.0, 298.15, method="tsu_esaki") == pytest.approx(0.0, abs=1e-20)


def test_mass_0_42_to_0_50_costs_the_tabled_decades() -> None:
    """REFERENCE: -0.65, -0.87, -1.08 decade at 1.5, 2.0, 2.5 nm (barrier factor alone, at the same oxide voltage)."""
    for t_nm, decades in ((1.5, -0.65), (2.0, -0.87), (2.5, -1.08)):
        heavy, light = (transmission(0.0, t_nm * 1e-9, 3.15, 0.85, mass) for mass in (0.50, 0.42))
        assert float(np.log10(heavy / light)) == pytest.approx(decades, abs=0.03)


def test_holes_tunnel_less_than_electrons() -> None:
    t_m = np.linspace(1e-9, 3e-9, 9)
    assert np.all(current_density(t_m, 1.0, 300.0, carrier="hole") < current_density(t_m, 1.0, 300.0))


def test_high_k_leaks_less_at_the_same_eot() -> None:
    t_m = np.linspace(0.8e-9, 2.0e-9, 9)  # thicker films pass by traps alone, beyond any card that they are fitted to
    sio2, hafnia, alumina = (
        current_density(t_m, 1.0, 300.0, stack=name) for name in ("sio2", "sio2-hfo2", "sio2-al2o3")
    )
    assert np.all(hafnia < alumina)
    assert np.all(alumina < sio2)


def test_explicit_layers_equal_the_named_stack() -> None:
    stack = Stack((Layer(material("sio2"), 0.6e-9), Layer(material("hfo2"), 0.6e-9 * 25.0 / 3.9)))
    assert float(stack.eot_m) == pytest.approx(1.2e-9)
    assert float(stack.thickness_m) == pytest.approx(0.6e-9 + 0.6e-9 * 25.0 / 3.9)
    ours = stack_current_density(stack, 1.0, 300.0)
    assert ours == pytest.approx(float(current_density(1.2e-9, 1.0, 300.0, stack="sio2-hfo2")), rel=1e-12)
    assert float(named_stack("sio2-hfo2", 1.2e-9).eot_m) == pytest.approx(1.2e-9)


def test_tsu_esaki_shows_the_chosen_transmission() -> None:
    wkb, exact = (current_density(1.5e-9, 1.0, 298.15, method="tsu_esaki", transmission=m) for m in ("wkb", "exact"))
    assert 0.19 < exact / wkb < 1.45
    assert current_density(1.5e-9, 1.0, 298.15, method="tsu_esaki", transmission="wkb_quadrature") == pytest.approx(
        float(wkb), rel=1e-8
    )


@given(
    t_m=thickness, v=voltage, temperature=kelvin, stack=st.sampled_from(sorted(STACKS)),
    component=st.sampled_from(["channel", "overlap"]), carrier=st.sampled_from(["electron", "hole"]),
)  # fmt: skip
def test_rises_with_voltage_and_temperature_and_falls_with_thickness(
    t_m: float, v: float, temperature: float, stack: str, component: str, carrier: str
) -> None:
    options = {"stack": stack, "component": component, "carrier": carrier}
    here = float(current_density(t_m, v, temperature, **options))
    assert np.isfinite(here)
    assert here >= 0.0
    assert float(current_density(t_m, min(1.05 * v, 3.0), temperature, **options)) >= here
    assert float(current_density(1.05 * t_m, v, temperature, **options)) <= here
    assert float(current_density(t_m, v, min(1.05 * temperature, 450.0), **options)) >= here * (1.0 - 1e-12)


def test_tsu_esaki_exact_rises_with_voltage_and_falls_with_thickness() -> None:
    t_m, v = np.linspace(0.6e-9, 4e-9, 5)[:, None], np.linspace(0.05, 3.0, 8)
    grid = current_density(t_m, v, 300.0, method="tsu_esaki", transmission="exact")
    assert np.all(np.diff(grid, axis=1) > 0.0)
    assert np.all(np.diff(grid, axis=0) < 0.0)


@given(t_m=st.floats(0.6e-9, 5e-9), v=voltage, temperature=kelvin)
def test_tsu_esaki_rises_with_voltage_and_falls_with_thickness(t_m: float, v: float, temperature: float) -> None:
    options = {"method": "tsu_esaki"}
    here = float(current_density(t_m, v, temperature, **options))
    assert np.isfinite(here)
    assert here >= 0.0
    assert float(current_density(t_m, min(1.05 * v, 3.0), temperature, **options)) >= here * (1.0 - 1e-9)
    assert float(current_density(1.05 * t_m, v, temperature, **options)) <= here


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0.3e-9, 1.0, 300.0), {}, "oxide barrier"),
        ((1.8, 1.0, 300.0), {}, "10 nm"),
        ((-1e-9, 1.0, 300.0), {}, "oxide barrier"),
        ((1.5e-9, -0.2, 300.0), {}, "voltage_v"),
        ((1.5e-9, 3.2, 300.0), {}, "breakdown"),
        ((1.5e-9, 1.0, 199.0), {}, "freeze out"),
        ((1.5e-9, 1.0, 451.0), {}, "junctions"),
        ((1.5e-9, 1.0, float("nan")), {}, "temperature_k"),
        ((1.5e-9, 1.0, 300.0), {"method": "bardeen"}, "closed_form, tsu_esaki"),
        ((1.5e-9, 1.0, 300.0), {"stack": "si02"}, "did you mean 'sio2'"),
        ((1.5e-9, 1.0, 300.0), {"component": "edge"}, "channel, overlap"),
        ((0.45e-9, 1.0, 300.0), {"stack": "sio2-hfo2"}, "interface layer"),
        ((1.5e-9, 1.0, 300.0), {"component": "overlap", "method": "tsu_esaki"}, "closed form only"),
    ],
)
def test_refused_with_the_physical_reason(arguments: tuple[float, ...], options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        current_density(*arguments, **options)  # type: ignore[arg-type]


def test_unknown_material_and_empty_stack_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'hfo2'"):
        material("hfo")
    with pytest.raises(ValueError, match="at least one layer"):
        Stack(())
    with pytest.raises(ValueError, match="layer thickness"):
        Layer(material("sio2"), 0.0)
    with pytest.raises(ValueError, match="allowed: electron, hole"):
        CurrentModel(carrier="muon")  # type: ignore[arg-type]


def test_every_material_value_has_a_source() -> None:
    for name in ("sio2", "sion", "si3n4", "hfo2", "al2o3"):
        one = material(name)
        assert len(one.sources) == 5 + (one.trap_share > 0.0)
        assert all(len(source) > 20 for _, source in one.sources)
        assert one.illustrative == (name != "sio2")


def test_warnings_outside_the_calibrated_window() -> None:
    assert calibration_warnings(1.5e-9, 0.5) == ()
    assert "0.8" in calibration_warnings(0.8e-9, 0.5)[0] or "800 pm" in calibration_warnings(0.8e-9, 0.5)[0]
    assert "calibrated window" in calibration_warnings(2.6e-9, 0.5)[0]
    assert "below the calibrated" in calibration_warnings(1.5e-9, 0.4)[0]
    assert "illustrative" in calibration_warnings(1.5e-9, 0.5, "sio2-hfo2")[0]
