"""Weight distributions, and the bounded-distance decoder's statistics that follow from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np
from scipy.special import gammaln

from qtaml_hw._jit import njit
from qtaml_hw.arrays import Float64, Int64, Uint64
from qtaml_hw.ecc.codec import pack
from qtaml_hw.ecc.linear import LinearCode
from qtaml_hw.ecc.matrices import BitMatrix
from qtaml_hw.ecc.transfer import Transfer

COUNT_LIMIT = 24  # words of a code, or of its dual, are counted one by one up to 2^24 (a tenth of a second)


@njit()
def _count_weights(rows: Uint64, counts: Int64) -> None:
    """Weights of all combinations of ``rows`` uint64 [k, L], in Gray-code order."""
    k, limbs = rows.shape
    word = np.zeros(limbs, np.uint64)
    counts[0] += 1
    for i in range(1, 1 << k):
        bit = 0
        while not (i >> bit) & 1:
            bit += 1
        weight = 0
        for limb in range(limbs):
            word[limb] ^= rows[bit, limb]
            x = word[limb]
            x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
            x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
            x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
            weight += int((x * np.uint64(0x0101010101010101)) >> np.uint64(56))
        counts[weight] += 1


def _counted(generator: BitMatrix) -> list[int]:
    counts = np.zeros(generator.shape[1] + 1, dtype=np.int64)
    _count_weights(pack(generator), counts)
    return [int(c) for c in counts]


def macwilliams(dual: list[int], r: int) -> Iterator[int]:
    """Words of weight 0, 1, 2 ... of a code of length n, from the weight distribution of its dual of dimension r
    (MacWilliams identity, exact).
    """
    n = len(dual) - 1

    def krawtchouk(j: int, w: int) -> int:
        return sum((-1) ** i * comb(w, i) * comb(n - w, j - i) for i in range(j + 1))

    present = [(w, a) for w, a in enumerate(dual) if a]
    return (sum(a * krawtchouk(j, w) for w, a in present) // 2**r for j in range(n + 1))


def minimum_distance(check_matrix: BitMatrix) -> int:
    """Least weight of a word of the code with these independent checks, 0/1 [r, n], r <= 24: exact."""
    words = macwilliams(_counted(check_matrix), len(check_matrix))
    return next(weight for weight, count in enumerate(words) if weight and count)


@lru_cache(maxsize=256)
def log_weights(code: LinearCode) -> tuple[Float64, str]:
    """ln A_w for w = 0 .. n (-inf where none) and the tag ``exact`` or ``binomial`` (A_w = C(n, w) / 2^r, w >= d)."""
    generator = np.concatenate([np.eye(code.k, dtype=np.uint8), code.parity_matrix], axis=1)
    if code.k <= COUNT_LIMIT:
        counts = _counted(generator)
    elif code.parity <= COUNT_LIMIT:
        counts = list(macwilliams(_counted(code.check_matrix), code.parity))
    else:
        w = np.arange(code.n + 1)
        logs = log_comb(code.n, w) - code.parity * np.log(2.0)
        logs[: code.distance] = -np.inf
        logs[0] = 0.0
        return logs, "binomial"
    return np.array([np.log(float(a)) if a else -np.inf for a in counts]), "exact"


def log_comb(n: int | Int64, m: Int64) -> Float64:
    """ln of the binomial coefficient, -inf outside 0 <= m <= n."""
    n_array = np.asarray(n, dtype=np.float64)
    inside = (m >= 0) & (m <= n_array)
    safe = np.where(inside, m, 0)
    logs: Float64 = gammaln(n_array + 1) - gammaln(safe + 1) - gammaln(n_array - safe + 1)
    return np.where(inside, logs, -np.inf)


@dataclass(frozen=True, eq=False)
class Miscorrection:
    """How a bounded-distance decoder errs.

    One entry per (codeword weight ``v``, ``i`` of its ones right, ``j`` ones too many), error weight w = v - i + j, and
    ``log_ways`` = ln of the number of such error patterns.  ``share`` float64 [n + 1]: of the patterns of each weight,
    the fraction decoded to a wrong codeword; ``codeword_weight`` [n + 1]: mean weight of that codeword.
    """

    v: Int64
    i: Int64
    j: Int64
    log_ways: Float64
    share: Float64
    codeword_weight: Float64
    tag: str


@lru_cache(maxsize=64)
def miscorrection(code: LinearCode) -> Miscorrection:
    """A pattern of weight w = v - i + j is decoded to the weight-v codeword that is i + j <= t places away."""
    logs, tag = log_weights(code)
    n, t = code.n, code.t
    v, i, j = np.meshgrid(np.nonzero(np.isfinite(logs))[0][1:], np.arange(t + 1), np.arange(t + 1), indexing="ij")
    reach = (i + j <= t) & (i <= v) & (j <= n - v)
    v, i, j = v[reach], i[reach], j[reach]
    w = v - i + j
    ways = logs[v] + log_comb(v, i) + log_comb(n - v, j)
    part = np.exp(ways - log_comb(n, w))
    share = np.bincount(w, part, minlength=n + 1)
    weight = np.divide(np.bincount(w, part * v, minlength=n + 1), share, out=np.zeros(n + 1), where=share > 0.0)
    return Miscorrection(v, i, j, ways, np.minimum(share, 1.0), weight, tag)


def bounded_distance_transfer(code: LinearCode, p: float) -> Transfer:
    """The ``Transfer`` at one error probability for all bits, all positions alike (true of cyclic codes)."""
    p = min(max(p, 1e-300), 1.0 - 2.0**-53)
    wrong, n = miscorrection(code), code.n
    log_p, log_q = np.log(p), np.log1p(-p)
    w = wrong.v - wrong.i + wrong.j
    missed = np.exp(wrong.log_ways + w * log_p + (n - w) * log_q)
    weights = np.arange(n + 1)
    law = np.exp(log_comb(n, weights) + weights * log_p + (n - weights) * log_q)
    flagged = law * np.where(weights > code.t, 1.0 - wrong.share, 0.0)
    hit = (float((missed * (wrong.v - wrong.i)).sum()), float((flagged * weights).sum()))
    clean = (float((missed * wrong.i).sum()), float((flagged * (n - weights)).sum()))
    one = np.ones(code.k)
    a, c = (min(x / (n * p), 1.0) * one for x in hit)
    b, d = (min(x / (n * (1.0 - p)), 1.0) * one for x in clean)
    due, sdc = min(float(flagged.sum()), 1.0), min(float(missed.sum()), 1.0)
    return Transfer(a, b, c, d, due, sdc, f"bounded-distance, {wrong.tag} weights")
