"""How a reproduction stores weights: encoding, scales, and what those scales cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from qtaml_hw.arrays import Float32
from qtaml_hw.weights import Encoding, Granularity, ScaleLayout, StoredImage, StoredTensor, WeightFormat, quantise
from qtaml_hw.weights.quantise import in_steps

SHIFT_BITS: Final = 4
"""Bits of one channel's shift: the tensor's scale divided by 1, 2, 4 ... 2^15."""

Weights = Mapping[str, Float32]


@dataclass(frozen=True)
class Storage:
    """How the weights lie in the memory; the defaults are the source paper's setting.

    ``channel_shift``: one scale per tensor and a power of two per output channel, four bits each: nearly the resolution
    of a scale per channel at an eighth of its cost (ours).
    """

    encoding: Encoding = "twos_complement"
    scale: Granularity | Literal["channel_shift"] = "per_tensor"
    fold_batch_norm: bool = False

    @property
    def title(self) -> str:
        """For tables."""
        folded = ", batch norm folded" if self.fold_batch_norm else ""
        return f"{self.scale}, {self.encoding}{folded}"

    def image(self, weights: Weights) -> StoredImage:
        """The weights stored so, int8."""
        form = WeightFormat(8, self.encoding)
        if self.scale != "channel_shift":
            return quantise(weights, form, self.scale)
        return shifted(weights, form)

    def scale_fraction(self, image: StoredImage) -> float:
        """Bits of scales beyond one per tensor, over the stored bits."""
        scales = sum(t.scale.size for t in image.tensors)
        if self.scale == "channel_shift":
            return SHIFT_BITS * scales / image.stored_bits
        return (image.metadata_bits - len(image.tensors) * ScaleLayout().scale_bits) / image.stored_bits


def shifted(weights: Weights, form: WeightFormat) -> StoredImage:
    """Codes under one scale per tensor times a power of two per output channel, none clipped."""
    layout, stored = ScaleLayout("per_channel"), []
    for tensor in quantise(weights, form, "per_channel").tensors:
        w = np.asarray(weights[tensor.name], dtype=np.float32)
        alive = np.abs(w.reshape(w.shape[0], -1)).max(axis=1) > 0.0
        largest = tensor.scale[alive].max() if alive.any() else np.float32(1.0)
        shift = np.where(alive, np.floor(np.log2(largest / tensor.scale)), 0.0)
        scale = (largest * np.exp2(-np.clip(shift, 0, (1 << SHIFT_BITS) - 1))).astype(np.float32)
        codes = form.encode(in_steps(w, scale, form, layout)).reshape(-1)
        stored.append(StoredTensor(tensor.name, tensor.shape, codes, form, scale, layout))
    return StoredImage(tuple(stored))
