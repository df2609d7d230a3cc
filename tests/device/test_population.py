"""Retention populations: against Monte Carlo and brute-force integration, inverse consistency, invariants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.special import ndtr

from qtaml_hw.device import (
    Die,
    Edram1T1C,
    GainCell,
    charge_population,
    current_density,
    dies_of_lot,
    lot_population,
    population,
)
from tests.device.cells import gain_cell

BOLTZMANN_EV = 8.617333262e-5


@dataclass(frozen=True)
class PlainNode:
    """Plain reference: t = C integral dV / (I_gate + S) by Simpson's rule, log-interpolated over thickness."""

    cell: GainCell
    low: float
    high: float

    @cached_property
    def log_gate(self) -> list[tuple[float, np.ndarray]]:
        cell, carrier = self.cell, "electron" if self.cell.write_device == "nmos" else "hole"
        volts = np.linspace(cell.v_ref_v, cell.v_dd_v, 9)
        simpson = np.array([1, 4, 2, 4, 2, 4, 2, 4, 1]) * (volts[1] - volts[0]) / 3.0
        t_m = cell.t_ox_m * (1.0 + self.grid[:, None])
        channel, overlap = (
            current_density(t_m, volts, cell.temperature_k, component=part, carrier=carrier)
            for part in ("channel", "overlap")
        )
        return list(zip(simpson, np.log(cell.gate_area_m2 * channel + cell.overlap_area_m2 * overlap).T, strict=True))

    @property
    def grid(self) -> np.ndarray:
        return np.linspace(self.low, self.high, 400)

    def gate(self, deviation: np.ndarray) -> list[tuple[float, np.ndarray]]:
        return [(weight, np.exp(np.interp(deviation, self.grid, row))) for weight, row in self.log_gate]

    def times(self, gate: list[tuple[float, np.ndarray]], steady_a: np.ndarray) -> np.ndarray:
        return self.cell.storage_capacitance_f * sum(weight / (current + steady_a) for weight, current in gate)


def node_times(cell: GainCell, deviation: np.ndarray, steady_a: np.ndarray) -> np.ndarray:
    node = PlainNode(cell, float(deviation.min()), float(deviation.max()))
    return node.times(node.gate(deviation), steady_a)


def subthreshold(cell: GainCell, z: np.ndarray) -> np.ndarray:
    swing = cell.subthreshold_n * BOLTZMANN_EV * cell.temperature_k
    factor = np.exp(-cell.i_sub_activation_ev / BOLTZMANN_EV * (1.0 / cell.temperature_k - 1.0 / 298.15))
    return cell.i_sub_a * factor * np.exp(cell.sigma_v_th_v / swing * z)


CASES = [
    gain_cell(),
    gain_cell(t_ox_m=1.0e-9, temperature_k=298.15),
    gain_cell(t_ox_m=2.0e-9),
    gain_cell(t_ox_m=2.5e-9, temperature_k=398.15),
    gain_cell(t_ox_m=1.6e-9, write_device="pmos", sigma_t_ox=0.03),
    gain_cell(t_ox_m=1.9e-9, v_ref_v=0.2, sigma_t_ox=0.01, sigma_v_th_v=0.024),
]


@pytest.mark.parametrize("cell", CASES[:3], ids=range(3))
def test_against_monte_carlo_of_a_million_cells_within_2_percent(cell: GainCell) -> None:
    """At p of 0.02 and more a million cells carry 0.7 % (one sigma); at 1e-3 the bound is 4 sigma."""
    random = np.random.default_rng(11)
    x, z = random.standard_normal((2, 1_000_000))
    times = np.sort(node_times(cell, cell.sigma_t_ox * x, subthreshold(cell, z)))
    cells = population(cell)
    for p, bound in ((1e-3, 4.0 / np.sqrt(1e3)), (0.05, 0.02), (0.10, 0.02), (0.5, 0.02)):
        drawn = np.searchsorted(times, float(cells.retention_quantile(p))) / times.size
        assert drawn == pytest.approx(p, rel=bound)


