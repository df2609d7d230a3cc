"""Scales that have codes of eight bits: the grids that they lie on, and what such codes consist of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Codes, Float32, Float64
from qtaml_hw.weights.floats import FloatFormat, LogScale, ScaleExponent
from qtaml_hw.weights.parts import ScalePart

LOG_STEPS: Final = 16  # of an octave: 256 steps of 4.4 % are 16 octaves below the largest power of two of a tensor
E8M0_BIAS: Final = 127
E4M3: Final = FloatFormat("e4m3")
SCALE_E4M3: Final = E4M3.decode_table[1:127]  # positive numbers ascending, code 1 the first; zero is no scale


@dataclass(frozen=True)
class ScaleGrid:
    """Scales of ``bits`` each, and ``tensor_bits`` that a tensor has once.

    ``rounded``: scales float32 [scales] of one tensor up to the grid; what lies on it stays.  ``parts``: the codes of
    scales that lie on it, whose product they are to the bit.
    """

    bits: int
    tensor_bits: int
    rounded: Callable[[Float32], Float32]
    parts: Callable[[Float32], tuple[ScalePart, ...]]


def grid_step(place: NDArray[np.float64]) -> Float32:
    """2^(place / 16) for whole places."""
    return np.exp2(place / LOG_STEPS).astype(np.float32)


def _log8_rounded(scale: Float32) -> Float32:
    """Up to powers of 2^(1/16), none more than 255 of them below the largest's octave."""
    place = np.ceil(LOG_STEPS * np.log2(scale.astype(np.float64)) - 1e-4)  # what is on the grid stays there
    top = LOG_STEPS * np.ceil(place.max() / LOG_STEPS)
    return grid_step(np.maximum(place, top - 255.0))


def _log8_parts(scale: Float32) -> tuple[ScalePart, ...]:
    top = int(LOG_STEPS * np.ceil(np.log2(float(scale.max())) - 1e-4 / LOG_STEPS))
    place = np.rint(LOG_STEPS * np.log2(scale.astype(np.float64))) - top + 255.0
    return ScalePart("scale", place.astype(np.uint8), LogScale()), _octave(top // LOG_STEPS, scale.size)


def _octave(exponent: int, scales: int) -> ScalePart:
    """A power of two that all scales of a tensor have together."""
    return ScalePart("scale", np.array([exponent + E8M0_BIAS], dtype=np.uint8), ScaleExponent(), scales)


def _exponent_above(x: NDArray[Any]) -> NDArray[np.int64]:
    """Least e with x <= 2^e, exactly; of E8M0, -127 to 127."""
    fraction, exponent = np.frexp(x)
    least: NDArray[np.int64] = np.clip(exponent.astype(np.int64) - (fraction == 0.5), -E8M0_BIAS, E8M0_BIAS)
    return least


def _e8m0_rounded(scale: Float32) -> Float32:
    return np.ldexp(np.float32(1.0), _exponent_above(scale))


def _e8m0_parts(scale: Float32) -> tuple[ScalePart, ...]:
    return (ScalePart("scale", (_exponent_above(scale) + E8M0_BIAS).astype(np.uint8), ScaleExponent()),)


def _e4m3_codes(scale: Float32) -> tuple[Codes, int]:
    """Least codes that are not below the scales, and the exponent e of the tensor: scale <= E4M3 x 2^e."""
    exponent = int(_exponent_above(scale.max() / SCALE_E4M3[-1]))
    places = np.searchsorted(SCALE_E4M3, np.ldexp(scale.astype(np.float64), -exponent))
    return (places + 1).astype(np.uint8), exponent


def _e4m3_rounded(scale: Float32) -> Float32:
    codes, exponent = _e4m3_codes(scale)
    found: Float64 = np.ldexp(E4M3.decode_table[codes], exponent)
    return found.astype(np.float32)


def _e4m3_parts(scale: Float32) -> tuple[ScalePart, ...]:
    codes, exponent = _e4m3_codes(scale)
    return ScalePart("scale", codes, E4M3), _octave(exponent, scale.size)


GRIDS: Final[dict[str, ScaleGrid]] = {
    "log8": ScaleGrid(8, 8, _log8_rounded, _log8_parts),
    "e8m0": ScaleGrid(8, 0, _e8m0_rounded, _e8m0_parts),
    "e4m3": ScaleGrid(8, 8, _e4m3_rounded, _e4m3_parts),
}
"""``log8``: 2^(1/16) below a power of two of the tensor; ``e8m0``: powers of two (OCP MX); ``e4m3``: OCP FP8 numbers
times a power of two of the tensor (as NVFP4, whose own number per tensor is a float32)."""
