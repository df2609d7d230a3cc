"""What drains a storage node: gate, overlap, subthreshold, junction and defect currents over temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from qtaml_hw.arrays import Float64
from qtaml_hw.device.cells import ChargeCell
from qtaml_hw.device.current import REFERENCE_K, Component, CurrentModel, extrapolated_density
from qtaml_hw.device.materials import Carrier
from qtaml_hw.device.quadrature import gauss
from qtaml_hw.units import BOLTZMANN_J_PER_K, ELEMENTARY_CHARGE_C

_VOLTAGE_NODES: Final = 16
_SPREADS: Final = np.linspace(-8.5, 8.5, 18)  # in standard deviations: beyond lies 1e-17 of a population
_LEAST_SPREAD: Final = 1e-6  # a spread of exactly zero would make the distribution a step without a density
_LEAST_CURRENT_A: Final = 1e-30  # stands for no current where a logarithm is taken


def arrhenius(activation_ev: float, temperature_k: float) -> float:
    """Factor of a thermally activated current against 25 degC."""
    kelvin_per_ev = ELEMENTARY_CHARGE_C / BOLTZMANN_J_PER_K
    return math.exp(-activation_ev * kelvin_per_ev * (1.0 / temperature_k - 1.0 / REFERENCE_K))


def node_voltages(cell: ChargeCell) -> tuple[Float64, Float64]:
    """Gauss-Legendre voltages between v_ref and v_dd and their weights (sum 1)."""
    nodes, weights = gauss(_VOLTAGE_NODES)
    return 0.5 * (cell.v_dd_v + cell.v_ref_v) + 0.5 * (cell.v_dd_v - cell.v_ref_v) * nodes, 0.5 * weights


def swing_v(cell: ChargeCell) -> float:
    """Volts of threshold for a factor e of subthreshold current."""
    return cell.subthreshold_n * BOLTZMANN_J_PER_K * cell.temperature_k / ELEMENTARY_CHARGE_C


def steady_course(cell: ChargeCell, voltage_v: Float64) -> Float64:
    """The current past the threshold over its value at ``v_dd_v``, as the node falls: 1 without ``dibl``."""
    return np.asarray(np.exp(cell.dibl * (voltage_v - cell.v_dd_v) / swing_v(cell)))


def tunnel_current(cell: ChargeCell, thickness_factor: Float64, voltage_v: Float64) -> Float64:
    """Gate plus overlap tunnelling current of the node in amperes, the stack scaled by a factor; shapes broadcast."""
    stack = cell.dielectric.scaled(thickness_factor)
    carrier: Carrier = "electron" if cell.write_device == "nmos" else "hole"
    parts: tuple[tuple[float, Component], ...] = (
        (cell.channel_area_m2, "channel"),
        (cell.overlap_area_m2, "overlap"),
    )
    total = np.full(np.broadcast_shapes(thickness_factor.shape, voltage_v.shape), _LEAST_CURRENT_A)
    for area_m2, component in parts:
        if area_m2 > 0.0:
            model = CurrentModel(component=component, carrier=carrier)
            total += area_m2 * extrapolated_density(stack, voltage_v, cell.temperature_k, model)
    return total


@dataclass(frozen=True, eq=False)
class SteadyCurrent:
    """Distribution over the cells of the current that does not depend on the thickness, at the level of a fresh bit.

    junction_a (the same in every cell) + subthreshold (lognormal: median_a, spread) + in a share of the cells a defect
    current. ``tail(s)`` is P(current > s), accurate in relative terms down to 1e-20; ``knots_a`` are currents between
    which the tail is smooth.
    """

    junction_a: float
    median_a: float
    spread: float
    defect_fraction: float
    defect_median_a: float
    defect_spread: float

    @property
    def nominal_a(self) -> float:
        """Current of the median cell."""
        return self.junction_a + self.median_a

    @property
    def knots_a(self) -> Float64:
        """Increasing currents that resolve the distribution."""
        knots = self.junction_a + self.median_a * np.exp(self.spread * _SPREADS)
        if self.defect_fraction == 0.0:
            return np.asarray(knots)
        return np.sort(np.concatenate((knots, knots[0] + self.defect_median_a * np.exp(self.defect_spread * _SPREADS))))

    def _plain_tail(self, current_a: Float64) -> Float64:
        over = np.maximum(current_a - self.junction_a, _LEAST_CURRENT_A * 1e-6)
        return np.asarray(ndtr((math.log(self.median_a) - np.log(over)) / self.spread))

    def _defect_tail(self, current_a: Float64) -> Float64:
        """P(junction + subthreshold + defect > s): integrated over panels of the defect's distribution."""
        nodes, weights = gauss(6)
        over = np.maximum(current_a - self.junction_a, _LEAST_CURRENT_A)[..., None]
        top = np.clip((np.log(over) - math.log(self.defect_median_a)) / self.defect_spread, -9.0, 9.0)
        edges = -9.0 + (top + 9.0) * np.linspace(0.0, 1.0, 25) ** 0.7
        half = 0.5 * np.diff(edges, axis=-1)
        w = (edges[..., :-1] + half)[..., None] + half[..., None] * nodes
        rest = over[..., None] - self.defect_median_a * np.exp(self.defect_spread * w)
        density = np.exp(-0.5 * w * w) / math.sqrt(2.0 * math.pi)
        inner = np.sum(half[..., None] * weights * density * self._plain_tail(rest + self.junction_a), axis=(-1, -2))
        return np.asarray(inner + ndtr(-top[..., 0]))

    @cached_property
    def _defect_table(self) -> tuple[Float64, Float64]:
        """ln of the current and the normal quantile of the defective cells' tail."""
        grid = np.linspace(math.log(self.knots_a[0]), math.log(self.knots_a[-1]), 600)
        return grid, np.maximum(ndtri(np.clip(self._defect_tail(np.exp(grid)), 1e-300, 1.0 - 1e-16)), -37.0)

    def quantile(self, deviation: Float64) -> Float64:
        """Current of the cells at a rank, given as the normal quantile of the share of cells with less."""
        if self.defect_fraction == 0.0:
            return np.asarray(self.junction_a + self.median_a * np.exp(self.spread * deviation))
        grid = np.linspace(math.log(self.knots_a[0]), math.log(self.knots_a[-1]), 600)
        return np.asarray(np.exp(np.interp(deviation, -ndtri(np.maximum(self.tail(np.exp(grid)), 1e-300)), grid)))

    def tail(self, current_a: Float64) -> Float64:
        """P(current > current_a) over the cells."""
        plain = self._plain_tail(current_a)
        if self.defect_fraction == 0.0:
            return plain
        defective = ndtr(np.interp(np.log(np.maximum(current_a, _LEAST_CURRENT_A)), *self._defect_table))
        return np.asarray((1.0 - self.defect_fraction) * plain + self.defect_fraction * defective)


def steady_current(cell: ChargeCell, v_th_shift_v: float = 0.0) -> SteadyCurrent:
    """The steady current of a cell's population at its temperature; ``v_th_shift_v`` is the die's threshold offset."""
    swing = swing_v(cell)
    factor = arrhenius(cell.i_sub_activation_ev, cell.temperature_k)
    return SteadyCurrent(
        junction_a=cell.i_junction_a * arrhenius(cell.i_junction_activation_ev, cell.temperature_k),
        median_a=max(cell.i_sub_a * factor * math.exp(-v_th_shift_v / swing), _LEAST_CURRENT_A),
        spread=max(cell.sigma_v_th_v / swing, _LEAST_SPREAD),
        defect_fraction=cell.defect_fraction if cell.defect_current_a > 0.0 else 0.0,
        defect_median_a=cell.defect_current_a * factor,
        defect_spread=max(cell.defect_spread, _LEAST_SPREAD),
    )