@pytest.mark.parametrize("cell", CASES, ids=range(len(CASES)))
def test_tail_at_1e_12_against_brute_force_integration(cell: GainCell) -> None:
    """P = E_x[P(S > S*)], by bisection for S* on 6001 thicknesses: another way to the same number, to 1 %."""
    x = np.linspace(-9.0, 9.0, 6001)
    weight = np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi) * (x[1] - x[0])
    swing = cell.subthreshold_n * BOLTZMANN_EV * cell.temperature_k
    spread, median = cell.sigma_v_th_v / swing, float(subthreshold(cell, np.zeros(1))[0])
    cells = population(cell)
    node = PlainNode(cell, -9.0 * cell.sigma_t_ox, 9.0 * cell.sigma_t_ox)
    gate = node.gate(cell.sigma_t_ox * x)
    for p in (1e-12, 1e-6, 1e-3, 0.3):
        interval = float(cells.retention_quantile(p))
        low, high = np.full(x.size, -90.0), np.full(x.size, 0.0)
        for _ in range(46):
            middle = 0.5 * (low + high)
            fails = node.times(gate, np.exp(middle)) < interval
            low, high = np.where(fails, low, middle), np.where(fails, middle, high)
        brute = float(np.sum(weight * ndtr((np.log(median) - high) / spread)))
        assert brute == pytest.approx(p, rel=0.02 if p < 1e-8 else 0.01)


def test_quantile_and_probability_are_inverse() -> None:
    for cell in CASES:
        cells = population(cell)
        u = 10.0 ** np.random.default_rng(5).uniform(-13.0, -1e-4, 20_000)
        np.testing.assert_allclose(cells.flip_probability(cells.retention_quantile(u)), u, rtol=1e-9)
        assert np.all(np.diff(cells.retention_quantile(np.sort(u))) >= 0.0)


def test_zero_and_endless_intervals() -> None:
    cells = population(gain_cell())
    assert cells.flip_probability(0.0) == 0.0
    assert cells.flip_probability(1e3) == 1.0
    assert cells.flip_probability(np.array([[0.0, 1e3]])).shape == (1, 2)
    with pytest.raises(ValueError, match="cannot be negative"):
        cells.flip_probability(-1.0)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        cells.retention_quantile(1.5)


def test_no_variation_is_a_step_at_the_node_time() -> None:
    cell = gain_cell(sigma_t_ox=0.0, sigma_v_th_v=0.0)
    expected = node_times(cell, np.array([-1e-9, 0.0, 1e-9]), subthreshold(cell, np.zeros(3)))[1]
    cells = population(cell)
    assert cells.median_s == pytest.approx(expected, rel=1e-4)
    assert cells.retention_quantile(1e-9) == pytest.approx(expected, rel=6e-4)


def test_only_thickness_and_only_threshold_variation() -> None:
    thick = gain_cell(sigma_v_th_v=0.0)
    at_minus_3_sigma = node_times(thick, np.array([-0.06, -0.06001]), subthreshold(thick, np.zeros(2)))[0]
    assert population(thick).retention_quantile(ndtr(-3.0)) == pytest.approx(at_minus_3_sigma, rel=1e-3)
    threshold = gain_cell(sigma_t_ox=0.0)
    at_3_sigma = node_times(threshold, np.array([-1e-9, 1e-9]), subthreshold(threshold, np.full(2, 3.0)))[0]
    assert population(threshold).retention_quantile(ndtr(-3.0)) == pytest.approx(at_3_sigma, rel=1e-3)


def test_leaky_state_follows_the_write_device() -> None:
    assert population(gain_cell()).leaky_state == 1
    assert population(gain_cell(write_device="pmos")).leaky_state == 0
    assert not population(gain_cell()).loses(0)


def test_junction_current_shortens_retention_by_its_share() -> None:
    plain = gain_cell(t_ox_m=3.6e-9, sigma_v_th_v=0.0, sigma_t_ox=0.0, i_sub_a=1e-13, i_sub_activation_ev=0.0)
    doubled = replace(plain, i_junction_a=1e-13, i_junction_activation_ev=0.0)
    assert population(plain).median_s / population(doubled).median_s == pytest.approx(2.0, rel=1e-3)
    hot = replace(doubled, i_junction_activation_ev=0.6, temperature_k=368.15)
    assert population(hot).median_s < population(doubled).median_s / 10


def test_defects_lift_the_far_tail_to_their_share_and_leave_the_median() -> None:
    clean = gain_cell()
    leaky = replace(clean, defect_fraction=1e-4, defect_current_a=500e-12, defect_spread=1.0)
    a, b = population(clean), population(leaky)
    assert b.median_s == pytest.approx(a.median_s, rel=1e-3)
    early = float(a.retention_quantile(1e-9))
    assert float(b.flip_probability(early)) == pytest.approx(1e-4, rel=0.2)


