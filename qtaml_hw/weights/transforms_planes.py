"""Bit planes stored inverted where the cells' preferred direction then does less damage.

Cells that mostly lose ones should hold few of them where it matters.  A plane of a tensor is stored inverted when that
lowers the expected damage under p01 != p10; one bit of metadata per tensor and plane says so, and one exclusive or per
plane in the decoder takes it back, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from qtaml_hw.arrays import Float64
from qtaml_hw.weights.formats import XOR_GE
from qtaml_hw.weights.image import StoredImage

LEAST_GAIN = 1e-12  # relative: equal damage is no reason to invert


def inversion_masks(zeros: Float64, ones: Float64, p01: Float64, p10: Float64) -> tuple[int, ...]:
    """Per tensor the planes whose expected damage is less when they are stored inverted, as a bit mask.

    ``zeros``, ``ones``: damage per unit flip probability of the weights that store 0 or 1 in plane i, [tensors, B], LSB
    first; ``p01``, ``p10``: P(read 1 | 0) and P(read 0 | 1) of the cells, [B].
    """
    plain, inverted = zeros * p01 + ones * p10, zeros * p10 + ones * p01
    better = inverted < plain * (1.0 - LEAST_GAIN)
    return tuple(int(row @ (1 << np.arange(row.size))) for row in better.astype(np.int64))


def inverted(image: StoredImage, masks: Sequence[int]) -> StoredImage:
    """The image with the planes of each tensor's mask stored inverted; its decoded weights are the same, bit for bit.

    Raises ValueError for a mask beyond the planes, or an image that has inverted planes already.
    """
    if any(t.inverted for t in image.tensors):
        raise ValueError("planes of this image are stored inverted already")
    if any(not 0 <= mask < 1 << image.planes for mask in masks):
        raise ValueError(f"masks of {image.planes} planes lie in [0, {1 << image.planes}), got {list(masks)}")
    tensors = (
        replace(t, codes=t.codes ^ t.codes.dtype.type(mask), inverted=mask)
        for t, mask in zip(image.tensors, masks, strict=True)
    )
    return StoredImage(tuple(tensors))


def inversion_cost(image: StoredImage) -> tuple[int, float]:
    """What inversion takes: bits of metadata for the whole image, gates of a decoder (gate equivalents)."""
    return len(image.tensors) * image.planes, image.planes * XOR_GE
