"""The hardware of a layered min-sum decoder: edges times messages times bits, with the numbers of the simulated one.

One sum of 8 bits is kept for every bit of the block; of every check its two least magnitudes (5 bits each), which edge
gave the least, and a sign per edge, from which its messages are made again.  ``ROWS`` checks are worked on at once, all
edges of a check side by side: one step per clock, so that an iteration takes checks / ROWS clocks.  The encoder is one
accumulator that takes ``ROWS`` edges a clock.  Every constant below is assumed, gates by counting the operators of an
edge (8-bit subtract and add with saturation, 6-bit compare-select, signs); no figure is of a synthesised decoder.
"""

from __future__ import annotations

from math import ceil, log2
from typing import Final

import numpy as np

from qtaml_hw.ecc.hardware import DECODE_PJ_PER_GE, CodecHardware, node_scaling
from qtaml_hw.ecc.min_sum import MESSAGE_BITS, MOST_ITERATIONS, SUM_BITS
from qtaml_hw.ecc.tanner import TannerGraph

ROWS: Final = 32  # checks at once: assumed
EDGE_GE: Final = 250.0  # one edge: two 8-bit adders, a 6-bit compare-select, saturation, signs: counted, assumed
ROUTING: Final = 2.0  # the network that brings sums to checks takes as much again: assumed
BIT_GE: Final = 1.0  # a bit of the decoder's memory with its share of decoders and sense amplifiers: assumed
BIT_PJ: Final = 0.005  # reading or writing such a bit at 45 nm: assumed
STEP_PS: Final = 2000.0  # one clock at 45 nm: assumed, 500 MHz
USUAL_ITERATIONS: Final = 20  # energy: about the most that simulated blocks take where a code is of use (docs/ecc.md)
MODEL_SOURCE: Final = "modelled: edges x bits of a layered min-sum decoder, constants assumed"


def memory_bits(graph: TannerGraph) -> int:
    """Bits that a decoder keeps for one block."""
    widest = int(np.diff(graph.starts).max())
    of_a_check = 2 * (MESSAGE_BITS - 1) + ceil(log2(widest))
    return graph.n * SUM_BITS + graph.checks * of_a_check + graph.edges


def iterative_hardware(graph: TannerGraph, node_m: float, v_dd_v: float | None) -> CodecHardware:
    """See ``Code.hardware``; latency is that of the most iterations, energy that of the usual ones."""
    area, delay, energy = node_scaling(node_m, v_dd_v)
    widest = int(np.diff(graph.starts).max())
    decoder_ge = ROUTING * ROWS * widest * EDGE_GE + BIT_GE * memory_bits(graph)
    encoder_ge = ROUTING * ROWS * 2.0 + BIT_GE * graph.n  # an exclusive or per edge; the block while it is encoded
    moved = 2 * (SUM_BITS + MESSAGE_BITS) * BIT_PJ  # each sum and message is read and written
    iteration_pj = graph.edges * (EDGE_GE * DECODE_PJ_PER_GE + moved)
    encode_pj = graph.edges * (2.0 * DECODE_PJ_PER_GE + BIT_PJ) + graph.n * BIT_PJ
    steps = ceil(graph.checks / ROWS)
    return CodecHardware(
        encoder_ge=encoder_ge,
        decoder_ge=decoder_ge,
        encoder_area_m2=encoder_ge * area,
        decoder_area_m2=decoder_ge * area,
        encode_energy_j=encode_pj * energy * 1e-12,
        decode_energy_j=USUAL_ITERATIONS * iteration_pj * energy * 1e-12,
        encode_latency_s=ceil(graph.edges / ROWS) * STEP_PS * delay * 1e-12,
        decode_latency_s=MOST_ITERATIONS * steps * STEP_PS * delay * 1e-12,
        source=MODEL_SOURCE,
    )
