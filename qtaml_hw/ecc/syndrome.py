"""Exact decoder statistics from the distribution of the syndrome, for independent flips with per-bit probabilities.

The distribution of H e over the 2^r syndromes is the r-fold Walsh-Hadamard transform of prod_i (1 - 2 p_i)^(u.h_i);
here it is built in the syndrome domain (one two-tap convolution per bit), because sums of positive terms keep full
relative precision.  The statistics of data bit j need the distribution of all *other* bits; a binary recursion over
the data bits gives it for every j in k log2 k convolutions.
"""

from __future__ import annotations

import numpy as np

from qtaml_hw._jit import njit
from qtaml_hw.arrays import AnyArray, Float64
from qtaml_hw.ecc.linear import LinearCode
from qtaml_hw.ecc.transfer import Transfer


@njit()
def _add_bit(dist: AnyArray, column: np.uint64, p: float) -> None:
    """Convolve a syndrome distribution in place with one bit of syndrome ``column`` and error probability ``p``."""
    step = np.uint64(1)
    while (step << np.uint64(1)) <= column:
        step <<= np.uint64(1)
    q = 1.0 - p
    half = np.int64(step)
    col = np.int64(column)
    for base in range(0, dist.size, 2 * half):
        for s in range(base, base + half):
            a, b = dist[s], dist[s ^ col]
            dist[s] = q * a + p * b
            dist[s ^ col] = q * b + p * a


@njit()
def _leaf(dist: AnyArray, column: np.uint64, j: int, table: AnyArray, status: AnyArray, out: AnyArray) -> None:
    """Statistics of data bit j given the distribution of all other bits."""
    hit_wrong, clean_wrong, hit_flag, clean_flag = 0.0, 0.0, 0.0, 0.0
    col = np.int64(column)
    for s in range(dist.size):
        if status[s] == 2:
            hit_flag += dist[s ^ col]
            clean_flag += dist[s]
            continue
        flips = False
        for i in range(table.shape[1]):
            flips = flips or table[s, i] == j
        if flips:
            clean_wrong += dist[s]
        else:
            hit_wrong += dist[s ^ col]
    out[0, j], out[1, j], out[2, j], out[3, j] = hit_wrong, clean_wrong, hit_flag, clean_flag


@njit()
def _all_bits(columns: AnyArray, k: int, table: AnyArray, status: AnyArray, p: AnyArray, out: AnyArray) -> None:
    depth = 2
    while (1 << (depth - 2)) < k:
        depth += 1
    dist = np.zeros((depth, status.size))
    dist[0, 0] = 1.0
    for i in range(k, columns.size):
        _add_bit(dist[0], columns[i], p[i])
    stack = np.zeros((4 * depth, 5), np.int64)  # first, last, level, and the sibling's range still to be added
    stack[0, 1] = k
    top = 1
    while top > 0:
        top -= 1
        first, last, level, other_first, other_last = stack[top]
        if level > 0:
            dist[level, :] = dist[level - 1]
            for i in range(other_first, other_last):
                _add_bit(dist[level], columns[i], p[i])
        if last - first == 1:
            _leaf(dist[level], columns[first], first, table, status, out)
            continue
        middle = (first + last) // 2
        stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3], stack[top, 4] = (
            middle,
            last,
            level + 1,
            first,
            middle,
        )
        top += 1
        stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3], stack[top, 4] = (
            first,
            middle,
            level + 1,
            middle,
            last,
        )
        top += 1


@njit()
def _add_bit_by_weight(dist: AnyArray, column: np.uint64, p: float) -> None:
    """As ``_add_bit`` for ``dist`` [t + 2, 2^r]: rows are the error weights 0 .. t and "more than t"."""
    step = np.uint64(1)
    while (step << np.uint64(1)) <= column:
        step <<= np.uint64(1)
    q = 1.0 - p
    half, col, top = np.int64(step), np.int64(column), dist.shape[0] - 1
    for base in range(0, dist.shape[1], 2 * half):
        for s in range(base, base + half):
            a, b = dist[top, s], dist[top, s ^ col]
            dist[top, s] = q * a + p * (b + dist[top - 1, s ^ col])
            dist[top, s ^ col] = q * b + p * (a + dist[top - 1, s])
            for w in range(top - 1, 0, -1):
                a, b = dist[w, s], dist[w, s ^ col]
                dist[w, s] = q * a + p * dist[w - 1, s ^ col]
                dist[w, s ^ col] = q * b + p * dist[w - 1, s]
            dist[0, s] *= q
            dist[0, s ^ col] *= q


@njit()
def _words(columns: AnyArray, k: int, table: AnyArray, status: AnyArray, p: AnyArray, t: int) -> tuple[float, float]:
    """P(flagged) and P(not flagged, data wrong).

    A pattern of up to t errors is the one that its syndrome stands for, so what goes wrong unflagged are the heavier
    patterns: counted apart from the start, nothing cancels.
    """
    dist = np.zeros((t + 2, status.size))
    dist[0, 0] = 1.0
    error_free = 1.0
    for i in range(columns.size):
        _add_bit_by_weight(dist, columns[i], p[i])
        error_free *= 1.0 - p[i]
    due, sdc = 0.0, 0.0
    for s in range(status.size):
        if status[s] == 2:
            for w in range(t + 2):
                due += dist[w, s]
            continue
        sdc += dist[t + 1, s]
        if s > 0 and table[s, 0] < 0:  # passed on untouched: right when the errors sit in the check bits alone
            harmless = error_free
            for i in range(columns.size - k):
                if (s >> i) & 1:
                    harmless *= p[k + i] / (1.0 - p[k + i])
            sdc -= harmless
    return due, max(sdc, 0.0)


def exact_transfer(code: LinearCode, p: Float64) -> Transfer:
    """The ``Transfer`` for per-bit probabilities ``p`` float64 [n]; p = 1 is taken as 1 - 2^-53."""
    p = np.minimum(p, 1.0 - 2.0**-53)
    cosets, columns = code.cosets, code.columns[:, 0]
    out = np.zeros((4, code.k))
    _all_bits(columns, code.k, cosets.positions, cosets.status, p, out)
    due, sdc = _words(columns, code.k, cosets.positions, cosets.status, p, code.t)
    return Transfer(out[0], out[1], out[2], out[3], min(float(due), 1.0), min(float(sdc), 1.0), "exact-syndrome")
