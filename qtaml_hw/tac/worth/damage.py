"""The damage that flips do, per group and plane: the objective of the allocation.

First-order output distortion with independent errors (docs/theory.md, output distortion): a flip of plane i of
weight j moves the output by importance_j * (scale_j * d)^2 on average, with d the change of the decoded value: the
constant significance s_i of the plane in linear formats, a matter of the whole code in others.  A group's damage is
linear in its flip probabilities.  The second moment p d^2 is used (noise p (1 - p) plus each weight's own drift p^2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.weights import StoredImage, StoredTensor


@dataclass(frozen=True, eq=False)
class DamageModel:
    """Damage per unit flip probability: ``zeros`` and ``ones`` [G, B] sum over the weights that store 0 or 1 there.

    ``starts`` int64 [G + 1] are the group boundaries in global weight order.  ``order`` [B] are the planes from the
    most significant down, in which Uniform-MSP buys them (None: from the top position).
    """

    starts: Int64
    zeros: Float64
    ones: Float64
    order: Int64 | None = None

    @property
    def plane_order(self) -> Int64:
        """Planes from the most significant down, int64 [B]."""
        return np.arange(self.zeros.shape[1])[::-1] if self.order is None else self.order

    @property
    def sizes(self) -> Int64:
        """Weights per group, [G]."""
        return np.diff(self.starts)

    def distortion(self, p01: ArrayLike, p10: ArrayLike) -> Float64:
        """Predicted distortion [G, B] for flip probabilities that broadcast against [G, B]."""
        up, down = np.asarray(p01, dtype=np.float64), np.asarray(p10, dtype=np.float64)
        return self.zeros * up + self.ones * down


def damage_model(image: StoredImage, importance: Float64, starts: Int64) -> DamageModel:
    """Sum importance x scale^2 x flip damage over each group's weights, split by the stored bit.

    ``importance`` is [weights] in global order (Jacobian energy for TAC).  Raises ValueError when its length differs,
    or for groups that straddle tensors.
    """
    if importance.shape != (image.weights,):
        raise ValueError(f"importance has shape {importance.shape}; the image stores {image.weights} weights")
    if not np.isin(image.tensor_starts, starts).all():
        raise ValueError("groups end where tensors do, and these go on into the next")
    groups = starts.size - 1
    zeros, ones = np.zeros((groups, image.planes)), np.zeros((groups, image.planes))
    for t, first in zip(image.tensors, image.tensor_starts, strict=False):  # one at a time: they may be a large network
        mine = slice(*np.searchsorted(starts, [first, first + t.weights]))
        own, worth = slice(0, t.format.bits), importance[first : first + t.weights]
        zeros[mine, own], ones[mine, own] = tensor_damage(t, worth, starts[mine] - first)
    return DamageModel(starts, zeros, ones, image.plane_order)


def tensor_damage(t: StoredTensor, importance: Float64, begin: Int64) -> tuple[Float64, Float64]:
    """The damage of one tensor's groups and planes, [groups, B] of weights that store 0 and 1, from their worth."""
    zeros, ones = (np.empty((begin.size, t.format.bits)) for _ in range(2))
    energy, meant = importance * t.weight_scale().astype(np.float64) ** 2, t.meant_codes
    for plane in range(t.format.bits):
        hurt = energy * t.format.flip_damage[:, plane][meant]
        every = np.add.reduceat(hurt, begin)
        hurt *= (t.codes >> plane) & 1
        ones[:, plane] = np.add.reduceat(hurt, begin)
        zeros[:, plane] = np.maximum(every - ones[:, plane], 0.0)
    return zeros, ones
