"""Side information: what has to be stored reliably beside the weights so that a plan and its correction can be read.

Counted beside the protected bits, never inside them: the source paper's accounting has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qtaml_hw.names import CorrectionKind
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.tac.decoding.correction import STEPS

NUMBER_BITS = 16  # of one gain or offset
LEVEL_BITS = 8  # of one table entry


@dataclass(frozen=True)
class SideInformation:
    """``class_bits``: which pattern every group has, at ceil(log2(patterns)) each; ``correction_bits``: its numbers."""

    class_bits: int
    correction_bits: int
    stored_bits: int

    @property
    def fraction(self) -> float:
        """Over the stored data bits."""
        return (self.class_bits + self.correction_bits) / self.stored_bits


def side_information(plan: ProtectionPlan, kind: CorrectionKind) -> SideInformation:
    """Of a plan under one correction: a pattern index per group, and numbers per (tensor, pattern) that occurs."""
    if kind == "planes":
        return SideInformation(_index_bits(plan), 2 * NUMBER_BITS * _open_entries(plan), plan.stored_bits)
    per_pattern = {
        "none": 0,
        "unbias": 2 * NUMBER_BITS,
        "offset": NUMBER_BITS,
        "shrink": 2 * NUMBER_BITS,
        "steps": STEPS * LEVEL_BITS,
        "table": (1 << plan.planes) * LEVEL_BITS,
    }[kind]
    return SideInformation(_index_bits(plan), per_pattern * sum(plan.patterns), plan.stored_bits)


def _index_bits(plan: ProtectionPlan) -> int:
    """Bits that say which pattern every group has."""
    return plan.groups * int(np.ceil(np.log2(plan.all_patterns))) if plan.all_patterns > 1 else 0


def _open_entries(plan: ProtectionPlan) -> int:
    """Entries in use whose bits may err: what a bit under one of them counts is the same all over the image."""
    return sum(not plan.entries[index].never_flips for index in np.unique(plan.choice).tolist())
