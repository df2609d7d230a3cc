"""One chunk after another: arrivals first (they read the stored bits), the dense chain, then the arrivals applied."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qtaml_hw._jit import njit
from qtaml_hw.faults._dense import (
    LANES,
    SEGMENT_BYTES,
    flip_words,
    flip_words_by_bit,
    lane_step,
    seed_lanes,
    settle,
    tail_word,
)
from qtaml_hw.faults._rates import GroupRates
from qtaml_hw.faults._sparse import MOST_ARRIVALS, apply_flips, draw_arrivals, first_uniforms, keep_flips
from qtaml_hw.faults._streams import CHUNK_BYTES, DENSE_STREAM, TAIL_STREAM, draw
from qtaml_hw.faults._uniform import DIGITS, TAIL_BITS, compiled_uniform_of_word, poisson_tables

U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_NOT_FOUND: Final = 2.0  # above every uniform


class Program(NamedTuple):
    """A :class:`GroupRates` as the kernels take it."""

    probability: F64
    digits: U32
    tail: U64
    open_cells: np.uint32
    visit: tuple[int, int]
    symmetric: bool
    tables: tuple[U64, I64]


def program(rates: GroupRates) -> Program:
    """The kernel's argument for these rates."""
    return Program(
        rates.probability,
        rates.digits,
        rates.tail,
        rates.open_cells,
        (rates.levels, rates.full_levels),
        rates.symmetric,
        poisson_tables(),
    )


class Scratch(NamedTuple):
    """Work space of one thread: under 200 KiB whatever the size of the weights."""

    lanes: U32
    undecided: U32
    segment: U8
    flipped: NDArray[np.int32]
    uniform: F64
    chunk: U8


def scratch() -> Scratch:
    """Fresh work space."""
    return Scratch(
        np.empty((3, LANES), dtype=np.uint32),
        np.empty(CHUNK_BYTES // 4, dtype=np.uint32),
        np.zeros(SEGMENT_BYTES, dtype=np.uint8),
        np.empty(MOST_ARRIVALS, dtype=np.int32),
        np.empty(MOST_ARRIVALS, dtype=np.float64),
        np.empty(CHUNK_BYTES, dtype=np.uint8),
    )


@njit()
def flip_segments(part: U8, start: int, tail_key: np.uint64, todo: Program, work: Scratch) -> None:
    """Dense flips of whole segments, bytes ``start`` .. of the chunk."""
    words = part.view(np.uint32)
    undecided = work.undecided[: words.size]
    if todo.symmetric:
        flip_words(words, work.lanes, todo.digits, todo.open_cells, undecided)
    else:
        flip_words_by_bit(words, work.lanes, todo.digits, todo.open_cells, undecided)
    settle(part, start, undecided.view(np.uint64), tail_key, todo.tail)


@njit()
def flip_chunk(chunk: U8, chunk_key: np.uint64, todo: Program, work: Scratch) -> None:
    """Flip the cells of one byte group of one chunk (at most ``CHUNK_BYTES`` bytes) in place."""
    found = draw_arrivals(8 * chunk.size, chunk_key, todo.visit, todo.tables, work.flipped, work.uniform)
    found = keep_flips(chunk, work.flipped, work.uniform, found, todo.probability)
    if todo.open_cells:
        seed_lanes(draw(chunk_key, np.uint64(DENSE_STREAM)), work.lanes)
        tail_key = draw(chunk_key, np.uint64(TAIL_STREAM))
        whole = chunk.size // SEGMENT_BYTES * SEGMENT_BYTES
        flip_segments(chunk[:whole], 0, tail_key, todo, work)
        rest = chunk.size - whole
        if rest:
            work.segment[:rest] = chunk[whole:]
            flip_segments(work.segment, whole, tail_key, todo, work)
            chunk[whole:] = work.segment[:rest]
    apply_flips(chunk, work.flipped, found)


@njit(nogil=True)
def flip_chunks(
    data: U8, stride: int, group: int, chunks: tuple[int, int], key: np.uint64, todo: Program, work: Scratch
) -> None:
    """Flip byte ``group`` of every ``stride``-byte code of the chunks ``chunks[0]`` .. ``chunks[1] - 1`` in place."""
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


class Below(NamedTuple):
    """A bound on U as the kernels take it: itself, the words W below it and the levels that can hold such arrivals."""

    p_max: float
    limit: np.uint64
    levels: int
    tables: tuple[U64, I64]


@njit()
def plane_words(n_bytes: int, plane: int, chunk_key: np.uint64, limit: np.uint64, lanes: U32, uniform: F64) -> None:
    """Set ``uniform[byte]`` of the cells of one plane of a chunk whose word W is below ``limit``."""
    seed_lanes(draw(chunk_key, np.uint64(DENSE_STREAM)), lanes)
    tail_key = draw(chunk_key, np.uint64(TAIL_STREAM))
    words = np.empty((4, LANES), dtype=np.uint32)
    for start in range(0, n_bytes, SEGMENT_BYTES):
        words[:] = np.uint32(0)
        for _ in range(DIGITS):
            for i in range(LANES):
                x = lanes[0, i]
                for slot in range(4):
                    digit = (x >> np.uint32(8 * slot + plane)) & np.uint32(1)
                    words[slot, i] = np.uint32((words[slot, i] << np.uint32(1)) | digit)
                lanes[0, i], lanes[1, i], lanes[2, i] = lane_step(x, lanes[1, i], lanes[2, i])
        for offset in range(min(SEGMENT_BYTES, n_bytes - start)):
            top = np.uint64(words[offset & 3, offset >> 2]) << np.uint64(TAIL_BITS)
            if top < limit:
                word = top | tail_word(tail_key, start + offset, plane)
                if word < limit:
                    uniform[start + offset] = compiled_uniform_of_word(np.int64(word))


@njit(nogil=True)
def weak_chunks(
    n_weights: int, plane: int, below: Below, key: np.uint64, first_chunk: int, position: I64, u: F64
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
        uniform[:] = _NOT_FOUND
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
