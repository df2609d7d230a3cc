"""The decoder of a whole protected image: one correction per layer, one table per protection pattern in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from qtaml_hw.arrays import Float32, Float64, Int64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.names import CorrectionKind
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.tac.decoding.correction import corrected_noise, correction
from qtaml_hw.tac.decoding.placed import PlacedTensor, fetched, sent
from qtaml_hw.tac.worth.alone import OneLayer, Weights
from qtaml_hw.weights import Codes, StoredImage, StoredTensor


@dataclass(frozen=True, eq=False)
class LayerDecoder:
    """Decode tables [P, 2^B] of one tensor in LSB, and the pattern of every weight (None when P = 1)."""

    kind: CorrectionKind
    tables: Float64
    pattern: NDArray[np.uint16] | None
    folds: bool


@dataclass(frozen=True, eq=False)
class Left:
    """What flips leave of every stored code after a correction, [P, 2^B]: its bias in LSB, its variance in LSB^2."""

    bias: Float64
    variance: Float64


@dataclass(frozen=True, eq=False)
class ImageDecoder:
    """Codes as read -> weights as used, for a whole image."""

    image: StoredImage
    layers: tuple[LayerDecoder, ...]
    _on: dict[torch.device, tuple[PlacedTensor, ...]] = field(default_factory=dict, init=False, repr=False)

    def decode(self, codes: Sequence[Codes]) -> Weights:
        """Corrected weights by tensor name, float32."""
        return dict(self.image.each(lambda i: self._decoded(i, codes)))

    def _decoded(self, i: int, codes: Sequence[Codes]) -> Float32:
        t, d = self.image.as_read(i, codes), self.layers[i]
        return t.decode(codes[i], d.tables if d.pattern is not None else d.tables[0], d.pattern)

    def tensors(self, codes: Sequence[Codes | torch.Tensor], device: torch.device) -> Mapping[str, torch.Tensor]:
        """The same weights, bit for bit, on a device, each decoded there when it is asked for.

        Codes that are not there yet are sent, not weights.
        """
        own, every = self._placed(device), self.image.tensors
        read = [t.codes if t.part_of is None else fetched(c) for t, c in zip(every, codes, strict=True)]

        def placed(i: int) -> PlacedTensor:
            t = self.image.as_read(i, read)
            return own[i] if t is every[i] else own[i].scaled(t)

        return self.image.each(lambda i: placed(i).decode(sent(codes[i], device)), lambda i: placed(i).key(codes[i]))

    def _placed(self, device: torch.device) -> tuple[PlacedTensor, ...]:
        """What decodes each tensor there, sent once."""
        if device not in self._on:
            pairs = zip(self.image.tensors, self.layers, strict=True)
            self._on[device] = tuple(PlacedTensor.of(t, d.tables, d.pattern, device) for t, d in pairs)
        return self._on[device]

    @property
    def side_bits(self) -> float:
        """Bits of what is stored beside the numbers of the corrections (``tac.side_information``)."""
        return 0.0

    @property
    def kinds(self) -> tuple[CorrectionKind, ...]:
        """The correction of every layer."""
        return tuple(d.kind for d in self.layers)

    @property
    def zero_overhead(self) -> bool:
        """True when every correction folds into scales and zero points."""
        return all(d.folds for d in self.layers)


@dataclass(frozen=True, eq=False)
class LayerFlips:
    """Flips left in one tensor: p01 and p10 [P, B] of each protection pattern; pattern and weights of each group."""

    stored: StoredTensor
    p01: Float64
    p10: Float64
    of_group: Int64
    sizes: Int64

    @cached_property
    def of_weight(self) -> NDArray[np.uint16] | None:
        """The pattern of every weight; None where there is one."""
        return np.repeat(self.of_group, self.sizes).astype(np.uint16) if len(self.p01) > 1 else None

    @cached_property
    def seen(self) -> list[tuple[Float64, Float64, Float64]]:
        """Of each pattern: p01 and p10 of the bits as meant, and how often each code [2^B] is stored under it."""
        bits = self.stored.format.bits
        stored = self.by_code(None)
        flips = [self.stored.meant_flips(p01[:bits], p10[:bits]) for p01, p10 in zip(self.p01, self.p10, strict=True)]
        return [(up, down, histogram) for (up, down), histogram in zip(flips, stored, strict=True)]

    def by_code(self, worth: Float64 | None) -> Float64:
        """Sums of ``worth`` [weights] over the weights of each pattern that store each code [P, 2^B]; None: counts."""
        codes, shape = self.stored.meant_codes, (len(self.p01), 1 << self.stored.format.bits)
        cells = codes if self.of_weight is None else self.of_weight.astype(np.int64) * shape[1] + codes
        return np.bincount(cells, worth, shape[0] * shape[1]).reshape(shape).astype(np.float64, copy=False)

    def of_weights(self, per_code: Float64) -> Float64:
        """A [P, 2^B] table looked up for every weight."""
        codes = self.stored.meant_codes
        values: Float64 = per_code[0][codes] if self.of_weight is None else per_code[self.of_weight, codes]
        return values

    def left(self, layers: Sequence[LayerDecoder]) -> list[Left]:
        """What is left after each of several corrections."""
        tables = np.stack([one.tables for one in layers])
        found = np.empty((2, *tables.shape))
        for i, (p01, p10, _) in enumerate(self.seen):
            found[:, :, i] = corrected_noise(self.stored.format, p01, p10, tables[:, i])
        return [Left(bias, variance) for bias, variance in zip(*found, strict=True)]

    @cached_property
    def key(self) -> bytes:
        """Equal for equal flips of the same tensor."""
        apart = (self.of_group, self.sizes) if len(self.p01) > 1 else ()
        return hashlib.sha256(b"".join(a.tobytes() for a in (self.p01, self.p10, *apart))).digest()


@dataclass(frozen=True, eq=False)
class ProtectedImage:
    """An image under a plan and a channel: what is known before any correction is chosen."""

    image: StoredImage
    plan: ProtectionPlan
    channel: FlipChannel

    @cached_property
    def _residual(self) -> tuple[Float64, Float64]:
        return self.plan.residual(self.channel)

    def flips(self, tensor: int) -> LayerFlips:
        """What the plan leaves of the channel in one tensor."""
        first, last = self.plan.tensor_groups(tensor)
        group, of_group = np.zeros(1, np.int64), np.zeros(1, np.int64)
        if last > first + 1:
            _, group, of_group = np.unique(self.plan.choice[first:last], axis=0, return_index=True, return_inverse=True)
        p01, p10 = (left[first:last][group] for left in self._residual)
        sizes = np.diff(self.plan.starts[first : last + 1])
        return LayerFlips(self.image.tensors[tensor], p01, p10, of_group.reshape(-1), sizes)

    def layer(self, tensor: int, kind: CorrectionKind, flips: LayerFlips | None = None) -> LayerDecoder:
        """The decoder of one tensor with one kind of correction; ``flips``: of that tensor, where they are known."""
        stored = self.image.tensors[tensor]
        form = stored.format
        if stored.part_of is not None:  # scales are read as they are: no correction knows their distribution
            return LayerDecoder("none", form.decode_table[None, :], None, True)
        left = flips or self.flips(tensor)
        found = [correction(kind, form, p01, p10, histogram) for p01, p10, histogram in left.seen]
        folds = all(one.folds for one in found) and (len(found) == 1 or kind == "none")
        return LayerDecoder(kind, np.stack([one.table for one in found]), left.of_weight, folds)

    def decoder(self, kind: CorrectionKind) -> ImageDecoder:
        """The same correction in every layer."""
        return ImageDecoder(self.image, tuple(self.layer(i, kind) for i in range(len(self.image.tensors))))

    def distortion(self, tensor: int, layer: LayerDecoder, importance: Float64, alone: OneLayer) -> float:
        """Predicted output distortion of one tensor decoded by ``layer``; infinite where the outputs overflow.

        Noise: sum of Jacobian energy (``importance`` [weights]) x variance left.  Drift: ``drift``.
        """
        flips = self.flips(tensor)
        left = flips.left([layer])[0]
        noise = float(np.sum(flips.by_code(self.worth(tensor, importance)) * left.variance))
        total = noise + self.drift(tensor, flips, left, alone)
        return total if np.isfinite(total) else np.inf

    def worth(self, tensor: int, importance: Float64) -> Float64:
        """Jacobian energy of every weight of a tensor per squared LSB, [weights of the tensor]."""
        scale = self.image.tensors[tensor].weight_scale().astype(np.float64)
        first, last = self.image.tensor_starts[tensor : tensor + 2]
        return np.asarray(importance[first:last] * scale**2)

    def drift(self, tensor: int, flips: LayerFlips, left: Left, alone: OneLayer) -> float:
        """Mean squared change of the outputs when a tensor alone is replaced by its mean as read: a forward pass."""
        if not np.any(left.bias):
            return 0.0
        t = self.image.tensors[tensor]
        scale = t.weight_scale().astype(np.float64)
        shift = (flips.of_weights(left.bias) * scale).astype(np.float32).reshape(t.shape)
        return alone.distortion(t.name, alone.clean[t.name] + shift)
