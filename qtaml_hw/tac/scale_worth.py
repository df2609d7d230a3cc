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
    """How one stored number moves the weights of tensor ``of``.

    ``step`` float64 [weights], change of every weight per unit of it; ``owner`` int64 [weights], which number that is;
    ``numbers``: how many there are.
    """

    of: str
    step: Float64
    owner: Int64
    numbers: int


def directions(image: StoredImage) -> tuple[Direction, ...]:
    """Of every stored part of scales, in the image's order; empty where scales lie beside the memory."""
    by_name = {t.name: t for t in image.tensors}
    return tuple(_direction(by_name[t.part_of[0]], t.part_of[1]) for t in image.tensors if t.part_of is not None)


def _direction(t: StoredTensor, index: int) -> Direction:
    part, count = t.parts[index], t.scale.size
    others = product(t.parts, part.role, count, without=index)
    rest = np.ones(count) if others is None else others.astype(np.float64)
    rest = -rest if part.negative else rest
    own = t.scale_of_weight()
    levels = t.format.decode_table[t.codes]
    if part.role == "scale":
        step = rest[own] * (levels if t.zero is None else levels - t.zero[own])
    elif part.role == "minimum":
        step = rest[own]
    else:
        step = -rest[own] * t.scale.astype(np.float64)[own]
    return Direction(t.name, step, own // part.share, part.codes.size)


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
