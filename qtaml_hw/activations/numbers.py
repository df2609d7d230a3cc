"""Values as the buffer holds them: codes of a number format, with a scale for a tensor, a channel or a token.

The arithmetic is that of stored weights: the nearest level of x / scale, a tie to the even one, clipped to a symmetric
range.  What is no number is written as zero, what is beyond the range as its end.  Scales of tensors and channels are
calibrated (the largest magnitude on held-out inputs); that of a token is its own largest magnitude.  A feature map or
a vector is one token.  Two-byte floats have no scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.activations import _kernels
from qtaml_hw.activations.taps import Tap
from qtaml_hw.arrays import Float32
from qtaml_hw.weights.floats import FloatFormat
from qtaml_hw.weights.formats import NumberFormat, WeightFormat
from qtaml_hw.weights.quantise import LEAST_STEP

Granularity = Literal["per_tensor", "per_channel", "per_token"]


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
        return 32 * self.grid(tap.shape, tap)[1] if not self.unscaled and self.granularity == "per_token" else 0

    def grid(self, shape: tuple[int, ...], tap: Tap) -> tuple[int, int, int]:
        """(P, G, Q): how a value of that shape lies around its scales."""
        total = math.prod(shape)
        if self.unscaled or self.granularity == "per_tensor":
            return 1, 1, total
        if self.granularity == "per_token":
            tokens = math.prod(shape[:-1]) if len(shape) > 1 and not tap.channels_first else 1
            return 1, tokens, total // tokens
        return (1, shape[0], total // shape[0]) if tap.channels_first else (total // shape[-1], shape[-1], 1)

    def laid(self, x: Float32, tap: Tap) -> Float32:
        """A batch [N, ...] as [N, P, G, Q]; a view of contiguous values."""
        return x.reshape(len(x), *self.grid(x.shape[1:], tap))

    def peaks(self, x: Float32, tap: Tap) -> Float32:
        """Largest magnitude of every scale of every input [N, G]."""
        laid = self.laid(x, tap)
        found = np.zeros((len(x), laid.shape[2]), dtype=np.float32)
        _kernels.peaks_of(laid, found)
        return found

    def steps(self, peaks: Float32) -> Float32:
        """Scales of these peaks; of nothing but zeros the least there is."""
        return np.where(peaks > 0.0, peaks / np.float32(self.form.largest), np.float32(LEAST_STEP))

    def scale_of(self, x: Float32, tap: Tap, known: Float32 | None) -> Float32:
        """The calibrated scales [1, G], or those of every input's own tokens [N, G]."""
        return self.steps(self.peaks(x, tap)) if known is None else known

    def round(self, x: Float32, tap: Tap, known: Float32 | None) -> None:
        """Values [N, ...] to what they are read as without a flip, in place; ``known`` : calibrated scales [1, G]."""
        if self.unscaled:
            codes, _ = self.encode(x, tap, known)
            self.decode(codes, self._ones, tap, x)
        else:
            p, g, q = self.grid(x.shape[1:], tap)
            _kernels.round_at(x.ctypes.data, len(x), p, g, q, self.scale_of(x, tap, known), self.top)

    def encode(self, x: Float32, tap: Tap, known: Float32 | None) -> tuple[NDArray[Any], Float32]:
        """Codes [N, M] of values [N, ...] and their scales."""
        codes = np.empty((len(x), x[0].size), dtype=self.form.code_dtype)
        if not self.unscaled:
            laid, scale = self.laid(x, tap), self.scale_of(x, tap, known)
            _kernels.encode(laid, scale, self.top, self.tables[0], codes.reshape(laid.shape))
            return codes, scale
        flat, top = x.reshape(len(x), -1), self.top
        if self.form.name.startswith("bfloat16"):
            _kernels.bfloat16(flat, top, codes)
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
        _kernels.decode(codes.reshape(laid.shape), scale, self.tables[1], laid)

    @cached_property
    def _ones(self) -> Float32:
        return np.ones((1, 1), dtype=np.float32)

    @cached_property
    def top(self) -> np.float32:
        """The largest level."""
        return np.float32(self.form.largest)

    @cached_property
    def tables(self) -> tuple[NDArray[Any], Float32]:
        """Code of every level from the lowest written one on (of integers), and the value of every code in steps."""
        top = 0 if self.unscaled else int(self.form.largest)
        return self.form.encode(np.arange(-top, top + 1)), self.form.decode_table.astype(np.float32)
