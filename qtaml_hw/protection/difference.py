"""Two plans side by side: where they differ and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qtaml_hw.errors import InputError
from qtaml_hw.protection.files import load_plan
from qtaml_hw.protection.plan import ProtectionPlan


@dataclass(frozen=True)
class PlanDifference:
    """``bits``: data bits whose entry differs, by (entry before, entry after); ``by_tensor``: how many per tensor."""

    bits: dict[tuple[str, str], int]
    by_tensor: tuple[int, ...]
    protected_bits: tuple[int, int]
    parity_bits: tuple[int, int]

    @property
    def same(self) -> bool:
        """True when every bit has the same entry in both."""
        return not self.bits


def plan_difference(before: ProtectionPlan, after: ProtectionPlan) -> PlanDifference:
    """Bit by bit; the plans may group differently, but must protect the same tensors.

    Raises ValueError for plans of different tensors or planes.
    """
    if not np.array_equal(before.tensor_starts, after.tensor_starts) or before.planes != after.planes:
        raise ValueError(
            f"the plans protect different images: {before.weights} weights x {before.planes} planes and "
            f"{after.weights} x {after.planes}"
        )
    edges = np.union1d(before.starts, after.starts)
    sizes = np.diff(edges)
    one = before.choice[np.searchsorted(before.starts, edges[:-1], side="right") - 1]
    two = after.choice[np.searchsorted(after.starts, edges[:-1], side="right") - 1]
    names_one, names_two = np.array(before.menu)[one], np.array(after.menu)[two]
    differs = names_one != names_two
    weighted = differs * sizes[:, None]
    bits = {
        (str(a), str(b)): int(weighted[(names_one == a) & (names_two == b)].sum())
        for a, b in sorted(set(zip(names_one[differs].tolist(), names_two[differs].tolist(), strict=True)))
    }
    tensor = np.searchsorted(before.tensor_starts, edges[:-1], side="right") - 1
    by_tensor = np.bincount(tensor, weighted.sum(axis=1), minlength=before.tensors)
    return PlanDifference(
        bits,
        tuple(int(x) for x in by_tensor),
        (before.protected_bits, after.protected_bits),
        (before.parity_bits, after.parity_bits),
    )


def plan_diff(before: Path, after: Path) -> dict[str, Any]:
    """Two saved plans bit by bit: what changed from which entry to which, per tensor, and the overheads; JSON-able.

    Raises InputError for files that are no plans, or plans of different networks.
    """
    plans = [load_plan(path) for path in (before, after)]
    try:
        change = plan_difference(*plans)
    except ValueError as error:
        raise InputError(str(error)) from error
    stored = [plan.stored_bits for plan in plans]
    return {
        "same": change.same,
        "changes": [{"before": a, "after": b, "bits": bits} for (a, b), bits in change.bits.items()],
        "changed_bits_by_tensor": list(change.by_tensor),
        "changed_bits_fraction": sum(change.bits.values()) / stored[0],
        "protected_bits_fraction": [bits / n for bits, n in zip(change.protected_bits, stored, strict=True)],
        "parity_bits_fraction": [bits / n for bits, n in zip(change.parity_bits, stored, strict=True)],
    }
