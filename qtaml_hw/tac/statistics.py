"""What a flip channel does to the value of a stored weight: exact mean and variance, code by code.

``p01`` and ``p10`` are residual probabilities per plane, after any protection.  All values are in LSB (units of the
scale).  Closed forms: docs/theory.md, mean drift and variance (arXiv:2606.00741 states the affine drift).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.weights import WeightFormat

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ValueStatistics:
    """Conditional on the stored code: ``mean`` and ``variance`` of the value read, each [2^B], LSB and LSB^2."""

    mean: Array
    variance: Array


def value_statistics(form: WeightFormat, p01: Array, p10: Array) -> ValueStatistics:
    """E and Var of the value read, for every stored code, under independent flips per plane (exact).

    E[b~ | b] = p01 + (1 - p01 - p10) b and Var = p (1 - p) with p the flip probability of the stored bit.
    """
    bits = form.bit_table.astype(np.float64)
    mean_bit = p01 + (1.0 - p01 - p10) * bits
    flip = np.where(form.bit_table == 1, p10, p01)
    mean = mean_bit @ form.significance + form.offset
    return ValueStatistics(mean=mean, variance=(flip * (1.0 - flip)) @ form.significance**2)


def affine_drift(form: WeightFormat, p01: float, p10: float, protected: int = 0) -> tuple[float, float]:
    """``(a, c)`` with E[L~ | L] = a L + c for the value L of the planes below the ``protected`` top ones, in LSB.

    Without protection L is the whole weight less the offset of the encoding; c = p01 * sum_i s_i over those planes.
    """
    return 1.0 - p01 - p10, p01 * float(form.significance[: form.bits - protected].sum())


def symmetric_variance(p: float, bits: int, protected: int = 0) -> float:
    """Var[W~ | W] = p (1 - p) (4^(B - k) - 1) / 3 in LSB^2: independent of W, quartered by every protected plane."""
    return p * (1.0 - p) * (4.0 ** (bits - protected) - 1.0) / 3.0
