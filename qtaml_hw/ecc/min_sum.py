"""Words of a Tanner graph, sixty-four side by side: encoding by accumulation, decoding by layered normalised min-sum.

Check after check, every bit is weighed anew with what the other bits of the check say (layered schedule: M. Mansour and
N. Shanbhag, IEEE Trans. VLSI Syst. 11, 2003, 976; normalised min-sum: J. Chen and M. Fossorier, IEEE Trans. Commun. 50,
2002, 406).  Numbers are those of the modelled hardware: messages of 6 bits, sums of 8, in steps of two, with sums
always odd: nothing is ever undecided, and as all bits come in with one weight, the outcome depends on the errors alone,
not on the data.
"""

from __future__ import annotations

import numpy as np

from qtaml_hw._jit import njit
from qtaml_hw.arrays import AnyArray, Int64, Uint8, Uint64
from qtaml_hw.ecc.tanner import TannerGraph

LANES = 64
CHANNEL = 7  # weight of a bit as it is read
MESSAGE_BITS, SUM_BITS = 6, 8  # signs included
MESSAGE_LIMIT, SUM_LIMIT = 2 ** (MESSAGE_BITS - 1) - 1, 2**SUM_BITS - 1  # a message counts two
NUMERATOR, SHIFT = 15, 5  # messages are normalised by 15/16, rounded down
MOST_ITERATIONS = 50
DECODER = "layered-min-sum-15/16-6bit-50"
"""What a measurement of the decoder is known by: any change above changes it."""


@njit()
def _unsatisfied(starts: AnyArray, bits: AnyArray, sums: AnyArray, syndrome: AnyArray, bad: AnyArray) -> None:
    """Negative in ``bad`` int16 [lanes]: the words with a check that does not hold."""
    for lane in range(LANES):
        bad[lane] = 0
    for check in range(starts.size - 1):
        for lane in range(LANES):
            syndrome[lane] = 0
        for edge in range(starts[check], starts[check + 1]):
            bit = bits[edge]
            for lane in range(LANES):
                syndrome[lane] ^= sums[bit, lane]
        for lane in range(LANES):
            bad[lane] |= syndrome[lane]


@njit()
def _iterate(starts: AnyArray, bits: AnyArray, sums: AnyArray, messages: AnyArray, work: AnyArray) -> None:
    """One pass over all checks; ``work`` int16 [4 + most bits of a check, lanes]."""
    least, second, sign, scaled = work[0], work[1], work[2], work[3]
    for check in range(starts.size - 1):
        first = starts[check]
        for lane in range(LANES):
            least[lane] = SUM_LIMIT + 2 * MESSAGE_LIMIT
            second[lane] = SUM_LIMIT + 2 * MESSAGE_LIMIT
            sign[lane] = 0
        for edge in range(first, starts[check + 1]):
            bit, row = bits[edge], 4 + edge - first
            for lane in range(LANES):
                rest = np.int16(sums[bit, lane] - messages[edge, lane])
                work[row, lane] = rest
                sign[lane] ^= rest
                size = np.int16(-rest) if rest < 0 else rest
                larger = least[lane] if least[lane] > size else size
                second[lane] = larger if larger < second[lane] else second[lane]
                least[lane] = size if size < least[lane] else least[lane]
        for lane in range(LANES):
            scaled[lane] = np.int16(2 * min((least[lane] * NUMERATOR) >> SHIFT, MESSAGE_LIMIT))
            second[lane] = np.int16(2 * min((second[lane] * NUMERATOR) >> SHIFT, MESSAGE_LIMIT))
        for edge in range(first, starts[check + 1]):
            bit, row = bits[edge], 4 + edge - first
            for lane in range(LANES):
                rest = work[row, lane]
                size = np.int16(-rest) if rest < 0 else rest
                weight = second[lane] if size == least[lane] else scaled[lane]
                negative = np.int16((sign[lane] ^ rest) >> 15)
                message = np.int16((weight ^ negative) - negative)
                messages[edge, lane] = message
                total = np.int16(rest + message)
                total = np.int16(SUM_LIMIT) if total > SUM_LIMIT else total
                sums[bit, lane] = np.int16(-SUM_LIMIT) if total < -SUM_LIMIT else total


