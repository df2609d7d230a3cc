"""The engine on PyTorch tensors: the same keys and the same flips, bit for bit, on whatever device the codes are.

Chunks are independent, so a batch of them is one set of element-wise operations; integers are signed here, and wrap.
On a GPU with Triton two fused kernels do the same (``_triton``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Final

import numpy as np
import torch
from numpy.typing import ArrayLike

from qtaml_hw.faults._dense import LANE_MULTIPLIER, LANES, SEGMENT_BYTES
from qtaml_hw.faults._rates import GroupRates, group_rates, plane_probabilities
from qtaml_hw.faults._streams import (
    CHUNK_BYTES,
    DENSE_STREAM,
    GOLDEN,
    LEVEL_STREAM,
    MASK_64,
    MIX_1,
    MIX_2,
    TAIL_STREAM,
)
from qtaml_hw.faults._uniform import (
    DIGITS,
    POSITION_BITS,
    TABLE_WIDTH,
    TAIL_BITS,
    level_start,
    level_width,
    poisson_tables,
    uniform_of_tau,
)
from qtaml_hw.faults.keys import MapKey

BATCH_CHUNKS: Final = {"cpu": 16, "cuda": 512}  # chunks at once: about 1 and 32 million weights
TOP_BIT: Final = -(1 << 63)
CODE_BYTES: Final = {torch.uint8: 1, torch.uint16: 2, torch.uint32: 4}
SEGMENTS: Final = CHUNK_BYTES // SEGMENT_BYTES


def flip_torch(codes: torch.Tensor, p01: ArrayLike, p10: ArrayLike, key: MapKey) -> torch.Tensor:
    """:func:`qtaml_hw.faults.flip` for a tensor; a new tensor on the codes' device.

    ``codes`` is a uint8, uint16 or uint32 tensor of any shape.  Raises ValueError as ``flip`` does.
    """
    if codes.dtype not in CODE_BYTES:
        raise ValueError(f"codes must be a uint8, uint16 or uint32 tensor; got {codes.dtype}")
    stride = CODE_BYTES[codes.dtype]
    up, down = plane_probabilities(p01, p10, 8 * stride)
    source = codes.contiguous()
    result = torch.empty_like(source)
    if not result.numel():
        return result
    flip = _fused() if codes.is_cuda else _flip_column
    before, after = (whole.reshape(-1).view(torch.uint8).view(-1, stride) for whole in (source, result))
    for group in range(stride):
        rates = group_rates(up[8 * group : 8 * group + 8], down[8 * group : 8 * group + 8])
        if rates.idle:
            after[:, group] = before[:, group]
        else:
            flip(before[:, group], after[:, group], int(key.group(group)), rates)
    return result


Flip = Callable[[torch.Tensor, torch.Tensor, int, GroupRates], None]
"""(one byte of every code, where it goes, key of its stream, rates)."""


@cache
def _fused() -> Flip:
    """The flips in two kernels; by tensor operations where Triton is not installed."""
    if find_spec("triton") is None:
        return _flip_column
    from qtaml_hw.faults._triton import flip_column

    return flip_column


def _flip_column(before: torch.Tensor, after: torch.Tensor, key: int, rates: GroupRates) -> None:
    """Flip one byte of every code, a batch of chunks at once."""
    batch = CHUNK_BYTES * BATCH_CHUNKS.get(before.device.type, BATCH_CHUNKS["cpu"])
    for first in range(0, before.numel(), batch):
        part = before[first : first + batch]
        after[first : first + batch] = _flip_batch(part, first // CHUNK_BYTES, _signed(key), rates)


def _flip_batch(data: torch.Tensor, first_chunk: int, group_stream: int, rates: GroupRates) -> torch.Tensor:
    """The bytes of a few whole chunks (the last may be short), flipped."""
    chunks = -(-data.numel() // CHUNK_BYTES)
    index = torch.arange(first_chunk, first_chunk + chunks, dtype=torch.int64, device=data.device)
    chunk_key = _draw(torch.full_like(index, group_stream), index)
    stored = torch.zeros(chunks * CHUNK_BYTES, dtype=torch.uint8, device=data.device)
    stored[: data.numel()] = data
    early = _arrival_masks(stored, chunk_key, rates)
    flipped = _dense_flips(stored, chunk_key, rates) if rates.dense else stored
    return ((flipped & ~early) | (~stored & early))[: data.numel()]


def _arrival_masks(stored: torch.Tensor, chunk_key: torch.Tensor, rates: GroupRates) -> torch.Tensor:
    """Per byte the planes that flip by their sparse arrivals."""
    device = stored.device
    cdf = torch.from_numpy(poisson_tables()[0].view(np.int64).copy()).to(device) ^ TOP_BIT
    probability = torch.from_numpy(rates.probability.copy()).to(device)
    hits = []
    for level in range(rates.levels):
        key = _draw(chunk_key, LEVEL_STREAM + level)
        count = torch.searchsorted(cdf[level], _draw(key, 0) ^ TOP_BIT, right=True).clamp_(max=TABLE_WIDTH - 1)
        chunk = torch.repeat_interleave(torch.arange(count.numel(), device=device), count)
        number = torch.arange(chunk.numel(), device=device) - (torch.cumsum(count, 0) - count)[chunk]
        value = _draw(key[chunk], number + 1)
        cell = _shift(value, 64 - POSITION_BITS) + (chunk << POSITION_BITS)
        low = (value & ((1 << (64 - POSITION_BITS)) - 1)).to(torch.float64) * 2.0 ** -(64 - POSITION_BITS)
        uniform = _series(level_start(level) + level_width(level) * low) * float(level >= rates.full_levels)
        bit = (stored[cell >> 3].to(torch.int64) >> (cell & 7)) & 1
        hits.append(cell[uniform < probability[8 * bit + (cell & 7)]])
    return _masks_of(torch.unique(torch.cat(hits)), stored)


def _series(tau: torch.Tensor) -> torch.Tensor:
    """The engine's own series, term by term in the same order (element-wise operations do not contract)."""
    return uniform_of_tau(tau)  # type: ignore[arg-type, return-value]


