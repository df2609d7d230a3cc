"""A network's weights as they lie in the memory: packed codes, scales, and the way back to tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.weights.formats import WeightFormat

Codes = NDArray[np.uint8]
Granularity = Literal["per_tensor", "per_channel"]
GroupKind = Literal["layer", "channel", "word"]
WORD_WEIGHTS = 32  # weights per "word" group: one 256-bit row segment of int8 codes


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """One weight tensor in the memory.

    ``codes`` is flat in C order [weights]; ``scale`` is float32 [1] (per tensor) or [shape[0]] (per output channel),
    the step of one level: weight = scale * level.
    """

    name: str
    shape: tuple[int, ...]
    codes: Codes
    scale: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.codes.shape != (int(np.prod(self.shape)),):
            raise ValueError(f"{self.name}: {self.codes.shape} codes do not fill a tensor of shape {self.shape}")
        if self.scale.shape not in ((1,), (self.shape[0],)):
            raise ValueError(f"{self.name}: scale has shape {self.scale.shape}, expected (1,) or ({self.shape[0]},)")
        for array in (self.codes, self.scale):
            array.setflags(write=False)

    @property
    def weights(self) -> int:
        """Number of weights."""
        return int(self.codes.size)

    @property
    def channel_weights(self) -> int:
        """Weights per output channel (the first axis)."""
        return self.weights // self.shape[0]

    def weight_scale(self) -> NDArray[np.float32]:
        """The scale of every weight, broadcastable against flat codes: [1] or [weights]."""
        return self.scale if self.scale.size == 1 else np.repeat(self.scale, self.channel_weights)

    def decode(
        self, codes: Codes, tables: NDArray[np.float64], pattern: NDArray[np.uint16] | None = None
    ) -> NDArray[np.float32]:
        """Weights in float32, of the tensor's shape, from codes [weights] and decode tables in LSB.

        ``tables`` is [2^B], or [P, 2^B] with the table of every weight in ``pattern`` [weights].
        """
        table = tables.astype(np.float32)
        levels = table[codes] if pattern is None else table[pattern, codes]
        return (levels.reshape(self.shape[0], -1) * self.scale[:, None]).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class StoredImage:
    """All stored tensors of a network, in network order; weights have one global index, tensor after tensor."""

    format: WeightFormat
    tensors: tuple[StoredTensor, ...]

    def __post_init__(self) -> None:
        if not self.tensors:
            raise ValueError("the network stores no weights: no convolution, linear or attention layer was found")

    @property
    def planes(self) -> int:
        """Bit planes of a weight."""
        return self.format.bits

    @cached_property
    def tensor_starts(self) -> NDArray[np.int64]:
        """Global index of every tensor's first weight, and the total: int64 [tensors + 1]."""
        return np.concatenate([[0], np.cumsum([t.weights for t in self.tensors])]).astype(np.int64)

    @property
    def weights(self) -> int:
        """Number of stored weights."""
        return int(self.tensor_starts[-1])

    @property
    def stored_bits(self) -> int:
        """Data bits in the memory, parity not counted."""
        return self.weights * self.planes

    @cached_property
    def digest(self) -> str:
        """sha256 over format, names, shapes, codes and scales."""
        h = hashlib.sha256(self.format.name.encode())
        for t in self.tensors:
            h.update(f"{t.name}{t.shape}".encode())
            h.update(np.ascontiguousarray(t.codes).data)
            h.update(np.ascontiguousarray(t.scale).data)
        return h.hexdigest()

    def codes(self) -> list[Codes]:
        """The stored codes, tensor by tensor (read-only)."""
        return [t.codes for t in self.tensors]

    def decode(self, codes: Sequence[Codes] | None = None) -> dict[str, NDArray[np.float32]]:
        """Tensors by name from codes, tensor by tensor (default: the stored ones)."""
        codes = self.codes() if codes is None else codes
        table = self.format.decode_table
        return {t.name: t.decode(c, table) for t, c in zip(self.tensors, codes, strict=True)}

    def group_starts(self, kind: GroupKind, word_weights: int = WORD_WEIGHTS) -> NDArray[np.int64]:
        """First global weight index of every group, and the total: int64 [groups + 1].

        Groups are contiguous and never straddle tensors: whole layers, output channels (first axis), or runs of
        ``word_weights`` neighbouring weights.
        """
        parts = []
        for start, t in zip(self.tensor_starts, self.tensors, strict=False):
            step = {"layer": t.weights, "channel": t.channel_weights, "word": word_weights}[kind]
            parts.append(np.arange(start, start + t.weights, step, dtype=np.int64))
        return np.concatenate([*parts, self.tensor_starts[-1:]])


def quantise(
    tensors: Mapping[str, NDArray[np.float32]],
    format: WeightFormat | None = None,
    granularity: Granularity = "per_tensor",
) -> StoredImage:
    """Quantise weight tensors (each with at least two axes) to the nearest level, symmetric about zero.

    The step is ||W||_inf / (2^(B-1) - 1) of the tensor or of the output channel (docs/theory.md, stored weight);
    an all-zero tensor or channel gets step 1, so that it decodes to zero.

    Raises ValueError for values that are not finite.
    """
    format = WeightFormat() if format is None else format
    stored = []
    for name, tensor in tensors.items():
        w = np.asarray(tensor, dtype=np.float32)
        if not np.all(np.isfinite(w)):
            raise ValueError(f"{name}: weights must be finite; {int(np.sum(~np.isfinite(w)))} are NaN or infinite")
        rows = w.reshape(w.shape[0], -1)
        peak = np.abs(rows).max(axis=1) if granularity == "per_channel" else np.abs(rows).max(keepdims=True).reshape(1)
        scale = (peak / np.float32(format.largest)).astype(np.float32)
        scale[scale == 0.0] = 1.0
        levels = np.clip(np.rint(rows / scale[:, None]), -format.largest, format.largest).astype(np.int64)
        stored.append(StoredTensor(name, tuple(w.shape), format.encode(levels).reshape(-1), scale))
    return StoredImage(format, tuple(stored))
