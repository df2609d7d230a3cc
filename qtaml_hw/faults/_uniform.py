"""The virtual uniform U of a cell: how it is laid out, and the thresholds that reproduce ``U < p`` exactly.

A cell is first visited by a Poisson process of unit rate on the axis ``tau``; its first arrival makes
``U = 1 - exp(-tau)`` uniform, and only arrivals before ``TAU_DENSE`` are ever drawn (level by level, sparse).  A cell
with no arrival there has ``U = s + (1 - s) W``, ``s = 1 - exp(-TAU_DENSE)``, with ``W`` of 53 bits: ``DIGITS`` bits
from bit-sliced words, the rest from the cell's own counter.  Both branches are uniform conditional on their event,
so ``P(U < p) = p`` up to float64 rounding (2^-52), and flips are nested over p because U does not depend on p.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from qtaml_hw._jit import njit
from qtaml_hw.arrays import Int64, Uint64
from qtaml_hw.faults._streams import CHUNK_BYTES

LEVELS: Final = 8  # level 0 is [0, 2^-19), level j is [2^(j-20), 2^(j-19)): one arrival per chunk in level 0
TAU_DENSE: Final = 2.0**-12
DIGITS: Final = 10  # bits of W in bit-sliced words; 2^-10 of the cells need more
TAIL_BITS: Final = 53 - DIGITS
POSITION_BITS: Final = 19  # a chunk has 65,536 * 8 = 2^19 cells
TABLE_WIDTH: Final = 512

_THIRD: Final = 1.0 / 3.0
_TAU_STEP: Final = 2.0 ** -(64 - POSITION_BITS)


def uniform_of_tau(tau: float) -> float:
    """``1 - exp(-tau)`` for tau <= 2^-12 by its series to tau^5: truncation below 2^-80, one fixed rounding order."""
    half, third, fourth, fifth = 0.5 * tau, _THIRD * tau, 0.25 * tau, 0.2 * tau
    return tau * (1.0 - half * (1.0 - third * (1.0 - fourth * (1.0 - fifth))))


U_DENSE: Final = uniform_of_tau(TAU_DENSE)  # s: below it flips come from the arrivals alone
_U_LAST: Final = 1.0 - 2.0**-53


def level_start(level: int) -> float:
    """Lower end of a level on the tau axis."""
    return 0.0 if level == 0 else TAU_DENSE / (1 << (LEVELS - level))


def level_width(level: int) -> float:
    """Width of a level on the tau axis."""
    return TAU_DENSE / (1 << (LEVELS - max(level, 1)))


def uniform_of_word(word: int | np.int64) -> float:
    """U of a cell without arrivals, from its 53-bit word W; below 1."""
    return min(U_DENSE + (1.0 - U_DENSE) * (float(word) * 2.0**-53), _U_LAST)


compiled_uniform_of_tau = njit(inline="always")(uniform_of_tau)
compiled_uniform_of_word = njit(inline="always")(uniform_of_word)
_start = njit(inline="always")(level_start)
_width = njit(inline="always")(level_width)


@njit(inline="always")
def tau_of_draw(level: int, low_bits: int | np.int64) -> float:
    """Arrival time inside a level from the 45 bits that the position leaves of a draw."""
    return _start(level) + _width(level) * (float(low_bits) * _TAU_STEP)


def word_threshold(p: float) -> int:
    """The number T of words W with ``uniform_of_word(W) < p``: a cell without arrivals flips iff ``W < T``."""
    if p <= U_DENSE:
        return 0
    low, high = 0, 1 << 53  # uniform_of_word(low - 1) < p <= uniform_of_word(high)
    guess = int((p - U_DENSE) / (1.0 - U_DENSE) * 2.0**53)
    near_low, near_high = max(guess - 8, 0), min(guess + 8, 1 << 53)
    if near_low == 0 or uniform_of_word(near_low - 1) < p:
        low = near_low
    if near_high < 1 << 53 and uniform_of_word(near_high) >= p:
        high = near_high
    while low < high:
        middle = (low + high) // 2
        if uniform_of_word(middle) < p:
            low = middle + 1
        else:
            high = middle
    return low


def levels_needed(p: float) -> int:
    """How many levels can hold an arrival with U < p."""
    if p <= 0.0:
        return 0
    return next((level for level in range(1, LEVELS) if p <= uniform_of_tau(level_start(level))), LEVELS)


def levels_full(p: float) -> int:
    """How many levels lie below p entirely: their arrivals flip without a look at U."""
    return sum(uniform_of_tau(level_start(level) + level_width(level)) <= p for level in range(LEVELS))


@lru_cache(maxsize=1)
def poisson_tables() -> tuple[Uint64, Int64]:
    """Inverse distribution of the arrivals of one chunk in each level.

    Returns ``cdf`` uint64 [LEVELS, TABLE_WIDTH] (P(count <= k) scaled to 2^64, last entry full) and ``guide`` int64
    [LEVELS, 256], the first count whose cdf can exceed a draw with that top byte.
    """
    cdf = np.empty((LEVELS, TABLE_WIDTH), dtype=np.uint64)
    guide = np.empty((LEVELS, 256), dtype=np.int64)
    for level in range(LEVELS):
        mean = 8 * CHUNK_BYTES * level_width(level)
        terms = [math.exp(k * math.log(mean) - mean - math.lgamma(k + 1.0)) for k in range(TABLE_WIDTH)]
        total = 0.0
        for k, term in enumerate(terms):
            total += term
            cdf[level, k] = min(int(total * 2.0**64), (1 << 64) - 1)
        cdf[level, TABLE_WIDTH - 1] = (1 << 64) - 1
        guide[level] = np.searchsorted(cdf[level], np.arange(256, dtype=np.uint64) << np.uint64(56), side="right")
    return cdf, guide
