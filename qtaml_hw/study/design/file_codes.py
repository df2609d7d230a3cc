"""Weights that a network's file brings as codes lie in the memory as the file stores them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.config import Study
from qtaml_hw.weights import StoredImage, StoredTensor
from qtaml_hw.weights.scales import ScaleLayout
from qtaml_hw.workloads.load import FileCodes


def as_in_file(
    image: StoredImage, weights: Mapping[str, NDArray[np.float32]], codes: Mapping[str, FileCodes], study: Study
) -> StoredImage:
    """The image with the file's own codes and scales, where the format is int8 and the weights are still the file's."""
    if not codes or study.weights.format != "int8" or study.weights.rounding != "nearest":
        return image
    return StoredImage(image.format, tuple(_own(image, t, weights[t.name], codes.get(t.name)) for t in image.tensors))


def _own(image: StoredImage, tensor: StoredTensor, weights: NDArray[np.float32], own: FileCodes | None) -> StoredTensor:
    if own is None or own.levels.size != tensor.weights:
        return tensor
    kind = "per_tensor" if own.scale.size == 1 else ("per_channel", "per_input_channel")[own.axis]
    levels = own.levels.astype(np.float32)
    found = StoredTensor(tensor.name, tensor.shape, image.format.encode(levels), own.scale, ScaleLayout.of(kind))
    same = np.array_equal(found.decode(found.codes, image.format.decode_table), weights)
    return found if same else tensor
