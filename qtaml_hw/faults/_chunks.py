"""One chunk after another: arrivals first (they read the stored bits), the dense chain, then the arrivals applied."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from qtaml_hw._jit import njit
from qtaml_hw.arrays import Float64, Int64, Uint8, Uint32, Uint64
from qtaml_hw.faults._dense import (
    BLOCK_BYTES,
    LANES,
    SEGMENT_BYTES,
    flip_words,
    flip_words_by_bit,
    lane_step,
    lanes_of,
    seed_lanes,
    settle,
    tail_word,
)
from qtaml_hw.faults._prefetch import prefetch
from qtaml_hw.faults._rates import GroupRates
from qtaml_hw.faults._sparse import MOST_ARRIVALS, apply_flips, draw_arrivals, first_uniforms, keep_flips
from qtaml_hw.faults._streams import CHUNK_BYTES, DENSE_STREAM, TAIL_STREAM, draw, key_in_map
from qtaml_hw.faults._uniform import DIGITS, TABLE_WIDTH, TAIL_BITS, compiled_uniform_of_word, poisson_tables

MOST_UNDECIDED: Final = 512  # cells settled at once; a block has 64 on average
_NOT_FOUND: Final = 2.0  # above every uniform
_ONE, _TWO = np.uint32(1), np.uint32(2)


class Program(NamedTuple):
    """A :class:`GroupRates` as the kernels take it."""

    probability: Float64
    digits: Uint32
    tail: Uint64
    open_cells: np.uint32
    visit: tuple[int, int]
    p_max: float
    symmetric: bool
    tables: tuple[Uint64, Int64]


@lru_cache(maxsize=64)
def program(rates: GroupRates) -> Program:
    """The kernel's argument for these rates; many small tensors in a row share theirs."""
    return Program(
        rates.probability,
        rates.digits,
        rates.tail,
        rates.open_cells,
        (rates.levels, rates.full_levels),
        float(rates.probability.max()),
        rates.symmetric,
        poisson_tables(),
    )


class Scratch(NamedTuple):
    """Work space of one thread: under 200 KiB whatever the size of the weights."""

    lanes: Uint32
    marks: Uint32
    folded: Uint32
    marked: Int64
    cells: Int64
    block: Uint8
    arrived: Int64
    uniform: Float64
    chunk: Uint8


