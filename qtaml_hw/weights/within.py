"""What a code asks of the weights that it lies in: levels within bounds, and how many weights that clips.

The in-place code of Guan et al. 2019 (arXiv:1910.14479): the first seven of every eight int8 weights in [-64, 63].
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from qtaml_hw.arrays import Bool, Codes
from qtaml_hw.weights.formats import WeightFormat
from qtaml_hw.weights.image import StoredImage, StoredTensor

RUN: Final = 8
LEAST, MOST = -64, 63


def bounded(weights: int) -> Bool:
    """The weights of a tensor that the condition is about: all but every eighth."""
    asked: Bool = np.arange(weights) % RUN != RUN - 1
    return asked


def clipped(image: StoredImage) -> StoredImage:
    """The image within the condition.  ValueError for a format other than int8 in two's complement."""
    if any(t.format != WeightFormat(8) or t.inverted for t in image.tensors):
        raise ValueError(f"an in-place code lies in int8 weights in two's complement; got {image.format_name}")
    return StoredImage(tuple(replace(t, codes=_clipped(t)) for t in image.tensors))


def holds(image: StoredImage) -> bool:
    """Whether every weight is within the condition."""
    return all(t.format == WeightFormat(8) and np.array_equal(_clipped(t), t.codes) for t in image.tensors)


def changed(image: StoredImage, other: StoredImage) -> int:
    """Weights whose codes differ."""
    return sum(int(np.count_nonzero(a.codes != b.codes)) for a, b in zip(image.tensors, other.tensors, strict=True))


def _clipped(tensor: StoredTensor) -> Codes:
    levels = tensor.codes.view(np.int8)
    within = np.where(bounded(tensor.weights), np.clip(levels, LEAST, MOST), levels)
    return within.astype(np.int8).view(np.uint8)
