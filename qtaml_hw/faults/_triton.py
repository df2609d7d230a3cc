"""The engine's flips as two GPU kernels: every code is read and written once, then the sparse arrivals are visited.

What ``torch_twin`` says with tensor operations, for codes of one byte.  The bits are the same: integers wrap alike, and
the series of U is evaluated in float64 without contraction.  Triton comes with PyTorch's builds for CUDA.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import triton
import triton.language as tl

from qtaml_hw.faults._dense import LANE_MULTIPLIER, LANES
from qtaml_hw.faults._rates import GroupRates
from qtaml_hw.faults._streams import CHUNK_BYTES, DENSE_STREAM, GOLDEN, LEVEL_STREAM, MIX_1, MIX_2, TAIL_STREAM
from qtaml_hw.faults._uniform import (
    DIGITS,
    POSITION_BITS,
    TABLE_WIDTH,
    TAIL_BITS,
    level_start,
    level_width,
    poisson_tables,
)

LANE_BLOCK: Final = 512  # lanes of one program: 7 % faster than 128 on an H100
WORDS: Final = CHUNK_BYTES // 4  # of a chunk

_GOLDEN, _MIX_1, _MIX_2 = tl.constexpr(GOLDEN), tl.constexpr(MIX_1), tl.constexpr(MIX_2)
_DENSE, _TAIL, _LEVEL = tl.constexpr(DENSE_STREAM), tl.constexpr(TAIL_STREAM), tl.constexpr(LEVEL_STREAM)
_MULTIPLIER, _DIGITS, _LANES = tl.constexpr(LANE_MULTIPLIER), tl.constexpr(DIGITS), tl.constexpr(LANES)
_SEGMENTS, _WORDS, _BLOCK = tl.constexpr(WORDS // LANES), tl.constexpr(WORDS), tl.constexpr(LANE_BLOCK)
_TAIL_SHIFT, _LOW_BITS = tl.constexpr(64 - TAIL_BITS), tl.constexpr(64 - POSITION_BITS)
_LOW_MASK = tl.constexpr((1 << (64 - POSITION_BITS)) - 1)
_LOW_STEP, _WIDTH = tl.constexpr(2.0 ** -(64 - POSITION_BITS)), tl.constexpr(TABLE_WIDTH)


def flip_column(before: torch.Tensor, after: torch.Tensor, key: int, rates: GroupRates) -> None:
    """Flip bytes [n] on a GPU into others [n]; ``key``: of their planes' stream (``MapKey.group``).

    They may be columns of wider codes: what is not whole, aligned 32-bit words is copied there and back.
    """
    count = before.numel()
    if all(x.is_contiguous() and x.data_ptr() % 16 == 0 and count % 4 == 0 for x in (before, after)):
        _flip_words(before.view(torch.int32), after.view(torch.int32), key, rates)
        return
    codes = torch.nn.functional.pad(before, (0, -count % 4)).contiguous()
    result = torch.empty_like(codes)
    _flip_words(codes.view(torch.int32), result.view(torch.int32), key, rates)
    after.copy_(result[:count])


def _flip_words(codes: torch.Tensor, result: torch.Tensor, key: int, rates: GroupRates) -> None:
    """Flip int32 words ``codes`` [n], four bytes each, into ``result`` [n]."""
    device = codes.device
    chunks = triton.cdiv(codes.numel(), WORDS)
    stream = torch.from_numpy(np.array([key], dtype=np.uint64)).to(device)
    if rates.dense:
        digits, tail = (torch.from_numpy(table.copy()).to(device) for table in (rates.digits, rates.tail))
        _dense[(chunks, LANES // LANE_BLOCK)](
            codes,
            result,
            digits,
            tail,
            stream,
            codes.numel(),
            int(np.uint32(rates.open_cells).view(np.int32)),
            rates.symmetric,
        )
    else:
        result.copy_(codes)
    levels = [(level_start(level), level_width(level)) for level in range(rates.levels)]
    spans = torch.tensor(levels, dtype=torch.float64, device=device)
    cdf = torch.from_numpy(poisson_tables()[0].copy()).to(device)
    probability = torch.from_numpy(rates.probability.copy()).to(device)
    _arrivals[(chunks, rates.levels)](
        codes, result, cdf, spans, probability, stream, codes.numel(), rates.full_levels, enable_fp_fusion=False
    )


@triton.jit
def _draw(key, counter):
    """``_streams.draw``."""
    x = key + (counter.to(tl.uint64) + 1) * _GOLDEN
    x = (x ^ (x >> 30)) * _MIX_1
    x = (x ^ (x >> 27)) * _MIX_2
    return x ^ (x >> 31)


@triton.jit
def _dense(codes, result, digits, tail, stream, words, open_cells, symmetric: tl.constexpr):
    """``_dense.compare_by_bit`` and ``settle`` for the lanes of one block, segment after segment."""
    chunk = tl.program_id(0).to(tl.int64)
    lane = tl.program_id(1) * _BLOCK + tl.arange(0, _BLOCK)
    chunk_key = _draw(tl.load(stream), chunk)
    lane_key, tail_key = _draw(chunk_key, chunk * 0 + _DENSE), _draw(chunk_key, chunk * 0 + _TAIL)
    first, second = _draw(lane_key, 2 * lane), _draw(lane_key, 2 * lane + 1)
    x, y, z = first.to(tl.uint32), (first >> 32).to(tl.uint32), second.to(tl.uint32)
    cells = open_cells.to(tl.uint32, bitcast=True)
    for segment in range(_SEGMENTS):
        place = segment * _LANES + lane
        at = chunk * _WORDS + place
        data = tl.load(codes + at, mask=at < words, other=0).to(tl.uint32, bitcast=True)
        still = (data & 0) | cells
        flips = still & tl.load(digits + 4 * _DIGITS)
        if not symmetric:
            flips ^= still & data & tl.load(digits + 2 * _DIGITS)
        for k in tl.static_range(_DIGITS):
            out = x
            if k % 2 == 1:
                out = y + z
            equal, step = tl.load(digits + k), tl.load(digits + _DIGITS + k)
            if symmetric:
                still &= out ^ equal
                flips ^= still & step
            else:  # what a stored 1 changes
                still &= out ^ equal ^ (data & tl.load(digits + 2 * _DIGITS + k))
                flips ^= still & (step ^ (data & tl.load(digits + 3 * _DIGITS + k)))
            if k % 2 == 1:
                v, w = y - x, z - y
                x = z * _MULTIPLIER
                y = (v << 8) | (v >> 24)
                z = (w << 16) | (w >> 16)
        while tl.max(still, axis=0) != 0:
            others = still & (still - 1)
            low = still ^ others
            exponent = (low.to(tl.float32).to(tl.int32, bitcast=True) >> 23) - 127  # of a power of two: its bit
            bit = tl.where(low != 0, exponent, 0)
            rest = _draw(tail_key, place.to(tl.uint64) * 32 + bit.to(tl.uint64)) >> _TAIL_SHIFT
            stored = ((data >> bit.to(tl.uint32)) & 1).to(tl.int32)
            flips ^= tl.where(rest < tl.load(tail + 8 * stored + (bit & 7)), low, 0)
            still = others
        tl.store(result + at, (data ^ flips).to(tl.int32, bitcast=True), mask=at < words)


@triton.jit
def _arrivals(codes, result, cdf, spans, probability, stream, words, full_levels):
    """The arrivals of one level in one chunk: a cell with one below its p reads as what it does not store."""
    chunk, level = tl.program_id(0).to(tl.int64), tl.program_id(1)
    key = _draw(_draw(tl.load(stream), chunk), chunk * 0 + _LEVEL + level)
    number = tl.arange(0, _WIDTH)
    table = tl.load(cdf + level * _WIDTH + number)
    count = tl.minimum(tl.sum((table <= _draw(key, chunk * 0)).to(tl.int32), axis=0), _WIDTH - 1)
    value = _draw(key, number + 1)
    cell = (value >> _LOW_BITS).to(tl.int64)
    low = (value & _LOW_MASK).to(tl.int64).to(tl.float64) * _LOW_STEP
    tau = tl.load(spans + 2 * level) + tl.load(spans + 2 * level + 1) * low
    third, fourth, fifth = (1.0 / 3.0) * tau, 0.25 * tau, 0.2 * tau
    uniform = tau * (1.0 - 0.5 * tau * (1.0 - third * (1.0 - fourth * (1.0 - fifth))))
    uniform = tl.where(level >= full_levels, uniform, 0.0)
    at = chunk * _WORDS + (cell >> 5)
    inside = (number < count) & (at < words)
    data = tl.load(codes + at, mask=inside, other=0)
    bit = (cell & 31).to(tl.int32)
    stored = (data >> bit) & 1
    flips = inside & (uniform < tl.load(probability + 8 * stored + (bit & 7)))
    mask = (stored * 0 + 1) << bit
    tl.atomic_or(result + at, mask, mask=flips & (stored == 0))
    tl.atomic_and(result + at, ~mask, mask=flips & (stored == 1))
