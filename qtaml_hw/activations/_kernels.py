"""Compiled loops over values where they lie: rounded, struck and counted in one pass, without arrays in between.

``address`` : of contiguous float32 values [N, P, G, Q] that share scales [N or 1, G]; codes have the same order.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

from qtaml_hw._jit import njit
from qtaml_hw.arrays import Float32, Int64
from qtaml_hw.faults import flip_row


def _pointer(typing_context: Any, address: Any) -> Any:
    """A number as the place of float32 values: two microseconds less per call than an array made of a tensor."""
    pointer: Any = types.CPointer
    signature = pointer(types.float32)(types.intp)

    def generated(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return signature, generated


_floats_at: Any = intrinsic(_pointer)
_array: Any = numba.carray  # type: ignore[attr-defined]  # numba has no types


@njit(nogil=True)
def level(v: Any, scale: Any, largest: Any) -> Any:
    """The nearest level of one value, within -largest and largest; of NaN zero."""
    v = v / scale
    v = v if v == v else np.float32(0.0)
    return np.rint(min(max(v, -largest), largest))


@njit(nogil=True)
def round_at(address: int, n: int, p: int, g: int, q: int, scale: Float32, largest: np.float32) -> None:
    """Every value to its nearest level."""
    x = _array(_floats_at(address), (n, p, g, q))
    for i in range(n):
        own = i if len(scale) > 1 else 0
        for j in range(p):
            for k in range(g):
                s = scale[own, k]
                for m in range(q):
                    x[i, j, k, m] = level(x[i, j, k, m], s, largest) * s


@njit(nogil=True)
def strike_at(
    address: int, n: int, first: int, grid: Any, scaling: Any, tables: Any, weak: Any, counted: Int64
) -> None:
    """Every value to its nearest level, and those of weak numbers to what their cells leave of it.

    ``grid`` (P, G, Q); ``scaling`` scale and largest level; ``tables`` code by level from -largest on, value of every
    code in steps; ``weak`` as of ``Same.weak``, where input ``first`` is inference ``first % batch``; ``counted`` [B]
    takes the flips.
    """
    p, g, q = grid
    scale, largest = scaling
    codes, values = tables
    begins, numbers, up, down = weak
    round_at(address, n, p, g, q, scale, largest)
    x = _array(_floats_at(address), (n, p * g * q))
    for i in range(n):
        own = i if len(scale) > 1 else 0
        inference = (first + i) % (len(begins) - 1)
        for at in range(begins[inference], begins[inference + 1]):
            m = numbers[at]
            s = scale[own, (m // q) % g]
            code = codes[int(level(x[i, m], s, largest) + largest)]
            wrong = (~code & up[at]) | (code & down[at])
            x[i, m] = values[code ^ wrong] * s
            _count(wrong, counted)


@njit(nogil=True)
def draw_at(address: int, n: int, first: int, grid: Any, scaling: Any, tables: Any, draws: Any, counted: Int64) -> None:
    """Every value to its nearest level, and those whose bits flip in a draw of their input's own to what is left.

    ``draws`` : key of the fault map, tensor of input 0, rates as programs and work space; else as :func:`strike_at`.
    """
    p, g, q = grid
    scale, largest = scaling
    codes, values = tables
    of_map, tensor, programs, work = draws
    x = _array(_floats_at(address), (n, p * g * q))
    levels, written = np.empty(p * g * q, np.float32), np.empty(p * g * q, codes.dtype)
    held = np.empty_like(written)
    for i in range(n):
        own = i if len(scale) > 1 else 0
        for block in range(p * g):
            s = scale[own, block % g]
            for m in range(block * q, (block + 1) * q):
                levels[m] = level(x[i, m], s, largest)
                x[i, m] = levels[m] * s
        for m in range(len(levels)):
            written[m] = held[m] = codes[int(levels[m] + largest)]
        flip_row(held.view(np.uint8), programs, of_map, tensor + np.uint64(first + i), work)
        for m in range(len(held)):
            if written[m] != held[m]:
                _count(written[m] ^ held[m], counted)
                x[i, m] = values[held[m]] * scale[own, (m // q) % g]


@njit(nogil=True)
def encode(x: Float32, scale: Float32, largest: np.float32, table: Any, codes: Any) -> None:
    """The codes [N, P, G, Q] of the nearest levels; table: code by level from -largest on."""
    for n in range(x.shape[0]):
        own = n if len(scale) > 1 else 0
        for p in range(x.shape[1]):
            for g in range(x.shape[2]):
                s = scale[own, g]
                for q in range(x.shape[3]):
                    codes[n, p, g, q] = table[int(level(x[n, p, g, q], s, largest) + largest)]


@njit(nogil=True)
def decode(codes: Any, scale: Float32, table: Float32, x: Float32) -> None:
    """What codes are read as, into x; table: value of every code in steps."""
    for n in range(x.shape[0]):
        own = n if len(scale) > 1 else 0
        for p in range(x.shape[1]):
            for g in range(x.shape[2]):
                s = scale[own, g]
                for q in range(x.shape[3]):
                    x[n, p, g, q] = table[codes[n, p, g, q]] * s


@njit(nogil=True)
def count_planes(a: Any, b: Any, counted: Int64) -> None:
    """Add to counted [B] in how many codes [N, M] each bit differs."""
    for n in range(a.shape[0]):
        for m in range(a.shape[1]):
            wrong = a[n, m] ^ b[n, m]
            if wrong:
                _count(wrong, counted)


@njit(nogil=True, inline="always")
def _count(wrong: Any, counted: Int64) -> None:
    for plane in range(len(counted)):
        counted[plane] += (wrong >> plane) & 1


@njit(nogil=True)
def peaks_of(x: Float32, peaks: Float32) -> None:
    """The largest finite magnitude of every group of x [N, P, G, Q] into peaks [N, G]."""
    for n in range(x.shape[0]):
        for p in range(x.shape[1]):
            for g in range(x.shape[2]):
                most = peaks[n, g]
                for q in range(x.shape[3]):
                    v = abs(x[n, p, g, q])
                    if v > most and v < np.inf:
                        most = v
                peaks[n, g] = most


@njit(nogil=True)
def bfloat16(x: Float32, largest: np.float32, codes: Any) -> None:
    """Upper halves of float32 [N, M], to nearest even, saturated; NaN is zero."""
    bits = np.empty(1, dtype=np.float32)
    word = bits.view(np.uint32)
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            v = x[n, i]
            v = v if v == v else np.float32(0.0)
            bits[0] = min(max(v, -largest), largest)
            u = word[0]
            codes[n, i] = (u + np.uint32(0x7FFF) + ((u >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
