"""Importance to second order: what a weight is worth while the others are noisy too.

For independent zero-mean noise of variances s_j^2 the variance of an output f is c_1 + c_2 + ..., the energies of its
Hermite terms; at the clean weights sum_j s_j^2 (df/dw_j)^2 gives c_1 alone, and its mean over noisy weights gives
c_1 + 2 c_2 + 3 c_3 + ... (the Gaussian Poincare inequality, an upper bound).  Half the sum of both is c_1 + c_2
exactly where f is quadratic and the noise Gaussian (ours, docs/tac.md).  The noise is that of a plan, so plan and
importance are improved in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qtaml_hw.arrays import Float32, Float64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.tac.worth.scales import with_scales
from qtaml_hw.weights import Codes, StoredImage

EnergyAt = Callable[[Mapping[str, Float32]], Float64]


@dataclass(frozen=True)
class Draws:
    """How the noise is averaged: ``draws`` noisy networks per round, ``rounds`` of plan and importance."""

    draws: int = 4
    rounds: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < 1 or self.rounds < 1:
            raise ValueError(f"need at least one draw and one round; got {self.draws} and {self.rounds}")


def drawn_codes(
    image: StoredImage, plan: ProtectionPlan, channel: FlipChannel, rng: np.random.Generator
) -> list[Codes]:
    """Codes as read once under a plan's residual channel, tensor by tensor; independent of every fault map."""
    p01, p10 = plan.residual(channel)
    owner = np.repeat(np.arange(plan.groups), np.diff(plan.starts))
    codes = np.concatenate(image.codes())
    flips = np.zeros_like(codes)
    for plane in range(image.planes):
        chance = np.where((codes >> plane) & 1, p10[owner, plane], p01[owner, plane])
        flips |= (rng.random(codes.size) < chance).astype(codes.dtype) << plane
    return np.split(codes ^ flips, image.tensor_starts[1:-1])


def noisy_importance(image: StoredImage, energy_at: EnergyAt, read: Sequence[Sequence[Codes]]) -> Float64:
    """Mean of ``energy_at`` over the networks whose codes were ``read``, [values]; those that overflow do not count.

    Raises ValueError when none is left.
    """
    total, counted = np.zeros(image.network_weights), 0
    for codes in read:
        energy = energy_at(image.decode(codes))
        if np.isfinite(energy).all():
            total, counted = total + energy, counted + 1
    if counted == 0:
        raise ValueError("every noisy network overflows: no importance to second order; use the score jacobian")
    return with_scales(image, total / counted)


def second_order_importance(clean: Float64, noisy: Float64) -> Float64:
    """Half the sum of the energies at the clean and at the noisy weights, [weights]."""
    return 0.5 * (clean + noisy)


def refine(
    image: StoredImage,
    clean: Float64,
    energy_at: EnergyAt,
    plan_of: Callable[[Float64], ProtectionPlan],
    channel: FlipChannel,
    how: Draws,
) -> Float64:
    """Importance [weights] to second order at the noise that its own plan leaves.

    ``clean`` [weights]: energies at the clean weights; ``energy_at``: energies at given weights; ``plan_of``: the plan
    that an importance leads to.  Raises ValueError when every noisy network overflows.
    """
    worth = clean
    for turn in range(how.rounds):
        plan = plan_of(worth)
        rng = np.random.default_rng([how.seed, turn, 0x2ED])
        read = [drawn_codes(image, plan, channel, rng) for _ in range(how.draws)]
        worth = second_order_importance(clean, noisy_importance(image, energy_at, read))
    return worth
