"""Dense flips: a bit-sliced comparison of every cell's word W with its threshold, 32 cells per 32-bit word.

A byte group of a chunk is read as little-endian 32-bit words (four weights x eight planes).  Word i of a segment
belongs to lane i, a small generator of its own, seeded from the chunk's counter stream: a three-word multiply, rotate
and subtract generator in the manner of RomuTrio32 (Overton, arXiv:2002.11331) whose rotations are whole bytes, so
that every step is five vector operations; its state gives two outputs, x and y + z.  Digit k of W of the word's 32
cells is the lane's next output; a cell stays undecided while its digits equal the threshold's, and the few cells still
undecided after all digits compare the rest of W from a counter of their own.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros as _trailing_zeros
from numba.np.unsafe.ndarray import to_fixed_tuple as _to_fixed_tuple

from qtaml_hw._jit import njit
from qtaml_hw.arrays import Int64, Uint8, Uint32, Uint64
from qtaml_hw.faults._streams import draw
from qtaml_hw.faults._uniform import DIGITS, TAIL_BITS

LANES: Final = 512
SEGMENT_BYTES: Final = 4 * LANES
BLOCK_BYTES: Final = 4 * SEGMENT_BYTES  # flipped and settled at once: marks, lanes and codes stay in the L1 cache
LANE_MULTIPLIER: Final = 3_323_815_723

to_fixed_tuple: Any = _to_fixed_tuple  # intrinsics: the compiler passes their first argument itself
trailing_zeros: Any = _trailing_zeros

_MULTIPLIER = np.uint32(LANE_MULTIPLIER)
_S8, _S16, _S24 = np.uint32(8), np.uint32(16), np.uint32(24)
_TAIL_SHIFT = np.uint64(64 - TAIL_BITS)
_ZERO_64, _ONE_64, _THREE, _SIX, _SEVEN, _S32, _SIGN = (np.uint64(v) for v in (0, 1, 3, 6, 7, 32, 63))

Words = tuple[np.uint32, np.uint32, np.uint32]
Limits = tuple[tuple[np.uint32, ...], tuple[np.uint32, ...]]
LimitsByBit = tuple[tuple[np.uint32, ...], tuple[np.uint32, ...], tuple[np.uint32, ...], tuple[np.uint32, ...]]


@njit()
def lanes_of(n_bytes: int) -> int:
    """The lanes that so many bytes take, an even number: all where there is a segment of them."""
    return min(2 * ((n_bytes + 7) // 8), LANES)


@njit()
def seed_lanes(key: np.uint64, lanes: Uint32, count: int) -> None:
    """Fill the first ``count`` of the states [3, LANES] of the lanes from the dense stream of a chunk."""
    for i in range(count):
        first = draw(key, np.uint64(2 * i))
        lanes[0, i] = np.uint32(first)
        lanes[1, i] = np.uint32(first >> _S32)
        lanes[2, i] = np.uint32(draw(key, np.uint64(2 * i + 1)))


@njit(inline="always")
def lane_step(x: np.uint32, y: np.uint32, z: np.uint32) -> tuple[np.uint32, np.uint32, np.uint32]:
    """Next state of a lane; its two outputs, x and y + z, are taken before the step."""
    v = np.uint32(y - x)
    w = np.uint32(z - y)
    return np.uint32(_MULTIPLIER * z), np.uint32((v << _S8) | (v >> _S24)), np.uint32((w << _S16) | (w >> _S16))


@njit()
def compare(state: Words, limits: Limits, open_: np.uint32, flips: np.uint32) -> tuple[Words, np.uint32, np.uint32]:
    """The digits of a word against its thresholds: the lane's next state, the undecided cells, the flips."""
    x, y, z = state
    n, d = limits
    open_ &= x ^ n[0]
    flips ^= open_ & d[0]
    open_ &= np.uint32(y + z) ^ n[1]
    flips ^= open_ & d[1]
    x, y, z = lane_step(x, y, z)
    open_ &= x ^ n[2]
    flips ^= open_ & d[2]
    open_ &= np.uint32(y + z) ^ n[3]
    flips ^= open_ & d[3]
    x, y, z = lane_step(x, y, z)
    open_ &= x ^ n[4]
    flips ^= open_ & d[4]
    open_ &= np.uint32(y + z) ^ n[5]
    flips ^= open_ & d[5]
    x, y, z = lane_step(x, y, z)
    open_ &= x ^ n[6]
    flips ^= open_ & d[6]
    open_ &= np.uint32(y + z) ^ n[7]
    flips ^= open_ & d[7]
    x, y, z = lane_step(x, y, z)
    open_ &= x ^ n[8]
    flips ^= open_ & d[8]
    open_ &= np.uint32(y + z) ^ n[9]
    flips ^= open_ & d[9]
    x, y, z = lane_step(x, y, z)
    return (x, y, z), open_, flips


