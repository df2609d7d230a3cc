"""The 6T SRAM cell in hold: static noise margin with gate leakage, and the share of cells that cannot hold.

Two cross-coupled inverters of compact-model transistors (Enz, Krummenacher, Vittoz, Analog Integr. Circuits Signal
Process. 8 (1995) 83). Each storage node also carries the tunnelling currents of the gates it drives and of the drain
overlaps that end on it. The margin is the side of the largest square between the two transfer curves (Seevinck, List,
Lohstroh, IEEE J. Solid-State Circuits 22 (1987) 748).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from qtaml_hw.arrays import Float64
from qtaml_hw.device.current import (
    CHANNEL_DOPING_PER_M3,
    DEPLETION_CHARGE_C_PER_M2,
    SILICON_PERMITTIVITY,
    Component,
    CurrentModel,
    extrapolated_density,
    thermal_voltage,
)
from qtaml_hw.device.materials import SIO2_PERMITTIVITY, Carrier, named_stack
from qtaml_hw.device.ranges import checked
from qtaml_hw.limits import LIMITS
from qtaml_hw.names import LeakyState
from qtaml_hw.units import ELEMENTARY_CHARGE_C, VACUUM_PERMITTIVITY_F_PER_M, show

MOBILITY_M2_PER_VS: Final = 0.03  # effective, near 1 MV/cm: Takagi et al., IEEE Trans. Electron Devices 41 (1994) 2357
MARGIN_BAND_V: Final = 0.030  # difference to ngspice BSIM4 at t_ox >= 0.9 nm (tests/published/test_sram_hold_margin.py)
MARGIN_FROM_M: Final = 0.9e-9
_CURVE_POINTS: Final = 321
_LEAK_POINTS: Final = 200
_BISECTIONS: Final = 16
_FARTHEST_SIGMA: Final = 40.0  # a share of 4e-350
_DIRECTIONS: Final = 3
_SECANTS: Final = 24
_SETTLED: Final = 1e-3  # standard deviations
_MISMATCH_STEP_V: Final = 2e-3


@dataclass(frozen=True, kw_only=True)
class Sram6T:
    """A 6T cell in hold (SI, unit in the name).

    ``v_th_n_v`` and ``v_th_p_v`` are threshold magnitudes, ``pull_up_ratio`` the drive of the p-type against the n-type
    transistor, ``dibl`` the fall of the threshold per volt of drain, ``gate_length_m`` sets how large the tunnelling
    current of a gate is against the drive current of the same gate, ``overlap_share`` is overlap over channel area.
    ``sigma_v_th_v`` varies from transistor to transistor. ``accelerated_flip_rate_hz`` is an abstract memoryless rate
    for studies that want one: no physics of this cell gives it.

    Raises ValueError outside the physical ranges.
    """

    t_ox_m: float
    v_dd_v: float
    temperature_k: float
    sigma_v_th_v: float
    v_th_n_v: float
    v_th_p_v: float
    pull_up_ratio: float
    dibl: float
    gate_length_m: float
    overlap_share: float
    accelerated_flip_rate_hz: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in LIMITS and value is not None:
                checked(field.name, value)


@dataclass(frozen=True)
class Mismatch:
    """Threshold offsets in volts of the four inverter transistors: n and p of the left and of the right inverter."""

    left_n_v: float = 0.0
    left_p_v: float = 0.0
    right_n_v: float = 0.0
    right_p_v: float = 0.0


@dataclass(frozen=True, eq=False)
class _Leakage:
    """Tunnelling currents of one gate against voltage, divided by the drive factor of the n-type transistor (V^2)."""

    grid_v: Float64
    channel_n: Float64
    overlap_n: Float64
    channel_p: Float64
    overlap_p: Float64

    def signed(self, table: Float64, voltage_v: Float64) -> Float64:
        """The current at a voltage of either sign."""
        return np.asarray(np.sign(voltage_v) * np.interp(np.abs(voltage_v), self.grid_v, table))


def _leakage_of(cell: Sram6T) -> _Leakage:
    grid = np.linspace(0.0, cell.v_dd_v, _LEAK_POINTS)
    stack = named_stack("sio2", cell.t_ox_m)
    capacitance = SIO2_PERMITTIVITY * VACUUM_PERMITTIVITY_F_PER_M / cell.t_ox_m
    scale = cell.gate_length_m**2 / (MOBILITY_M2_PER_VS * capacitance)

    def table(component: Component, carrier: Carrier) -> Float64:
        model = CurrentModel(component=component, carrier=carrier)
        share = cell.overlap_share if component == "overlap" else 1.0
        return np.asarray(scale * share * extrapolated_density(stack, grid, cell.temperature_k, model))

    return _Leakage(
        grid,
        table("channel", "electron"),
        table("overlap", "electron"),
        table("channel", "hole"),
        table("overlap", "hole"),
    )


@dataclass(frozen=True, eq=False)
class _Inverter:
    """One inverter loaded by the gates of the other one."""

    cell: Sram6T
    leakage: _Leakage | None
    shift_n_v: float
    shift_p_v: float

    def _transistor(self, gate_v: Float64, drain_v: Float64, threshold_v: float) -> Float64:
        """Drain current over the drive factor, V^2, source at zero."""
        vt = float(thermal_voltage(self.cell.temperature_k))
        depletion = (
            SILICON_PERMITTIVITY
            * VACUUM_PERMITTIVITY_F_PER_M
            * ELEMENTARY_CHARGE_C
            * CHANNEL_DOPING_PER_M3
            / DEPLETION_CHARGE_C_PER_M2
        )
        slope = 1.0 + depletion * self.cell.t_ox_m / (SIO2_PERMITTIVITY * VACUUM_PERMITTIVITY_F_PER_M)
        pinch_v = (gate_v - threshold_v + self.cell.dibl * drain_v) / slope
        forward = np.logaddexp(0.0, 0.5 * pinch_v / vt) ** 2
        return np.asarray(2.0 * slope * vt * vt * (forward - np.logaddexp(0.0, 0.5 * (pinch_v - drain_v) / vt) ** 2))

    def _into_output(self, x: Float64, y: Float64) -> Float64:
        """Net current into the output at voltage y with the input at x; falls with y."""
        cell, leak = self.cell, self.leakage
        up = self._transistor(cell.v_dd_v - x, cell.v_dd_v - y, cell.v_th_p_v + self.shift_p_v)
        down = self._transistor(x, y, cell.v_th_n_v + self.shift_n_v)
        drive = cell.pull_up_ratio * up - down
        if leak is None:
            return np.asarray(drive)
        high = cell.v_dd_v - y
        driven = leak.signed(leak.channel_n, y) + leak.signed(leak.overlap_n, y) + leak.signed(leak.overlap_n, y - x)
        driven -= (
            leak.signed(leak.channel_p, high) + leak.signed(leak.overlap_p, high) + leak.signed(leak.overlap_p, x - y)
        )
        own = leak.signed(leak.overlap_n, x - y) - leak.signed(leak.overlap_p, y - x)
        access = leak.signed(leak.overlap_n, y)
        return np.asarray(drive - driven + own - access)

    def curve(self, x: Float64) -> Float64:
        """Output voltage for each input voltage: bisections, then the chord of the last bracket."""
        low, high = np.zeros_like(x), np.full_like(x, self.cell.v_dd_v)
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            rises = self._into_output(x, middle) > 0.0
            low, high = np.where(rises, middle, low), np.where(rises, high, middle)
        above, below = self._into_output(x, low), self._into_output(x, high)
        share = np.divide(above, above - below, out=np.full_like(x, 0.5), where=above > below)
        return low + np.clip(share, 0.0, 1.0) * (high - low)


def hold_lobes(cell: Sram6T, mismatch: Mismatch | None = None, *, gate_leakage: bool = True) -> tuple[float, float]:
    """Hold margins in volts of the two stored states (left node high, left node low); not positive: cannot be held."""
    offset = mismatch or Mismatch()
    leakage = _leakage_of(cell) if gate_leakage else None
    x = np.linspace(0.0, cell.v_dd_v, _CURVE_POINTS)
    right = _Inverter(cell, leakage, offset.right_n_v, offset.right_p_v).curve(x)
    left = _Inverter(cell, leakage, offset.left_n_v, offset.left_p_v).curve(x)
    # Points of both curves on the same line y - x = c; left's curve is mirrored: (left(x), x).
    c = np.linspace(-cell.v_dd_v, cell.v_dd_v, 1201)
    from_right = np.interp(c, (right - x)[::-1], x[::-1])
    from_left = np.interp(-c, (left - x)[::-1], left[::-1])
    gap = from_right - from_left
    return _peak(-gap[c < 0.0]), _peak(gap[c > 0.0])


def _peak(side: Float64) -> float:
    """The largest of evenly spaced values, between them too: the top of the parabola through three."""
    at = int(np.argmax(side))
    if at in (0, side.size - 1):
        return float(side[at])
    before, top, after = side[at - 1 : at + 2]
    bend = before - 2.0 * top + after
    return float(top if bend == 0.0 else top - (after - before) ** 2 / (8.0 * bend))


def hold_margin(cell: Sram6T, *, gate_leakage: bool = True) -> float:
    """Hold static noise margin in volts of the cell without mismatch; 0 where it holds no state."""
    return max(0.0, min(hold_lobes(cell, gate_leakage=gate_leakage)))


def _slopes(cell: Sram6T, at_v: Float64) -> Float64:
    """Change of the first lobe per volt of each threshold offset, at offsets of the four transistors in volts."""
    steps = _MISMATCH_STEP_V * np.eye(at_v.size)
    lobes = [[hold_lobes(cell, Mismatch(*(at_v + sign * step)))[0] for sign in (1.0, -1.0)] for step in steps]
    return np.array([(up - down) / (2.0 * _MISMATCH_STEP_V) for up, down in lobes])


def margin_spread(cell: Sram6T) -> float:
    """Standard deviation of one hold lobe in volts, from the transistors' threshold spread (first order)."""
    return float(np.linalg.norm(_slopes(cell, np.zeros(4)))) * cell.sigma_v_th_v


