"""Cells that all flip alike, the same for every fault map: they flip by one call of the engine.

By plane: no word, one menu entry, one probability.  Where a memory has no others, they flip on whatever device the
codes are.  By entry: the whole memory, words included, where nothing is rewritten between its read-outs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qtaml_hw.arrays import Float64


@dataclass(frozen=True, eq=False)
class AlikePlanes:
    """Of one tensor: the planes, and ``p`` [samples, bits of a code, 2] of their cells by written bit; 0 elsewhere."""

    planes: tuple[int, ...]
    p: Float64

    def at_least(self, least: float) -> AlikePlanes:
        """Those whose cells flip with this probability or more."""
        kept = tuple(plane for plane in self.planes if self.p[:, plane].max(initial=0.0) >= least)
        p = np.zeros_like(self.p)
        p[:, kept] = self.p[:, kept]
        return AlikePlanes(kept, p)


@dataclass(frozen=True, eq=False)
class Levels:
    """P(lost) by plane and written bit, [samples, bits of a code, 2], of the cells under every entry without a code.

    ``words`` : of the data bits of ECC words; ``checks`` [samples, 8, 2] of their check bits, which are plane 0.
    """

    of_entry: Mapping[int, Float64]
    words: Float64
    checks: Float64
