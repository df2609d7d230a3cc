"""Counter-based random streams: every number of the engine is a pure function of (key, counter).

The mixer is SplitMix64's finaliser over a Weyl sequence (Steele, Lea, Flood: Fast splittable pseudorandom number
generators, OOPSLA 2014).  Keys nest: (seed, map index, tensor, plane group) -> chunk -> purpose.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from qtaml_hw._jit import njit
from qtaml_hw.arrays import Float64, Int64

GOLDEN: Final = 0x9E3779B97F4A7C15
MIX_1: Final = 0xBF58476D1CE4E5B9
MIX_2: Final = 0x94D049BB133111EB
MASK_64: Final = (1 << 64) - 1

CHUNK_BYTES: Final = 65_536  # weights of one chunk, one byte (eight planes) of each
DENSE_STREAM: Final = 0  # purposes: the counter that derives a purpose's key from the chunk key
TAIL_STREAM: Final = 1
LEVEL_STREAM: Final = 2  # level j uses LEVEL_STREAM + j

_GOLDEN = np.uint64(GOLDEN)
_MIX_1 = np.uint64(MIX_1)
_MIX_2 = np.uint64(MIX_2)
_ZERO, _ONE, _S11, _S27, _S30, _S31 = (
    np.uint64(0),
    np.uint64(1),
    np.uint64(11),
    np.uint64(27),
    np.uint64(30),
    np.uint64(31),
)


def mix(x: int) -> int:
    """SplitMix64's finaliser on a Python integer: a bijection of the 64-bit integers."""
    x &= MASK_64
    x = ((x ^ (x >> 30)) * MIX_1) & MASK_64
    x = ((x ^ (x >> 27)) * MIX_2) & MASK_64
    return x ^ (x >> 31)


def group_key(seed: int, map_index: int, tensor: int, group: int) -> int:
    """The 64-bit key of one tensor's eight planes ``8 * group .. 8 * group + 7`` in one fault map.

    Raises ValueError unless every argument is an integer in [0, 2^64).
    """
    return _nested(seed=seed, map_index=map_index, tensor=tensor, group=group)


@lru_cache(maxsize=64, typed=True)
def map_key(seed: int, map_index: int) -> int:
    """The key from which those of the tensors of one fault map follow.

    Raises ValueError as :func:`group_key`.
    """
    return _nested(seed=seed, map_index=map_index)


def _nested(**numbers: int) -> int:
    key = 0
    for name, value in numbers.items():
        if isinstance(value, bool) or int(value) != value or not 0 <= value <= MASK_64:
            raise ValueError(f"{name} must be a whole number from 0 to 2^64 - 1; got {value!r}")
        key = mix((mix(key + GOLDEN) ^ int(value)) + GOLDEN)
    return key


@njit(inline="always")
def draw(key: np.uint64, counter: np.uint64) -> np.uint64:
    """Number ``counter`` of the stream ``key``: 64 random bits."""
    x = key + (counter + _ONE) * _GOLDEN
    x = (x ^ (x >> _S30)) * _MIX_1
    x = (x ^ (x >> _S27)) * _MIX_2
    return x ^ (x >> _S31)


@njit(nogil=True)
def key_in_map(of_map: np.uint64, tensor: np.uint64, group: np.uint64) -> np.uint64:
    """:func:`group_key` of a tensor of the fault map with that key."""
    key = draw(draw(of_map, _ZERO) ^ tensor, _ZERO)
    return draw(draw(key, _ZERO) ^ group, _ZERO)


@njit(nogil=True)
def uniform_draws(key: np.uint64, counters: Int64) -> Float64:
    """Numbers of the stream ``key`` as uniforms in [0, 1) of 53 bits: float64 like ``counters`` [m]."""
    out = np.empty(counters.size, dtype=np.float64)
    for i in range(counters.size):
        out[i] = float(draw(key, np.uint64(counters[i])) >> _S11) * 2.0**-53
    return out
