"""What a decoder does with each syndrome: the coset table of a bounded-distance decoder.

Status per syndrome: clean, corrected or uncorrectable.  ``strict`` decoders flag every syndrome that no pattern of up
to t errors explains.  The ``odd-syndrome`` SEC-DED decoder looks at the syndrome's parity alone: even and non-zero is
flagged, odd is taken for a single error, and where no column matches it passes the word on, unflagged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtaml_hw._jit import njit
from qtaml_hw.arrays import AnyArray, Bool, Uint8, Uint64
from qtaml_hw.ecc.codec import CLEAN, CORRECTED, UNCORRECTABLE

TABLE_LIMIT = 18  # parity bits: 2^18 syndromes keep a table of a few MB and the exact residual under a second


@dataclass(frozen=True, eq=False)
class CosetTable:
    """Per syndrome: ``positions`` int16 [2^r, t] of the correction (-1 = none) and ``status`` uint8 [2^r]."""

    positions: NDArray[np.int16]
    status: Uint8

    def masks(self, k: int) -> Uint64:
        """uint64 [2^r, L]: the correction of the data bits as a mask over packed limbs."""
        masks = np.zeros((len(self.status), -(-k // 64)), dtype=np.uint64)
        for column in range(self.positions.shape[1]):
            at = self.positions[:, column].astype(np.int64)
            rows = np.nonzero((at >= 0) & (at < k))[0]
            masks[rows, at[rows] // 64] |= np.uint64(1) << (at[rows] % 64).astype(np.uint64)
        return masks


@njit()
def _fill(columns: AnyArray, t: int, positions: AnyArray, status: AnyArray) -> None:
    """Enumerate error patterns by weight; the first pattern of a syndrome is its correction."""
    n = columns.size
    pick = np.zeros(t + 1, np.int64)
    for weight in range(1, t + 1):
        for i in range(weight):
            pick[i] = i
        while True:
            s = np.uint64(0)
            for i in range(weight):
                s ^= columns[pick[i]]
            if status[s] == 2:
                status[s] = 1
                for i in range(weight):
                    positions[s, i] = pick[i]
            slot = weight - 1
            while slot >= 0 and pick[slot] == n - weight + slot:
                slot -= 1
            if slot < 0:
                break
            pick[slot] += 1
            for i in range(slot + 1, weight):
                pick[i] = pick[i - 1] + 1


def coset_table(columns: Uint64, r: int, t: int, *, odd_passes: bool = False) -> CosetTable:
    """The table of a decoder that corrects every pattern of up to ``t`` errors; ``columns`` uint64 [n]: syndromes."""
    status = np.full(2**r, UNCORRECTABLE, dtype=np.uint8)
    positions = np.full((2**r, max(t, 1)), -1, dtype=np.int16)
    status[0] = CLEAN
    _fill(columns, t, positions, status)
    if odd_passes:
        status[(status == UNCORRECTABLE) & _odd(2**r)] = CORRECTED
    return CosetTable(positions, status)


def _odd(size: int) -> Bool:
    """Whether each of 0 .. size - 1 has an odd number of ones (Thue-Morse sequence)."""
    odd = np.zeros(1, dtype=bool)
    while odd.size < size:
        odd = np.concatenate([odd, ~odd])
    return odd
