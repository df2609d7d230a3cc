"""Codes to corrupted float32 weights in one pass: each chunk is flipped in cache and converted while it is there."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtaml_hw._jit import njit
from qtaml_hw.faults._chunks import Program, Scratch, flip_chunk, program, scratch
from qtaml_hw.faults._flip import MapKey
from qtaml_hw.faults._notice import compile_notice
from qtaml_hw.faults._rates import group_rates, plane_probabilities
from qtaml_hw.faults._streams import CHUNK_BYTES, draw

SIGN_FLIP: Final = {"twos_complement": 0, "offset_binary": 0x80}  # what turns a code into its int8 value

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


def corrupt_and_dequantise(
    codes: U8,
    p01: ArrayLike,
    p10: ArrayLike,
    scale: ArrayLike,
    key: MapKey,
    *,
    encoding: str = "twos_complement",
    out: F32 | None = None,
) -> F32:
    """``scale * value(flip_bits(codes, p01, p10, ...))`` as float32, without the corrupted codes in between.

    Parameters
    ----------
    codes : uint8 array of any shape, the stored bit patterns of 8-bit weights.
    p01, p10 : as in :func:`flip_bits`, which flips the same cells.
    scale : one number, or one per entry of the first axis (output channel).
    key : seed, map index and tensor.
    encoding : ``twos_complement`` or ``offset_binary`` (code 128 is zero).
    out : C-contiguous float32 array of the codes' shape to fill; a new one if left out.

    Raises
    ------
    ValueError : another dtype or encoding, scales that do not fit the first axis, a bad ``out``, or what
        :func:`flip_bits` refuses.
    """
    if codes.dtype != np.uint8:
        raise ValueError(f"codes must be uint8 bit patterns; got {codes.dtype}")
    if encoding not in SIGN_FLIP:
        raise ValueError(f"encoding must be one of {sorted(SIGN_FLIP)}; got {encoding!r}")
    scales = np.array(scale, dtype=np.float32).reshape(-1)
    if scales.size != 1 and (codes.ndim == 0 or scales.size != codes.shape[0]):
        raise ValueError(
            f"scale must be one number or one per entry of the first axis of {codes.shape}; got {scales.size}"
        )
    result = np.empty(codes.shape, dtype=np.float32) if out is None else out
    if result.dtype != np.float32 or result.shape != codes.shape or not result.flags.c_contiguous:
        raise ValueError(f"out must be C-contiguous float32 of shape {codes.shape}; got {result.dtype} {result.shape}")
    rates = group_rates(*plane_probabilities(p01, p10, 8))
    stream = key.group(0)
    if codes.size:
        with compile_notice(_corrupt_chunks):
            _corrupt_chunks(
                np.require(codes, requirements=("C", "W")).reshape(-1),
                result.reshape(-1),
                stream,
                program(rates),
                scales,
                np.uint8(SIGN_FLIP[encoding]),
                scratch(),
            )
    return result


@njit(nogil=True)
def _corrupt_chunks(
    codes: U8, out: F32, key: np.uint64, todo: Program, scales: F32, sign: np.uint8, work: Scratch
) -> None:
    channel = codes.size // scales.size
    for first in range(0, codes.size, CHUNK_BYTES):
        last = min(first + CHUNK_BYTES, codes.size)
        part = work.chunk[: last - first]
        source = codes[first:last]
        for i in range(part.size):  # vectorises, which a slice assignment does not
            part[i] = source[i]
        if todo.visit[0]:
            flip_chunk(part, draw(key, np.uint64(first // CHUNK_BYTES)), todo, work)
        start = first
        while start < last:
            row = start // channel
            stop = min(last, (row + 1) * channel)
            _convert(part[start - first : stop - first], out[start:stop], scales[row], sign)
            start = stop


@njit()
def _convert(codes: U8, out: F32, scale: np.float32, sign: np.uint8) -> None:
    for i in range(out.size):
        out[i] = np.float32(np.int8(codes[i] ^ sign)) * scale
