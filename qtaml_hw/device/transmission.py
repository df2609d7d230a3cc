"""Tunnelling probability through a gate dielectric: WKB in closed form, WKB by quadrature, and exactly.

Energies are measured from the band edge of the emitter, voltages are dropped over the dielectric. Units inside are
nm and eV, so that exponents stay of order one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from qtaml_hw.arrays import Float64
from qtaml_hw.device.materials import Carrier, Stack
from qtaml_hw.device.quadrature import gauss
from qtaml_hw.device.ranges import checked
from qtaml_hw.units import ELECTRON_MASS_KG, ELEMENTARY_CHARGE_C, HBAR_J_S

TransmissionMethod = Literal["wkb", "wkb_quadrature", "exact"]

TWO_M_OVER_HBAR2: Final = 2.0 * ELECTRON_MASS_KG * ELEMENTARY_CHARGE_C / HBAR_J_S**2 * 1e-18  # 1/(nm^2 eV)
ELECTRODE_MASS_RATIO: Final = 0.916  # longitudinal mass of silicon on (100): Sze and Ng (2007), appendix G
_EXACT_SLICES: Final = 96  # per layer; the fourth-order step leaves < 1e-6 (tests/device/test_transmission.py)
_GAUSS_NODES: Final = 48


@dataclass(frozen=True)
class BarrierLayer:
    """One layer of the barrier at one bias: thickness, barrier top at its emitter side and drop over it (arrays)."""

    thickness_nm: Float64
    top_ev: Float64
    drop_ev: Float64
    mass_ratio: Float64


def barrier_of(stack: Stack, voltage_v: ArrayLike, carrier: Carrier) -> tuple[BarrierLayer, ...]:
    """The layers of a stack with ``voltage_v`` (any shape) across it; the field splits by 1/permittivity."""
    voltage = np.asarray(voltage_v, dtype=np.float64)
    fallen = np.zeros_like(voltage)
    layers = []
    for layer in stack.layers:
        part = layer.eot_m / stack.eot_m
        layers.append(
            BarrierLayer(
                np.asarray(layer.thickness_m) * 1e9,
                layer.material.barrier_ev(carrier) - fallen,
                voltage * part,
                np.asarray(layer.material.mass_ratio(carrier)),
            )
        )
        fallen = fallen + voltage * part
    return tuple(layers)


def _log_wkb_layer(layer: BarrierLayer, energy_ev: Float64) -> Float64:
    """ln T of one linear layer. Written without the difference of two powers, so that zero field needs no branch."""
    start = np.maximum(layer.top_ev - energy_ev, 0.0)
    end = np.maximum(layer.top_ev - energy_ev - layer.drop_ev, 0.0)
    root_start, root_end = np.sqrt(start), np.sqrt(end)
    total = root_start + root_end
    through = (start + root_start * root_end + end) / np.where(total > 0.0, total, 1.0)
    trapezoid = (end > 0.0) | (layer.drop_ev <= 0.0)
    triangle = start * root_start / np.where(trapezoid, 1.0, layer.drop_ev)
    mean = np.where(trapezoid, through, triangle)
    return np.asarray(-4.0 / 3.0 * np.sqrt(TWO_M_OVER_HBAR2 * layer.mass_ratio) * layer.thickness_nm * mean)


def _log_quadrature_layer(layer: BarrierLayer, energy_ev: Float64) -> Float64:
    """ln T of one layer by Gauss-Legendre quadrature of the decay constant, up to the turning point.

    The substitution x = length (1 - w^2) takes the square root out of the integrand at the turning point.
    """
    nodes, weights = gauss(_GAUSS_NODES)
    start = np.maximum(layer.top_ev - energy_ev, 0.0)[..., None]
    drop = np.asarray(layer.drop_ev)[..., None]
    length = np.where(drop > start, start / np.where(drop > 0.0, drop, 1.0), 1.0)
    w = 0.5 * (nodes + 1.0)
    kappa = np.sqrt(np.maximum(start - drop * length * (1.0 - w * w), 0.0))
    integral = np.sum(0.5 * weights * kappa * 2.0 * length * w, axis=-1)
    return np.asarray(-2.0 * np.sqrt(TWO_M_OVER_HBAR2 * layer.mass_ratio) * layer.thickness_nm * integral)


def _layer_matrix(layer: BarrierLayer, energy_ev: Float64) -> tuple[Float64, Float64, Float64, Float64]:
    """Transfer matrix of (psi, psi'/m) over one linear layer: fourth-order Magnus steps, exact at zero field.

    Magnus expansion of psi'' = Q(x) psi, linear Q: Iserles, Munthe-Kaas, Norsett, Zanna, Acta Numerica 9 (2000) 215.
    """
    step = layer.thickness_nm / _EXACT_SLICES
    slope = -TWO_M_OVER_HBAR2 * layer.mass_ratio * layer.drop_ev / layer.thickness_nm
    twist = -(step**3) * slope / 12.0
    shape = np.broadcast_shapes(energy_ev.shape, np.shape(slope), np.shape(step), np.shape(layer.top_ev))
    m11, m12, m21, m22 = np.ones(shape), np.zeros(shape), np.zeros(shape), np.ones(shape)
    for index in range(_EXACT_SLICES):
        middle_ev = layer.top_ev - layer.drop_ev * ((index + 0.5) / _EXACT_SLICES) - energy_ev
        q_mid = TWO_M_OVER_HBAR2 * layer.mass_ratio * middle_ev
        omega2 = step * step * q_mid + twist * twist
        omega = np.sqrt(np.abs(omega2))
        cosine = np.where(omega2 >= 0.0, np.cosh(omega), np.cos(omega))
        safe = np.where(omega > 1e-12, omega, 1.0)
        sine = np.where(omega > 1e-12, np.where(omega2 >= 0.0, np.sinh(safe), np.sin(safe)) / safe, 1.0)
        a11, a12 = cosine + sine * twist, sine * step * layer.mass_ratio
        a21, a22 = sine * step * q_mid / layer.mass_ratio, cosine - sine * twist
        m11, m12, m21, m22 = (
            a11 * m11 + a12 * m21,
            a11 * m12 + a12 * m22,
            a21 * m11 + a22 * m21,
            a21 * m12 + a22 * m22,
        )
    return m11, m12, m21, m22


def _exact(layers: tuple[BarrierLayer, ...], energy_ev: Float64) -> Float64:
    """Transmission between plane waves in silicon on both sides (current matching with psi and psi'/m)."""
    total_drop = sum((layer.drop_ev for layer in layers), np.zeros(()))
    k_in = np.sqrt(TWO_M_OVER_HBAR2 * ELECTRODE_MASS_RATIO * energy_ev) / ELECTRODE_MASS_RATIO
    k_out = np.sqrt(TWO_M_OVER_HBAR2 * ELECTRODE_MASS_RATIO * (energy_ev + total_drop)) / ELECTRODE_MASS_RATIO
    m11, m12, m21, m22 = _layer_matrix(layers[0], energy_ev)
    for layer in layers[1:]:
        a11, a12, a21, a22 = _layer_matrix(layer, energy_ev)
        m11, m12, m21, m22 = (
            a11 * m11 + a12 * m21,
            a11 * m12 + a12 * m22,
            a21 * m11 + a22 * m21,
            a21 * m12 + a22 * m22,
        )
    real = k_in * m22 + k_out * m11
    imaginary = m21 - k_in * k_out * m12
    norm = real * real + imaginary * imaginary
    return np.where(k_in > 0.0, 4.0 * k_in * k_out / np.where(norm > 0.0, norm, 1.0), 0.0)


def stack_transmission(
    layers: tuple[BarrierLayer, ...], energy_ev: ArrayLike, method: TransmissionMethod = "wkb"
) -> Float64:
    """Transmission (dimensionless, in [0, 1]) through the layers at each energy in eV; arguments broadcast."""
    energy = np.asarray(energy_ev, dtype=np.float64)
    if method == "exact":
        return _exact(layers, energy)
    one = {"wkb": _log_wkb_layer, "wkb_quadrature": _log_quadrature_layer}.get(method)
    if one is None:
        raise ValueError(f"unknown transmission method {method!r}; allowed: wkb, wkb_quadrature, exact")
    result: Float64 = np.exp(sum((one(layer, energy) for layer in layers), np.zeros(())))
    return result


def transmission(
    energy_ev: ArrayLike,
    thickness_m: ArrayLike,
    barrier_ev: ArrayLike,
    voltage_v: ArrayLike,
    mass_ratio: ArrayLike,
    method: TransmissionMethod = "wkb",
) -> Float64:
    """Tunnelling probability through one trapezoidal barrier (triangular where voltage_v > barrier_ev - energy_ev).

    Parameters (broadcast together)
    ----------
    energy_ev : energy above the emitter's band edge, eV, >= 0.
    thickness_m, barrier_ev, voltage_v : physical thickness, barrier height, voltage over the oxide.
    mass_ratio : tunnelling mass over the electron mass.
    method : ``wkb`` (closed form), ``wkb_quadrature`` (the same integral, numerically), ``exact`` (transfer matrix
        between silicon electrodes of mass 0.916 m0; zero at zero energy, where no current arrives).

    Returns float64 array, dimensionless, in [0, 1]. Source of the WKB form: Fowler, Nordheim, Proc. R. Soc. A 119
    (1928) 173; Schuegraf, Hu, IEEE Trans. Electron Devices 41 (1994) 761.
    Raises ValueError outside the ranges of ``qtaml_hw.device.ranges`` and for a negative energy.
    """
    energy = np.asarray(energy_ev, dtype=np.float64)
    if not np.all((energy >= 0.0) & (energy <= 10.0)):
        raise ValueError("energy_ev must be within [0, 10] eV: it is measured upwards from the emitter's band edge")
    thickness, barrier = checked("t_ox_m", thickness_m), checked("barrier_ev", barrier_ev)
    voltage, mass = checked("voltage_v", voltage_v), checked("mass_ratio", mass_ratio)
    energy, thickness, barrier, voltage, mass = np.broadcast_arrays(energy, thickness, barrier, voltage, mass)
    layer = BarrierLayer(thickness * 1e9, barrier, voltage, mass)
    return stack_transmission((layer,), energy, method)