def _dense_flips(stored: torch.Tensor, chunk_key: torch.Tensor, rates: GroupRates) -> torch.Tensor:
    """The bytes after the bit-sliced comparison and its undecided cells."""
    x, y, z = _lanes(_draw(chunk_key, DENSE_STREAM))
    words = stored.view(torch.int32).view(-1, SEGMENTS, LANES)
    flipped, undecided = torch.empty_like(words), torch.empty_like(words)
    equal, step, equal_by_bit, step_by_bit, digit = rates.digits.view(np.int32).tolist()
    cells = int(np.uint32(rates.open_cells).view(np.int32))
    for segment in range(SEGMENTS):
        data = words[:, segment]
        still = torch.full_like(data, cells)
        flips = (digit[0] ^ (data & equal_by_bit[0])) & cells
        for k in range(DIGITS):
            still = still & ((y + z if k & 1 else x) ^ equal[k] ^ (data & equal_by_bit[k]))
            flips = flips ^ (still & (step[k] ^ (data & step_by_bit[k])))
            if not k & 1:
                continue
            v, w = y - x, z - y
            x = z * _signed(LANE_MULTIPLIER, 32)
            y = (v << 8) | ((v >> 24) & 0xFF)
            z = (w << 16) | ((w >> 16) & 0xFFFF)
        flipped[:, segment] = data ^ flips
        undecided[:, segment] = still
    settled = _settled(undecided.view(-1), stored, _draw(chunk_key, TAIL_STREAM), rates)
    return flipped.view(-1).view(torch.uint8) ^ settled


def _settled(undecided: torch.Tensor, stored: torch.Tensor, tail_key: torch.Tensor, rates: GroupRates) -> torch.Tensor:
    """Per byte the undecided planes whose further bits are below the threshold."""
    tail = torch.from_numpy(rates.tail.view(np.int64).copy()).to(stored.device)
    word = torch.nonzero(undecided).view(-1)
    bits = (undecided[word][:, None] >> torch.arange(32, dtype=torch.int32, device=stored.device)) & 1
    row, bit = torch.nonzero(bits, as_tuple=True)
    cell = 32 * word[row] + bit
    plane = cell & 7
    chunk, within = cell >> POSITION_BITS, cell & ((1 << POSITION_BITS) - 1)
    rest = _shift(_draw(tail_key[chunk], within), 64 - TAIL_BITS)
    value = (stored[cell >> 3].to(torch.int64) >> plane) & 1
    return _masks_of(cell[rest < tail[8 * value + plane]], stored)


def _lanes(key: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    lane = torch.arange(LANES, dtype=torch.int64, device=key.device)
    first, second = _draw(key[:, None], 2 * lane), _draw(key[:, None], 2 * lane + 1)
    return _low_word(first), _low_word(first >> 32), _low_word(second)


def _masks_of(cells: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Distinct cells as bits per byte."""
    masks = torch.zeros(like.numel(), dtype=torch.int32, device=like.device)
    masks.index_add_(0, cells >> 3, torch.ones_like(cells, dtype=torch.int32) << (cells & 7).to(torch.int32))
    return masks.to(torch.uint8)


def _draw(key: torch.Tensor, counter: torch.Tensor | int) -> torch.Tensor:
    """``_streams.draw`` on int64 tensors."""
    if isinstance(counter, int):
        x = key + _signed((counter + 1) * GOLDEN & MASK_64)
    else:
        x = key + (counter + 1) * _signed(GOLDEN)
    x = (x ^ _shift(x, 30)) * _signed(MIX_1)
    x = (x ^ _shift(x, 27)) * _signed(MIX_2)
    return x ^ _shift(x, 31)


def _shift(x: torch.Tensor, by: int) -> torch.Tensor:
    """Logical shift to the right."""
    return (x >> by) & ((1 << (64 - by)) - 1)


def _low_word(x: torch.Tensor) -> torch.Tensor:
    """The low 32 bits as a signed word."""
    low = x & 0xFFFFFFFF
    return (low - ((low >> 31) << 32)).to(torch.int32)


def _signed(value: int, bits: int = 64) -> int:
    """A bit pattern as the signed integer that has it."""
    return value - (1 << bits) if value >> (bits - 1) else value
