"""Command logs by what they depend on: points of a sweep that differ in their cells alone have the same one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any, Final

from qtaml_hw.memory.array.layout import ArrayLayout
from qtaml_hw.memory.traffic.commands import CommandLog, planned_commands, simulate_commands
from qtaml_hw.memory.traffic.rows import RowBins
from qtaml_hw.memory.traffic.schedule import Schedule

KEPT: Final = 16  # logs
MOST_COMMANDS: Final = 100_000  # of a log that is kept: a few megabytes


@dataclass(frozen=True)
class _Asked:
    """A log to simulate; equal where the key is, which is the content of the rest."""

    key: tuple[Any, ...]
    layout: ArrayLayout = field(compare=False)
    schedule: Schedule = field(compare=False)
    bins: RowBins = field(compare=False)


def command_log(layout: ArrayLayout, schedule: Schedule, bins: RowBins) -> CommandLog:
    """The bank commands of a schedule (``simulate_commands``), simulated once for equal arrays and schedules.

    Raises ValueError as ``simulate_commands``.
    """
    if sum(planned_commands(layout, schedule).values()) > MOST_COMMANDS:
        return simulate_commands(layout, schedule, bins)
    geometry = replace(layout.geometry, cell_leakage_a=0.0)  # leaking takes no time
    stored = None if layout.stored is None else layout.stored.tobytes()
    array = (geometry, layout.cycle_s, layout.planes, layout.corrections, layout.fast, stored)
    sizes = layout.tensor_starts.tobytes(), layout.parity_bits.tobytes()
    rows = bins.multiples, bins.rows.tobytes(), bins.bin_of.tobytes()
    work = tuple(getattr(schedule, one.name) for one in fields(schedule))
    return _simulated(_Asked((*array, *sizes, *rows, *work), layout, schedule, bins))


@lru_cache(maxsize=KEPT)
def _simulated(asked: _Asked) -> CommandLog:
    return simulate_commands(asked.layout, asked.schedule, asked.bins)