def failure_distance(cell: Sram6T) -> float:
    """How many standard deviations away the nearest mismatch lies with which the cell cannot hold a state.

    The most probable failure: along the direction in which the lobe falls fastest, which is found again where the lobe
    vanishes (Hasofer, Lind, J. Eng. Mech. Div. ASCE 100 (1974) 111).  0 of a cell that holds nothing, at most 40.
    """
    start = np.zeros(4)
    whole = hold_lobes(cell)[0]
    if whole <= 0.0:
        return 0.0
    nearest = _FARTHEST_SIGMA
    for _ in range(_DIRECTIONS):
        slopes = _slopes(cell, start)
        way = -slopes * cell.sigma_v_th_v / np.linalg.norm(slopes)
        reached = _vanishes(cell, way, whole)
        if reached > nearest - _SETTLED:
            return min(reached, nearest)
        nearest, start = reached, 0.99 * reached * way
    return nearest


def _vanishes(cell: Sram6T, way: Float64, whole: float) -> float:
    """Standard deviations along ``way`` (volts each) at which a lobe that is ``whole`` at 0 is gone.

    Secants from inside, halvings from outside: past the end the lobe is another branch.
    """

    def lobe(sigmas: float) -> float:
        return hold_lobes(cell, Mismatch(*(sigmas * way)))[0]

    before, inside, outside = (0.0, whole), (1.0, lobe(1.0)), _FARTHEST_SIGMA
    if inside[1] <= 0.0:
        inside, outside = before, 1.0
    for _ in range(_SECANTS):
        fall = (before[1] - inside[1]) / (inside[0] - before[0]) if inside[0] > before[0] else 0.0
        aim = inside[0] + inside[1] / fall if fall > 0.0 else _FARTHEST_SIGMA
        if abs(aim - inside[0]) < _SETTLED and aim < outside:
            return aim
        aim = aim if aim < outside else 0.5 * (inside[0] + outside)
        if outside - inside[0] < _SETTLED:
            break
        left = lobe(aim)
        before, inside, outside = (inside, (aim, left), outside) if left > 0.0 else (before, inside, aim)
    return inside[0]


