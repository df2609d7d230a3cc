"""Planes whose cells all flip alike: no word, one menu entry, one probability; the same for every fault map.

Such planes flip by one call of the engine, and where a memory has no others, on whatever device the codes are.
"""

from __future__ import annotations

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
