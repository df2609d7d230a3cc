"""What flips of handed values do to the outputs, in the units of flips of weights (ours).

As for weights (:mod:`.damage`): a flip of plane i of number j moves the output by (d f / d a_j)^2 (scale
d)^2 to first order, with d the change of the decoded value.  The derivative is label-free: Hutchinson's probes, as in
:mod:`.sensitivity`, pulled back to the value instead of the weight.  A value's codes differ from input to
input, so that damage is summed over the bits that each input stores, and then averaged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from qtaml_hw.activations import Kept, Watched, plain
from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.tac.worth.damage import DamageModel
from qtaml_hw.tac.worth.sensitivity import OUTPUTS, PROBES, OutputName, Signs
from qtaml_hw.weights.effective import evaluating


def value_starts(kept: Sequence[Kept]) -> Int64:
    """First number of every value of one input, and the total: int64 [V + 1]."""
    return np.concatenate([[0], np.cumsum([one.tap.values for one in kept])]).astype(np.int64)


def value_damage(
    module: nn.Module,
    kept: Sequence[Kept],
    inputs: torch.Tensor,
    *,
    probes: int = PROBES,
    batch: int = 32,
    seed: int = 0,
    output: OutputName = "logits",
) -> DamageModel:
    """Damage of flips by value and plane on unlabelled inputs [N, ...]; all values in one format.

    ``zeros`` and ``ones`` [V, B] are per input.  Raises ValueError without inputs or probes.
    """
    if not len(inputs) or probes < 1:
        raise ValueError(f"sensitivity needs inputs and probes, got {len(inputs)} inputs and {probes} probes")
    planes = kept[0].numbers.form.planes
    zeros, ones = np.zeros((len(kept), planes)), np.zeros((len(kept), planes))
    signs = Signs(output, torch.Generator().manual_seed(seed))
    watched = Watched(kept)
    with evaluating(module), torch.enable_grad(), watched.hooked(module):
        for chunk in torch.split(inputs, batch):
            y = OUTPUTS[output](module(chunk))
            seen = [watched.seen[one.tap.name] for one in kept]
            squares = [torch.zeros(x.shape, dtype=torch.float64) for x in seen]
            for _ in range(probes):
                pulled = torch.autograd.grad(y, seen, signs(y), retain_graph=True, allow_unused=True)
                for total, found in zip(squares, pulled, strict=True):
                    if found is not None:
                        total += found.detach().to("cpu", torch.float64).square()
            for v, (one, x, total) in enumerate(zip(kept, seen, squares, strict=True)):
                of_bit = _by_bit(one, x, total.numpy() / probes)
                zeros[v] += of_bit[0]
                ones[v] += of_bit[1]
    order = np.argsort(-(zeros + ones).sum(axis=0), kind="stable") if not kept[0].numbers.form.linear else None
    return DamageModel(value_starts(kept), zeros / len(inputs), ones / len(inputs), order)


def _by_bit(one: Kept, x: torch.Tensor, energy: Float64) -> Float64:
    """Sums over a batch of energy x (scale d)^2 by the bit stored, [2, B]."""
    numbers, values = one.numbers, plain(x)
    codes, scale = numbers.encode(values, one.tap, one.scale)
    hurt = energy.reshape(codes.shape) * numbers.spread(scale, values, one.tap).astype(np.float64) ** 2
    sums = np.zeros((2, numbers.form.planes))
    for plane, damage in enumerate(numbers.form.flip_damage.T):
        of_plane = hurt * damage[codes]
        stored = float((of_plane * ((codes >> plane) & 1)).sum())
        sums[:, plane] = max(float(of_plane.sum()) - stored, 0.0), stored
    return sums
