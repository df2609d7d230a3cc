"""Bit planes stored inverted where the cells' preferred direction then does less damage.

Cells that mostly lose ones should hold few of them where it matters.  A plane of a tensor is stored inverted when that
lowers the expected damage under p01 != p10; one bit of metadata per tensor and plane says so, and one inverter per
plane in the decoder takes it back, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.weights.formats import INVERTER_GE, NumberFormat, Scaling
from qtaml_hw.weights.image import StoredImage, StoredTensor

Array = NDArray[np.float64]


@dataclass(frozen=True)
class InvertedFormat(NumberFormat):
    """A format whose planes in ``mask`` are stored inverted: code c means what ``base`` means by c ^ mask."""

    base: NumberFormat
    mask: int

    @property
    def bits(self) -> int:
        """Planes B of a code."""
        return self.base.bits

    @property
    def name(self) -> str:
        """``int8/sign_magnitude, planes 0x7f inverted`` and the like."""
        return f"{self.base.name}, planes {self.mask:#x} inverted"

    @property
    def scaling(self) -> Scaling:
        """As in the format beneath."""
        return self.base.scaling

    def _values(self) -> Array:
        return self.base.decode_table[np.arange(1 << self.bits) ^ self.mask]

    def encode(self, values: Any) -> NDArray[Any]:
        """Codes of the nearest values as stored; ValueError as in the format beneath."""
        codes: NDArray[Any] = self.base.encode(values) ^ self.base.code_dtype.type(self.mask)
        return codes

    @property
    def decode_ge(self) -> float:
        """The format's own gates and an inverter per inverted plane."""
        return self.base.decode_ge + INVERTER_GE * self.mask.bit_count()

    @property
    def decode_basis(self) -> str:
        """What ``decode_ge`` counts."""
        return self.base.decode_basis


def inversion_mask(zeros: Array, ones: Array, p01: Array, p10: Array) -> int:
    """Planes whose expected damage is less when they are stored inverted, as a bit mask.

    ``zeros``, ``ones``: damage per unit flip probability of the weights that store 0 or 1 in plane i, [B] LSB first.
    """
    plain, inverted = zeros * p01 + ones * p10, zeros * p10 + ones * p01
    return int(sum(1 << i for i in np.flatnonzero(inverted < plain * (1.0 - 1e-12))))


def inverted(image: StoredImage, mask: int) -> StoredImage:
    """The image with the planes of ``mask`` stored inverted; the decoded weights are the same, bit for bit."""
    if mask == 0:
        return image
    flip = image.format.code_dtype.type(mask)
    tensors = tuple(StoredTensor(t.name, t.shape, t.codes ^ flip, t.scale, t.layout) for t in image.tensors)
    return StoredImage(InvertedFormat(image.format, mask), tensors)