@njit()
def compare_by_bit(
    state: Words, limits: LimitsByBit, open_: np.uint32, flips: np.uint32, data: np.uint32
) -> tuple[Words, np.uint32, np.uint32]:
    """:func:`compare` with thresholds chosen by the stored bit: ``a`` and ``b`` hold what a stored 1 changes."""
    x, y, z = state
    n, d, a, b = limits
    open_ &= x ^ n[0] ^ (data & a[0])
    flips ^= open_ & (d[0] ^ (data & b[0]))
    open_ &= np.uint32(y + z) ^ n[1] ^ (data & a[1])
    flips ^= open_ & (d[1] ^ (data & b[1]))
    x, y, z = lane_step(x, y, z)
    open_ &= x ^ n[2] ^ (data & a[2])
    flips ^= open_ & (d[2] ^ (data & b[2]))
    open_ &= np.uint32(y + z) ^ n[3] ^ (data & a[3])
    flips ^= open_ & (d[3] ^ (data & b[3]))
    x, y, z = lane_step(x, y, z)
    open_ &= x ^ n[4] ^ (data & a[4])
    flips ^= open_ & (d[4] ^ (data & b[4]))
    open_ &= np.uint32(y + z) ^ n[5] ^ (data & a[5])
    flips ^= open_ & (d[5] ^ (data & b[5]))
    x, y, z = lane_step(x, y, z)
    open_ &= x ^ n[6] ^ (data & a[6])
    flips ^= open_ & (d[6] ^ (data & b[6]))
    open_ &= np.uint32(y + z) ^ n[7] ^ (data & a[7])
    flips ^= open_ & (d[7] ^ (data & b[7]))
    x, y, z = lane_step(x, y, z)
    open_ &= x ^ n[8] ^ (data & a[8])
    flips ^= open_ & (d[8] ^ (data & b[8]))
    open_ &= np.uint32(y + z) ^ n[9] ^ (data & a[9])
    flips ^= open_ & (d[9] ^ (data & b[9]))
    x, y, z = lane_step(x, y, z)
    return (x, y, z), open_, flips


@njit()
def flip_words(
    words: Uint32, lanes: Uint32, digits: Uint32, open_cells: np.uint32, marks: Uint32, folded: Uint32
) -> None:
    """Flip a block in place where both directions have the same thresholds; mark the undecided cells.

    ``marks`` are words as the block's; ``folded`` [lanes in use] unites the marks of its segments.
    """
    x_lane, y_lane, z_lane = lanes[0], lanes[1], lanes[2]
    limits = (to_fixed_tuple(digits[0], DIGITS), to_fixed_tuple(digits[1], DIGITS))
    first = digits[4, 0] & open_cells
    folded[:] = np.uint32(0)
    lanes_used = folded.size
    for start in range(0, words.size, lanes_used):
        segment, segment_marks = words[start : start + lanes_used], marks[start : start + lanes_used]
        for i in range(lanes_used):
            state, undecided, flips = compare((x_lane[i], y_lane[i], z_lane[i]), limits, open_cells, first)
            x_lane[i], y_lane[i], z_lane[i] = state
            segment[i] ^= flips
            segment_marks[i] = undecided
            folded[i] |= undecided


