"""The weak cells of a plane: where they are and their uniforms, for retention times and simulated time.

A weak cell has a second uniform V, independent of U, which says what makes it weak; it costs a draw of a weak cell and
nothing of the others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.faults._chunks import Below, weak_chunks
from qtaml_hw.faults._notice import compile_notice
from qtaml_hw.faults._streams import CHUNK_BYTES, uniform_draws
from qtaml_hw.faults._uniform import levels_needed, poisson_tables, word_threshold
from qtaml_hw.faults.keys import TENSORS, MapKey

MOST_PLANES = 32


class WeakCells(NamedTuple):
    """Cells of one plane with U < p_max: weight index ``position`` int64 [m], ascending, and ``u`` float64 [m]."""

    position: Int64
    u: Float64


def weak_cells(n_weights: int, plane: int, p_max: float, key: MapKey) -> WeakCells:
    """Exactly the cells of a plane whose virtual uniform is below ``p_max``; ``flip`` at p flips ``u < p``.

    Raises ValueError for a negative count, a plane outside 0..31 or a ``p_max`` outside [0, 1].
    """
    if n_weights < 0:
        raise ValueError(f"n_weights must not be negative; got {n_weights}")
    if not 0 <= plane < MOST_PLANES:
        raise ValueError(f"plane must be from 0 (least significant) to {MOST_PLANES - 1}; got {plane}")
    if not 0.0 <= p_max <= 1.0:
        raise ValueError(f"p_max must be a probability in [0, 1]; got {p_max}")
    p_max = float(p_max)
    stream = key.group(plane // 8)
    below = Below(p_max, np.uint64(word_threshold(p_max)), levels_needed(p_max), poisson_tables())
    chunks = -(-n_weights // CHUNK_BYTES)
    capacity = CHUNK_BYTES + min(n_weights, int(1.05 * p_max * n_weights) + CHUNK_BYTES)
    parts: list[WeakCells] = []
    next_chunk = 0
    while next_chunk < chunks and below.levels:
        position, u = np.empty(capacity, dtype=np.int64), np.empty(capacity, dtype=np.float64)
        with compile_notice(weak_chunks):
            found, next_chunk = weak_chunks(n_weights, plane % 8, below, stream, next_chunk, position, u)
        parts.append(WeakCells(position[:found].copy(), u[:found].copy()))
    if not parts:
        return WeakCells(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64))
    return WeakCells(np.concatenate([part.position for part in parts]), np.concatenate([part.u for part in parts]))


def second_uniforms(position: Int64, plane: int, key: MapKey) -> Float64:
    """V in [0, 1) of cells of a plane, float64 [m]: a function of key, plane and ``position`` int64 [m]."""
    own = key.of(TENSORS["second"].number(key.tensor))
    with compile_notice(uniform_draws):
        return uniform_draws(own.group(plane), position)
