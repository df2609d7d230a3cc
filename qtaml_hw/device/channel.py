"""From a population of cells to the flip channel of a memory that is restored at an interval."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np

from qtaml_hw.channel import FlipChannel
from qtaml_hw.device.cells import ChargeCell
from qtaml_hw.device.measured import MeasuredCell
from qtaml_hw.device.population import Population, population
from qtaml_hw.device.sram import Sram6T
from qtaml_hw.limits import STACKS
from qtaml_hw.units import show

RetentionLaw = Literal["retention", "poisson"]


def flip_channel(
    cell: ChargeCell | Sram6T | MeasuredCell,
    interval_s: float,
    planes: int,
    law: RetentionLaw = "retention",
    known: Population | None = None,
) -> FlipChannel:
    """Flip probabilities of ``planes`` bit planes over one interval between restores.

    ``retention``: the share of weak cells, the same ones at every interval; a charge cell loses its leaky state only,
    an SRAM cell either state. ``poisson``: memoryless decay of the same median, p = 1 - 2^(-t/median), far heavier at
    small t; of an SRAM cell only with ``accelerated_flip_rate_hz``, and then labelled abstract in ``source``.
    ``known``: the cell's population, where it has been computed already.
    Raises ValueError for another law, an SRAM cell without that rate, or a negative interval.
    """
    if law not in get_args(RetentionLaw):
        raise ValueError(
            f"unknown flip law {law!r} of a cell; allowed: retention, poisson (fixed: FlipChannel.uniform)"
        )
    if not interval_s >= 0.0:
        raise ValueError(f"an interval cannot be negative (got {interval_s:g} s)")
    people, note = known or population(cell), ""
    if law == "retention":
        p = float(people.flip_probability(interval_s))
    else:
        rate_hz, note = people.memoryless
        p = -math.expm1(-rate_hz * interval_s)
    p01, p10 = (np.full(planes, p if people.loses(state) else 0.0) for state in (0, 1))
    what = cell.source if isinstance(cell, MeasuredCell) else f"{type(cell).__name__}, {_gate(cell)}"
    source = (
        f"{what}, {show(cell.v_dd_v, 'voltage')}, "
        f"{show(cell.temperature_k, 'temperature')}, interval {show(interval_s, 'time')}, law {law}{note}"
    )
    return FlipChannel(p01, p10, law, source)


def _gate(cell: ChargeCell | Sram6T) -> str:
    """The thickness of the gate dielectric in words; of two layers both thicknesses."""
    text = f"t_ox {show(cell.t_ox_m, 'length')}"
    if isinstance(cell, Sram6T) or not STACKS[cell.stack][1]:
        return text
    return f"{text} EOT ({show(float(cell.dielectric.thickness_m), 'length')} of {cell.stack})"