@njit()
def flip_words_by_bit(
    words: Uint32, lanes: Uint32, digits: Uint32, open_cells: np.uint32, marks: Uint32, folded: Uint32
) -> None:
    """:func:`flip_words` with thresholds chosen by the stored bit."""
    x_lane, y_lane, z_lane = lanes[0], lanes[1], lanes[2]
    limits = (
        to_fixed_tuple(digits[0], DIGITS),
        to_fixed_tuple(digits[1], DIGITS),
        to_fixed_tuple(digits[2], DIGITS),
        to_fixed_tuple(digits[3], DIGITS),
    )
    first, by_bit = digits[4, 0] & open_cells, digits[2, 0] & open_cells
    folded[:] = np.uint32(0)
    lanes_used = folded.size
    for start in range(0, words.size, lanes_used):
        segment, segment_marks = words[start : start + lanes_used], marks[start : start + lanes_used]
        for i in range(lanes_used):
            data = segment[i]
            state = (x_lane[i], y_lane[i], z_lane[i])
            state, undecided, flips = compare_by_bit(state, limits, open_cells, first ^ (data & by_bit), data)
            x_lane[i], y_lane[i], z_lane[i] = state
            segment[i] = data ^ flips
            segment_marks[i] = undecided
            folded[i] |= undecided


@njit()
def marked_words(marks: Uint64, folded: Uint64, marked: Int64) -> int:
    """List in ``marked`` the words that have a mark; returns how many.  Marks are random: no branch looks at them."""
    hits = _ZERO_64
    for i in range(folded.size):
        fold = folded[i]
        folded[hits] = np.uint64(i)  # never ahead of what is still to be read
        hits += np.uint64(fold != 0)
    count = _ZERO_64
    for hit in range(hits):
        for part in range(marks.size // folded.size):
            word = np.uint64(part * folded.size) + folded[hit]
            marked[count] = word
            count += np.uint64(marks[word] != 0)
    return int(count)


@njit()
def settle(
    block: Uint8, start: int, marks: Uint64, tails: tuple[np.uint64, Uint64], work: tuple[Uint64, Int64, Int64]
) -> None:
    """Decide the undecided cells of a block by the rest of their words; ``block[0]`` is byte ``start`` of its chunk.

    ``tails`` are the key of the chunk's tails and the thresholds; ``work`` is work space.
    """
    folded, marked, cells = work
    found = _ZERO_64
    for k in range(marked_words(marks, folded, marked)):
        word = np.uint64(marked[k])
        left = marks[word]
        while left:
            cells[found] = (word << _SIX) | np.uint64(trailing_zeros(left))
            found += _ONE_64
            left &= left - _ONE_64
        if found > cells.size - 64:
            settle_cells(block, start, cells[:found], tails)
            found = _ZERO_64
    settle_cells(block, start, cells[:found], tails)


@njit()
def settle_cells(block: Uint8, start: int, cells: Int64, tails: tuple[np.uint64, Uint64]) -> None:
    """Flip the listed cells whose bits of W beyond the digits are below their thresholds."""
    key, tail = tails
    for k in range(cells.size):
        cell = np.uint64(cells[k])
        byte, plane = cell >> _THREE, cell & _SEVEN
        stored = (np.uint64(block[byte]) >> plane) & _ONE_64
        below = (tail_word(key, np.uint64(start) + byte, plane) - tail[(stored << _THREE) | plane]) >> _SIGN
        block[byte] ^= np.uint8(below << plane)  # the sign of a difference: a branch would be mispredicted


@njit(inline="always")
def tail_word(tail_key: np.uint64, byte: np.uint64, plane: np.uint64) -> np.uint64:
    """The low ``TAIL_BITS`` bits of W of the cell ``plane`` of chunk byte ``byte``."""
    return draw(tail_key, (byte << _THREE) | plane) >> _TAIL_SHIFT
