"""Allocation that knows the correction: what a group costs in distortion once its weights are decoded through a table.

A conditional-mean table takes most of the damage of a flipped top bit away where the layer's weights are small against
its peak, so the planes that are worth protecting change.  The table of a group depends on how many planes of it are
protected; items are therefore whole groups, options their number k of protected top planes (ours, docs/tac.md).
"""

from __future__ import annotations

import numpy as np

from qtaml_hw.arrays import Float64, Int64, Uint8
from qtaml_hw.channel import FlipChannel
from qtaml_hw.names import CorrectionKind
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.tac.allocation.knapsack import BudgetPath
from qtaml_hw.tac.decoding.correction import corrected_noise, correction
from qtaml_hw.weights import GroupKind, StoredImage


def corrected_damage(
    image: StoredImage, importance: Float64, starts: Int64, channel: FlipChannel, kind: CorrectionKind
) -> Float64:
    """Predicted distortion [G, B + 1] of every group with k = 0 .. B top planes error-free, after the correction.

    ``importance`` [weights].  The second moment of every weight's corrected error counts (noise and its own bias); a
    layer's table is made from the histogram of the whole layer.
    """
    planes = image.planes
    left = np.zeros((starts.size - 1, planes + 1))
    for i, tensor in enumerate(image.tensors):
        begin, end = (int(x) for x in image.tensor_starts[i : i + 2])
        first, last = np.searchsorted(starts, [begin, end])
        worth = importance[begin:end] * tensor.weight_scale().astype(np.float64) ** 2
        form = tensor.format
        histogram = np.bincount(tensor.meant_codes, minlength=1 << form.bits).astype(np.float64)
        for k in range(planes):
            guarded = channel.with_planes(image.plane_order[:k].tolist(), 0.0, 0.0)
            p01, p10 = tensor.meant_flips(guarded.p01[: form.bits], guarded.p10[: form.bits])
            table = correction(kind, form, p01, p10, histogram).table
            bias, variance = corrected_noise(form, p01, p10, table)
            moment = (bias**2 + variance)[tensor.meant_codes]
            left[first:last, k] = np.add.reduceat(worth * moment, starts[first:last] - begin)
    return left


def ideal_path(left: Float64, starts: Int64) -> BudgetPath:
    """The allocation over k error-free top planes per group, paid in protected bits."""
    cost = np.diff(starts)[:, None] * np.arange(left.shape[1], dtype=np.float64)
    return BudgetPath(left, cost)


def top_planes_plan(image: StoredImage, starts: Int64, planes: Uint8, kind: GroupKind, policy: str) -> ProtectionPlan:
    """The plan that makes the given number of top planes [G] of every group error-free."""
    rank = np.argsort(image.plane_order)
    choice = (rank[None, :] < planes[:, None].astype(np.int64)).astype(np.uint8)
    return ProtectionPlan(starts, image.tensor_starts, kind, policy, ("none", "ideal"), choice)
