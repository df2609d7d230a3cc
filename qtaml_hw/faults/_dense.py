"""Dense flips: a bit-sliced comparison of every cell's word W with its threshold, 32 cells per 32-bit word.

A byte group of a chunk is read as little-endian 32-bit words (four weights x eight planes).  Word i of a segment
belongs to lane i, a small generator of its own, seeded from the chunk's counter stream: a three-word multiply, rotate
and subtract generator in the manner of RomuTrio32 (Overton, arXiv:2002.11331) whose rotations are whole bytes, so
that every step is five vector operations.  Digit k of W of the word's 32 cells is the lane's next output; a cell stays
undecided while its digits equal the threshold's, and the few cells still undecided after all digits compare the rest
of W from a counter of their own.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros as _trailing_zeros
from numba.np.unsafe.ndarray import to_fixed_tuple as _to_fixed_tuple
from numpy.typing import NDArray

from qtaml_hw._jit import njit
from qtaml_hw.faults._streams import draw
from qtaml_hw.faults._uniform import DIGITS, TAIL_BITS

LANES: Final = 512
SEGMENT_BYTES: Final = 4 * LANES
LANE_MULTIPLIER: Final = 3_323_815_723

to_fixed_tuple: Any = _to_fixed_tuple  # intrinsics: the compiler passes their first argument itself
trailing_zeros: Any = _trailing_zeros

_MULTIPLIER = np.uint32(LANE_MULTIPLIER)
_S8, _S16, _S24 = np.uint32(8), np.uint32(16), np.uint32(24)
_TAIL_SHIFT = np.uint64(64 - TAIL_BITS)
_ONE_64, _S32 = np.uint64(1), np.uint64(32)

U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]


@njit()
def seed_lanes(key: np.uint64, lanes: U32) -> None:
    """Fill the states [3, LANES] of the lanes from the dense stream of a chunk."""
    for i in range(LANES):
        first = draw(key, np.uint64(2 * i))
        lanes[0, i] = np.uint32(first)
        lanes[1, i] = np.uint32(first >> _S32)
        lanes[2, i] = np.uint32(draw(key, np.uint64(2 * i + 1)))


@njit(inline="always")
def lane_step(x: np.uint32, y: np.uint32, z: np.uint32) -> tuple[np.uint32, np.uint32, np.uint32]:
    """Next state of a lane; its output is x before the step."""
    v = np.uint32(y - x)
    w = np.uint32(z - y)
    return np.uint32(_MULTIPLIER * z), np.uint32((v << _S8) | (v >> _S24)), np.uint32((w << _S16) | (w >> _S16))


@njit()
def flip_words(words: U32, lanes: U32, digits: U32, open_cells: np.uint32, undecided: U32) -> None:
    """Flip whole segments in place where both directions have the same thresholds; leave undecided cells marked."""
    x_lane, y_lane, z_lane = lanes[0], lanes[1], lanes[2]
    n = to_fixed_tuple(digits[0], DIGITS)
    d = to_fixed_tuple(digits[1], DIGITS)
    first = digits[4, 0] & open_cells
    for start in range(0, words.size, LANES):
        segment, marks = words[start : start + LANES], undecided[start : start + LANES]
        for i in range(LANES):
            x, y, z = x_lane[i], y_lane[i], z_lane[i]
            open_, flips = open_cells, first
            open_ &= x ^ n[0]
            flips ^= open_ & d[0]
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[1]
            flips ^= open_ & d[1]
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[2]
            flips ^= open_ & d[2]
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[3]
            flips ^= open_ & d[3]
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[4]
            flips ^= open_ & d[4]
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[5]
            flips ^= open_ & d[5]
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[6]
            flips ^= open_ & d[6]
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[7]
            flips ^= open_ & d[7]
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[8]
            flips ^= open_ & d[8]
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[9]
            flips ^= open_ & d[9]
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[10]
            flips ^= open_ & d[10]
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[11]
            flips ^= open_ & d[11]
            x, y, z = lane_step(x, y, z)
            x_lane[i], y_lane[i], z_lane[i] = x, y, z
            segment[i] ^= flips
            marks[i] = open_


@njit()
def flip_words_by_bit(words: U32, lanes: U32, digits: U32, open_cells: np.uint32, undecided: U32) -> None:
    """:func:`flip_words` with thresholds chosen by the stored bit (masks 2 and 3 hold what a stored 1 changes)."""
    x_lane, y_lane, z_lane = lanes[0], lanes[1], lanes[2]
    n = to_fixed_tuple(digits[0], DIGITS)
    d = to_fixed_tuple(digits[1], DIGITS)
    a = to_fixed_tuple(digits[2], DIGITS)
    b = to_fixed_tuple(digits[3], DIGITS)
    first = digits[4, 0]
    for start in range(0, words.size, LANES):
        segment, marks = words[start : start + LANES], undecided[start : start + LANES]
        for i in range(LANES):
            x, y, z = x_lane[i], y_lane[i], z_lane[i]
            data = segment[i]
            open_, flips = open_cells, (first ^ (data & a[0])) & open_cells
            open_ &= x ^ n[0] ^ (data & a[0])
            flips ^= open_ & (d[0] ^ (data & b[0]))
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[1] ^ (data & a[1])
            flips ^= open_ & (d[1] ^ (data & b[1]))
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[2] ^ (data & a[2])
            flips ^= open_ & (d[2] ^ (data & b[2]))
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[3] ^ (data & a[3])
            flips ^= open_ & (d[3] ^ (data & b[3]))
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[4] ^ (data & a[4])
            flips ^= open_ & (d[4] ^ (data & b[4]))
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[5] ^ (data & a[5])
            flips ^= open_ & (d[5] ^ (data & b[5]))
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[6] ^ (data & a[6])
            flips ^= open_ & (d[6] ^ (data & b[6]))
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[7] ^ (data & a[7])
            flips ^= open_ & (d[7] ^ (data & b[7]))
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[8] ^ (data & a[8])
            flips ^= open_ & (d[8] ^ (data & b[8]))
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[9] ^ (data & a[9])
            flips ^= open_ & (d[9] ^ (data & b[9]))
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[10] ^ (data & a[10])
            flips ^= open_ & (d[10] ^ (data & b[10]))
            x, y, z = lane_step(x, y, z)
            open_ &= x ^ n[11] ^ (data & a[11])
            flips ^= open_ & (d[11] ^ (data & b[11]))
            x, y, z = lane_step(x, y, z)
            x_lane[i], y_lane[i], z_lane[i] = x, y, z
            segment[i] = data ^ flips
            marks[i] = open_


@njit()
def settle(chunk: U8, start: int, undecided: U64, tail_key: np.uint64, tail: U64) -> None:
    """Decide the undecided cells by the rest of their words; ``chunk[0]`` is byte ``start`` of its chunk."""
    eighth = undecided.size // 8
    u = undecided.reshape(8, eighth)
    u0, u1, u2, u3, u4, u5, u6, u7 = u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7]
    fold = np.empty(eighth, dtype=np.uint64)
    for i in range(eighth):
        fold[i] = u0[i] | u1[i] | u2[i] | u3[i]
    for i in range(eighth):
        fold[i] |= u4[i] | u5[i] | u6[i] | u7[i]
    for i in range(eighth):
        if fold[i]:
            for part in range(8):
                left = u[part, i]
                while left:
                    settle_cell(chunk, start, 64 * (part * eighth + i) + trailing_zeros(left), tail_key, tail)
                    left &= left - _ONE_64


@njit(inline="always")
def settle_cell(chunk: U8, start: int, cell: int, tail_key: np.uint64, tail: U64) -> None:
    """Flip one cell if the bits of W beyond the digits are below its threshold."""
    byte, plane = cell >> 3, cell & 7
    stored = np.int64(chunk[byte] >> np.uint8(plane)) & 1
    below = tail_word(tail_key, start + byte, plane) < tail[8 * stored + plane]
    chunk[byte] ^= np.uint8(np.int64(below) << plane)


@njit(inline="always")
def tail_word(tail_key: np.uint64, byte: int, plane: int) -> np.uint64:
    """The low ``TAIL_BITS`` bits of W of the cell ``plane`` of chunk byte ``byte``."""
    return draw(tail_key, np.uint64(8 * byte + plane)) >> _TAIL_SHIFT
