"""Constants of an ONNX file that stand for codes: which codes, of which type, and what they are scaled by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from qtaml_hw.arrays import Float32
from qtaml_hw.weights.given import given_integers
from qtaml_hw.weights.image import StoredTensor
from qtaml_hw.weights.scales import PER_TENSOR, ScaleLayout

GROUPS: Final = (16, 32, 64, 128, 256)  # neighbours that share a scale in blocked files


@dataclass(frozen=True)
class Word:
    """A type of codes: its bits, and whether it has a sign (two's complement)."""

    bits: int
    signed: bool


@dataclass(frozen=True, eq=False)
class Coded:
    """real = scale x (codes - zero): ``codes`` int8 or uint8 of the shape of ``real``; the others broadcast."""

    real: torch.Tensor
    codes: torch.Tensor
    word: Word
    scale: torch.Tensor
    zero: torch.Tensor

    def stored(self, name: str, view: torch.Tensor) -> StoredTensor | None:
        """The codes as they lie in a view of ``real``; None where no layout of scales fits, or not all is in view."""
        if view.numel() != self.codes.numel():
            return None
        codes, scale, zero = (self._seen(part, view) for part in (self.codes, self.scale, self.zero))
        shape = tuple(view.shape)
        for layout in _layouts(shape):
            if _shared(layout, scale) and _shared(layout, zero):
                steps, zeros = (layout.reduce(np.maximum, part).astype(np.float32) for part in (scale, zero))
                own: Float32 | None = zeros if zeros.any() else None
                return given_integers(name, shape, codes, steps, layout, bits=self.word.bits, zero=own)
        return None

    def _seen(self, part: torch.Tensor, view: torch.Tensor) -> np.ndarray:
        whole = part.expand(self.codes.shape).contiguous()
        return np.ascontiguousarray(whole.as_strided(view.shape, view.stride(), view.storage_offset()).numpy())


def _layouts(shape: tuple[int, ...]) -> Iterator[ScaleLayout]:
    yield PER_TENSOR
    yield ScaleLayout.of("per_channel")
    yield ScaleLayout.of("per_input_channel")
    yield from (ScaleLayout("per_channel", axes=(axis,)) for axis in range(2, len(shape)))
    yield from (ScaleLayout("per_group", size) for size in GROUPS)


def _shared(layout: ScaleLayout, values: np.ndarray) -> bool:
    """Whether values are the same wherever one scale of a layout is."""
    return bool(np.array_equal(layout.reduce(np.maximum, values), layout.reduce(np.minimum, values)))
