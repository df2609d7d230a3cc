"""One chip's offset from the process centre."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from qtaml_hw.device.cells import ChargeCell

_DIE_STREAM: Final = 1


@dataclass(frozen=True)
class Die:
    """Offset of one die from the process centre: relative oxide thickness and threshold voltage in volts."""

    t_ox_fraction: float = 0.0
    v_th_v: float = 0.0


def draw_die(cell: ChargeCell, *, seed: int, map_index: int = 0) -> Die:
    """The offset of chip ``map_index`` from the process centre, normal with the cell's die-to-die spreads."""
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, map_index, _DIE_STREAM))))
    thickness, threshold = generator.standard_normal(2)
    return Die(cell.sigma_t_ox_die * float(thickness), cell.sigma_v_th_die_v * float(threshold))
