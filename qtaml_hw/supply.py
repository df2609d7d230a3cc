"""How energy, delay and leakage of a circuit follow its supply, around the supply that its figures hold at.

Laws for any CMOS block, each with the range that its assumed constant may lie in; at the nominal supply every factor is
exactly 1.  Area has no supply dependence, nor have the figures of a backing store.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qtaml_hw.units import BOLTZMANN_J_PER_K, ELEMENTARY_CHARGE_C


@dataclass(frozen=True)
class Range:
    """A figure, or a constant of a law, and the ends of the range that it is taken to lie in."""

    value: float
    low: float
    high: float

    def __mul__(self, other: Range) -> Range:
        """Of a product of figures that are not negative."""
        return Range(self.value * other.value, self.low * other.low, self.high * other.high)

    def __add__(self, other: Range) -> Range:
        """Of a sum whose parts lie at the same end."""
        return Range(self.value + other.value, self.low + other.low, self.high + other.high)


ONE: Final = Range(1.0, 1.0, 1.0)

ALPHA: Final = Range(1.3, 1.0, 2.0)
"""Exponent of the saturation current, I ~ (V - V_th)^alpha: T. Sakurai, A. R. Newton, IEEE J. Solid-State Circuits 25
(1990) 584.  The value is assumed: between velocity saturation (1) and the long channel (2)."""

ENERGY: Final = Range(2.0, 1.0, 2.0)
"""Exponent of the dynamic energy, C V^2.  Arrays of one organisation in CACTI 7, its supply edited, follow 1.0 to 2.0:
a sensed bit line does not swing by the supply."""

DIBL: Final = Range(0.06, 0.02, 0.12)
"""Volt of threshold per volt of drain, in the subthreshold current: assumed; hold margins of 65 nm BSIM4 cells are met
with 0.056 (preset sram6t-65nm)."""

GATE: Final = Range(3.0, 2.3, 3.9)
"""Exponent of the gate current over the voltage: slope of ln J over ln V of BSIM4's SiO2 defaults, 0.8 to 2.0 nm,
0.8 to 1.2 V (ngspice 39)."""

SLOPE: Final = 1.5  # subthreshold slope factor n, as in the presets of cells (assumed)


@dataclass(frozen=True)
class Supply:
    """A block at ``volts`` whose figures hold at ``nominal_v``; its transistors' threshold; its temperature.

    ValueError for voltages that are not positive.
    """

    volts: float
    nominal_v: float
    v_th_v: float
    temperature_k: float = 300.0

    def __post_init__(self) -> None:
        for name in ("volts", "nominal_v", "v_th_v", "temperature_k"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0.0):
                raise ValueError(f"{name} must be positive and finite; got {getattr(self, name):g}")

    @property
    def energy(self) -> Range:
        """Dynamic energy: (V / V_nominal)^2."""
        return _over(ENERGY, lambda exponent: (self.volts / self.nominal_v) ** exponent)

    @property
    def delay(self) -> Range:
        """Delay, V / (V - V_th)^alpha; wires do not follow the supply, so the range holds 1.

        Towards and below the threshold the overdrive goes over into subthreshold conduction of slope n kT/q, smoothly:
        V - V_th stands for s ln(1 + exp((V - V_th) / s)) with s = alpha n kT/q (assumed).
        """
        gates = _over(ALPHA, lambda alpha: self._period(self.volts, alpha) / self._period(self.nominal_v, alpha))
        return Range(gates.value, min(gates.low, 1.0), max(gates.high, 1.0))

    @property
    def leakage(self) -> Range:
        """Power of subthreshold leakage: V exp(DIBL V / (n kT/q))."""
        ratio, more_v = self.volts / self.nominal_v, self.volts - self.nominal_v
        return _over(DIBL, lambda dibl: ratio * math.exp(dibl * more_v / self._slope_v))

    @property
    def gate_leakage(self) -> Range:
        """Power of gate leakage: V x V^3 (direct tunnelling)."""
        ratio = self.volts / self.nominal_v
        return _over(GATE, lambda exponent: ratio * ratio**exponent)

    @property
    def near_threshold(self) -> bool:
        """Whether less than 0.1 V is left above the threshold: there the delay is a guess."""
        return self.volts < self.v_th_v + 0.1

    @property
    def _slope_v(self) -> float:
        return SLOPE * BOLTZMANN_J_PER_K / ELEMENTARY_CHARGE_C * self.temperature_k

    def _period(self, volts: float, alpha: float) -> float:
        softness = alpha * self._slope_v
        overdrive = (volts - self.v_th_v) / softness
        soft = overdrive if overdrive > 30.0 else math.log1p(math.exp(overdrive))
        return float(volts / (softness * soft) ** alpha)


def _over(constant: Range, law: Callable[[float], float]) -> Range:
    """A law at a constant's value, and its range over the ends."""
    value, ends = law(constant.value), (law(constant.low), law(constant.high))
    return Range(value, min(value, *ends), max(value, *ends))