@dataclass(frozen=True, eq=False)
class StaticPopulation:
    """Cells that either hold a state for ever or lose it at once: ``weak_share`` is the share that cannot hold it.

    ``leaky_state`` is the stored value that they lose, or ``both``. Of a modelled hold margin: the margin and its
    spread in volts, and as ``gate_share`` the share of it that gate leakage takes; None where the weak share was
    measured. Times are zero for weak cells and infinite for the others.
    """

    weak_share: float
    margin_v: float | None = None
    spread_v: float | None = None
    gate_share: float | None = None
    warnings: tuple[str, ...] = ()
    accelerated_rate_hz: float | None = None
    leaky_state: LeakyState = "both"

    def loses(self, state: int) -> bool:
        """Whether cells that store ``state``, 0 or 1, can lose it."""
        return self.leaky_state in (state, "both")

    @property
    def memoryless(self) -> tuple[float, str]:
        """The abstract rate in 1/s that a study states, and that it is one. Raises ValueError where none is stated."""
        if self.accelerated_rate_hz is None:
            raise ValueError(
                "an SRAM cell in hold has no memoryless decay: its failures are static weak cells (law retention); "
                "state accelerated_flip_rate for an abstract rate"
            )
        return self.accelerated_rate_hz, ", ABSTRACT accelerated rate, not device physics"

    def flip_probability(self, interval_s: ArrayLike) -> Float64:
        """The share of weak cells for any positive interval; any shape. Raises ValueError for a negative interval."""
        interval = np.asarray(interval_s, dtype=np.float64)
        if not np.all(interval >= 0.0):
            raise ValueError(f"an interval cannot be negative (got {np.min(interval):g} s)")
        return np.where(interval > 0.0, self.weak_share, 0.0)

    def retention_quantile(self, u: ArrayLike) -> Float64:
        """Zero for the weak cells, infinity for the others. Raises ValueError outside [0, 1]."""
        share = np.asarray(u, dtype=np.float64)
        if not np.all((share >= 0.0) & (share <= 1.0)):
            raise ValueError(f"a quantile needs a share within [0, 1]; got {np.min(share):g} .. {np.max(share):g}")
        return np.where(share < self.weak_share, 0.0, np.inf)

    @property
    def median_s(self) -> float:
        """Median retention time: infinite while fewer than half of the cells are weak."""
        return float(self.retention_quantile(0.5))


