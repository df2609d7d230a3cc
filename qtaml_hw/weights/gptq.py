"""Error-compensated rounding: the error of every rounded weight is made up for by those that are not rounded yet.

Frantar et al., GPTQ (arXiv:2210.17323), after Optimal Brain Surgeon: with H the second moment of a layer's inputs and
U the upper Cholesky factor of its inverse, rounding column j with error e moves the later ones by
-e U[j, j+1:] / U[j, j], which is where the quadratic error (W^ - W) H (W^ - W)^T of the layer's outputs is least for
what is already rounded.
Columns are taken from the largest input energy down.  Rows do not depend on each other; one whose nearest codes serve
better keeps them (ours), so that no row is worse than by the nearest code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qtaml_hw.arrays import Float32, Float64
from qtaml_hw.weights.formats import NumberFormat
from qtaml_hw.weights.image import StoredImage, StoredTensor
from qtaml_hw.weights.moments import LayerToRound, rounded_on_inputs


def gptq_rounding(
    image: StoredImage, weights: Mapping[str, Float32], module: nn.Module, inputs: torch.Tensor
) -> StoredImage:
    """The image with compensated codes of linear and convolutional layers, from unlabelled inputs [N, ...].

    Scales stay.  Tensors whose layer is of another kind, or does not run, keep their nearest codes.  Raises ValueError
    without inputs.
    """
    return rounded_on_inputs(image, weights, module, inputs, "gptq", partial(_rounded, CodeBook.of(image.format)))


@dataclass(frozen=True, eq=False)
class CodeBook:
    """Codes and the value [codes] that each is taken to decode to, in steps, ascending."""

    codes: NDArray[Any]
    values: Float64

    @classmethod
    def of(cls, form: NumberFormat) -> CodeBook:
        """What a format writes: its range, of codes of one value the lowest."""
        values, first = np.unique(form.decode_table, return_index=True)
        inside = (form.lowest <= values) & (values <= form.largest)
        return cls(first[inside].astype(form.code_dtype), values[inside])

    def nearest(self, wanted: Float64) -> NDArray[np.int64]:
        """Places in the book of the nearest values to those wanted, in steps; the lower of two as near."""
        middles = 0.5 * (self.values[1:] + self.values[:-1])
        return np.searchsorted(middles, wanted)


def compensated(layer: LayerToRound, book: CodeBook) -> NDArray[Any]:
    """Codes [rows, columns] whose errors are made up for, row by row never worse than the nearest."""
    nearest = book.nearest(layer.target / layer.step)
    order = np.argsort(-np.diagonal(layer.moment, axis1=1, axis2=2), axis=1, kind="stable")  # [groups, columns]
    upper = _factors(layer.moment, order)
    rows = np.arange(len(layer.target))[:, None]
    by_energy = order[layer.group]
    left, step = layer.target[rows, by_energy], layer.step[rows, by_energy]
    place = np.empty(left.shape, dtype=np.int64)
    for j in range(left.shape[1]):
        place[:, j] = book.nearest(left[:, j] / step[:, j])
        answer = (upper[:, j, j + 1 :] / upper[:, j, j, None])[layer.group]
        left[:, j + 1 :] -= (left[:, j] - book.values[place[:, j]] * step[:, j])[:, None] * answer
    chosen = np.empty_like(place)
    chosen[rows, by_energy] = place
    better = layer.quadratic_error(book.values[chosen] * layer.step) < layer.quadratic_error(
        book.values[nearest] * layer.step
    )
    return book.codes[np.where(better[:, None], chosen, nearest)]


def _factors(moment: Float64, order: NDArray[np.intp]) -> Float64:
    """Upper Cholesky factors of the inverse moments, columns in order: [groups, columns, columns].

    U^T U = H^-1, so that row j of U says how later columns answer to column j once the earlier ones are fixed.
    """
    groups = np.arange(len(moment))[:, None, None]
    turned = moment[groups, order[:, :, None], order[:, None, :]]
    unseen = np.trace(turned, axis1=1, axis2=2) <= 0.0  # no input of the group is ever other than zero
    turned = np.where(unseen[:, None, None], np.eye(turned.shape[1]), turned)
    return np.swapaxes(np.linalg.cholesky(np.linalg.inv(turned)), 1, 2)


def _rounded(book: CodeBook, tensor: StoredTensor, weight: Float32, moment: Float64) -> StoredTensor:
    codes = compensated(LayerToRound.of(tensor, weight, moment), book)
    return replace(tensor, codes=codes.reshape(-1))
