"""Chips' offsets from the process centre: one chip's, and those that stand for all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from qtaml_hw.device.cells import ChargeCell
from qtaml_hw.device.quadrature import gauss_normal

_DIE_STREAM: Final = 1
_NODES: Final = (1, 9, 5)  # of a rule over 0, 1 or 2 spreads: p of 1e-6 and above within 0.2 % (tests)


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


def dies_of_lot(cell: object) -> tuple[tuple[float, Die], ...]:
    """(share, die): the dies of a Gauss rule over the die-to-die spreads; the process centre alone where there is none,
    and of cells that are no charge cells: their dies are alike.

    What depends on the die is averaged over them: the expected flip probability of a cell, and what a code leaves of
    it, which is more than it leaves of the mean.
    """
    if not isinstance(cell, ChargeCell):
        return ((1.0, Die()),)
    spreads = (cell.sigma_t_ox_die, cell.sigma_v_th_die_v)
    count = _NODES[sum(spread > 0.0 for spread in spreads)]
    rules = [zip(*gauss_normal(count if spread > 0.0 else 1), strict=True) for spread in spreads]
    return tuple(
        (float(share_t * share_v), Die(spreads[0] * float(thickness), spreads[1] * float(threshold)))
        for (thickness, share_t), (threshold, share_v) in product(*rules)
    )
