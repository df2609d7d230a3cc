"""The bank commands of a schedule, in SimPy: which bank is refreshed, scrubbed, read and rewritten when.

Timing does not depend on what the cells hold, so commands are simulated once and cells are aged from their log.
An event is a bank command or a layer's read burst, never a row or a cell.  A refresh pass pre-empts a read burst (which
ends that much later: a stall); every other command waits for the bank.  A command takes effect on all its rows when it
starts.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import merge
from itertools import count, repeat
from math import lcm
from typing import Any

import numpy as np
import simpy

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.limits import arrivals, horizon_complaint, refresh_passes, ticks
from qtaml_hw.memory.array.layout import ArrayLayout
from qtaml_hw.memory.traffic.rows import RowBins
from qtaml_hw.memory.traffic.schedule import Schedule

SIMULTANEOUS_S = 1e-15  # commands planned closer than this are planned for one instant
SIMULTANEOUS = 1e-12  # and so are those within this share of their time
Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True, eq=False, kw_only=True)
class CommandLog:
    """What the banks did.

    ``refresh_s`` per lane of rows (bank x lanes), ``scrub_s`` and ``write_s`` per bank: start times, float64,
    ascending; ``refresh_tick`` and ``refresh_rows`` per lane: number of the tick (1, 2, ...) that each pass belongs to
    and rows that it refreshed, int64.
    ``read_s``, ``read_tensor``, ``read_bank``: start, tensor and bank of every read burst, in order of start.
    A burst that is due at the instant of a refresh pass starts with it, and is held up by it.
    ``bank_busy_s`` float64 [banks]; ``inference_s``: latency of every finished inference; ``load_s``, ``load_tensor``:
    start and tensor of every load from the backing store, in order.
    """

    refresh_s: tuple[Float64, ...]
    refresh_tick: tuple[Int64, ...]
    refresh_rows: tuple[Int64, ...]
    scrub_s: tuple[Float64, ...]
    write_s: tuple[Float64, ...]
    read_s: Float64
    read_tensor: Int64
    read_bank: Int64
    bank_busy_s: Float64
    inference_s: Float64
    load_s: Float64
    load_tensor: Int64

    @property
    def refreshes(self) -> int:
        """Refresh passes, over all lanes."""
        return sum(len(times) for times in self.refresh_s)

    @property
    def scrubs(self) -> int:
        """Bank scrubs."""
        return sum(len(times) for times in self.scrub_s)

    def until(self, time_s: float) -> CommandLog:
        """The commands that started up to a time (busy time and latencies stay those of the whole log)."""
        if all(len(t) == 0 or t[-1] <= time_s for t in (*self.refresh_s, *self.scrub_s, *self.write_s, self.read_s)):
            return self
        early, loaded = self.read_s <= time_s, self.load_s <= time_s
        return replace(
            self,
            refresh_s=tuple(t[t <= time_s] for t in self.refresh_s),
            refresh_tick=tuple(n[t <= time_s] for n, t in zip(self.refresh_tick, self.refresh_s, strict=True)),
            refresh_rows=tuple(n[t <= time_s] for n, t in zip(self.refresh_rows, self.refresh_s, strict=True)),
            scrub_s=tuple(t[t <= time_s] for t in self.scrub_s),
            write_s=tuple(t[t <= time_s] for t in self.write_s),
            read_s=self.read_s[early],
            read_tensor=self.read_tensor[early],
            read_bank=self.read_bank[early],
            load_s=self.load_s[loaded],
            load_tensor=self.load_tensor[loaded],
        )

    def events(self) -> list[tuple[float, str, int, int]]:
        """(time_s, action, bank, tensor or lane of rows or -1) of every command, in order of time."""
        lanes = len(self.refresh_s) // len(self.scrub_s)
        rows = [(t, "refresh", n // lanes, n % lanes) for n, ts in enumerate(self.refresh_s) for t in ts.tolist()]
        rows += [(t, "scrub", b, -1) for b, ts in enumerate(self.scrub_s) for t in ts.tolist()]
        rows += [(t, "write", b, -1) for b, ts in enumerate(self.write_s) for t in ts.tolist()]
        rows += list(
            zip(
                self.read_s.tolist(),
                ["read"] * len(self.read_s),
                self.read_bank.tolist(),
                self.read_tensor.tolist(),
                strict=True,
            )
        )
        rows += [(s, "load", -1, t) for s, t in zip(self.load_s.tolist(), self.load_tensor.tolist(), strict=True)]
        return sorted(rows)


class _Bank:
    """A bank as two busy-until numbers: SimPy resources cost five times as much."""

    __slots__ = ("busy_s", "busy_until", "met_idle_s", "refresh_until")

    def __init__(self) -> None:
        self.busy_until = self.refresh_until = self.busy_s = 0.0
        self.met_idle_s = -1.0  # when the passes began, one behind the other, that found nothing else to do

    def refresh(self, time_s: float, pass_s: float) -> float:
        """Start a pass at once, or after the pass that is under way; its start."""
        start = max(time_s, self.refresh_until)
        if self.busy_until <= start and start > self.refresh_until:
            self.met_idle_s = start
        self.refresh_until = start + pass_s
        self.busy_s += pass_s
        self.busy_until = self.busy_until + pass_s if self.busy_until > start else self.refresh_until
        return start

    def occupy(self, time_s: float, duration_s: float) -> float:
        """Queue a command behind what the bank does; its start."""
        start = max(time_s, self.busy_until)
        self.busy_until = start + duration_s
        self.busy_s += duration_s
        return start

    def read(self, time_s: float, duration_s: float) -> float:
        """Queue a read burst; its start.

        Refresh and a read that are due at one instant make the same log, whichever comes first: the read starts, and
        the pass that starts with it holds it up.
        """
        behind_passes = self.busy_until == self.refresh_until
        start = self.occupy(time_s, duration_s)
        together = behind_passes and abs(time_s - self.met_idle_s) <= SIMULTANEOUS * time_s
        return self.met_idle_s if together else start


class _Rows:
    """Rows of numbers kept by column, eight bytes each: ``d`` floats, ``q`` integers."""

    __slots__ = ("columns",)

    def __init__(self, types: str) -> None:
        self.columns: tuple[array[Any], ...] = tuple(array(one) for one in types)

    def append(self, *row: float) -> None:
        """Add one row."""
        for column, value in zip(self.columns, row, strict=True):
            column.append(value)

    def arrays(self) -> tuple[Any, ...]:
        """The columns as they are, float64 and int64 [rows]."""
        return tuple(
            np.array(column, dtype=np.float64 if column.typecode == "d" else np.int64) for column in self.columns
        )


class _Simulation:
    """The processes that share the banks."""

    def __init__(self, layout: ArrayLayout, schedule: Schedule, bins: RowBins) -> None:
        banks = layout.geometry.banks
        self.layout, self.schedule, self.bins = layout, schedule, bins
        self.env = simpy.Environment()
        self.banks = [_Bank() for _ in range(banks)]
        self.refresh_log = [_Rows("dqq") for _ in range(banks * layout.lanes)]
        self.scrub_log = [array("d") for _ in range(banks)]
        self.write_log = [array("d") for _ in range(banks)]
        self.reads, self.loads = _Rows("dqq"), _Rows("dq")
        self.period = lcm(*bins.multiples)
        self.passes: dict[int, list[tuple[int, float]]] = {}
        self.latencies = array("d")
        self.read_s = read_burst_s(layout, schedule).tolist()
        self.load_s = (layout.bank_words * layout.cycle_s).tolist()
        self.scrub_s = scrub_pass_s(layout)
        self.write_s = rewrite_s(layout).tolist()
        self._start()

    def _start(self) -> None:
        schedule, banks = self.schedule, range(len(self.banks))
        if schedule.refresh_mode == "burst":
            self.env.process(self._refresh(list(banks), 1.0))
        else:
            for b in banks:
                self.env.process(self._refresh([b], (b + 1) / len(self.banks)))
        if schedule.scrub_interval_s is not None and self.scrub_s > 0.0:
            self.env.process(self._scrub(schedule.scrub_interval_s))
        if schedule.inferences_per_s > 0.0:
            self.env.process(self._infer(1.0 / schedule.inferences_per_s))
        for time_s in schedule.rewrites_s:
            self.env.process(self._reload(time_s))

    def run(self) -> None:
        """Run to the horizon, commands that start at the horizon included."""
        self.env.run(until=np.nextafter(self.schedule.horizon_s, np.inf))

    def _wait(self, time_s: float) -> simpy.Timeout:
        return self.env.timeout(max(0.0, time_s - self.env.now))

    def _ticks(self, first_s: float, interval_s: float) -> Iterator[float]:
        """first, first + interval, ... up to the horizon, free of accumulated rounding."""
        ticks = int((self.schedule.horizon_s - first_s) / interval_s * (1.0 + 1e-12)) + 1
        return (first_s + k * interval_s for k in range(max(ticks, 0)))

    def _refresh(self, banks: list[int], first: float) -> Process:
        """Passes of some banks, the first after ``first`` intervals; the lane with the shorter interval goes first."""
        lanes = self.layout.lanes
        intervals = self.layout.lane_intervals_s(self.schedule.refresh_intervals(self.layout.classes))
        ticks = [
            zip(self._ticks(first * s, s), repeat(s), repeat(n), count(1))
            for n, s in enumerate(intervals)
            if s is not None
        ]
        for time_s, _, lane, tick in merge(*ticks, key=lambda tick: (round(tick[0] / SIMULTANEOUS_S), tick[1])):
            yield self._wait(time_s)
            phase = self.schedule.phase_at(time_s)
            if phase is None or (phase.refresh and phase.powered):
                due = self._due(tick)
                for place in (b * lanes + lane for b in banks):
                    rows, pass_s = due[place]
                    if rows:
                        start_s = self.banks[place // lanes].refresh(time_s, pass_s)
                        self.refresh_log[place].append(start_s, tick, rows)

    def _due(self, tick: int) -> list[tuple[int, float]]:
        """(rows, seconds) of every lane of every bank at a tick of its own."""
        if tick % self.period not in self.passes:
            layout = self.layout
            binned = self.bins.due(tick).reshape(-1, layout.classes)
            fast = np.tile(layout.rows_per_lane[layout.classes :], (len(binned), 1))
            rows = np.concatenate([binned, fast], axis=1).ravel().tolist()
            self.passes[tick % self.period] = [(n, layout.rows_s(n, at % layout.lanes)) for at, n in enumerate(rows)]
        return self.passes[tick % self.period]

    def _scrub(self, interval_s: float) -> Process:
        for time_s in self._ticks(interval_s, interval_s):
            yield self._wait(time_s)
            phase = self.schedule.phase_at(time_s)
            if phase is None or phase.powered:
                for log, bank in zip(self.scrub_log, self.banks, strict=True):
                    log.append(bank.occupy(time_s, self.scrub_s))

    def _reload(self, time_s: float) -> Process:
        yield self._wait(time_s)
        for log, bank, duration_s in zip(self.write_log, self.banks, self.write_s, strict=True):
            log.append(bank.occupy(time_s, duration_s))

    def _infer(self, interval_s: float) -> Process:
        compute = self.schedule.layer_time_s or (0.0,) * len(self.read_s)
        for arrival_s in self._ticks(0.0, interval_s):
            if arrival_s >= self.schedule.horizon_s:
                return
            if arrival_s > self.env.now:
                yield self._wait(arrival_s)
            phase = self.schedule.phase_at(arrival_s)
            if phase is not None and not (phase.inferences and phase.powered):
                continue
            for tensor, layer_s in enumerate(compute):
                start_s = self.env.now
                if self.layout.residency.streamed[tensor]:
                    yield from self._load(tensor)
                yield from self._burst(tensor)
                if start_s + layer_s > self.env.now:
                    yield self._wait(start_s + layer_s)
            self.latencies.append(self.env.now - arrival_s)

    def _load(self, tensor: int) -> Process:
        """Write a streamed tensor as fast as the backing store and the banks allow."""
        now = self.env.now
        self.loads.append(now, tensor)
        ready_s = now + float(self.layout.residency.load_s[tensor])
        held = {b: self.banks[b].occupy(now, s) for b, s in enumerate(self.load_s[tensor]) if s > 0.0}
        yield from self._until_free(held)
        if ready_s > self.env.now:
            yield self._wait(ready_s)

    def _burst(self, tensor: int) -> Process:
        """Read one tensor from all its banks; refresh passes meanwhile move the end."""
        now = self.env.now
        used = {b: self.banks[b].read(now, s) for b, s in enumerate(self.read_s[tensor]) if s > 0.0}
        for b, start_s in used.items():
            self.reads.append(start_s, tensor, b)
        yield from self._until_free(used)

    def _until_free(self, banks: Iterable[int]) -> Process:
        banks = list(banks)
        while (end_s := max((self.banks[b].busy_until for b in banks), default=0.0)) > self.env.now:
            yield self._wait(end_s)


def scrub_pass_s(layout: ArrayLayout) -> float:
    """Time in which a bank reads, corrects and writes back its share of the ECC words, seconds."""
    corrections = layout.corrections
    accesses = -(-corrections.scrub_accesses // layout.geometry.banks)
    return 2.0 * accesses * layout.cycle_s + corrections.scrub_codec_s


def read_burst_s(layout: ArrayLayout, schedule: Schedule) -> Float64:
    """Time in which each bank reads its part of each tensor for one inference, seconds: float64 [T, banks].

    One access is decoded while the next is read.
    """
    access_s = max(layout.cycle_s, layout.corrections.access_s)
    return np.asarray(layout.bank_words * schedule.reads_of(len(layout.bank_words))[:, None] * access_s)


def rewrite_s(layout: ArrayLayout) -> Float64:
    """Time for which every bank is held by a rewrite of what stays in the array, seconds: float64 [banks].

    Its own accesses, and no less than the whole image takes from the backing store, where one is described.
    """
    geometry, resident = layout.geometry, ~layout.residency.streamed
    own: Float64 = layout.bank_words[resident].sum(axis=0) * layout.cycle_s
    if geometry.backing_bits_per_s is None:
        return own
    bits = float(layout.data_bits[resident].sum())
    return np.maximum(own, geometry.backing_latency_s + bits / geometry.backing_bits_per_s)


def _check_bandwidth(layout: ArrayLayout, schedule: Schedule) -> None:
    """ValueError with the shares when refresh, scrub and inferences need more than banks or backing store give."""
    residency, rate = layout.residency, schedule.inferences_per_s
    refresh = layout.check_refresh(schedule.refresh_intervals(layout.classes))
    busy_s = read_burst_s(layout, schedule) + layout.bank_words * residency.streamed[:, None] * layout.cycle_s
    reads = float(busy_s.sum(axis=0).max()) * rate
    scrub = 0.0
    if schedule.scrub_interval_s is not None:
        scrub = scrub_pass_s(layout) / schedule.scrub_interval_s
    if refresh + reads + scrub > 1.0:
        raise ValueError(
            f"the busiest bank would be used {refresh + reads + scrub:.0%} of the time "
            f"(refresh {refresh:.1%}, inference reads {reads:.1%}, scrub {scrub:.1%}): "
            "more banks, a wider word or fewer inferences per second are needed"
        )
    loads_s = float(residency.load_s.sum())
    if loads_s * rate > 1.0:
        raise ValueError(
            f"streaming takes {loads_s:.4g} s per inference and {rate:g} inferences per second are asked for: "
            "a faster backing store, a larger array or fewer inferences are needed"
        )


def check_work(layout: ArrayLayout, schedule: Schedule) -> None:
    """Raises ValueError, in closed form, where ``simulate_commands`` would."""
    tensors = len(layout.tensor_starts) - 1
    if schedule.layer_time_s and len(schedule.layer_time_s) != tensors:
        raise ValueError(f"{len(schedule.layer_time_s)} layer times are given for {tensors} tensors")
    if (complaint := horizon_complaint(schedule.horizon_s, planned_commands(layout, schedule))) is not None:
        raise ValueError(complaint)
    _check_bandwidth(layout, schedule)


def simulate_commands(layout: ArrayLayout, schedule: Schedule, bins: RowBins | None = None) -> CommandLog:
    """Run the bank commands of a schedule.

    ``bins``: rows that are not refreshed at every tick; None refreshes all alike.
    ValueError when refresh, scrub and reads together exceed the bandwidth, there are more commands than are simulated
    (``limits.MOST_COMMANDS``), or layer times do not fit the tensors.
    """
    check_work(layout, schedule)
    simulation = _Simulation(layout, schedule, RowBins.alike(layout) if bins is None else bins)
    simulation.run()
    refreshes = [passes.arrays() for passes in simulation.refresh_log]
    read_s, read_tensor, read_bank = simulation.reads.arrays()
    order = np.lexsort((read_bank, read_tensor, read_s))
    load_s, load_tensor = simulation.loads.arrays()
    return CommandLog(
        refresh_s=tuple(start_s for start_s, _, _ in refreshes),
        refresh_tick=tuple(tick for _, tick, _ in refreshes),
        refresh_rows=tuple(rows for _, _, rows in refreshes),
        scrub_s=tuple(np.array(t) for t in simulation.scrub_log),
        write_s=tuple(np.array(t) for t in simulation.write_log),
        read_s=read_s[order],
        read_tensor=read_tensor[order],
        read_bank=read_bank[order],
        bank_busy_s=np.array([b.busy_s for b in simulation.banks]),
        inference_s=np.array(simulation.latencies),
        load_s=load_s,
        load_tensor=load_tensor,
    )


def planned_commands(layout: ArrayLayout, schedule: Schedule) -> dict[str, int]:
    """How many commands a schedule plans, by kind, in closed form: phases in which some rest are not subtracted."""
    banks, horizon_s = layout.geometry.banks, schedule.horizon_s
    bursts = np.count_nonzero(layout.bank_words, axis=1)  # of every tensor, one per bank that holds some of it
    intervals_s = layout.lane_intervals_s(schedule.refresh_intervals(layout.classes))
    return {
        "refresh": refresh_passes(horizon_s, intervals_s, banks, schedule.refresh_mode == "staggered"),
        "scrub": banks * ticks(horizon_s, schedule.scrub_interval_s) * (layout.corrections.scrub_accesses > 0),
        "reads": arrivals(horizon_s, schedule.inferences_per_s) * int(bursts.sum()),
        "rewrites": banks * len(schedule.rewrites_s),
    }