def static_population(cell: Sram6T) -> StaticPopulation:
    """Share of cells whose hold margin is gone: Phi(-``failure_distance``) for each stored state."""
    margin, ideal = hold_margin(cell), hold_margin(cell, gate_leakage=False)
    distance = failure_distance(cell) if cell.sigma_v_th_v > 0.0 else _FARTHEST_SIGMA
    weak = float(ndtr(-distance)) if margin > 0.0 else 1.0
    taken = 1.0 - margin / ideal if ideal > 0.0 else 1.0
    warnings = []
    if cell.t_ox_m < MARGIN_FROM_M:
        warnings.append(
            f"t_ox = {show(cell.t_ox_m, 'length')} is below {show(MARGIN_FROM_M, 'length')}: "
            "the hold margin is an extrapolation"
        )
    if taken < 0.01:
        warnings.append(
            f"gate leakage takes {1e3 * (ideal - margin):.2g} mV of {1e3 * ideal:.3g} mV of hold margin: "
            "the thickness of the oxide does not matter for this cell"
        )
    if weak < 1e-15:
        warnings.append(
            f"a share of {weak:.1e} of the cells cannot hold at {show(cell.v_dd_v, 'voltage')}: "
            "no bit of this memory flips in hold"
        )
    return StaticPopulation(
        weak_share=weak,
        margin_v=margin,
        spread_v=margin / max(distance, 1e-9),
        gate_share=max(0.0, taken),
        warnings=tuple(warnings),
        accelerated_rate_hz=cell.accelerated_flip_rate_hz,
    )
