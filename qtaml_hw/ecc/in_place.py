"""In-place protection of int8 weights: the check bits live in bits that small weights do not need (no extra storage).

Eight two's complement weights make one (64,57) SEC-DED word.  The first seven are held to [-64, 63], where bit 6
repeats the sign bit, so bit 6 of each carries a check bit.  Source: H. Guan et al., "In-place zero-space memory
protection for CNN", NeurIPS 2019.  The price is not storage but the clipping of seven weights in eight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.ecc.code import Code, Decoded
from qtaml_hw.ecc.registry import code

BLOCK = 8
_CHECK_CELLS = np.arange(7) * 8 + 6  # bit 6 of the first seven weights
_DATA_CELLS = np.setdiff1d(np.arange(64), _CHECK_CELLS)


def in_place_code() -> Code:
    """The (64,57) Hsiao code that fills eight bytes exactly; its residual and hardware are those of any code."""
    return code("secded-64-57")


def clip_for_in_place(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """int8 [..., 8] with the first seven of each block clipped to [-64, 63]."""
    _check(weights)
    out = weights.copy()
    out[..., :7] = np.clip(out[..., :7], -64, 63)
    return out


def encode_in_place(weights: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Stored bytes uint8 [..., 8]; ValueError where one of the first seven weights of a block is outside [-64, 63]."""
    _check(weights)
    first = weights[..., :7]
    if first.size and (int(first.min()) < -64 or int(first.max()) > 63):
        raise ValueError(
            "in-place protection needs the first seven of every eight weights in [-64, 63]; clip them first"
        )
    bits = np.unpackbits(np.ascontiguousarray(weights).view(np.uint8), axis=-1, bitorder="little")
    words = in_place_code().encode(bits[..., _DATA_CELLS])
    bits[..., _CHECK_CELLS] = words[..., 57:]
    return np.packbits(bits, axis=-1, bitorder="little")


def decode_in_place(stored: NDArray[np.uint8]) -> tuple[NDArray[np.int8], Decoded]:
    """Weights int8 [..., 8] after correction, and the decoder's flags per block."""
    _check(stored)
    bits = np.unpackbits(np.ascontiguousarray(stored), axis=-1, bitorder="little")
    decoded = in_place_code().decode(np.concatenate([bits[..., _DATA_CELLS], bits[..., _CHECK_CELLS]], axis=-1))
    bits[..., _DATA_CELLS] = decoded.data
    bits[..., _CHECK_CELLS] = bits[..., _CHECK_CELLS + 1]
    return np.packbits(bits, axis=-1, bitorder="little").view(np.int8), decoded


def _check(block: NDArray[np.int8] | NDArray[np.uint8]) -> None:
    if block.ndim == 0 or block.shape[-1] != BLOCK or block.dtype.itemsize != 1:
        raise ValueError(f"in-place words are blocks of {BLOCK} int8 weights; got {block.dtype} of shape {block.shape}")
