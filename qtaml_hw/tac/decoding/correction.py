"""Mean correction of drifted weights: what the accelerator decodes in place of the raw level.

``unbias`` is the paper's closed form, plane by plane: b^ = (b~ - p01) / (1 - p01 - p10): zero drift, more variance;
where planes have no constant significance the channel is inverted on the decode table, with the same effect (ours).
``planes`` takes the conditional mean of every plane alone, its bits held to be balanced: a low plane that nothing
guards counts (1 - 2 p) times (ours).
``offset`` subtracts the layer's mean drift only, ``shrink`` is the linear MMSE gain, ``table`` the conditional mean of
the stored value given the code read, under the layer's own histogram, and ``steps`` that mean to the resolution of the
four top bits: sixteen offsets (all ours, docs/tac.md).

Every correction is a decode table of 2^B levels; where it is affine in the raw level it folds into the dequantisation
scale and zero point and costs nothing at inference, else the table is needed and the result says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from qtaml_hw.arrays import Float64
from qtaml_hw.names import CorrectionKind
from qtaml_hw.tac.decoding.statistics import codes_read, read_moments, value_statistics
from qtaml_hw.weights import NumberFormat

KINDS: tuple[CorrectionKind, ...] = get_args(CorrectionKind)
FOLDING_KINDS: tuple[CorrectionKind, ...] = KINDS[:4]  # what "auto" chooses from: no kind that needs a table by nature
STEPS = 16
LEAST_GAIN = 0.05  # a plane that keeps less of its bit's deviation than this is replaced by its mean, not amplified


@dataclass(frozen=True, eq=False)
class Correction:
    """A decode table in LSB [2^B], and whether it folds into scale and zero point (zero inference overhead)."""

    kind: CorrectionKind
    table: Float64
    folds: bool


def correction(kind: CorrectionKind, form: NumberFormat, p01: Float64, p10: Float64, histogram: Float64) -> Correction:
    """The correction of weights whose stored codes have this histogram [2^B], under residual flips per plane [B].

    Raises ValueError for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown correction {kind!r}; allowed: {', '.join(KINDS)}")
    plain = form.decode_table
    if kind == "none" or not (np.any(p01) or np.any(p10)):
        return Correction(kind, plain, True)
    if kind == "unbias":
        return _unbias(form, p01, p10, histogram)
    if kind == "planes":
        posterior = balanced_posterior(p01, p10)
        alike = bool(np.all(p01 == p01[0]) and np.all(p10 == p10[0]))
        return Correction(kind, read_moments(plain, *posterior).mean, form.linear and alike)
    share = histogram / histogram.sum()
    if kind in ("table", "steps"):
        segments = 1 << form.bits if kind == "table" else min(STEPS, 1 << form.bits)
        return Correction(kind, _conditional_mean(form, (p01, p10), share, segments), False)
    statistics = value_statistics(form, p01, p10)
    drift = float(share @ (statistics.mean - plain))
    if kind == "offset":
        return Correction(kind, plain - drift, True)
    centre = float(share @ plain)
    covariance = float(share @ ((plain - centre) * (statistics.mean - centre - drift)))
    spread = float(share @ (statistics.variance + (statistics.mean - centre - drift) ** 2))
    gain = covariance / spread if spread > 0.0 else 1.0
    return Correction(kind, centre + gain * (plain - centre - drift), True)


def balanced_posterior(p01: Float64, p10: Float64) -> tuple[Float64, Float64]:
    """P(stored 1 | read 0) and P(stored 0 | read 1) of every plane, where ones and zeros are stored as often."""
    read_0, read_1 = p10 + (1.0 - p01), p01 + (1.0 - p10)
    half = np.full_like(p01, 0.5)  # what is never read
    one_of_0 = np.divide(p10, read_0, out=half.copy(), where=read_0 > 0.0)
    zero_of_1 = np.divide(p01, read_1, out=half.copy(), where=read_1 > 0.0)
    return one_of_0, zero_of_1


def balanced_variance(p01: Float64, p10: Float64) -> Float64:
    """Variance of a stored bit once it is read, by plane, ones and zeros stored as often; p (1 - p) for p01 = p10."""
    one_of_0, zero_of_1 = balanced_posterior(p01, p10)
    read_1 = 0.5 * (p01 + 1.0 - p10)
    return (1.0 - read_1) * one_of_0 * (1.0 - one_of_0) + read_1 * zero_of_1 * (1.0 - zero_of_1)


def _unbias(form: NumberFormat, p01: Float64, p10: Float64, histogram: Float64) -> Correction:
    bits = form.bit_table.astype(np.float64)
    gain = 1.0 - p01 - p10
    dead = gain < LEAST_GAIN
    density = (histogram / histogram.sum()) @ bits
    if form.linear:
        estimate = np.where(dead, density, (bits - p01) / np.where(dead, 1.0, gain))
        folds = bool(np.all(gain == gain[0]) and not dead.any())
        return Correction("unbias", estimate @ form.significance + form.offset, folds)
    table = form.decode_table
    for plane, (up, down, of_one) in enumerate(zip(p01, p10, density, strict=True)):
        inverse = np.array([[1.0 - down, -up], [-down, 1.0 - up]]) / gain[plane] if not dead[plane] else None
        rows = np.array([[1.0 - of_one, of_one]] * 2) if inverse is None else inverse
        table = np.einsum("ij,hjl->hil", rows, table.reshape(-1, 2, 1 << plane)).reshape(-1)
    return Correction("unbias", table, False)


def _conditional_mean(form: NumberFormat, channel: tuple[Float64, Float64], share: Float64, segments: int) -> Float64:
    """Plain value plus E[stored - plain | segment of the code read], ``segments`` runs of codes of equal top bits.

    With as many segments as codes this is E[stored value | code read], which no decode table beats in mean squared
    error.  Codes that are never read stay plain.
    """
    plain = form.decode_table
    read = codes_read(share, *channel)
    chance = read.reshape(segments, -1).sum(axis=1)
    error = (codes_read(share * plain, *channel) - plain * read).reshape(segments, -1).sum(axis=1)
    offset = np.divide(error, chance, out=np.zeros_like(error), where=chance > 0.0)
    corrected: Float64 = plain + np.repeat(offset, plain.size // segments)
    return corrected


def channel_matrix(p01: Float64, p10: Float64) -> Float64:
    """P(code read | code stored) [2^B, 2^B] of independent flips per plane, LSB first: for codes of few bits."""
    transition = np.ones((1, 1))
    for up, down in zip(p01, p10, strict=True):
        transition = np.kron(np.array([[1.0 - up, up], [down, 1.0 - down]]), transition)
    return transition


def corrected_noise(form: NumberFormat, p01: Float64, p10: Float64, table: Float64) -> tuple[Float64, Float64]:
    """Bias and variance of the corrected value for every stored code, LSB and LSB^2, each of the shape of the tables
    [..., 2^B] (exact)."""
    moments = read_moments(table, p01, p10)
    return moments.mean - form.decode_table, moments.variance
