"""Compiled loops over weak cells and over the data bits of ECC words."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qtaml_hw._jit import njit
from qtaml_hw.arrays import Bool, Codes, Float64, Int64, Uint8, Uint64

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
def pack_words(codes: Codes, starts: Int64, chosen: Bool, k: int, out: Uint64) -> None:
    """Data bits of the ECC words of one entry, packed: out uint64 [words, limbs], bit j of a word in limb j // 64.

    codes [n]; starts [G+1] within the tensor; chosen bool [G, planes].  Order as in ``protection.WordLayout``.
    """
    planes = chosen.shape[1]
    word, position = 0, 0
    for g in range(starts.size - 1):
        for w in range(starts[g], starts[g + 1]):
            for p in range(planes - 1, -1, -1):
                if chosen[g, p]:
                    if (codes[w] >> p) & 1:
                        out[word, position >> 6] |= np.uint64(1) << np.uint64(position & 63)
                    position += 1
                    if position == k:
                        word += 1
                        position = 0


@njit(nogil=True)
def count_ones(a: Codes) -> int:
    """Bits that are set in an unsigned array [n]."""
    total = 0
    for i in range(a.size):
        x = np.uint64(a[i])
        while x:
            x &= x - np.uint64(1)
            total += 1
    return total


@njit(nogil=True)
def bits_of_words(flips: Codes, starts: Int64, chosen: Bool) -> Int64:
    """Numbers of the bits that are set in ``flips`` [n] among those that are ``chosen`` bool [G, planes], ascending.

    starts [G+1] within the tensor.  Bits are numbered in the order of ``protection.WordLayout``.
    """
    planes = chosen.shape[1]
    out = np.empty(count_ones(flips), dtype=np.int64)
    found, before = 0, 0
    for g in range(starts.size - 1):
        held = 0
        for p in range(planes):
            held += chosen[g, p]
        for w in range(starts[g], starts[g + 1]):
            if flips[w]:
                index = before
                for p in range(planes - 1, -1, -1):
                    if chosen[g, p]:
                        if (flips[w] >> p) & 1:
                            out[found] = index
                            found += 1
                        index += 1
            before += held
    return out[:found]


@njit(nogil=True)
def count_differences(a: Codes, b: Codes) -> int:
    """Bits in which two unsigned arrays [n] differ."""
    total = 0
    for i in range(a.size):
        x = np.uint64(a[i] ^ b[i])
        while x:
            x &= x - np.uint64(1)
            total += 1
    return total
