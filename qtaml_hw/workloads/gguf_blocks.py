"""Blocks of GGUF tensors: where codes, scales and minima lie in the bytes of each type, one row a type.

Source: ggml-org/ggml, src/ggml-common.h and ggml-quants.c.  What a row gives is compared with the ``gguf`` package's
``quants.dequantize`` bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Codes, Int64
from qtaml_hw.weights.floats import FloatFormat, ScaleExponent
from qtaml_hw.weights.formats import NumberFormat, UnsignedFormat, WeightFormat
from qtaml_hw.weights.given import given_floats
from qtaml_hw.weights.image import StoredTensor
from qtaml_hw.weights.parts import ScalePart
from qtaml_hw.weights.scales import ScaleLayout

Bytes = NDArray[Any]  # uint8
Unpacked = tuple[Bytes, tuple[ScalePart, ...]]

FLOATS: Final = {0: ("F32", 4), 1: ("F16", 2), 30: ("BF16", 2)}
"""Types without blocks: name, bytes of a value."""
HALF: Final = FloatFormat("float16")


@dataclass(frozen=True)
class Block:
    """A type: weights and bytes of a block, weights of a scale, and what makes codes and parts of blocks [n, bytes]."""

    name: str
    weights: int
    bytes: int
    group: int
    format: NumberFormat
    unpack: Callable[[Bytes], Unpacked]


def stored_tensor(name: str, shape: tuple[int, ...], kind: int, data: Bytes) -> StoredTensor:
    """A tensor of a type from its bytes.

    Raises ValueError for scales that are no finite numbers, and for F32.
    """
    if kind in FLOATS:
        found = FLOATS[kind][0]
        if found == "F32":
            raise ValueError(f"{name} is stored in F32: it has no codes")
        layout = "float16" if found == "F16" else "bfloat16"
        tensor = given_floats(name, data.view("<u2").reshape(shape), layout)
        if np.any(tensor.format.special_codes[tensor.codes]):
            raise ValueError(f"{name} holds values that are no finite numbers")
        return tensor
    block = BLOCKS[kind]
    codes, parts = block.unpack(data.reshape(-1, block.bytes))
    for part in parts:
        if np.any(part.format.special_codes[part.codes]):
            raise ValueError(f"{name} has scales that are no finite numbers")
    layout_of = ScaleLayout("per_group", block.group)
    return StoredTensor.made_of(name, shape, codes.reshape(-1), block.format, layout_of, parts)


def _halves(blocks: Bytes, first: int) -> NDArray[np.uint16]:
    """The float16 that lies at a byte of every block, as its pattern [blocks]."""
    return np.ascontiguousarray(blocks[:, first : first + 2]).view("<u2").reshape(-1).astype(np.uint16)


def _nibbles(packed: Bytes, run: int) -> Bytes:
    """Four-bit codes: of every ``run`` bytes first all the low halves, then all the high ones, [n, 2 x bytes]."""
    by_run = packed.reshape(len(packed), -1, 1, run)
    codes: Bytes = np.concatenate([by_run & 15, by_run >> 4], axis=2)
    return codes.reshape(len(packed), -1)


def _shifted(packed: Bytes, run: int, shifts: int, step: int, mask: int) -> Bytes:
    """Codes of fewer bits: of every ``run`` bytes first all the lowest bits, then the next ones, in steps of bits."""
    shift = (np.arange(shifts, dtype=np.uint8) * np.uint8(step)).reshape(1, 1, -1, 1)
    codes: Bytes = (packed.reshape(len(packed), -1, 1, run) >> shift) & np.uint8(mask)
    return np.asarray(codes.reshape(len(packed), -1))


def _small(minimum: bool, high: bool) -> Callable[[Bytes], Unpacked]:
    """Q4_0, Q4_1, Q5_0, Q5_1: float16 scale, float16 minimum, 32 fifth bits, 32 nibbles."""

    def unpack(blocks: Bytes) -> Unpacked:
        parts, first = [ScalePart("scale", _halves(blocks, 0), HALF)], 2
        if minimum:
            parts, first = [*parts, ScalePart("minimum", _halves(blocks, 2), HALF)], 4
        fifth = blocks[:, first : first + 4]
        codes = _nibbles(blocks[:, first + 4 * high :], 16)
        if high:
            codes = codes | np.unpackbits(fifth, axis=1, bitorder="little") << 4
        return codes, tuple(parts)

    return unpack


def _q8_0(blocks: Bytes) -> Unpacked:
    return blocks[:, 2:].copy(), (ScalePart("scale", _halves(blocks, 0), HALF),)


def _sixes(packed: Bytes) -> tuple[Bytes, Bytes]:
    """Eight scales and eight minima of six bits each in twelve bytes, [blocks, 8]."""
    low, middle, top = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scale = np.concatenate([low & 63, (top & 15) | ((low >> 2) & 48)], axis=1)
    minimum = np.concatenate([middle & 63, (top >> 4) | ((middle >> 2) & 48)], axis=1)
    return scale, minimum


def _with_minima(blocks: Bytes, at: tuple[int, int], scale: Bytes, minimum: Bytes, bits: int) -> tuple[ScalePart, ...]:
    """Parts of a super-block: two float16 at the bytes ``at``, and small levels for every group."""
    groups, level = scale.shape[1], UnsignedFormat(bits)
    return (
        ScalePart("scale", _halves(blocks, at[0]), HALF, groups),
        ScalePart("scale", scale.reshape(-1), level),
        ScalePart("minimum", _halves(blocks, at[1]), HALF, groups, negative=True),
        ScalePart("minimum", minimum.reshape(-1), level),
    )


def _q2_k(blocks: Bytes) -> Unpacked:
    codes = _shifted(blocks[:, 16:80], 32, 4, 2, 3)
    return codes, _with_minima(blocks, (80, 82), blocks[:, :16] & 15, blocks[:, :16] >> 4, 4)


def _q3_k(blocks: Bytes) -> Unpacked:
    top = _shifted(blocks[:, :32], 32, 8, 1, 1)
    codes = _shifted(blocks[:, 32:96], 32, 4, 2, 3) | top << 2
    packed = blocks[:, 96:108]
    low = np.concatenate([packed[:, :8] & 15, packed[:, :8] >> 4], axis=1)
    high = _shifted(packed[:, 8:], 4, 4, 2, 3)
    scale = ScalePart("scale", (low | high << 4).reshape(-1), WeightFormat(6, "offset_binary"))
    return codes, (ScalePart("scale", _halves(blocks, 108), HALF, 16), scale)


def _q4_k(blocks: Bytes) -> Unpacked:
    return _nibbles(blocks[:, 16:], 32), _with_minima(blocks, (0, 2), *_sixes(blocks[:, 4:16]), 6)


def _q5_k(blocks: Bytes) -> Unpacked:
    codes = _nibbles(blocks[:, 48:], 32) | _shifted(blocks[:, 16:48], 32, 8, 1, 1) << 4
    return codes, _with_minima(blocks, (0, 2), *_sixes(blocks[:, 4:16]), 6)


def _q6_k(blocks: Bytes) -> Unpacked:
    codes = _nibbles(blocks[:, :128], 64) | _shifted(blocks[:, 128:192], 32, 4, 2, 3) << 4
    scale = ScalePart("scale", blocks[:, 192:208].reshape(-1).copy(), WeightFormat(8))
    return codes, (ScalePart("scale", _halves(blocks, 208), HALF, 16), scale)


def _mxfp4(blocks: Bytes) -> Unpacked:
    return _nibbles(blocks[:, 1:], 16), (ScalePart("scale", blocks[:, 0].copy(), ScaleExponent()),)


def _nvfp4(blocks: Bytes) -> Unpacked:
    return _nibbles(blocks[:, 4:], 8), (ScalePart("scale", blocks[:, :4].reshape(-1).copy(), FloatFormat("e4m3")),)


BLOCKS: Final = {
    2: Block("Q4_0", 32, 18, 32, WeightFormat(4, "offset_binary"), _small(minimum=False, high=False)),
    3: Block("Q4_1", 32, 20, 32, UnsignedFormat(4), _small(minimum=True, high=False)),
    6: Block("Q5_0", 32, 22, 32, WeightFormat(5, "offset_binary"), _small(minimum=False, high=True)),
    7: Block("Q5_1", 32, 24, 32, UnsignedFormat(5), _small(minimum=True, high=True)),
    8: Block("Q8_0", 32, 34, 32, WeightFormat(8), _q8_0),
    10: Block("Q2_K", 256, 84, 16, UnsignedFormat(2), _q2_k),
    11: Block("Q3_K", 256, 110, 16, WeightFormat(3, "offset_binary"), _q3_k),
    12: Block("Q4_K", 256, 144, 32, UnsignedFormat(4), _q4_k),
    13: Block("Q5_K", 256, 176, 32, UnsignedFormat(5), _q5_k),
    14: Block("Q6_K", 256, 210, 16, WeightFormat(6, "offset_binary"), _q6_k),
    39: Block("MXFP4", 32, 17, 32, FloatFormat("e2m1"), _mxfp4),
    40: Block("NVFP4", 64, 36, 16, FloatFormat("e2m1"), _nvfp4),
}
"""Types that are read, by their number in the format."""


@cache
def _places(kind: int) -> tuple[Int64, ...]:
    """Which bit of a block holds each plane of each of its codes, int64 [codes, planes], lowest bits first.

    Of its weights, and of every part of their scales.  Found by unpacking a block of every single bit: a code's bits
    are bits of the block, in another order.
    """
    block = BLOCKS[kind]
    single = np.packbits(np.eye(8 * block.bytes, dtype=np.uint8), axis=1, bitorder="little")
    weights, parts = block.unpack(single)
    found = []
    for codes, form in ((weights, block.format), *((part.codes, part.format) for part in parts)):
        by_bit = codes.reshape(len(single), -1)
        bit, code = np.nonzero(by_bit)
        places = np.zeros((by_bit.shape[1], form.bits), dtype=np.int64)
        places[code, np.log2(by_bit[bit, code]).astype(np.int64)] = bit
        found.append(places)
    return tuple(found)


def flipped_bytes(kind: int, data: Bytes, change: Codes, *parts: Codes) -> Bytes:
    """The bytes of whole blocks, uint8 flat, in which these bits of their codes, flat [weights], are flipped.

    ``parts``: bits of the codes of their scales, part by part.
    """
    if kind in FLOATS:
        return np.asarray(data ^ change.astype("<u2").view(np.uint8))
    size = BLOCKS[kind].bytes
    mask = np.zeros((data.size // size, 8 * size), dtype=np.uint8)
    for flips, places in zip((change, *parts), _places(kind), strict=False):
        bits = (flips.reshape(len(mask), len(places), 1) >> np.arange(places.shape[1], dtype=flips.dtype)) & 1
        mask[:, places.reshape(-1)] = bits.reshape(len(mask), -1)
    return np.asarray(data ^ np.packbits(mask, axis=1, bitorder="little").reshape(-1))
