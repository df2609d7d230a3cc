"""Flip probabilities of eight planes, turned into what the kernels compare with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from qtaml_hw.arrays import Float64, Uint32, Uint64
from qtaml_hw.faults._uniform import DIGITS, TAIL_BITS, levels_full, levels_needed, word_threshold


def plane_probabilities(p01: ArrayLike, p10: ArrayLike, planes: int) -> tuple[Float64, Float64]:
    """One probability per plane (LSB first) from a scalar or an array of ``planes`` values.

    Raises ValueError when the length does not fit the planes or a value is not in [0, 1].
    """
    checked = []
    for name, value in (("p01", p01), ("p10", p10)):
        p = np.asarray(value, dtype=np.float64)
        if p.ndim > 1 or (p.ndim == 1 and p.size not in (1, planes)):
            raise ValueError(
                f"{name} must be one probability or {planes} of them, one per bit plane (LSB first) of "
                f"{planes}-bit codes; got shape {p.shape}"
            )
        if not all(0.0 <= one <= 1.0 for one in p.ravel().tolist()):
            raise ValueError(f"{name} must be probabilities in [0, 1]; got {p.tolist()}")
        checked.append(np.full(planes, p))
    return checked[0], checked[1]


@dataclass(frozen=True, eq=False)
class GroupRates:
    """What the kernels need to flip the eight planes of one byte group.

    ``probability`` float64 [16]: p of (stored bit, plane) at index ``bit * 8 + plane``.  ``digits`` uint32
    [5, DIGITS]: comparison masks of the bit-sliced chain (see ``_dense``), ``tail`` uint64 [16]: threshold of the bits
    beyond the digits.  ``levels`` sparse levels are visited, the first ``full_levels`` without a look at U.
    """

    probability: Float64
    digits: Uint32
    tail: Uint64
    open_cells: np.uint32
    levels: int
    full_levels: int
    symmetric: bool

    @property
    def dense(self) -> bool:
        """Whether any plane needs more than the sparse levels."""
        return bool(self.open_cells)

    @property
    def idle(self) -> bool:
        """Whether no cell of the group can flip."""
        return self.levels == 0


def group_rates(p01: Float64, p10: Float64) -> GroupRates:
    """Thresholds of one byte group from eight probabilities per direction (LSB first)."""
    return _group_rates(tuple(p01.tolist()), tuple(p10.tolist()))


@lru_cache(maxsize=64)
def _group_rates(p01: tuple[float, ...], p10: tuple[float, ...]) -> GroupRates:
    """A pure function of its key; many small tensors in a row share their rates."""
    known = {p: word_threshold(p) for p in {*p01, *p10}}
    probability = np.array(p01 + p10)
    thresholds = np.array([known[p] for p in p01 + p10], dtype=np.uint64)
    tops = np.minimum(thresholds >> np.uint64(TAIL_BITS), np.uint64((1 << DIGITS) - 1))
    tail = thresholds - (tops << np.uint64(TAIL_BITS))
    digit = (tops >> np.arange(DIGITS - 1, -1, -1, dtype=np.uint64)[:, None]) & np.uint64(1)
    steps = digit ^ np.concatenate([digit[1:], np.zeros((1, 16), dtype=np.uint64)])
    open_planes = (thresholds > 0).astype(np.uint64)
    either = open_planes[:8] | open_planes[8:]
    masks = np.stack(
        [
            _words(1 - digit[:, :8]),  # equal to the digit where word ^ mask is 1
            _words(steps[:, :8]),
            _words(digit[:, :8] ^ digit[:, 8:]),
            _words(steps[:, :8] ^ steps[:, 8:]),
            _words(digit[:, :8]),
        ]
    )
    return GroupRates(
        probability=probability,
        digits=masks,
        tail=tail,
        open_cells=np.uint32(_words(either[None])[0]),
        levels=levels_needed(float(probability.max())),
        full_levels=levels_full(float(probability.min())),
        symmetric=p01 == p10,
    )


def _words(bits: Uint64) -> Uint32:
    """Eight plane bits [..., 8] repeated over the four bytes of a 32-bit word."""
    byte = np.bitwise_or.reduce(bits << np.arange(8, dtype=np.uint64), axis=-1)
    return np.asarray(byte * np.uint64(0x01010101), dtype=np.uint32)
