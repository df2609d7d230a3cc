"""Compiled loops over weak cells and over the data bits of ECC words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qtaml_hw._jit import njit
from qtaml_hw.arrays import Codes, Float64, Int64, Uint8, Uint64
from qtaml_hw.protection import BitOrder

WORD = 255  # kind code of entries whose bits belong to ECC words; other entries index their thresholds


class Place(NamedTuple):
    """One plane of one tensor: its number, the tensor's first bit among all, and how bits go round the banks.

    ``bits`` : of a weight of the tensor, which are neighbours.
    """

    plane: int
    first: int
    bits: int
    stride: int
    banks: int


class RowsOfPlane(NamedTuple):
    """``bin_of`` uint8 [banks, rows in use] of the plane's class; rows in use, bits of a full bank, bins."""

    bin_of: Uint8
    used: int
    per_bank: int
    bins: int


class Groups(NamedTuple):
    """``starts`` int64 [G+1] within the tensor; ``entry`` uint8 [G] of this plane; ``slots`` int64 [entries].

    A slot is the entry's row of the thresholds, or ``WORD``.
    """

    starts: Int64
    entry: Uint8
    slots: Int64


class AgeingCells(NamedTuple):
    """Weak cells of one plane: weight index int64 [m], ascending, ``u`` float64 [m] and stratum uint8 [m]."""

    position: Int64
    u: Float64
    stratum: Uint8


class CellsOfWords(NamedTuple):
    """Weak cells in ECC words: position, u, stratum and entry; arrays [m] that hold what was found first."""

    position: Int64
    u: Float64
    stratum: Uint8
    entry: Uint8

    @classmethod
    def room(cls, cells: int) -> CellsOfWords:
        """Room for so many."""
        stratum, entry = np.empty((2, cells), dtype=np.uint8)
        return cls(np.empty(cells, dtype=np.int64), np.empty(cells), stratum, entry)


