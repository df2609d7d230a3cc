"""From a population of cells to the flip channel of a memory that is restored at an interval."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np

from qtaml_hw.channel import FlipChannel
from qtaml_hw.device.cells import ChargeCell
from qtaml_hw.device.population import population
from qtaml_hw.device.sram import Sram6T
from qtaml_hw.units import show

RetentionLaw = Literal["retention", "poisson"]


def _memoryless_rate_hz(cell: ChargeCell | Sram6T) -> float:
    """Rate of the memoryless law: that with the same median, or the abstract one that an SRAM study states."""
    if isinstance(cell, ChargeCell):
        return math.log(2.0) / population(cell).median_s
    if cell.accelerated_flip_rate_hz is None:
        raise ValueError(
            "an SRAM cell in hold has no memoryless decay: its failures are static weak cells (law retention); "
            "state accelerated_flip_rate for an abstract rate"
        )
    return cell.accelerated_flip_rate_hz


def _source(cell: ChargeCell | Sram6T, interval_s: float, law: RetentionLaw) -> str:
    abstract = (
        ", ABSTRACT accelerated rate, not device physics" if isinstance(cell, Sram6T) and law == "poisson" else ""
    )
    return (
        f"{type(cell).__name__}, t_ox {show(cell.t_ox_m, 'length')}, {show(cell.v_dd_v, 'voltage')}, "
        f"{show(cell.temperature_k, 'temperature')}, interval {show(interval_s, 'time')}, law {law}{abstract}"
    )


def flip_channel(
    cell: ChargeCell | Sram6T, interval_s: float, planes: int, law: RetentionLaw = "retention"
) -> FlipChannel:
    """Flip probabilities of ``planes`` bit planes over one interval between restores.

    ``retention``: the share of weak cells, the same ones at every interval; a charge cell loses its leaky state only,
    an SRAM cell either state. ``poisson``: memoryless decay of the same median, p = 1 - 2^(-t/median), far heavier at
    small t; of an SRAM cell only with ``accelerated_flip_rate_hz``, and then labelled abstract in ``source``.
    Raises ValueError for another law, an SRAM cell without that rate, or a negative interval.
    """
    if law not in get_args(RetentionLaw):
        raise ValueError(
            f"unknown flip law {law!r} of a cell; allowed: retention, poisson (fixed: FlipChannel.uniform)"
        )
    if not interval_s >= 0.0:
        raise ValueError(f"an interval cannot be negative (got {interval_s:g} s)")
    if law == "retention":
        p = float(population(cell).flip_probability(interval_s))
    else:
        p = -math.expm1(-_memoryless_rate_hz(cell) * interval_s)
    loses_1 = isinstance(cell, Sram6T) or cell.leaky_state == 1
    loses_0 = isinstance(cell, Sram6T) or cell.leaky_state == 0
    p01, p10 = (np.full(planes, p if loses else 0.0) for loses in (loses_0, loses_1))
    return FlipChannel(p01, p10, law, _source(cell, interval_s, law))
