"""What stored scales, minima and zero points are worth: the energy with which outputs answer to one of them.

A number that a run of weights shares moves them together: w_j = s (l_j - z) + m changes by d_j = l_j - z for a step of
the scale, by 1 for one of the minimum, by -s for one of the zero point, times the other factors of its product.  So its
Jacobian energy is the mean over inputs of sum over outputs of (sum over j of d_j df/dw_j)^2, from the gradients of the
weights themselves (ours).  Where only a worth S_j of every weight is known, their gradients are taken as independent:
sum of S_j d_j^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.weights import StoredImage, StoredTensor
from qtaml_hw.weights.parts import product


@dataclass(frozen=True, eq=False)
class Direction:
    """How every number of a stored part moves the weights of its tensor; worked out anew whenever it is asked for.

    ``tensor`` the weights, ``index`` the part of their scales.
    """

    tensor: StoredTensor
    index: int

    @property
    def of(self) -> str:
        """The tensor's name."""
        return self.tensor.name

    @property
    def pairs(self) -> bool:
        """Every number has a worth of its own."""
        return False

    @property
    def numbers(self) -> int:
        """How many numbers there are."""
        return int(self.tensor.parts[self.index].codes.size)

    @property
    def owner(self) -> Int64:
        """Which number moves a weight, int64 [weights]."""
        return self.tensor.scale_of_weight() // self.tensor.parts[self.index].share

    @property
    def step(self) -> Float64:
        """Change of every weight per unit of its number, float64 [weights]."""
        t, part, count = self.tensor, self.tensor.parts[self.index], self.tensor.scale.size
        others = product(t.parts, part.role, count, without=self.index)
        rest = np.ones(count) if others is None else others.astype(np.float64)
        rest = -rest if part.negative else rest
        own = t.scale_of_weight()
        if part.role == "minimum":
            return rest[own]
        if part.role == "zero":
            return np.asarray(-rest[own] * t.scale.astype(np.float64)[own])
        levels = t.format.decode_table[t.codes]
        return np.asarray(rest[own] * (levels if t.zero is None else levels - t.zero[own]))


def directions(image: StoredImage) -> tuple[Direction, ...]:
    """Of every stored part of scales, in the image's order; empty where scales lie beside the memory."""
    by_name = {t.name: t for t in image.tensors}
    return tuple(Direction(by_name[t.part_of[0]], t.part_of[1]) for t in image.tensors if t.part_of is not None)


def with_scales(image: StoredImage, worth: Float64, along: Sequence[Float64] = ()) -> Float64:
    """The worth of every stored value, [values], from that of the weights alone in network order.

    ``along``: energies of the image's ``directions``; without them gradients of weights are taken as independent.
    """
    found = directions(image)
    if not found:
        return worth
    edges = np.concatenate([[0], np.cumsum([t.weights for t in image.weight_tensors])])
    own = {t.name: worth[a:b] for t, a, b in zip(image.weight_tensors, edges[:-1], edges[1:], strict=True)}
    alone = [np.bincount(d.owner, own[d.of] * d.step**2, d.numbers).astype(np.float64) for d in found]
    energies = iter(along or alone)
    return np.concatenate([own[t.name] if t.part_of is None else next(energies) for t in image.tensors])