def scratch() -> Scratch:
    """Fresh work space."""
    return Scratch(
        np.empty((3, LANES), dtype=np.uint32),
        np.empty(BLOCK_BYTES // 4, dtype=np.uint32),
        np.empty(LANES, dtype=np.uint32),
        np.empty(BLOCK_BYTES // 8, dtype=np.int64),
        np.empty(MOST_UNDECIDED, dtype=np.int64),
        np.zeros(BLOCK_BYTES, dtype=np.uint8),
        np.empty(MOST_ARRIVALS, dtype=np.int64),
        np.empty(MOST_ARRIVALS, dtype=np.float64),
        np.empty(CHUNK_BYTES, dtype=np.uint8),
    )


_compiled_scratch = njit()(scratch)


@njit()
def flip_blocks(part: Uint8, start: int, tail_key: np.uint64, todo: Program, work: Scratch) -> None:
    """Dense flips of whole blocks, or of one of as many bytes as its lanes take; bytes ``start`` .. of the chunk."""
    for first in range(0, part.size, BLOCK_BYTES):
        block = part[first : first + BLOCK_BYTES]
        words = block.view(np.uint32)
        marks, folded = work.marks[: words.size], work.folded[: lanes_of(block.size)]
        if todo.symmetric:
            flip_words(words, work.lanes, todo.digits, todo.open_cells, marks, folded)
        else:
            flip_words_by_bit(words, work.lanes, todo.digits, todo.open_cells, marks, folded)
        space = (folded.view(np.uint64), work.marked, work.cells)
        settle(block, start + first, marks.view(np.uint64), (tail_key, todo.tail), space)


@njit()
def flip_chunk(chunk: Uint8, chunk_key: np.uint64, todo: Program, work: Scratch) -> None:
    """Flip the cells of one byte group of one chunk (at most ``CHUNK_BYTES`` bytes) in place."""
    found = draw_arrivals((0, 8 * chunk.size), chunk_key, todo, (work.arrived, work.uniform), 0)
    for i in range(found):  # the lines arrive while the lanes are seeded
        prefetch(chunk, work.arrived[i] >> 3)
    if todo.open_cells:
        seed_lanes(draw(chunk_key, np.uint64(DENSE_STREAM)), work.lanes, lanes_of(chunk.size))
    found = keep_flips(chunk, (1, 0), work.arrived, work.uniform, found, todo.probability)
    if todo.open_cells:
        tail_key = draw(chunk_key, np.uint64(TAIL_STREAM))
        whole = chunk.size // BLOCK_BYTES * BLOCK_BYTES
        flip_blocks(chunk[:whole], 0, tail_key, todo, work)
        rest = chunk.size - whole
        if rest:
            lanes = 4 * lanes_of(rest)
            block = work.block[: (rest + lanes - 1) // lanes * lanes]
            block[:rest] = chunk[whole:]
            flip_blocks(block, whole, tail_key, todo, work)
            chunk[whole:] = block[:rest]
    apply_flips(chunk, (1, 0), work.arrived, found)


@njit()
def flip_arrivals(
    data: Uint8, place: tuple[int, int], chunks: tuple[int, int], key: np.uint64, todo: Program, work: Scratch
) -> None:
    """:func:`flip_chunks` where arrivals are all: of many chunks at once, so that cache misses overlap."""
    cells = 8 * (data.size // place[0])
    found = 0
    for index in range(chunks[0], chunks[1]):
        base = 8 * CHUNK_BYTES * index
        reach = (base, min(8 * CHUNK_BYTES, cells - base))
        found = draw_arrivals(reach, draw(key, np.uint64(index)), todo, (work.arrived, work.uniform), found)
        if found > MOST_ARRIVALS - todo.visit[0] * TABLE_WIDTH or index + 1 == chunks[1]:
            found = keep_flips(data, place, work.arrived, work.uniform, found, todo.probability)
            apply_flips(data, place, work.arrived, found)
            found = 0


@njit(nogil=True)
def flip_chunks(
    data: Uint8, place: tuple[int, int], chunks: tuple[int, int], key: np.uint64, todo: Program, work: Scratch
) -> None:
    """Flip byte ``place[1]`` of every ``place[0]``-byte code of the chunks ``chunks[0]`` .. ``chunks[1] - 1``."""
    if not todo.open_cells:
        flip_arrivals(data, place, chunks, key, todo, work)
        return
    stride, group = place
    weights = data.size // stride
    for index in range(chunks[0], chunks[1]):
        chunk_key = draw(key, np.uint64(index))
        first = index * CHUNK_BYTES
        last = min(first + CHUNK_BYTES, weights)
        if stride == 1:
            flip_chunk(data[first:last], chunk_key, todo, work)
        else:
            part = work.chunk[: last - first]
            for i in range(last - first):
                part[i] = data[(first + i) * stride + group]
            flip_chunk(part, chunk_key, todo, work)
            for i in range(last - first):
                data[(first + i) * stride + group] = part[i]


@njit(nogil=True)
def flip_part(data: Uint8, place: tuple[int, int], chunks: tuple[int, int], key: np.uint64, todo: Program) -> None:
    """:func:`flip_chunks` in a work space of its own."""
    flip_chunks(data, place, chunks, key, todo, _compiled_scratch())


@njit(nogil=True)
def flip_row(row: Uint8, programs: tuple[Program, ...], of_map: np.uint64, tensor: np.uint64, work: Scratch) -> None:
    """Flip codes [bytes] as that tensor of the fault map with the key ``of_map``; a program a byte of a code."""
    stride = len(programs)
    chunks = (row.size // stride + CHUNK_BYTES - 1) // CHUNK_BYTES
    for group in range(stride):
        key = key_in_map(of_map, tensor, np.uint64(group))
        flip_chunks(row, (stride, group), (0, chunks), key, programs[group], work)


@njit(nogil=True)
def flip_rows(
    data: Uint8,
    starts: Int64,
    programs: tuple[Program, ...],
    of_map: np.uint64,
    tensors: tuple[np.uint64, np.uint64],
    work: Scratch,
) -> None:
    """:func:`flip_row` of the bytes ``starts[i]`` .. ``starts[i + 1] - 1``, which are tensor ``tensors[0] + i *
    tensors[1]``.
    """
    for i in range(starts.size - 1):
        flip_row(data[starts[i] : starts[i + 1]], programs, of_map, tensors[0] + np.uint64(i) * tensors[1], work)


class Below(NamedTuple):
    """A bound on U as the kernels take it: itself, the words W below it and the levels that can hold such arrivals."""

    p_max: float
    limit: np.uint64
    levels: int
    tables: tuple[Uint64, Int64]


@njit()
def plane_words(
    n_bytes: int, plane: int, chunk_key: np.uint64, limit: np.uint64, lanes: Uint32, uniform: Float64
) -> None:
    """Set ``uniform[byte]`` of the cells of one plane of a chunk whose word W is below ``limit``."""
    count = lanes_of(n_bytes)
    seed_lanes(draw(chunk_key, np.uint64(DENSE_STREAM)), lanes, count)
    tail_key = draw(chunk_key, np.uint64(TAIL_STREAM))
    words = np.empty((4, LANES), dtype=np.uint32)
    for start in range(0, n_bytes, SEGMENT_BYTES):
        words[:] = np.uint32(0)
        for _ in range(DIGITS // 2):
            for i in range(count):
                x, y, z = lanes[0, i], lanes[1, i], lanes[2, i]
                both = y + z
                for slot in range(4):
                    shift = np.uint32(8 * slot + plane)
                    pair = (((x >> shift) & _ONE) << _ONE) | ((both >> shift) & _ONE)
                    words[slot, i] = np.uint32((words[slot, i] << _TWO) | pair)
                lanes[0, i], lanes[1, i], lanes[2, i] = lane_step(x, y, z)
        for offset in range(min(SEGMENT_BYTES, n_bytes - start)):
            top = np.uint64(words[offset & 3, offset >> 2]) << np.uint64(TAIL_BITS)
            if top < limit:
                word = top | tail_word(tail_key, np.uint64(start + offset), np.uint64(plane))
                if word < limit:
                    uniform[start + offset] = compiled_uniform_of_word(np.int64(word))


@njit(nogil=True)
def weak_chunks(
    n_weights: int, plane: int, below: Below, key: np.uint64, first_chunk: int, position: Int64, u: Float64
) -> tuple[int, int]:
    """Cells with U < ``below.p_max`` of one plane of a byte group, ascending, from ``first_chunk`` on.

    Stops before a chunk that might not fit into ``position``; returns how many were written and the next chunk.
    """
    found = 0
    uniform = np.empty(CHUNK_BYTES, dtype=np.float64)
    lanes = np.empty((3, LANES), dtype=np.uint32)
    index = first_chunk
    while index * CHUNK_BYTES < n_weights and found + CHUNK_BYTES <= position.size:
        n_bytes = min(CHUNK_BYTES, n_weights - index * CHUNK_BYTES)
        chunk_key = draw(key, np.uint64(index))
        uniform[:n_bytes] = _NOT_FOUND
        if below.limit:
            plane_words(n_bytes, plane, chunk_key, below.limit, lanes, uniform)
        first_uniforms(n_bytes, plane, chunk_key, below.levels, below.tables, uniform)
        for byte in range(n_bytes):
            if uniform[byte] < below.p_max:
                position[found] = index * CHUNK_BYTES + byte
                u[found] = uniform[byte]
                found += 1
        index += 1
    return found, index
