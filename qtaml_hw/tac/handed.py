"""What flips of handed values do to the outputs, and one budget for the weights' memory and the values' (ours).

As for weights (:mod:`qtaml_hw.tac.damage`): a flip of plane i of number j moves the output by (d f / d a_j)^2 (scale
d)^2 to first order, with d the change of the decoded value.  The derivative is label-free: Hutchinson's probes, as in
:mod:`qtaml_hw.tac.sensitivity`, pulled back to the value instead of the weight.  A value's codes differ from input to
input, so that damage is summed over the bits that each input stores, and then averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from qtaml_hw.activations import Kept, Watched, plain
from qtaml_hw.arrays import Float64, Int64, Uint8
from qtaml_hw.channel import FlipChannel
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.tac.allocation import Allocation, BudgetPath, Knapsack
from qtaml_hw.tac.budget import Menu, Prices
from qtaml_hw.tac.damage import DamageModel
from qtaml_hw.tac.pareto import optimum
from qtaml_hw.tac.sensitivity import OUTPUTS, PROBES, OutputName, Signs
from qtaml_hw.tac.spending import knapsack
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


@dataclass(frozen=True, eq=False)
class Share:
    """One memory of several that share a budget: what flips do, how often, the menu, prices in the common unit."""

    damage: DamageModel
    channel: FlipChannel
    menu: Menu
    prices: Prices
    tensor_starts: Int64

    def plan(self, choice: Uint8) -> ProtectionPlan:
        """A choice [groups x planes] as a plan."""
        by_plane = choice.reshape(-1, self.channel.planes)
        return ProtectionPlan(self.damage.starts, self.tensor_starts, "layer", "tac", self.menu.names, by_plane)


def share_out(shares: Sequence[Share], budget: float) -> tuple[tuple[ProtectionPlan, ...], Allocation]:
    """The plans of all memories that together leave least distortion within one budget, and what they leave.

    The outputs' distortions of the memories add, to first order.  Raises ValueError for prices in unlike units, and for
    fixed prices, which are not linear in bits.
    """
    units = {share.prices.unit for share in shares}
    if len(units) > 1 or any(np.any(share.prices.fixed) for share in shares):
        raise ValueError(f"memories share a budget in one unit, without fixed costs; got {', '.join(sorted(units))}")
    parts = [knapsack(s.damage, s.channel, s.menu, s.prices, s.tensor_starts) for s in shares]
    most = max(part.damage.shape[1] for part in parts)
    damage, cost = (
        np.concatenate([_padded(getattr(part, name), most) for part in parts]) for name in ("damage", "cost")
    )
    found = optimum(Knapsack(damage, cost, budget)) or BudgetPath(damage, cost).at(budget)
    edges = np.cumsum([0, *(len(part.damage) for part in parts)])
    plans = tuple(s.plan(found.choice[a:b]) for s, a, b in zip(shares, edges[:-1], edges[1:], strict=True))
    return plans, found


def _padded(table: Float64, options: int) -> Float64:
    """With "none" again for options that a shorter menu does not have."""
    more = np.repeat(table[:, :1], options - table.shape[1], axis=1)
    return np.concatenate([table, more], axis=1)