@njit()
def _decode(starts: AnyArray, bits: AnyArray, sums: AnyArray, messages: AnyArray, iterations: AnyArray) -> None:
    widest = 0
    for check in range(starts.size - 1):
        widest = max(widest, starts[check + 1] - starts[check])
    work, bad, syndrome = np.empty((4 + widest, LANES), np.int16), np.empty(LANES, np.int16), np.empty(LANES, np.int16)
    messages[:] = 0
    iterations[:] = -1
    for iteration in range(MOST_ITERATIONS + 1):
        _unsatisfied(starts, bits, sums, syndrome, bad)
        left = 0
        for lane in range(LANES):
            left += bad[lane] < 0
            if bad[lane] >= 0 and iterations[lane] < 0:
                iterations[lane] = iteration
        if left == 0 or iteration == MOST_ITERATIONS:
            break
        _iterate(starts, bits, sums, messages, work)


@njit()
def _accumulate(starts: AnyArray, bits: AnyArray, data_bits: int, words: AnyArray) -> None:
    """Check bits of uint64 lanes: words [n], the data bits filled in."""
    for check in range(starts.size - 1):
        total = np.uint64(0)
        for edge in range(starts[check], starts[check + 1]):
            if bits[edge] != data_bits + check:
                total ^= words[bits[edge]]
        words[data_bits + check] = total


def encode(graph: TannerGraph, data: Uint8) -> Uint8:
    """Check bits 0/1 [m, r] of data bits 0/1 [m, k]."""
    checks = np.empty((len(data), graph.checks), dtype=np.uint8)
    for first in range(0, len(data), LANES):
        lanes = np.zeros((LANES, graph.k), dtype=np.uint8)
        lanes[: min(LANES, len(data) - first)] = data[first : first + LANES]
        words = np.zeros(graph.n, dtype=np.uint64)
        words[: graph.k] = _in_lanes(lanes)
        _accumulate(graph.starts, graph.bits, graph.k, words)
        as_bytes = words[graph.k :].astype("<u8").view(np.uint8).reshape(-1, LANES // 8)
        checks[first : first + LANES] = np.unpackbits(as_bytes, axis=1, bitorder="little").T[: len(data) - first]
    return checks


def _in_lanes(bits: Uint8) -> Uint64:
    """0/1 bits [lanes, k] -> uint64 [k], word l at weight 2^l."""
    packed = np.ascontiguousarray(np.packbits(bits, axis=0, bitorder="little").T)
    return packed.view("<u8")[:, 0].astype(np.uint64)


class Decoder:
    """The decoder of one graph with its memory, for any number of batches of up to 64 words.

    After :meth:`run`, ``wrong`` bool [n, lanes] is what it decided of every bit of the error patterns.
    """

    def __init__(self, graph: TannerGraph) -> None:
        self.graph = graph
        self._sums = np.empty((graph.n, LANES), dtype=np.int16)
        self._messages = np.empty((graph.edges, LANES), dtype=np.int16)

    def run(self, errors: AnyArray) -> tuple[AnyArray, Int64]:
        """Decode error patterns, bool [n, 64].

        Returns the errors left, bool [n, 64], and the iterations that each word took, int64 [64]: -1 where no code word
        was found in time, 0 where the word was one as it came.
        """
        self._sums[:] = CHANNEL
        self._sums[errors] = -CHANNEL
        iterations = np.empty(LANES, dtype=np.int64)
        _decode(self.graph.starts, self.graph.bits, self._sums, self._messages, iterations)
        return self._sums < 0, iterations
