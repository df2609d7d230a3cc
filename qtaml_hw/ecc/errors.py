"""Error-only decoding: a linear code's decoder acts on the error pattern, so only hit words are ever looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qtaml_hw._jit import njit
from qtaml_hw.arrays import AnyArray, Int64, Uint8, Uint64
from qtaml_hw.ecc.codec import CORRECTED, UNCORRECTABLE
from qtaml_hw.ecc.cosets import CosetTable
from qtaml_hw.ecc.finite_field import Field, locate_errors

Decoding = tuple[Int64, Int64, Int64, Uint8]  # errors left: word, position; words hit: id, status


@dataclass(frozen=True, eq=False)
class ErrorOutcome:
    """What decoding leaves.

    ``word_ids``, ``positions`` int64 [m']: data-bit errors left, sorted by word, then position (flagged words as the
    decoder passes them).
    ``corrected_words``, ``uncorrectable_words`` int64: ids of the words that the decoder changed, or flagged.
    """

    word_ids: Int64
    positions: Int64
    corrected_words: Int64
    uncorrectable_words: Int64


@njit()
def _toggle(row: AnyArray, count: int, position: int) -> int:
    """XOR one position into the sorted set row[:count], which mostly is its largest; the new count."""
    slot = count
    while slot > 0 and row[slot - 1] >= position:
        slot -= 1
    if slot < count and row[slot] == position:
        for i in range(slot, count - 1):
            row[i] = row[i + 1]
        return count - 1
    for i in range(count, slot, -1):
        row[i] = row[i - 1]
    row[slot] = position
    return count + 1


@njit()
def _hit_words(word_ids: AnyArray) -> int:
    """How many different words a sorted list names; -1 where it is not sorted."""
    words = 0
    for i in range(word_ids.size):
        if i > 0 and word_ids[i] < word_ids[i - 1]:
            return -1
        words += i == 0 or word_ids[i] != word_ids[i - 1]
    return words


@njit()
def _by_table(
    columns: AnyArray, table: AnyArray, status: AnyArray, k: int, word_ids: AnyArray, positions: AnyArray
) -> Decoding:
    t = table.shape[1]
    words = _hit_words(word_ids)
    hit_ids, flags = np.empty(words, np.int64), np.empty(words, np.uint8)
    left_ids, left_at = np.empty(word_ids.size + t * words, np.int64), np.empty(word_ids.size + t * words, np.int64)
    row = np.empty(columns.size + t + 1, np.int64)
    left, hit, i = 0, 0, 0
    while i < word_ids.size:
        word, syndrome, count = word_ids[i], np.uint64(0), 0
        while i < word_ids.size and word_ids[i] == word:
            syndrome ^= columns[positions[i]]
            count = _toggle(row, count, positions[i])
            i += 1
        for j in range(t):
            if table[syndrome, j] >= 0:
                count = _toggle(row, count, int(table[syndrome, j]))
        for j in range(count):
            if row[j] < k:
                left_ids[left] = word
                left_at[left] = row[j]
                left += 1
        hit_ids[hit] = word
        flags[hit] = status[syndrome]
        hit += 1
    return left_ids[:left], left_at[:left], hit_ids, flags


@njit()
def _by_algebra(
    degrees: AnyArray, t: int, k: int, exp: AnyArray, log: AnyArray, word_ids: AnyArray, positions: AnyArray
) -> Decoding:
    words, n = _hit_words(word_ids), degrees.size
    hit_ids, flags = np.empty(words, np.int64), np.empty(words, np.uint8)
    left_ids, left_at = np.empty(word_ids.size + t * words, np.int64), np.empty(word_ids.size + t * words, np.int64)
    row, powers, roots_at = np.empty(n + t + 1, np.int64), np.empty(n, np.int64), np.empty(t + 1, np.int64)
    left, hit, i = 0, 0, 0
    while i < word_ids.size:
        word, errors, count = word_ids[i], 0, 0
        while i < word_ids.size and word_ids[i] == word:
            powers[errors] = degrees[positions[i]]
            count = _toggle(row, count, positions[i])
            errors += 1
            i += 1
        roots = locate_errors(powers, errors, t, n, exp, log, roots_at)
        for j in range(roots):
            degree = roots_at[j]
            count = _toggle(row, count, degree - (n - k) if degree >= n - k else k + degree)
        for j in range(count):
            if row[j] < k:
                left_ids[left] = word
                left_at[left] = row[j]
                left += 1
        hit_ids[hit] = word
        flags[hit] = 2 if roots < 0 else (1 if roots > 0 else 0)
        hit += 1
    return left_ids[:left], left_at[:left], hit_ids, flags


def correct_by_table(columns: Uint64, cosets: CosetTable, k: int, word_ids: Int64, positions: Int64) -> ErrorOutcome:
    """Coset-table decoding of sparse error patterns (see ``BlockCode.correct_errors``)."""
    return _outcome(_by_table(columns, cosets.positions, cosets.status, k, word_ids, positions))


def correct_by_algebra(gf: Field, degrees: Int64, t: int, k: int, word_ids: Int64, positions: Int64) -> ErrorOutcome:
    """Berlekamp-Massey and Chien decoding of sparse error patterns; ``degrees`` as in ``LinearCode``."""
    return _outcome(_by_algebra(degrees, t, k, gf.exp, gf.log, word_ids, positions))


def syndrome_errors(syndromes: Uint64, k: int, r: int) -> tuple[Int64, Int64]:
    """Words' syndromes uint64 [m, R] as errors in check bits: (word ids, positions), sorted by word."""
    hit = np.nonzero(syndromes.any(axis=1))[0]
    bits = np.unpackbits(syndromes[hit].astype("<u8").view(np.uint8), axis=-1, bitorder="little")[:, :r]
    rows, columns = np.nonzero(bits)
    return hit[rows].astype(np.int64), (k + columns).astype(np.int64)


def _outcome(decoding: Decoding) -> ErrorOutcome:
    left_ids, left_at, words, flags = decoding
    return ErrorOutcome(left_ids, left_at, words[flags == CORRECTED], words[flags == UNCORRECTABLE])


def check_sorted(word_ids: Int64) -> None:
    """ValueError unless the word ids are sorted."""
    if _hit_words(word_ids) < 0:
        raise ValueError("error patterns must be sorted by word id")


def draw_errors(n: int, words: int, p: float, rng: np.random.Generator) -> tuple[Int64, Int64]:
    """Independent flips of ``words`` words of ``n`` bits, as (word ids, positions) sorted, drawn by geometric gaps.

    The cost grows with the number of flips, not of bits.  ValueError unless 0 <= p < 1.
    """
    if not 0.0 <= p < 1.0 or n < 1 or words < 0:
        raise ValueError(f"errors need 0 <= p < 1, n >= 1 and words >= 0, got p = {p}, n = {n}, words = {words}")
    bits, start = n * words, -1
    parts: list[Int64] = []
    while p > 0.0 and start < bits:
        room = bits - start
        count = int(room * p + 6.0 * np.sqrt(room * p) + 16.0)
        gaps = np.minimum(rng.standard_exponential(count) * (-1.0 / np.log1p(-p)), float(bits)).astype(np.int64)
        gaps += 1
        gaps[0] += start
        at = np.cumsum(gaps)
        start = int(at[-1])
        parts.append(at)
    flat = np.concatenate(parts) if parts else np.empty(0, np.int64)
    flat = flat[: int(np.searchsorted(flat, bits))]
    word_ids = flat // n
    return word_ids, flat - word_ids * n
