"""What a flip channel does to the value of a stored weight: exact mean and variance, code by code.

``p01`` and ``p10`` are residual probabilities per plane, after any protection.  All values are in LSB (units of the
scale).  Where planes have a constant significance the closed forms hold: docs/theory.md, mean drift and variance
(arXiv:2606.00741 states the affine drift).  For any other format the channel is applied plane by plane to the decode
table, O(B 2^B) in place of the 4^B of a full transition matrix (ours).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qtaml_hw.arrays import Float64
from qtaml_hw.weights import NumberFormat


@dataclass(frozen=True)
class ValueStatistics:
    """Conditional on the stored code: ``mean`` and ``variance`` of the value read, each [2^B], LSB and LSB^2."""

    mean: Float64
    variance: Float64


def value_statistics(form: NumberFormat, p01: Float64, p10: Float64) -> ValueStatistics:
    """E and Var of the value read, for every stored code, under independent flips per plane (exact).

    Linear formats: E[b~ | b] = p01 + (1 - p01 - p10) b and Var = p (1 - p) with p the flip probability of the stored
    bit; others by :func:`read_moments`.
    """
    if not form.linear:
        return read_moments(form.decode_table, p01, p10)
    bits = form.bit_table.astype(np.float64)
    mean_bit = p01 + (1.0 - p01 - p10) * bits
    flip = np.where(form.bit_table == 1, p10, p01)
    mean = mean_bit @ form.significance + form.offset
    return ValueStatistics(mean=mean, variance=(flip * (1.0 - flip)) @ form.significance**2)


def read_moments(table: Float64, p01: Float64, p10: Float64) -> ValueStatistics:
    """Mean and variance of ``table[..., code read]`` for every code stored, flips per plane [B] independent (exact).

    One plane at a time: the mean is the mixture of both readings, the variance grows by p (1 - p) times their squared
    distance (law of total variance), so that no large terms cancel.
    """
    mean, variance = table.astype(np.float64), np.zeros(table.shape)
    for plane, (up, down) in enumerate(zip(p01, p10, strict=True)):
        m, v = mean.reshape(-1, 2, 1 << plane), variance.reshape(-1, 2, 1 << plane)
        stay, flip = np.array([1.0 - up, 1.0 - down])[:, None], np.array([up, down])[:, None]
        other_m, other_v = m[:, ::-1], v[:, ::-1]
        spread = stay * flip * (m - other_m) ** 2
        mean, variance = stay * m + flip * other_m, stay * v + flip * other_v + spread
    return ValueStatistics(mean.reshape(table.shape), variance.reshape(table.shape))


def codes_read(share: Float64, p01: Float64, p10: Float64) -> Float64:
    """What a distribution (any measure) over codes stored [2^B] becomes over codes read, flips per plane [B]."""
    read = share.astype(np.float64)
    for plane, (up, down) in enumerate(zip(p01, p10, strict=True)):
        cells = read.reshape(-1, 2, 1 << plane)
        stay, flip = np.array([1.0 - up, 1.0 - down])[:, None], np.array([up, down])[:, None]
        read = stay * cells + (flip * cells)[:, ::-1]
    return read.reshape(-1)


def affine_drift(form: NumberFormat, p01: float, p10: float, protected: int = 0) -> tuple[float, float]:
    """``(a, c)`` with E[L~ | L] = a L + c for the value L of the planes below the ``protected`` top ones, in LSB.

    Without protection L is the whole weight less the offset of the encoding; c = p01 * sum_i s_i over those planes.
    """
    return 1.0 - p01 - p10, p01 * float(form.significance[: form.bits - protected].sum())


def symmetric_variance(p: float, bits: int, protected: int = 0) -> float:
    """Var[W~ | W] = p (1 - p) (4^(B - k) - 1) / 3 in LSB^2: independent of W, quartered by every protected plane."""
    return p * (1.0 - p) * (4.0 ** (bits - protected) - 1.0) / 3.0
