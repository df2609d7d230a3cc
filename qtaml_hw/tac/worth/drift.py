"""What the mean shift of a layer's weights does to the outputs, to first order and in closed form.

Flips, and a correction after them, leave a bias b_c of every stored code c: all weights that hold it move together.  To
first order the outputs then move by sum_c b_c a_c, where a_c sums scale x df/dw over those weights, so that their mean
squared change is b^T G b with G = mean over inputs of the sum over outputs of a a^T (ours).  G is a table of 2^B x 2^B
for every layer, known once per image by the probes that Jacobian energies take; then a shift costs a product of
matrices instead of a forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import nn

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.tac.worth.sensitivity import Estimate, energies_into
from qtaml_hw.weights import StoredImage, StoredTensor

DRIFT_PROBES: Final = 2  # a drift is then known to 9 % (standard deviation over the layers of digits-resnet)
MOST_BITS: Final = 8  # of a code: tables of 64 Ki codes squared are too large
MOST_WEIGHTS: Final = 1 << 20  # of a layer: its tables take seconds where a pass takes tens of milliseconds


@dataclass(frozen=True, eq=False)
class _Codes:
    """Values of a tensor's codes in LSB, each the number that moves all weights that hold it."""

    tensor: StoredTensor

    @property
    def of(self) -> str:
        return self.tensor.name

    @property
    def numbers(self) -> int:
        return 1 << self.tensor.format.bits

    @property
    def owner(self) -> Int64:
        return self.tensor.meant_codes.astype(np.int64)

    @property
    def step(self) -> Float64:
        return np.broadcast_to(self.tensor.weight_scale(), self.tensor.codes.shape).astype(np.float64)

    @property
    def pairs(self) -> bool:
        return True


def drift_tables(image: StoredImage, module: nn.Module, inputs: torch.Tensor) -> dict[int, Float64]:
    """G [2^B, 2^B] of the layers that it is worked out for, by their place in the image, outputs^2 per LSB^2.

    ``inputs`` [N, ...] are unlabelled.
    """
    places = [
        i
        for i, t in enumerate(image.tensors)
        if t.part_of is None and t.format.bits <= MOST_BITS and t.weights <= MOST_WEIGHTS
    ]
    if not places:
        return {}
    codes = [_Codes(image.tensors[i]) for i in places]
    found = energies_into(None, module, [one.of for one in codes], inputs, Estimate(DRIFT_PROBES), codes)
    return dict(zip(places, found.along, strict=True))


def drift(table: Float64, bias: Float64) -> float:
    """Mean squared change of the outputs when every code c moves by ``bias[c]`` LSB, [2^B]."""
    return max(float(bias @ table @ bias), 0.0)