def test_defect_population_against_monte_carlo() -> None:
    """All cells of a draw defective (the share then scales linearly), 400,000 cells."""
    cell = gain_cell(defect_fraction=0.1, defect_current_a=1e-12, defect_spread=1.2)
    random = np.random.default_rng(17)
    x, z, w = random.standard_normal((3, 400_000))
    swing = cell.subthreshold_n * BOLTZMANN_EV * cell.temperature_k
    factor = float(subthreshold(cell, np.zeros(1))[0]) / cell.i_sub_a
    assert swing > 0.0
    extra = np.where(random.random(x.size) < 0.1, cell.defect_current_a * factor * np.exp(1.2 * w), 0.0)
    times = np.sort(node_times(cell, cell.sigma_t_ox * x, subthreshold(cell, z) + extra))
    cells = population(cell)
    for p in (0.01, 0.05, 0.2, 0.5):
        drawn = np.searchsorted(times, float(cells.retention_quantile(p))) / times.size
        assert drawn == pytest.approx(p, abs=5.0 * np.sqrt(p / times.size) + 0.002 * p)


def test_gradient_is_the_average_over_positions() -> None:
    cell = gain_cell(t_ox_gradient=0.04)
    interval = float(charge_population(gain_cell()).retention_quantile(1e-3))
    places = (np.arange(50) + 0.5) / 50 - 0.5
    bands = [charge_population(gain_cell(), Die(0.04 * float(u))).flip_probability(interval) for u in places]
    assert charge_population(cell).flip_probability(interval) == pytest.approx(float(np.mean(bands)), rel=0.01)


def test_die_offsets_and_the_lot() -> None:
    thin, thick = (charge_population(gain_cell(), Die(t_ox_fraction=f)).median_s for f in (-0.03, 0.03))
    assert thin < charge_population(gain_cell()).median_s < thick
    same = charge_population(gain_cell(t_ox_m=1.8e-9 * 1.03, sigma_t_ox=0.02 / 1.03)).median_s
    assert thick == pytest.approx(same, rel=1e-6)
    leaky = charge_population(gain_cell(t_ox_m=2.5e-9), Die(v_th_v=-0.04)).median_s
    assert leaky < charge_population(gain_cell(t_ox_m=2.5e-9)).median_s
    lot = lot_population(gain_cell(sigma_t_ox_die=0.03))
    assert lot.retention_quantile(1e-4) == pytest.approx(
        float(charge_population(gain_cell(sigma_t_ox=float(np.hypot(0.02, 0.03)))).retention_quantile(1e-4)), rel=1e-9
    )


@pytest.mark.parametrize("t_ox_m", [1.7e-9, 1.8e-9, 1.95e-9, 2.2e-9])
@pytest.mark.parametrize("spreads", [{"sigma_t_ox_die": 0.0133}, {"sigma_v_th_die_v": 0.015}])
def test_few_dies_stand_for_the_lot(t_ox_m: float, spreads: dict[str, float]) -> None:
    cell = gain_cell(t_ox_m=t_ox_m, **spreads)
    lot, dies = lot_population(cell), [(share, charge_population(cell, die)) for share, die in dies_of_lot(cell)]
    assert len(dies) == 9
    assert sum(share for share, _ in dies) == pytest.approx(1.0)
    times_s = lot.retention_quantile([1e-6, 1e-4, 1e-2, 0.1, 0.5])
    mean = sum(share * die.flip_probability(times_s) for share, die in dies)
    assert mean == pytest.approx(lot.flip_probability(times_s), rel=2e-3)
    assert dies_of_lot(gain_cell()) == ((1.0, Die()),)


@given(
    t_m=st.floats(0.9e-9, 3.5e-9), kelvin=st.floats(233.0, 400.0), sigma=st.floats(0.0, 0.05),
    v_ref=st.floats(0.1, 0.8), sigma_v_th=st.floats(0.0, 0.06), stack=st.sampled_from(["sio2", "sio2-hfo2"]),
    write_device=st.sampled_from(["nmos", "pmos"]),
)  # fmt: skip
@hypothesis_settings(max_examples=30)
def test_monotone_in_time_temperature_and_thinness(
    t_m: float, kelvin: float, sigma: float, v_ref: float, sigma_v_th: float, stack: str, write_device: str
) -> None:
    cell = gain_cell(
        t_ox_m=t_m, temperature_k=kelvin, sigma_t_ox=sigma, v_ref_v=v_ref, sigma_v_th_v=sigma_v_th, stack=stack,
        write_device=write_device,
    )  # fmt: skip
    cells = population(cell)
    assert np.all(np.isfinite(cells.log_time))
    assert np.all(np.isfinite(cells.probit))
    assert np.all(np.diff(cells.log_time) > 0.0)
    assert np.all(np.diff(cells.probit) >= 0.0)
    assert 0.0 <= cells.gate_share <= 1.0
    intervals = cells.retention_quantile(np.array([1e-9, 1e-6, 1e-3, 0.1, 0.5, 0.9]))
    here = cells.flip_probability(intervals)
    assert np.all((here >= 0.0) & (here <= 1.0))
    later = intervals * 1.0011  # a population narrower than 0.1 % in time is one step
    hotter = population(replace(cell, temperature_k=kelvin + 15.0)).flip_probability(later)
    thinner = population(replace(cell, t_ox_m=0.97 * t_m)).flip_probability(later)
    assert np.all(hotter >= here * (1.0 - 1e-3))
    assert np.all(thinner >= here * (1.0 - 1e-3))