@njit(nogil=True)
def scan_plane(
    weak: AgeingCells,
    codes: Codes,
    place: Place,
    rows: RowsOfPlane,
    groups: Groups,
    thresholds: Float64,
    read: tuple[Codes, Int64],
    kept: CellsOfWords,
) -> int:
    """Age the weak cells of one plane of one tensor that nothing corrects; list those in ECC words.

    codes [n]; thresholds [samples, slots, banks * bins, 2, strata]: a cell flips when u < thresholds[s, slot,
    bank * bins + bin, written, stratum].  Flips ``read[0]`` [samples, n] and counts them in ``read[1]`` [samples].
    Cells of words go to ``kept``; returns how many.
    """
    reads, flips = read
    mask = codes.dtype.type(1 << place.plane)
    g, count = 0, 0
    for i in range(weak.position.size):
        w = weak.position[i]
        while groups.starts[g + 1] <= w:
            g += 1
        slot = groups.slots[groups.entry[g]]
        if slot == WORD:
            kept.position[count] = w
            kept.u[count] = weak.u[i]
            kept.stratum[count] = weak.stratum[i]
            kept.entry[count] = groups.entry[g]
            count += 1
            continue
        bit = (codes[w] >> place.plane) & 1
        address = w * place.bits + place.first
        unit = (address // place.stride) % place.banks
        if rows.bins > 1:
            around = place.stride * place.banks
            local = (address // around) * place.stride + address % place.stride
            unit = unit * rows.bins + rows.bin_of[unit, local * rows.used // rows.per_bank]
        for s in range(thresholds.shape[0]):
            if weak.u[i] < thresholds[s, slot, unit, bit, weak.stratum[i]]:
                reads[s, w] ^= mask
                flips[s] += 1
    return count


@njit(nogil=True)
def pack_words(codes: Codes, order: BitOrder, k: int, out: Uint64) -> None:
    """Data bits of the ECC words of one entry, packed: out uint64 [words, limbs], bit j of a word in limb j // 64."""
    word, position = 0, 0
    for g in range(order.per_weight.size):
        for w in range(order.starts[g], order.starts[g + 1]):
            for j in range(order.per_weight[g]):
                if (codes[w] >> order.plane[g, j]) & 1:
                    out[word, position >> 6] |= np.uint64(1) << np.uint64(position & 63)
                position += 1
                if position == k:
                    word += 1
                    position = 0


class BitErrors(NamedTuple):
    """Bits in error of ECC words, int64 [m] by word and then by position (data bits first, then check bits)."""

    word: Int64
    position: Int64

    @classmethod
    def together(cls, parts: Sequence[BitErrors]) -> BitErrors:
        """Those of words that follow each other."""
        return cls(*(np.concatenate(found) for found in zip(*parts, strict=True)))


class WordRun(NamedTuple):
    """The words of one entry in one tensor: the number of the first, data bits and check bits of each."""

    first: int
    k: int
    checks: int


@njit(nogil=True)
def list_errors(flips: Codes, lost: Int64, order: BitOrder, words: WordRun, data_errors: int) -> BitErrors:
    """Bits in error of an entry's words in one tensor.

    flips [n], its weights' bits in error, none under another entry, ``data_errors`` in all; ``lost`` int64 [m] the
    words' check bits in error, ascending.
    """
    word_out, position_out = np.empty((2, data_errors + lost.size + 1), dtype=np.int64)  # one more to write and leave
    wide, at_once = whole_words(flips)
    found, check, word, end = 0, 0, 0, words.k
    for g in range(order.per_weight.size):
        w, last, per_weight = order.starts[g], order.starts[g + 1], order.per_weight[g]
        while w < last:
            if w & (at_once - 1) == 0 and w + at_once <= last and wide[w // at_once] == 0:
                w += at_once
                continue
            bit = order.first[g] + (w - order.starts[g]) * per_weight
            for j in range(per_weight if flips[w] else 0):
                if bit + j >= end:
                    word = (bit + j) // words.k
                    end = (word + 1) * words.k
                    while check < lost.size and lost[check] < word * words.checks:
                        word_out[found] = words.first + lost[check] // words.checks
                        position_out[found] = words.k + lost[check] % words.checks
                        found, check = found + 1, check + 1
                word_out[found] = words.first + word
                position_out[found] = bit + j - end + words.k
                found += int((flips[w] >> order.plane[g, j]) & 1)  # cheaper than a branch that is taken at random
            w += 1
    for i in range(check, lost.size):
        word_out[found] = words.first + lost[i] // words.checks
        position_out[found] = words.k + lost[i] % words.checks
        found += 1
    return BitErrors(word_out[:found], position_out[:found])


@njit(nogil=True)
def flip_listed(codes: Codes, errors: BitErrors, order: BitOrder, words: WordRun) -> None:
    """Flip in ``codes`` [n] the listed data bits of an entry's words; those a shortened word lacks are left out."""
    one = codes.dtype.type(1)
    g = 0
    for i in range(errors.word.size):
        bit = (errors.word[i] - words.first) * words.k + errors.position[i]
        while g < order.per_weight.size and order.first[g + 1] <= bit:
            g += 1
        if g < order.per_weight.size:
            rest = bit - order.first[g]
            w = rest // order.per_weight[g]
            codes[order.starts[g] + w] ^= one << codes.dtype.type(order.plane[g, rest - w * order.per_weight[g]])


@njit(inline="always")
def whole_words(codes: Codes) -> tuple[Uint64, int]:
    """An unsigned array [n] eight bytes at a time, without what is left over, and how many codes eight bytes hold."""
    at_once = 8 // codes.itemsize
    return codes[: codes.size // at_once * at_once].view(np.uint64), at_once


@njit(inline="always")
def ones_of(word: np.uint64) -> np.uint64:
    """Bits that are set in 64 (Warren, Hacker's Delight, section 5-1)."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(nogil=True)
def count_ones(a: Codes) -> int:
    """Bits that are set in an unsigned array [n]."""
    wide, at_once = whole_words(a)
    total = np.uint64(0)
    for word in wide:
        total += ones_of(word)
    for i in range(wide.size * at_once, a.size):
        total += ones_of(np.uint64(a[i]))
    return int(total)


@njit(nogil=True)
def count_differences(a: Codes, b: Codes) -> int:
    """Bits in which two unsigned arrays [n] differ."""
    wide_a, at_once = whole_words(a)
    wide_b, _ = whole_words(b)
    total = np.uint64(0)
    for i in range(wide_a.size):
        total += ones_of(wide_a[i] ^ wide_b[i])
    for i in range(wide_a.size * at_once, a.size):
        total += ones_of(np.uint64(a[i] ^ b[i]))
    return int(total)
