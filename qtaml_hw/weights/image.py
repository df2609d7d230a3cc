"""A network's weights as they lie in the memory: packed codes, scales, and the way back to tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Codes
from qtaml_hw.names import GroupKind
from qtaml_hw.weights.formats import NumberFormat
from qtaml_hw.weights.scales import PER_TENSOR, ScaleLayout
from qtaml_hw.weights.sizes import planes_by_damage

WORD_WEIGHTS = 32  # weights per "word" group: one 256-bit row segment of int8 codes


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """One weight tensor in the memory.

    ``codes`` is flat in C order [weights]; ``scale`` is float32 [scales], the step of one level of the weights that
    ``layout`` gives it: weight = scale * level.  Planes in the bit mask ``inverted`` are stored inverted: a code means
    what the format says of ``code ^ inverted``.
    """

    name: str
    shape: tuple[int, ...]
    codes: Codes
    scale: NDArray[np.float32]
    layout: ScaleLayout = PER_TENSOR
    inverted: int = 0

    def __post_init__(self) -> None:
        if self.codes.shape != (int(np.prod(self.shape)),):
            raise ValueError(f"{self.name}: {self.codes.shape} codes do not fill a tensor of shape {self.shape}")
        if self.scale.shape != (self.layout.count(self.shape),):
            expected = self.layout.count(self.shape)
            raise ValueError(f"{self.name}: scale has shape {self.scale.shape}, {self.layout.kind} needs ({expected},)")
        for array in (self.codes, self.scale):
            array.setflags(write=False)

    @property
    def weights(self) -> int:
        """Number of weights."""
        return int(self.codes.size)

    @property
    def meant_codes(self) -> Codes:
        """The codes in the format's own planes, inversion taken back."""
        return self.codes ^ self.codes.dtype.type(self.inverted) if self.inverted else self.codes

    def meant_flips(self, p01: NDArray[np.float64], p10: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """P(flip to 1) and P(flip to 0) of the format's own planes [..., B] where cells flip with p01 and p10."""
        swapped = (self.inverted >> np.arange(p01.shape[-1])) & 1 == 1
        return [np.where(swapped, p10, p01), np.where(swapped, p01, p10)]

    @property
    def channel_weights(self) -> int:
        """Weights per output channel (the first axis)."""
        return self.weights // self.shape[0] if self.shape else 1

    def weight_scale(self) -> NDArray[np.float32]:
        """The scale of every weight, broadcastable against flat codes: [1] or [weights]."""
        if self.scale.size == 1:
            return self.scale
        spread: NDArray[np.float32] = np.broadcast_to(self.layout.spread(self.scale, self.shape), self.shape)
        return spread.reshape(-1)

    def decode(
        self, codes: Codes, tables: NDArray[np.float64], pattern: NDArray[np.uint16] | None = None
    ) -> NDArray[np.float32]:
        """Weights in float32, of the tensor's shape, from codes [weights] and decode tables in LSB.

        ``tables`` is [2^B], or [P, 2^B] with the table of every weight in ``pattern`` [weights].
        """
        table = tables.astype(np.float32)
        meant = codes ^ codes.dtype.type(self.inverted) if self.inverted else codes
        levels = table[meant] if pattern is None else table[pattern, meant]
        weights: NDArray[np.float32] = levels.reshape(self.shape) * self.layout.spread(self.scale, self.shape)
        return weights


@dataclass(frozen=True, eq=False)
class StoredImage:
    """All stored tensors of a network, in network order; weights have one global index, tensor after tensor."""

    format: NumberFormat
    tensors: tuple[StoredTensor, ...]

    def __post_init__(self) -> None:
        if not self.tensors:
            raise ValueError("the network stores no weights: nothing that it multiplies with was found")

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors' names."""
        return tuple(t.name for t in self.tensors)

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

    @property
    def metadata_bits(self) -> int:
        """Bits of all scales, which are kept beside the memory; none where the format has its own range."""
        if self.format.scaling == "none":
            return 0
        return sum(t.layout.bits(t.shape) for t in self.tensors)

    @property
    def storage_bits_per_weight(self) -> float:
        """Planes and each weight's share of the scales; parity not counted."""
        return (self.stored_bits + self.metadata_bits) / self.weights

    @cached_property
    def plane_order(self) -> NDArray[np.int64]:
        """Planes from the most to the least significant, int64 [planes].

        By the mean squared change of a stored weight when that plane alone flips (docs/formats.md): positions from the
        top where significance is constant, the exponent from its top bit down in floating-point codes.  Ties go to the
        higher plane.
        """
        if self.format.linear:
            damage = self.format.significance**2
        else:
            counts = np.zeros(1 << self.planes)
            for t in self.tensors:
                worth = np.broadcast_to(t.weight_scale().astype(np.float64) ** 2, t.weights)
                counts += np.bincount(t.meant_codes, weights=worth, minlength=counts.size)
            damage = counts @ self.format.flip_damage
        return planes_by_damage(damage)

    @cached_property
    def digest(self) -> str:
        """sha256 over format, names, shapes, codes and scales."""
        h = hashlib.sha256(self.format.name.encode())
        for t in self.tensors:
            h.update(f"{t.name}{t.shape}{f'~{t.inverted}' if t.inverted else ''}".encode())
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
        ``word_weights`` neighbouring weights ("row": as many as a row of the memory holds).
        """
        parts = []
        for start, t in zip(self.tensor_starts, self.tensors, strict=False):
            step = {"layer": t.weights, "channel": t.channel_weights}.get(kind, word_weights)
            parts.append(np.arange(start, start + t.weights, step, dtype=np.int64))
        return np.concatenate([*parts, self.tensor_starts[-1:]])
