"""Gate current density: the calibrated closed form and, as the physical alternative, the Tsu-Esaki integral.

Both stand on the same surface: a strongly inverted channel under the gate, its charge and the voltage over the oxide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from qtaml_hw.arrays import Float64
from qtaml_hw.device.materials import SIO2_PERMITTIVITY, Carrier, Stack, material, named_stack
from qtaml_hw.device.quadrature import gauss
from qtaml_hw.device.ranges import checked
from qtaml_hw.device.transmission import TransmissionMethod, barrier_of, stack_transmission
from qtaml_hw.limits import STACKS
from qtaml_hw.units import (
    BOLTZMANN_J_PER_K,
    ELECTRON_MASS_KG,
    ELEMENTARY_CHARGE_C,
    HBAR_J_S,
    VACUUM_PERMITTIVITY_F_PER_M,
    show,
)

CurrentMethod = Literal["closed_form", "tsu_esaki"]
Component = Literal["channel", "overlap"]

_ENERGY_NODES: Final = 96

IMPACT_FREQUENCY_HZ: Final = (
    1e14  # calibrated to ngspice 39.3 BSIM4 level 54 SiO2 defaults (tests/published/test_bsim4_gate_current.py)
)
CHANNEL_DOPING_PER_M3: Final = 1e24  # BSIM4 default card of the same calibration: NDEP = 1e18 1/cm3
THRESHOLD_V: Final = 0.30  # same card: VTH0
SLOPE_FACTOR: Final = (
    1.5  # subthreshold slope factor, assumed with the calibration of nu: the high end of bulk devices (1.1-1.4)
)
SILICON_PERMITTIVITY: Final = 11.7  # Sze and Ng (2007), appendix G
INTRINSIC_PER_M3: Final = 8.3e15  # at 25 degC: 9.65e15 at 300 K, Altermatt et al., J. Appl. Phys. 93 (2003) 1598
REFERENCE_K: Final = 298.15
VALLEY_MASS_RATIO: Final = 2 * 0.19  # two-fold lowest valleys of (100) silicon: Stern, Phys. Rev. B 5 (1972) 4891

# The surface potential 2 phi_F and the threshold both fall with temperature and their effects on the oxide voltage
# nearly cancel (BSIM4 changes J by under 10 % from 25 to 125 degC), so both are held at their 25 degC values.
_SURFACE_POTENTIAL_V: Final = (
    2.0 * BOLTZMANN_J_PER_K * REFERENCE_K / ELEMENTARY_CHARGE_C * math.log(CHANNEL_DOPING_PER_M3 / INTRINSIC_PER_M3)
)
DEPLETION_CHARGE_C_PER_M2: Final = math.sqrt(
    2.0
    * SILICON_PERMITTIVITY
    * VACUUM_PERMITTIVITY_F_PER_M
    * ELEMENTARY_CHARGE_C
    * CHANNEL_DOPING_PER_M3
    * _SURFACE_POTENTIAL_V
)


def thermal_voltage(temperature_k: ArrayLike) -> Float64:
    """kT/q in volts."""
    return np.asarray(temperature_k, dtype=np.float64) * (BOLTZMANN_J_PER_K / ELEMENTARY_CHARGE_C)


def _capacitance(eot_m: ArrayLike) -> Float64:
    return SIO2_PERMITTIVITY * VACUUM_PERMITTIVITY_F_PER_M / np.asarray(eot_m, dtype=np.float64)


def inversion_charge(eot_m: ArrayLike, voltage_v: ArrayLike, temperature_k: ArrayLike) -> Float64:
    """Charge of the channel in C/m^2, from weak to strong inversion (docs/theory.md, device)."""
    swing = SLOPE_FACTOR * thermal_voltage(temperature_k)
    overdrive = (np.asarray(voltage_v, dtype=np.float64) - THRESHOLD_V) / swing
    return np.asarray(_capacitance(eot_m) * swing * np.logaddexp(0.0, overdrive))


def _oxide(stack: Stack, voltage: Float64, temperature: Float64) -> tuple[Float64, Float64]:
    """Channel charge (C/m^2) and the voltage over the dielectric that carries it together with the depletion charge."""
    charge = inversion_charge(stack.eot_m, voltage, temperature)
    return charge, (DEPLETION_CHARGE_C_PER_M2 + charge) / _capacitance(stack.eot_m)


def passed(stack: Stack, voltage: Float64, carrier: Carrier, energy: Float64 | float = 0.0,
           method: TransmissionMethod = "wkb") -> Float64:  # fmt: skip
    """Transmission through a stack, and by way of traps in the middle of its film: T + share * sqrt(T).

    A carrier that rests in a trap half of the way passes two barriers of half the exponent, one after the other, so its
    chance is sqrt(T) times a share of traps.  The form is assumed, and the share of a material calibrated (its file).
    """
    through = stack_transmission(barrier_of(stack, voltage, carrier), energy, method)
    return through if stack.trap_share == 0.0 else through + stack.trap_share * np.sqrt(through)


def _channel_closed_form(stack: Stack, voltage: Float64, temperature: Float64, carrier: Carrier) -> Float64:
    charge, oxide_v = _oxide(stack, voltage, temperature)
    through = passed(stack, oxide_v, carrier)
    return np.asarray(charge * IMPACT_FREQUENCY_HZ * through * -np.expm1(-voltage / thermal_voltage(temperature)))


def _channel_tsu_esaki(
    stack: Stack, voltage: Float64, temperature: Float64, carrier: Carrier, method: TransmissionMethod
) -> Float64:
    """Tsu, Esaki, Appl. Phys. Lett. 22 (1973) 562; the Fermi level fills the lowest valleys with the channel charge."""
    kt_ev = thermal_voltage(temperature)[..., None]
    charge, oxide_v = _oxide(stack, voltage, temperature)
    states = VALLEY_MASS_RATIO * ELECTRON_MASS_KG * kt_ev * ELEMENTARY_CHARGE_C / (math.pi * HBAR_J_S**2)
    filling = charge[..., None] / ELEMENTARY_CHARGE_C / states
    fermi_ev = kt_ev * (filling + np.log(-np.expm1(-filling)))
    top_ev = np.maximum(fermi_ev, 0.0) + 30.0 * kt_ev
    nodes, weights = gauss(_ENERGY_NODES)
    energy = 0.5 * top_ev * (nodes + 1.0)
    through = passed(stack.with_axis(), oxide_v[..., None], carrier, energy, method)
    level = (fermi_ev - energy) / kt_ev
    supply = np.logaddexp(0.0, level) - np.logaddexp(0.0, level - voltage[..., None] / kt_ev)
    integral_ev2 = kt_ev[..., 0] * np.sum(0.5 * top_ev * weights * through * supply, axis=-1)
    prefactor = VALLEY_MASS_RATIO * ELECTRON_MASS_KG * ELEMENTARY_CHARGE_C / (2.0 * math.pi**2 * HBAR_J_S**3)
    return np.asarray(prefactor * integral_ev2 * ELEMENTARY_CHARGE_C**2)


@dataclass(frozen=True)
class CurrentModel:
    """How a gate current is calculated.

    method : ``closed_form``: J = Q_inv nu T(0; V_ox) (1 - exp(-V/vT)), calibrated through nu; ``tsu_esaki``: supply
        times transmission integrated over energy, uncalibrated, the physical alternative.
    component : ``channel`` (under the gate, inverted) or ``overlap`` (gate over source or drain: accumulated, no
        depletion, the whole voltage over the oxide, J = C_ox V nu T(0; V)).
    carrier : ``electron`` (n-channel) or ``hole`` (p-channel).
    transmission : used by ``tsu_esaki``: wkb, wkb_quadrature or exact.
    """

    method: CurrentMethod = "closed_form"
    component: Component = "channel"
    carrier: Carrier = "electron"
    transmission: TransmissionMethod = "wkb"

    def __post_init__(self) -> None:
        allowed = (
            ("method", self.method, ("closed_form", "tsu_esaki")),
            ("component", self.component, ("channel", "overlap")),
            ("carrier", self.carrier, ("electron", "hole")),
        )
        for name, value, known in allowed:
            if value not in known:
                raise ValueError(f"unknown {name} {value!r} of a current model; allowed: {', '.join(known)}")
        if self.method == "closed_form" and self.transmission != "wkb":
            raise ValueError(
                f"the closed form is calibrated with the WKB transmission; {self.transmission!r} goes with tsu_esaki"
            )
        if self.component == "overlap" and self.method == "tsu_esaki":
            raise ValueError(
                "the overlap current has the closed form only: its accumulation layer has no sub-band model here"
            )


def _density(stack: Stack, voltage: Float64, temperature: Float64, model: CurrentModel) -> Float64:
    """``stack_current_density`` for arguments known to be in range, already of one shape."""
    if model.component == "overlap":
        through = passed(stack, voltage, model.carrier)
        return np.asarray(_capacitance(stack.eot_m) * voltage * IMPACT_FREQUENCY_HZ * through)
    if model.method == "tsu_esaki":
        return _channel_tsu_esaki(stack, voltage, temperature, model.carrier, model.transmission)
    return _channel_closed_form(stack, voltage, temperature, model.carrier)


def stack_current_density(
    stack: Stack, voltage_v: ArrayLike, temperature_k: ArrayLike, model: CurrentModel | None = None
) -> Float64:
    """Gate current density through explicit layers, A/m^2; thicknesses, voltage (V) and temperature (K) broadcast.

    Raises ValueError outside the ranges of ``qtaml_hw.device.ranges``.
    """
    checked("t_ox_m", stack.thickness_m if len(stack.layers) == 1 else stack.eot_m)
    voltage, temperature, _ = np.broadcast_arrays(
        checked("voltage_v", voltage_v), checked("temperature_k", temperature_k), stack.eot_m
    )
    return _density(stack, voltage, temperature, model or CurrentModel())


def extrapolated_density(stack: Stack, voltage_v: Float64, temperature_k: float, model: CurrentModel) -> Float64:
    """The same without range checks: thicknesses in the far tail of a population lie outside the accepted range."""
    shape = np.broadcast_shapes(voltage_v.shape, stack.eot_m.shape)
    return _density(stack, np.broadcast_to(voltage_v, shape), np.full(shape, temperature_k), model)


def current_density(
    t_ox_m: ArrayLike,
    voltage_v: ArrayLike,
    temperature_k: ArrayLike,
    *,
    method: CurrentMethod = "closed_form",
    stack: str = "sio2",
    component: Component = "channel",
    carrier: Carrier = "electron",
    transmission: TransmissionMethod = "wkb",
) -> Float64:
    """Gate current density in A/m^2 of a named stack (``qtaml_hw.device.STACKS``); arguments broadcast.

    ``t_ox_m`` is the physical thickness of a single layer and the EOT of a bilayer. The rest is described at
    ``CurrentModel``. Raises ValueError outside the accepted ranges and for unknown names.

    >>> round(float(current_density(1.5e-9, 1.0, 298.15)) / 1e4, 1)  # A/cm^2
    13.7
    """
    layers = named_stack(stack, checked("t_ox_m", t_ox_m))
    return stack_current_density(
        layers, voltage_v, temperature_k, CurrentModel(method, component, carrier, transmission)
    )


CALIBRATED_T_OX_M: Final = (1.0e-9, 2.5e-9)  # compared in tests/published/test_bsim4_gate_current.py
CALIBRATED_FROM_V: Final = 0.5


def calibration_warnings(t_ox_m: float, lowest_voltage_v: float, stack: str = "sio2") -> tuple[str, ...]:
    """What a reader must know before trusting an absolute current; empty inside the calibrated window."""
    low, high = CALIBRATED_T_OX_M
    found = []
    if not low <= t_ox_m <= high:
        found.append(
            f"t_ox = {show(t_ox_m, 'length')} is outside the calibrated window "
            f"{show(low, 'length')} to {show(high, 'length')}: "
            "the current is an extrapolation"
        )
    if lowest_voltage_v < CALIBRATED_FROM_V:
        found.append(
            f"the node falls to {show(lowest_voltage_v, 'voltage')}, below the calibrated "
            f"{show(CALIBRATED_FROM_V, 'voltage')}: "
            "the closed form is an extrapolation there"
        )
    if material(STACKS[stack][0]).illustrative:
        found.append(f"material data of stack {stack!r} are illustrative: trust trends, not absolute currents")
    return tuple(found)
