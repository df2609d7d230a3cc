"""Values as the buffer holds them: codes of a number format, with a scale for a tensor, a channel or a token.

The arithmetic is that of stored weights: the nearest level of x / scale, a tie to the even one, clipped to a symmetric
range.  What is no number is written as zero, what is beyond the range as its end.  Scales of tensors and channels are
calibrated (the largest magnitude on held-out inputs); that of a token is its own largest magnitude.  A feature map or
a vector is one token.  Two-byte floats have no scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qtaml_hw._jit import njit
from qtaml_hw.activations.taps import Tap
from qtaml_hw.arrays import Float32
from qtaml_hw.weights.floats import FloatFormat
from qtaml_hw.weights.formats import NumberFormat, WeightFormat
from qtaml_hw.weights.quantise import LEAST_STEP

Granularity = Literal["per_tensor", "per_channel", "per_token"]


@njit(nogil=True)
def _level(v: Any, scale: Any, largest: Any) -> Any:
    """The nearest level of one value, within -largest and largest; of NaN zero."""
    v = v / scale
    v = v if v == v else np.float32(0.0)
    return np.rint(min(max(v, -largest), largest))


@njit(nogil=True)
def _round(x: Float32, scale: Float32, largest: np.float32) -> None:
    """Every value of x [N, P, G, Q] to its nearest level in place; scale [N or 1, G]."""
    for n in range(x.shape[0]):
        own = n if len(scale) > 1 else 0
        for p in range(x.shape[1]):
            for g in range(x.shape[2]):
                s = scale[own, g]
                for q in range(x.shape[3]):
                    x[n, p, g, q] = _level(x[n, p, g, q], s, largest) * s


@njit(nogil=True)
def _encode(x: Float32, scale: Float32, largest: np.float32, table: Any, codes: Any) -> None:
    """The codes [N, P, G, Q] of the levels that :func:`_round` finds; table: code by level from -largest on."""
    for n in range(x.shape[0]):
        own = n if len(scale) > 1 else 0
        for p in range(x.shape[1]):
            for g in range(x.shape[2]):
                s = scale[own, g]
                for q in range(x.shape[3]):
                    codes[n, p, g, q] = table[int(_level(x[n, p, g, q], s, largest) + largest)]


@njit(nogil=True)
def _decode(codes: Any, scale: Float32, table: Float32, x: Float32) -> None:
    """What codes are read as, into x; table: value of every code in steps."""
    for n in range(x.shape[0]):
        own = n if len(scale) > 1 else 0
        for p in range(x.shape[1]):
            for g in range(x.shape[2]):
                s = scale[own, g]
                for q in range(x.shape[3]):
                    x[n, p, g, q] = table[codes[n, p, g, q]] * s


@njit(nogil=True)
def _peaks(x: Float32, peaks: Float32) -> None:
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
def _bfloat16(x: Float32, largest: np.float32, codes: Any) -> None:
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


@dataclass(frozen=True)
class Numbers:
    """A number format and which values share a scale.

    Raises ValueError for a format that is neither an integer nor a two-byte float, and for a float with shared scales.
    """

    form: NumberFormat
    granularity: Granularity = "per_tensor"

    def __post_init__(self) -> None:
        if not isinstance(self.form, WeightFormat) and not (isinstance(self.form, FloatFormat) and self.unscaled):
            raise ValueError(f"values are held as integers, float16 or bfloat16; got {self.form.name}")

    @property
    def unscaled(self) -> bool:
        """Whether the format carries its own range."""
        return self.form.scaling == "none"

    @property
    def calibrated(self) -> bool:
        """Whether scales are known before the value is."""
        return not self.unscaled and self.granularity != "per_token"

    def scale_bits(self, tap: Tap) -> int:
        """Bits of one input's scales beside its codes: those of tokens, float32 each; others are constants."""
        return 32 * self._grid(tap.shape, tap)[1] if not self.unscaled and self.granularity == "per_token" else 0

    def _grid(self, shape: tuple[int, ...], tap: Tap) -> tuple[int, int, int]:
        """(P, G, Q): how a value of that shape lies around its scales."""
        total = int(np.prod(shape))
        if self.unscaled or self.granularity == "per_tensor":
            return 1, 1, total
        if self.granularity == "per_token":
            tokens = int(np.prod(shape[:-1])) if len(shape) > 1 and not tap.channels_first else 1
            return 1, tokens, total // tokens
        return (1, shape[0], total // shape[0]) if tap.channels_first else (total // shape[-1], shape[-1], 1)

    def laid(self, x: Float32, tap: Tap) -> Float32:
        """A batch [N, ...] as [N, P, G, Q]; a view of contiguous values."""
        return x.reshape(len(x), *self._grid(x.shape[1:], tap))

    def peaks(self, x: Float32, tap: Tap) -> Float32:
        """Largest magnitude of every scale of every input [N, G]."""
        laid = self.laid(x, tap)
        found = np.zeros((len(x), laid.shape[2]), dtype=np.float32)
        _peaks(laid, found)
        return found

    def steps(self, peaks: Float32) -> Float32:
        """Scales of these peaks; of nothing but zeros the least there is."""
        return np.where(peaks > 0.0, peaks / np.float32(self.form.largest), np.float32(LEAST_STEP))

    def _scale(self, x: Float32, tap: Tap, known: Float32 | None) -> Float32:
        return self.steps(self.peaks(x, tap)) if known is None else known

    def round(self, x: Float32, tap: Tap, known: Float32 | None) -> None:
        """Values [N, ...] to what they are read as without a flip, in place; ``known`` : calibrated scales [1, G]."""
        if self.unscaled:
            codes, _ = self.encode(x, tap, known)
            self.decode(codes, self._ones, tap, x)
        else:
            _round(self.laid(x, tap), self._scale(x, tap, known), np.float32(self.form.largest))

    def encode(self, x: Float32, tap: Tap, known: Float32 | None) -> tuple[NDArray[Any], Float32]:
        """Codes [N, M] of values [N, ...] and their scales."""
        codes = np.empty((len(x), x[0].size), dtype=self.form.code_dtype)
        if not self.unscaled:
            laid, scale = self.laid(x, tap), self._scale(x, tap, known)
            _encode(laid, scale, np.float32(self.form.largest), self._codes, codes.reshape(laid.shape))
            return codes, scale
        flat, top = x.reshape(len(x), -1), np.float32(self.form.largest)
        if self.form.name.startswith("bfloat16"):
            _bfloat16(flat, top, codes)
        else:
            codes[:] = np.nan_to_num(np.clip(flat, -top, top), nan=0.0).astype(np.float16).view(np.uint16)
        return codes, self._ones

    def spread(self, scale: Float32, x: Float32, tap: Tap) -> Float32:
        """The scale of every number of values [N, ...]: [N, M]."""
        laid = self.laid(x, tap)
        return np.broadcast_to(scale[:, None, :, None], laid.shape).reshape(len(x), -1)

    def decode(self, codes: NDArray[Any], scale: Float32, tap: Tap, x: Float32) -> None:
        """What codes [N, M] are read as, into x [N, ...]."""
        laid = self.laid(x, tap)
        _decode(codes.reshape(laid.shape), scale, self._values, laid)

    @cached_property
    def _ones(self) -> Float32:
        return np.ones((1, 1), dtype=np.float32)

    @cached_property
    def _values(self) -> Float32:
        return self.form.decode_table.astype(np.float32)

    @cached_property
    def _codes(self) -> NDArray[Any]:
        """Code of every level from the lowest written one on."""
        top = int(self.form.largest)
        return self.form.encode(np.arange(-top, top + 1))
