"""Sparse arrivals of one chunk: a Poisson count per level, then a position and a time for each.

Poisson counts with positions drawn with replacement make every cell's arrivals independent of every other's, so
nothing has to be rejected; a cell met twice has the smaller U.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from qtaml_hw._jit import njit
from qtaml_hw.arrays import Float64, Int64, Uint8, Uint64
from qtaml_hw.faults._streams import LEVEL_STREAM, draw
from qtaml_hw.faults._uniform import LEVELS, POSITION_BITS, TABLE_WIDTH, compiled_uniform_of_tau, tau_of_draw

MOST_ARRIVALS: Final = LEVELS * TABLE_WIDTH  # more can not be drawn in one chunk

_POSITION_SHIFT = np.uint64(64 - POSITION_BITS)
_TIME_MASK = np.uint64((1 << (64 - POSITION_BITS)) - 1)
_TOP_BYTE = np.uint64(56)
_FIRST, _S3, _SEVEN = np.uint64(1), np.uint64(3), np.uint64(7)

Tables = tuple[Uint64, Int64]


@njit(inline="always")
def arrivals(level_key: np.uint64, level: int, cdf: Uint64, guide: Int64) -> int:
    """Number of arrivals of a chunk in a level: the Poisson distribution inverted at the stream's first draw."""
    value = draw(level_key, np.uint64(0))
    count = int(guide[level, value >> _TOP_BYTE])
    while count < TABLE_WIDTH - 1 and cdf[level, count] <= value:
        count += 1
    return count


@njit()
def draw_arrivals(
    reach: tuple[int, int], chunk_key: np.uint64, todo: Any, out: tuple[Int64, Float64], found: int
) -> int:
    """List from place ``found`` on the arrivals of a chunk that can flip; returns the place behind the last.

    Its cells are ``reach[0]`` .. ``reach[0] + reach[1] - 1``.  ``out`` takes the cell and U (0 where it surely flips).
    """
    arrived, uniform = out
    for level in range(todo.visit[0]):
        key = draw(chunk_key, np.uint64(LEVEL_STREAM + level))
        for i in range(arrivals(key, level, todo.tables[0], todo.tables[1])):
            value = draw(key, _FIRST + np.uint64(i))
            cell = np.int64(value >> _POSITION_SHIFT)
            if cell >= reach[1]:  # most of them where a row is much shorter than a chunk
                continue
            u = 0.0
            if level >= todo.visit[1]:
                u = compiled_uniform_of_tau(tau_of_draw(level, np.int64(value & _TIME_MASK)))
            arrived[found] = reach[0] + cell
            uniform[found] = u
            found += int(u < todo.p_max)
    return found


@njit()
def keep_flips(
    data: Uint8, place: tuple[int, int], arrived: Int64, uniform: Float64, count: int, probability: Float64
) -> int:
    """Keep of the arrivals those that flip, as ``2 * cell + stored bit``; returns how many.

    Weight w's planes lie in byte ``place[0] * w + place[1]``.
    """
    for i in range(count):  # reads alone, so that many cache misses are under way at once
        cell = np.uint64(arrived[i])
        byte = (cell >> _S3) * np.uint64(place[0]) + np.uint64(place[1])
        arrived[i] = 2 * cell + ((data[byte] >> (cell & _SEVEN)) & _FIRST)
    found = 0
    for i in range(count):
        entry = arrived[i]
        arrived[found] = entry
        found += uniform[i] < probability[8 * (entry & 1) + ((entry >> 1) & 7)]
    return found


@njit()
def apply_flips(data: Uint8, place: tuple[int, int], flipped: Int64, found: int) -> None:
    """Set every listed cell to the complement of the bit it stored: a cell listed twice flips once."""
    for i in range(found):
        entry = flipped[i]
        byte = (entry >> 4) * place[0] + place[1]
        bit = np.uint8(1 << ((entry >> 1) & 7))
        if entry & 1:
            data[byte] &= ~bit
        else:
            data[byte] |= bit


@njit()
def first_uniforms(
    n_bytes: int, plane: int, chunk_key: np.uint64, levels: int, tables: Tables, uniform: Float64
) -> None:
    """Lower ``uniform[byte]`` to the U of the earliest arrival in one plane of a chunk, where there is one."""
    for level in range(levels):
        key = draw(chunk_key, np.uint64(LEVEL_STREAM + level))
        for i in range(arrivals(key, level, tables[0], tables[1])):
            value = draw(key, _FIRST + np.uint64(i))
            cell = np.int64(value >> _POSITION_SHIFT)
            byte = cell >> 3
            if cell & 7 == plane and byte < n_bytes:
                u = compiled_uniform_of_tau(tau_of_draw(level, np.int64(value & _TIME_MASK)))
                uniform[byte] = min(uniform[byte], u)
