"""From a retention population to the flip channel of a memory that is refreshed at an interval."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from qtaml_hw.channel import FlipChannel
from qtaml_hw.device.cells import ChargeCell
from qtaml_hw.device.population import population
from qtaml_hw.units import show

RetentionLaw = Literal["retention", "poisson"]


def flip_channel(cell: ChargeCell, interval_s: float, planes: int, law: RetentionLaw = "retention") -> FlipChannel:
    """Flip probabilities of ``planes`` bit planes over one interval; only the cell's leaky state flips.

    ``retention``: the share of weak cells, the same ones at every interval. ``poisson``: memoryless decay with the same
    median, p = 1 - 2^(-t/median); far heavier at small t. Raises ValueError for another law or a negative interval.
    """
    cells = population(cell)
    if law == "retention":
        p = float(cells.flip_probability(interval_s))
    elif law == "poisson":
        if not interval_s >= 0.0:
            raise ValueError(f"an interval cannot be negative (got {interval_s:g} s)")
        p = -math.expm1(-math.log(2.0) * interval_s / cells.median_s)
    else:
        raise ValueError(
            f"unknown flip law {law!r} of a cell; allowed: retention, poisson (a fixed rate is FlipChannel.uniform)"
        )
    leaky, held = np.full(planes, p), np.zeros(planes)
    source = f"{type(cell).__name__}, t_ox {show(cell.t_ox_m, 'length')}, {show(cell.temperature_k, 'temperature')}, interval {show(interval_s, 'time')}, law {law}"
    p01, p10 = (held, leaky) if cells.leaky_state == 1 else (leaky, held)
    return FlipChannel(p01, p10, law, source)
