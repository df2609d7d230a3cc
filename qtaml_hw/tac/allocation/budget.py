"""What protection is paid in: prices per protected bit, a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.protection import Menu, ProtectionPlan
from qtaml_hw.weights.sizes import StoredSizes

TrueCost = Callable[[ProtectionPlan], float]


@dataclass(frozen=True)
class Prices:
    """What protection is paid in.

    ``per_bit`` : cost of one protected bit under each menu option (0 for "none"), [Q], or [T, Q] where it depends on
    the tensor; ``fixed`` : cost of having an option at all (decoders), once per option used, [Q], or [B, Q] where it
    depends on how many planes of a weight are under it; ``budget`` and both in ``unit`` (bits, parity bits, m2, J).
    ``target``: the share of the unprotected predicted distortion that may be left, at the least cost; the budget then
    limits nothing.  ``true_cost`` : what a plan really costs, which the budget limits; None where prices are exact.
    """

    per_bit: tuple[float, ...] | Float64
    fixed: tuple[float, ...] | Float64
    budget: float
    unit: str
    target: float | None = None
    true_cost: TrueCost | None = None

    def of_groups(self, starts: Int64, tensor_starts: Int64) -> Float64:
        """Cost of protecting one plane of every group under each option, float64 [G, Q].

        ``starts`` int64 [G + 1], first weight of every group; ``tensor_starts`` int64 [T + 1].
        """
        per_bit = np.asarray(self.per_bit, dtype=np.float64)
        if per_bit.ndim == 2:
            per_bit = per_bit[np.searchsorted(tensor_starts, starts[:-1], side="right") - 1]
        return np.asarray(np.diff(starts)[:, None] * per_bit)

    def of_plan(self, plan: ProtectionPlan) -> float:
        """What a plan costs at these prices."""
        per_group = self.of_groups(plan.starts, plan.tensor_starts)
        bits = float(np.take_along_axis(per_group, plan.choice.astype(np.intp), axis=1).sum())
        fixed = np.atleast_2d(np.asarray(self.fixed, dtype=np.float64))
        most = [int((plan.choice == q).sum(axis=1).max()) for q in range(1, fixed.shape[1])]
        return bits + sum(float(fixed[min(n, len(fixed)) - 1, q]) for q, n in enumerate(most, start=1) if n)

    def to_reach(self, share: float) -> Prices:
        """The same prices, to be spent on reaching a share of the unprotected distortion.

        Raises ValueError outside [0, 1].
        """
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"a wanted distortion is a share of the unprotected one in [0, 1]; got {share}")
        return replace(self, budget=np.inf, target=share)


@dataclass(frozen=True)
class Budget:
    """A budget as stated, and what it buys.

    ``kind`` : bits, parity, area, energy, distortion, planes, or the policy that spends none; ``value`` : the amount,
    in SI (None where none is stated); ``least`` : what one plane of one tensor costs where that is least (None: not
    worked out).
    """

    kind: str
    value: float | None
    prices: Prices
    least: float | None = None


def bit_prices(menu: Menu, image: StoredSizes, fraction: float) -> Prices:
    """The paper's accounting: every protected bit costs one, the budget is a share of the stored bits."""
    options = len(menu.entries)
    return Prices((0.0, *[1.0] * (options - 1)), (0.0,) * options, fraction * image.stored_bits, "protected bits")


def stored_prices(menu: Menu, image: StoredSizes, bits: float) -> Prices:
    """Check bits per protected bit; the budget is of all bits, ``bits`` per weight, those of the weights with them.

    Raises ValueError for an option without a price.
    """
    # Shannon's bound is free where nothing flips
    free = [e.name for e in menu.entries[1:] if e.parity_per_bit <= 0.0 and not e.name.startswith("shannon")]
    if free:
        raise ValueError(
            f"a budget of stored bits cannot price {', '.join(free)}: it stores no check bits; use ideal-1 (papers "
            "count a bit for every bit that they protect), shannon or a code"
        )
    per_bit = tuple(float(e.parity_per_bit) for e in menu.entries)
    return Prices(per_bit, (0.0,) * len(per_bit), bits * int(image.tensor_starts[-1]), "stored bits")


def parity_prices(menu: Menu, image: StoredSizes, fraction: float) -> Prices:
    """Parity bits per protected bit; the budget is a share of the stored data bits.

    Raises ValueError for an option without parity (``ideal`` would be free, and is not buildable).
    """
    free = [e.name for e in menu.entries[1:] if e.parity_per_bit <= 0.0]
    if free:
        raise ValueError(f"a parity budget cannot price {', '.join(free)}: no parity bits; use budget: {{bits: ..}}")
    per_bit = tuple(float(e.parity_per_bit) for e in menu.entries)
    return Prices(per_bit, (0.0,) * len(per_bit), fraction * image.stored_bits, "parity bits")
