"""Mean correction of drifted weights: what the accelerator decodes in place of the raw level.

``unbias`` is the paper's closed form, plane by plane: b^ = (b~ - p01) / (1 - p01 - p10): zero drift, more variance.
``offset`` subtracts the layer's mean drift only, ``shrink`` is the linear MMSE gain (both ours, docs/theory.md).  Every
correction is a decode table of 2^B levels; where it is affine in the raw level it folds into the dequantisation scale
and zero point and costs nothing at inference, else the table is needed and the result says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.tac.statistics import value_statistics
from qtaml_hw.weights import WeightFormat

Array = NDArray[np.float64]
CorrectionKind = Literal["none", "unbias", "offset", "shrink"]
KINDS: tuple[CorrectionKind, ...] = ("none", "unbias", "offset", "shrink")
LEAST_GAIN = 0.05  # a plane that keeps less of its bit's deviation than this is replaced by its mean, not amplified


@dataclass(frozen=True, eq=False)
class Correction:
    """A decode table in LSB [2^B], and whether it folds into scale and zero point (zero inference overhead)."""

    kind: CorrectionKind
    table: Array
    folds: bool


def correction(kind: CorrectionKind, form: WeightFormat, p01: Array, p10: Array, histogram: Array) -> Correction:
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
    share = histogram / histogram.sum()
    statistics = value_statistics(form, p01, p10)
    drift = float(share @ (statistics.mean - plain))
    if kind == "offset":
        return Correction(kind, plain - drift, True)
    centre = float(share @ plain)
    covariance = float(share @ ((plain - centre) * (statistics.mean - centre - drift)))
    spread = float(share @ (statistics.variance + (statistics.mean - centre - drift) ** 2))
    gain = covariance / spread if spread > 0.0 else 1.0
    return Correction(kind, centre + gain * (plain - centre - drift), True)


def _unbias(form: WeightFormat, p01: Array, p10: Array, histogram: Array) -> Correction:
    bits = form.bit_table.astype(np.float64)
    gain = 1.0 - p01 - p10
    dead = gain < LEAST_GAIN
    density = (histogram / histogram.sum()) @ bits
    estimate = np.where(dead, density, (bits - p01) / np.where(dead, 1.0, gain))
    folds = bool(np.all(gain == gain[0]) and not dead.any())
    return Correction("unbias", estimate @ form.significance + form.offset, folds)


def corrected_noise(form: WeightFormat, p01: Array, p10: Array, table: Array) -> tuple[Array, Array]:
    """Bias and variance of the corrected value for every stored code, LSB and LSB^2, each [2^B] (exact enumeration)."""
    transition = np.ones((1, 1))  # [stored code, read code] over the planes so far, LSB first
    for up, down in zip(p01, p10, strict=True):
        transition = np.kron(np.array([[1.0 - up, up], [down, 1.0 - down]]), transition)
    mean = transition @ table
    spread = (table[None, :] - mean[:, None]) ** 2
    return mean - form.decode_table, np.sum(transition * spread, axis=1)
