"""What a code leaves of independent flips: bit error after decoding, P(detected-uncorrectable), P(silent), break-even.

Two methods, tagged on every number:

``exact-syndrome`` (up to 18 check bits): the distribution of the syndrome over all 2^r values, the sum over error
patterns that the Walsh-Hadamard transform factorises, is built bit by bit as a convolution.  Only positive terms are
added, so 1e-30 is as accurate, relatively, as 0.1.  Per-bit probabilities are allowed.
``bounded-distance`` (more check bits): every pattern of up to t errors is corrected, heavier ones are miscorrected as
the weight distribution says (exact where 2^k or 2^r words can be counted, else binomial, A_w = C(n, w) / 2^r; the
tag says which), at the mean error probability of the word's bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from qtaml_hw.ecc.linear import LinearCode
from qtaml_hw.ecc.syndrome import exact_transfer
from qtaml_hw.ecc.transfer import Transfer
from qtaml_hw.ecc.weight_distribution import bounded_distance_transfer
from qtaml_hw.names import OnUncorrectable

Transfers = Callable[[float, float], Transfer]
"""The transfer of a code at the error probabilities of data and of check bits."""


@dataclass(frozen=True)
class Residual:
    """Residual channel: ``bit_error`` = mean data bit error after decoding, ``p01``, ``p10`` its two directions
    (bit_error = (1 - ones) p01 + ones p10); ``p_due``, ``p_sdc`` per word; ``method`` tags how it was computed."""

    bit_error: float
    p_due: float
    p_sdc: float
    method: str
    p01: float
    p10: float


def check_probability(value: float, what: str) -> float:
    """``value`` as a float; ValueError unless it is in [0, 1]."""
    if not 0.0 <= float(value) <= 1.0:
        raise ValueError(f"{what} must be a probability in [0, 1], got {value!r}")
    return float(value)


def code_transfer(code: LinearCode, p_data: ArrayLike, p_parity: ArrayLike) -> Transfer:
    """See ``Code.transfer``."""
    data = np.broadcast_to(np.asarray(p_data, dtype=np.float64), (code.k,))
    parity = np.broadcast_to(np.asarray(p_parity, dtype=np.float64), (code.parity,))
    p = np.concatenate([data, parity])
    if not (np.all(p >= 0.0) and np.all(p <= 1.0)):
        raise ValueError("error probabilities must be in [0, 1]")
    uniform = bool(np.all(p == p[0]))
    if code.algebraic or (uniform and code.parity > 15 and code.position_symmetric):
        return bounded_distance_transfer(code, float(p.mean()))
    return exact_transfer(code, p)


@lru_cache(maxsize=4096)
def scalar_transfer(code: LinearCode, p_data: float, p_parity: float) -> Transfer:
    """The transfer where all data bits and all check bits are alike, remembered."""
    return code_transfer(code, p_data, p_parity)


def code_residual(
    transfer_at: Transfers, p: float, p10: float | None, *, ones: float, parity_p: float | None, policy: OnUncorrectable
) -> Residual:
    """See ``Code.residual``."""
    p01 = check_probability(p, "p01" if p10 is not None else "p")
    down = p01 if p10 is None else check_probability(p10, "p10")
    ones = check_probability(ones, "the density of ones")
    mean = (1.0 - ones) * p01 + ones * down
    check = 0.5 * (p01 + down) if parity_p is None else check_probability(parity_p, "parity_p")
    if mean == 0.0 and check == 0.0:
        return Residual(0.0, 0.0, 0.0, "exact-syndrome", 0.0, 0.0)
    transfer = transfer_at(mean, check)
    up_bits, down_bits = transfer.directional(p01, down, policy)
    up, low = float(up_bits.mean()), float(down_bits.mean())
    return Residual((1.0 - ones) * up + ones * low, transfer.p_due, transfer.p_sdc, transfer.method, up, low)


@lru_cache(maxsize=512)
def break_even(transfer_at: Transfers, policy: OnUncorrectable) -> float:
    """The raw p where the residual bit error equals p (first crossing from below); 0.5 where the code never hurts."""

    def gain(log_p: float) -> float:
        p = float(np.exp(log_p))
        return code_residual(transfer_at, p, None, ones=0.5, parity_p=None, policy=policy).bit_error / p - 1.0

    grid = np.log(np.concatenate([[1e-6, 1e-4, 1e-3, 5e-3], np.linspace(0.01, 0.49, 13)]))
    low = grid[0]
    if gain(low) >= 0.0:
        return 0.0
    for high in grid[1:]:
        if gain(high) > 0.0:
            return float(np.exp(brentq(gain, low, high, xtol=1e-6)))
        low = high
    return 0.5
