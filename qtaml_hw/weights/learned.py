"""Rounding that keeps a layer's outputs rather than its weights.

The objective of AdaRound (Nagel et al., arXiv:2004.10568), (W^ - W) H (W^ - W)^T with H the second moment of the
layer's inputs, minimised over all codes by cyclic coordinate descent as in QuantEase (Behdin et al., arXiv:2309.01885):
deterministic, never worse for a layer than the codes it starts from on the inputs it sees, and without a step size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qtaml_hw.arrays import Float32, Float64
from qtaml_hw.weights.formats import NumberFormat
from qtaml_hw.weights.image import StoredImage, StoredTensor
from qtaml_hw.weights.moments import LayerToRound, rounded_on_inputs

SWEEPS: Final = 4


def learned_rounding(
    image: StoredImage, weights: Mapping[str, Float32], module: nn.Module, inputs: torch.Tensor
) -> StoredImage:
    """The image with the codes of linear and convolutional layers chosen on unlabelled inputs [N, ...].

    Scales stay.  Tensors whose layer is of another kind, or does not run, keep their nearest codes.  Raises ValueError
    without inputs.
    """
    return rounded_on_inputs(image, weights, module, inputs, "learned", partial(_rounded, image.format))


def _rounded(form: NumberFormat, tensor: StoredTensor, weight: Float32, moment: Float64) -> StoredTensor:
    """The tensor with better codes; ``moment`` [groups, columns, columns], rows of a group lie together."""
    rows = tensor.shape[0]
    codes = descend(LayerToRound.of(tensor, weight, moment), form, tensor.codes.reshape(rows, -1))
    return replace(tensor, codes=codes.reshape(-1))


def descend(layer: LayerToRound, form: NumberFormat, codes: NDArray[Any]) -> NDArray[Any]:
    """Better codes [rows, columns]: every column in turn to the code nearest to its conditional optimum."""
    codes, table = codes.copy(), form.decode_table
    value = table[codes] * layer.step
    error = (value - layer.target).reshape(len(layer.moment), -1, value.shape[1])
    slope = (error @ layer.moment).reshape(value.shape)
    curvature = np.maximum(np.diagonal(layer.moment, axis1=1, axis2=2), np.finfo(np.float64).tiny)[layer.group]
    for _ in range(SWEEPS):
        moved = 0
        for j in range(value.shape[1]):
            wish = (value[:, j] - slope[:, j] / curvature[:, j]) / layer.step[:, j]
            best = form.encode(np.clip(wish, form.lowest, form.largest))
            change = table[best] * layer.step[:, j] - value[:, j]
            rows = np.nonzero(change)[0]
            codes[rows, j] = best[rows]
            value[rows, j] += change[rows]
            slope[rows] += change[rows, None] * layer.moment[layer.group[rows], j]
            moved += rows.size
        if moved == 0:
            break
    return codes
