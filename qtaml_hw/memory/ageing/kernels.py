"""Compiled loops over weak cells and over the data bits of ECC words."""

from __future__ import annotations

import numpy as np

from qtaml_hw._jit import njit

WORD = 255  # kind code of entries whose bits belong to ECC words; other entries index their thresholds


@njit(nogil=True)
def scan_plane(position, u, codes, place, rows, groups, slots, thresholds, reads, flips, kept):  # type: ignore[no-untyped-def]
    """Age the weak cells of one plane of one tensor that nothing corrects; list those in ECC words.

    position, u [m]: weak cells, positions ascending; codes [n].  place = (plane, first global weight, stride, banks);
    rows = (bin of every row of the plane's class [banks, rows], rows in use, weights of a full bank, bins).
    groups = (starts [G+1] within the tensor, entry [G] of this plane); slots [entries]: row of ``thresholds``, or WORD.
    thresholds [samples, slots, banks * bins, 2]: flips when u < thresholds[s, slot, bank * bins + bin, written].  Flips
    reads [samples, n] and counts them in flips [samples].  kept = (position, u, entry) arrays that receive cells of
    words; returns how many.
    """
    plane, first, stride, banks = place
    bin_of, used, per_bank, bins = rows
    starts, entries = groups
    kept_position, kept_u, kept_entry = kept
    mask = codes.dtype.type(1 << plane)
    g, count = 0, 0
    for i in range(position.size):
        w = position[i]
        while starts[g + 1] <= w:
            g += 1
        slot = slots[entries[g]]
        if slot == WORD:
            kept_position[count] = w
            kept_u[count] = u[i]
            kept_entry[count] = entries[g]
            count += 1
            continue
        bit = (codes[w] >> plane) & 1
        unit = ((w + first) // stride) % banks
        if bins > 1:
            local = ((w + first) // (stride * banks)) * stride + (w + first) % stride
            unit = unit * bins + bin_of[unit, local * used // per_bank]
        for s in range(thresholds.shape[0]):
            if u[i] < thresholds[s, slot, unit, bit]:
                reads[s, w] ^= mask
                flips[s] += 1
    return count


@njit(nogil=True)
def pack_words(codes, starts, chosen, k, out):  # type: ignore[no-untyped-def]
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
def count_differences(a, b):  # type: ignore[no-untyped-def]
    """Bits in which two unsigned arrays [n] differ."""
    total = 0
    for i in range(a.size):
        x = np.uint64(a[i] ^ b[i])
        while x:
            x &= x - np.uint64(1)
            total += 1
    return total
