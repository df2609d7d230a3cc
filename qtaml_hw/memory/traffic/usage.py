"""How the banks spend their time: bandwidth by kind of command, availability, and what refresh costs every layer.

Everything is read off the command log, so it holds for the schedule that ran, with its phases and row classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Float64
from qtaml_hw.memory.array.layout import ArrayLayout
from qtaml_hw.memory.traffic.commands import CommandLog, read_burst_s, rewrite_s, scrub_pass_s
from qtaml_hw.memory.traffic.schedule import Schedule

_ROUNDING = 1e-9  # differences of simulated times are no more exact


@dataclass(frozen=True, eq=False)
class BankUse:
    """Shares of time between ascending edges [n+1], means over the banks: float64 [n] each.

    ``refresh``, ``scrub``, ``write``, ``read`` : occupied by that; ``dark`` : without power; ``available`` : what
    refresh, scrub, rewriting and darkness leave to reads.
    """

    refresh: Float64
    scrub: Float64
    write: Float64
    read: Float64
    dark: Float64

    @property
    def available(self) -> Float64:
        """1 less refresh, scrub, write and dark, not below 0 (commands that wait count when they are due)."""
        return np.maximum(1.0 - self.refresh - self.scrub - self.write - self.dark, 0.0)


@dataclass(frozen=True, eq=False)
class LayerReads:
    """Means over the inferences, float64 [tensors]: ``read_s`` from a burst's first access to its last, ``stall_s``
    the part of it in which refresh held a bank.
    """

    read_s: Float64
    stall_s: Float64


def _taken(starts_s: Float64, duration_s: float | NDArray[np.floating], edges: Float64) -> Float64:
    """Seconds of [start, start + duration) between the edges, summed over the commands."""
    spent = [float(np.clip(t - starts_s, 0.0, duration_s).sum()) for t in edges.tolist()]
    return np.diff(spent)


def bank_use(layout: ArrayLayout, schedule: Schedule, log: CommandLog, edges_s: Sequence[float]) -> BankUse:
    """What the banks did between times."""
    edges, banks = np.asarray(edges_s, dtype=np.float64), layout.geometry.banks
    whole = np.diff(edges)
    refresh, scrub, write = (np.zeros(len(whole)) for _ in range(3))
    for place, times in enumerate(log.refresh_s):
        refresh += _taken(times, layout.passes_s(log.refresh_rows[place], place % layout.lanes), edges)
    rewriting_s = rewrite_s(layout)
    for bank in range(banks):
        scrub += _taken(log.scrub_s[bank], scrub_pass_s(layout), edges)
        write += _taken(log.write_s[bank], float(rewriting_s[bank]), edges)
    read = _taken(log.read_s, read_burst_s(layout, schedule)[log.read_tensor, log.read_bank], edges)
    off = np.array([[p.start_s, p.end_s] for p in schedule.phases if not p.powered]).reshape(-1, 2)
    dark = _taken(off[:, 0], off[:, 1] - off[:, 0], edges)
    share = whole * banks
    return BankUse(refresh / share, scrub / share, write / share, read / share, dark / whole)


def layer_reads(layout: ArrayLayout, schedule: Schedule, log: CommandLog) -> LayerReads:
    """How long reading each tensor took; zeros for tensors that were never read.

    A burst is held up by every refresh pass of its bank that starts while it runs, which moves its end.
    """
    tensors, banks = len(layout.tensor_starts) - 1, layout.geometry.banks
    read, stall = np.zeros(tensors), np.zeros(tensors)
    burst_s = read_burst_s(layout, schedule)
    passes = [_passes(layout, log, bank) for bank in range(banks)]
    place = log.read_tensor * banks + log.read_bank
    order = np.argsort(place, kind="stable")
    bursts_at = np.split(log.read_s[order], np.searchsorted(place[order], np.arange(1, tensors * banks)))
    for t in range(tensors):
        starts, ends, own = [], [], 0.0
        for bank, (pass_start, pass_sum) in enumerate(passes):
            start = bursts_at[t * banks + bank]
            if len(start):
                duration = float(burst_s[t, bank])
                starts.append(start)
                ends.append(_held_up(start, duration, pass_start, pass_sum))
                own = max(own, duration)
        if starts:
            bursts = min(map(len, starts))
            took = np.max([e[:bursts] for e in ends], axis=0) - np.min([s[:bursts] for s in starts], axis=0)
            read[t] = float(took.mean())
            stall[t] = read[t] - own if read[t] > own * (1.0 + _ROUNDING) else 0.0
    return LayerReads(read, stall)


def read_stalls(layout: ArrayLayout, schedule: Schedule, log: CommandLog) -> tuple[int, float]:
    """How many read bursts of banks refresh passes held up, and for how many seconds, summed over the banks.

    A burst is held up by the passes that start while it runs, from its first instant on.
    """
    count, seconds = 0, 0.0
    burst_s = read_burst_s(layout, schedule)
    for bank in range(layout.geometry.banks):
        mine = log.read_bank == bank
        start, own = log.read_s[mine], burst_s[log.read_tensor[mine], bank]
        held = _held_up(start, own, *_passes(layout, log, bank)) - start - own
        stalled = held > own * _ROUNDING
        count, seconds = count + int(np.count_nonzero(stalled)), seconds + float(held[stalled].sum())
    return count, seconds


def _passes(layout: ArrayLayout, log: CommandLog, bank: int) -> tuple[Float64, Float64]:
    """Starts of a bank's refresh passes in order, and their durations summed up to each: [n], [n+1]."""
    mine = range(bank * layout.lanes, (bank + 1) * layout.lanes)
    start = np.concatenate([log.refresh_s[n] for n in mine])
    lasts = np.concatenate([layout.passes_s(log.refresh_rows[n], n % layout.lanes) for n in mine])
    order = np.argsort(start, kind="stable")
    return start[order], np.concatenate([[0.0], np.cumsum(lasts[order])])


def _held_up(start: Float64, duration_s: Float64 | float, pass_start: Float64, pass_sum: Float64) -> Float64:
    """Ends of bursts: every pass that starts before the end moves it."""
    first = np.searchsorted(pass_start, start, side="left")
    end = start + duration_s
    while True:
        moved = start + duration_s + pass_sum[np.searchsorted(pass_start, end, side="left")] - pass_sum[first]
        if np.array_equal(moved, end):
            return end
        end = moved
