"""rho*: the predicted ratio of overheads, Uniform-MSP over TAC, at equal predicted distortion (ours).

The source paper's abstract names a saturation ratio without defining it; docs/theory.md states this definition.  No
accuracy is measured: both overheads follow from the damage model, the channel and the menu in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from qtaml_hw.channel import FlipChannel
from qtaml_hw.protection import Menu
from qtaml_hw.tac.worth.damage import DamageModel


@dataclass(frozen=True)
class SaturationRatio:
    """Overheads in protected bits over stored bits that leave ``distortion``, and their ratio rho*."""

    distortion: float
    uniform_overhead: float
    allocated_overhead: float

    @property
    def rho_star(self) -> float:
        """Uniform over allocated; infinite when the allocation needs no protection at all and Uniform does."""
        if self.allocated_overhead > 0.0:
            return self.uniform_overhead / self.allocated_overhead
        return np.inf if self.uniform_overhead > 0.0 else 1.0


def saturation_ratio(
    allocated: DamageModel,
    layers: DamageModel,
    channel: FlipChannel,
    menu: Menu,
    uniform_overhead: float,
    option: int = 1,
) -> SaturationRatio:
    """rho* at the distortion that Uniform-MSP predicts for ``uniform_overhead`` (protected bits over stored bits).

    ``allocated`` and ``layers`` are damage models of one importance, grouped as the allocation groups and by layer.
    Both curves are taken in their convex (fractional) form, so that the ratio does not jump with group sizes.

    Raises ValueError when the overhead is outside [0, 1].
    """
    if not 0.0 <= uniform_overhead <= 1.0:
        raise ValueError(f"an overhead is a share of the stored bits in [0, 1], got {uniform_overhead}")
    share, left = _uniform_curve(layers, channel, menu, option)
    target = float(np.interp(uniform_overhead, share, left))
    return SaturationRatio(target, uniform_overhead, _allocated_overhead(allocated, channel, menu, option, target))


def saturation_ratio_at(
    allocated: DamageModel, layers: DamageModel, channel: FlipChannel, menu: Menu, distortion: float, option: int = 1
) -> SaturationRatio | None:
    """rho* at a tolerated distortion: what Uniform-MSP and the allocation each need to come down to it.

    None where Uniform-MSP cannot reach it: a menu option that hurts, or less distortion than full protection leaves.
    """
    share, left = _uniform_curve(layers, channel, menu, option)
    if np.any(np.diff(left) > 0.0) or distortion < left[-1]:
        return None
    uniform = float(np.interp(distortion, left[::-1], share[::-1]))
    needed = _allocated_overhead(allocated, channel, menu, option, distortion)
    return SaturationRatio(distortion, uniform, needed) if needed > 0.0 else None


def _allocated_overhead(damage: DamageModel, channel: FlipChannel, menu: Menu, option: int, distortion: float) -> float:
    """Overhead at which the allocated curve comes down to a distortion; its end where it never does."""
    cost, left = _allocated_curve(damage, channel, menu, option)
    if distortion >= left[0]:
        return 0.0
    if distortion <= left[-1]:
        return float(cost[-1])
    return float(brentq(lambda x: float(np.interp(x, cost, left)) - distortion, 0.0, float(cost[-1]), xtol=1e-12))


def _saving(damage: DamageModel, channel: FlipChannel, menu: Menu, option: int) -> tuple[np.ndarray, np.ndarray]:
    p01, p10 = menu.residuals(channel)
    before = damage.distortion(p01[:, 0], p10[:, 0])
    return before, before - damage.distortion(p01[:, option], p10[:, option])


def _uniform_curve(damage: DamageModel, channel: FlipChannel, menu: Menu, option: int) -> tuple[np.ndarray, np.ndarray]:
    """Distortion against overhead as planes are protected from the top, layers in network order within a plane."""
    before, saved = _saving(damage, channel, menu, option)
    order = saved[:, damage.plane_order].T.reshape(-1)
    bits = np.tile(damage.sizes, before.shape[1]) / (damage.sizes.sum() * before.shape[1])
    share = np.concatenate([[0.0], np.cumsum(bits)])
    return share, before.sum() - np.concatenate([[0.0], np.cumsum(order)])


def _allocated_curve(
    damage: DamageModel, channel: FlipChannel, menu: Menu, option: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distortion against overhead when bits are bought by damage saved per bit."""
    before, saved = _saving(damage, channel, menu, option)
    bits = np.broadcast_to(damage.sizes[:, None], saved.shape).reshape(-1).astype(np.float64)
    gain = saved.reshape(-1)
    useful = gain > 0.0
    order = np.argsort(-(gain[useful] / bits[useful]), kind="stable")
    cost = np.cumsum(bits[useful][order]) / bits.sum()
    left = before.sum() - np.cumsum(gain[useful][order])
    return np.concatenate([[0.0], cost]), np.concatenate([[before.sum()], left])
