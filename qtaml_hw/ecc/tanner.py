"""Graphs of long-block codes: irregular repeat-accumulate, grown edge by edge away from short cycles.

Check bit i closes check i and begins check i + 1 (the accumulator of H. Jin, A. Khandekar and R. McEliece, "Irregular
repeat-accumulate codes", 2nd Int. Symp. Turbo Codes, 2000), so that a word is encoded with one XOR per edge.  Two
fifths of the data bits lie in eight checks (fewer in short blocks of high rate) and the rest in three, as in the
rate-1/2 code of DVB-S2 (ETSI EN 302 307).  Edges of a data bit are placed as progressive edge growth does (X.-Y. Hu,
E. Eleftheriou and D. Arnold, IEEE Trans. Inf. Theory 51, 2005, 386), in checks that few bits share and that no short
cycle reaches: there are none of four edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtaml_hw._jit import njit
from qtaml_hw.arrays import AnyArray, Int64

HEAVY = (8, 6, 4, 3)  # checks of two fifths of the data bits: the first that short blocks have room for
LIGHT = 3  # checks of the others
HEAVY_SHARE = 0.4
SPREAD = 64  # the checks of a data bit lie at least 1/64 of the accumulator apart
PATIENCE = 32  # bits whose wider surroundings reach all checks, before they are asked for no more


@dataclass(frozen=True, eq=False)
class TannerGraph:
    """Which bits every check joins: those of check c are ``bits[starts[c] : starts[c + 1]]``, of n = k + r bits.

    ``starts`` int64 [r + 1]; ``bits`` uint32 [edges], data bits 0 .. k-1, check bits k .. n-1.  Check i joins, of the
    check bits, only i and i - 1.
    """

    k: int
    starts: Int64
    bits: NDArray[np.uint32]

    @property
    def checks(self) -> int:
        """Number of checks r."""
        return int(self.starts.size - 1)

    @property
    def n(self) -> int:
        """Bits of a word."""
        return self.k + self.checks

    @property
    def edges(self) -> int:
        """Ones of the parity-check matrix."""
        return int(self.bits.size)


@njit()
def _attach(column: AnyArray, degree: AnyArray, row: AnyArray, load: AnyArray, bit: int, check: int) -> None:
    column[bit, degree[bit]] = check
    row[check, load[check]] = bit
    degree[bit] += 1
    load[check] += 1


@njit()
def _mark_around(
    bit: int,
    depth: int,
    graph: tuple[AnyArray, AnyArray, AnyArray, AnyArray],
    mark: AnyArray,
    queue: AnyArray,
    stamp: int,
) -> None:
    """Mark the checks that a path of up to ``depth`` bits joins to those of a bit."""
    column, degree, row, load = graph
    head, tail = 0, 0
    for j in range(degree[bit]):
        mark[column[bit, j]] = stamp
        queue[tail] = column[bit, j]
        tail += 1
    for _ in range(depth):
        end = tail
        while head < end and tail < queue.size:
            check = queue[head]
            head += 1
            for a in range(load[check]):
                other = row[check, a]
                for b in range(degree[other]):
                    near = column[other, b]
                    if mark[near] != stamp:
                        mark[near] = stamp
                        queue[tail] = near
                        tail += 1


@njit()
def _mark_neighbours(checks: AnyArray, light: bool, spread: int, mark: AnyArray, stamp: int) -> None:
    """Mark the checks that the accumulator joins closely to some, and for light bits those close to its end."""
    last = mark.size
    for check in checks:
        mark[max(0, check - spread) : min(last, check + spread + 1)] = stamp
    if light:
        mark[last - spread :] = stamp


@njit()
def _lightest(mark: AnyArray, stamp: int, load: AnyArray, floor: int, start: int) -> int:
    """An unmarked check of least load, those of up to ``floor`` being alike, looked for from ``start``; -1: none."""
    best, least = -1, 1 << 60
    for step in range(load.size):
        check = start + step if start + step < load.size else start + step - load.size
        if mark[check] != stamp and max(load[check], floor) < least:
            least, best = max(load[check], floor), check
            if least == floor:
                break
    return best


@njit()
def _grow(checks: int, degrees: AnyArray, spread: int, state: np.uint64) -> tuple[AnyArray, AnyArray]:
    """Checks' bits int64 [checks, room] (data bits first come first) and how many they are, int64 [checks]."""
    data = degrees.size
    column = np.full((data + checks, max(degrees.max(), 2)), -1, np.int64)
    degree = np.zeros(data + checks, np.int64)
    row = np.full((checks, 4 * (int(degrees.sum()) // checks + 4)), -1, np.int64)
    load = np.zeros(checks, np.int64)
    graph = (column, degree, row, load)
    mark, queue, stamp = np.zeros(checks, np.int64), np.empty(checks, np.int64), 0
    for check in range(checks):
        _attach(column, degree, row, load, data + check, check)
        if check + 1 < checks:
            _attach(column, degree, row, load, data + check, check + 1)
    edges, failed, deepest = 2 * checks, 0, 3
    for bit in range(data):
        light = degrees[bit] == degrees[0]
        if bit > 0 and degrees[bit] != degrees[bit - 1]:
            deepest, failed = 2, 0
        top = deepest
        for _ in range(degrees[bit]):
            floor = (2 * edges + checks) // (2 * checks)
            best = -1
            while best < 0 and top > 0:
                stamp += 1
                _mark_around(bit, top, graph, mark, queue, stamp)
                _mark_neighbours(column[bit, : degree[bit]], light and top > 1, spread, mark, stamp)
                state ^= state << np.uint64(13)
                state ^= state >> np.uint64(7)
                state ^= state << np.uint64(17)
                best = _lightest(mark, stamp, load, floor, int(state % np.uint64(checks)))
                if best < 0:
                    top -= 1
                    failed += 1
                    if failed == PATIENCE and deepest > 1:
                        deepest, failed = deepest - 1, 0
            if best < 0:
                return row, np.zeros(checks, np.int64)
            _attach(column, degree, row, load, bit, best)
            edges += 1
    return row, load


def accumulate_graph(n: int, k: int) -> TannerGraph:
    """The graph of ``k`` data bits in words of ``n``, the same at every call.

    Raises ValueError where the checks are too few to keep the edges of a bit free of cycles of four.
    """
    checks = n - k
    degrees = np.full(k, LIGHT, dtype=np.int64)
    seed = np.uint64((n * 0x9E3779B97F4A7C15 + k * 0xD1342543DE82EF95 + 1) % 2**64)
    for heavy in HEAVY:
        degrees[k - round(HEAVY_SHARE * k) :] = heavy
        row, load = _grow(checks, degrees, max(1, checks // SPREAD), seed)
        if load.any():
            break
    else:
        raise ValueError(f"a block of {n} bits with {checks} check bits is too dense to be kept free of short cycles")
    own = np.arange(row.shape[1]) < load[:, None]
    order = np.argsort(np.where(own, row, 1 << 60), axis=1, kind="stable")
    bits = np.take_along_axis(row, order, axis=1)[own].astype(np.uint32)
    return TannerGraph(k, np.concatenate([[0], np.cumsum(load)]).astype(np.int64), bits)
