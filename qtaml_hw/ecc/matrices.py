"""Parity matrices of the classical memory codes: Hsiao SEC-DED, Hamming SEC, repetition, single parity.

A systematic code is given by its parity matrix P, uint8 [k, r]: parity = data @ P (mod 2), and H = [P^T | I].
Row j of P is therefore the syndrome of a single error in data bit j.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

BitMatrix = NDArray[np.uint8]


def _unit(rows: int, ones: tuple[int, ...]) -> BitMatrix:
    column = np.zeros(rows, dtype=np.uint8)
    column[list(ones)] = 1
    return column


def _balanced(candidates: BitMatrix, count: int, start: NDArray[np.int64]) -> BitMatrix:
    """``count`` of the candidate columns whose row sums, added to ``start``, are as equal as a swap search makes
    them."""
    chosen: list[int] = []
    load = start.astype(np.int64).copy()
    free = np.ones(len(candidates), dtype=bool)
    for _ in range(count):
        cost = np.where(free, ((load + candidates) ** 2).sum(axis=1), np.iinfo(np.int64).max)
        best = int(np.argmin(cost))
        chosen.append(best)
        free[best] = False
        load += candidates[best]
    improved = True
    while improved:
        improved = False
        for slot, old in enumerate(chosen):
            without = load - candidates[old]
            cost = np.where(free, ((without + candidates) ** 2).sum(axis=1), np.iinfo(np.int64).max)
            best = int(np.argmin(cost))
            if cost[best] < (load**2).sum():
                free[old], free[best], chosen[slot] = True, False, best
                load = without + candidates[best]
                improved = True
    return candidates[np.sort(np.array(chosen, dtype=np.int64))] if count else candidates[:0]


def _lightest(r: int, k: int, weights: range) -> BitMatrix:
    """``k`` distinct columns of ``r`` rows with the given weights, lightest first, row sums balanced."""
    parts: list[BitMatrix] = []
    load = np.zeros(r, dtype=np.int64)
    left = k
    for weight in weights:
        candidates = np.array([_unit(r, ones) for ones in itertools.combinations(range(r), weight)], dtype=np.uint8)
        part = _balanced(candidates, min(left, len(candidates)), load)
        parts.append(part)
        load += part.sum(axis=0, dtype=np.int64)
        left -= len(part)
        if left == 0:
            break
    return np.concatenate(parts)


def hsiao(k: int) -> BitMatrix:
    """Minimum odd-weight-column SEC-DED code with ``k`` data bits (1 to 502), row weights balanced.

    Source: M. Y. Hsiao, "A class of optimal minimum odd-weight-column SEC-DED codes", IBM J. Res. Dev. 14 (1970) 395.
    """
    _check_data_bits(k)
    r = next(r for r in range(3, 64) if 2 ** (r - 1) - r >= k)
    return _lightest(r, k, range(3, r + 1, 2))


def hamming(k: int) -> BitMatrix:
    """Hamming SEC code, shortened where needed: columns of weight >= 2, lightest first.

    Source: R. W. Hamming, "Error detecting and error correcting codes", Bell Syst. Tech. J. 29 (1950) 147.
    """
    _check_data_bits(k)
    r = next(r for r in range(2, 64) if 2**r - 1 - r >= k)
    return _lightest(r, k, range(2, r + 1))


def _check_data_bits(k: int) -> None:
    if not 1 <= k <= 502:
        raise ValueError(f"single-error-correcting words are offered for 1 to 502 data bits, got {k}")


def repetition(n: int) -> BitMatrix:
    """n copies of one bit (n odd, majority vote)."""
    if n < 3 or n % 2 == 0:
        raise ValueError(f"repetition needs an odd number of copies >= 3 for a majority, got {n}")
    return np.ones((1, n - 1), dtype=np.uint8)


def single_parity(k: int) -> BitMatrix:
    """One parity bit over ``k`` data bits: detects any odd number of errors, corrects none."""
    if not 1 <= k <= 64:
        raise ValueError(f"single parity is offered over 1 to 64 bits, got {k}")
    return np.ones((k, 1), dtype=np.uint8)