def test_corners_of_the_accepted_ranges_give_finite_invertible_tables() -> None:
    random = np.random.default_rng(1)
    corners = {
        "t_ox_m": (0.41e-9, 1e-9, 2e-9, 10e-9), "temperature_k": (200.0, 300.0, 450.0),
        "storage_capacitance_f": (1e-18, 1e-15, 1e-13), "overlap_area_m2": (0.0, 1e-15, 1e-12),
        "gate_area_m2": (0.0, 1e-15, 1e-12), "i_sub_a": (0.0, 1e-15, 1e-6), "i_sub_activation_ev": (0.0, 0.5, 1.5),
        "sigma_t_ox": (0.0, 0.02, 0.1), "sigma_v_th_v": (0.0, 0.04, 0.2), "subthreshold_n": (1.0, 1.5, 3.0),
        "i_junction_a": (0.0, 1e-12, 1e-6), "t_ox_gradient": (0.0, 0.2), "defect_fraction": (0.0, 1e-5, 0.1),
        "defect_current_a": (1e-12, 1e-6), "defect_spread": (0.0, 1.0, 5.0), "v_dd_v": (0.2, 1.0, 3.0),
        "v_ref_v": (1e-4, 0.19), "write_device": ("nmos", "pmos"), "stack": ("sio2", "sion"),
    }  # fmt: skip
    shares = np.array([1e-12, 1e-6, 0.5, 0.999])
    for _ in range(25):
        cell = gain_cell(**{name: values[random.integers(len(values))] for name, values in corners.items()})
        cells = population(cell)
        assert np.all(np.isfinite(cells.log_time)) and np.all(np.isfinite(cells.probit))  # noqa: PT018
        np.testing.assert_allclose(cells.flip_probability(cells.retention_quantile(shares)), shares, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t_ox_m": 0.4e-9}, "oxide barrier"),
        ({"storage_capacitance_f": 0.0}, "hold charge"),
        ({"storage_capacitance_f": 101e-15}, "100 fF"),
        ({"v_ref_v": 1.0}, "below v_dd_v"),
        ({"v_ref_v": 0.0}, "never lost"),
        ({"v_dd_v": 3.5}, "breaks down"),
        ({"temperature_k": 460.0}, "junctions"),
        ({"sigma_t_ox": 0.11}, "10 %"),
        ({"sigma_t_ox": -0.01}, "10 %"),
        ({"sigma_v_th_v": float("nan")}, "threshold spread"),
        ({"stack": "glass"}, "unknown gate stack"),
        ({"stack": "sio2-hfo2", "t_ox_m": 0.45e-9}, "interface layer"),
        ({"write_device": "npn"}, "'nmos' or 'pmos'"),
    ],
)
def test_refused_with_the_physical_reason(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gain_cell(**change)


def test_1t1c_has_no_channel_current() -> None:
    cell = Edram1T1C(
        t_ox_m=1.6e-9, v_dd_v=1.0, v_ref_v=0.6, temperature_k=298.15, storage_capacitance_f=20e-15,
        overlap_area_m2=1.5e-15, i_sub_a=0.0, i_sub_activation_ev=0.5, sigma_t_ox=0.0, sigma_v_th_v=0.0,
    )  # fmt: skip
    volts = np.linspace(0.6, 1.0, 2001)
    inverse = 1.0 / (1.5e-15 * current_density(1.6e-9, volts, 298.15, component="overlap"))
    assert population(cell).median_s == pytest.approx(20e-15 * float(np.trapezoid(inverse, volts)), rel=2e-4)
    assert population(cell).gate_share == pytest.approx(1.0)
