"""The record of a simulated memory: what was read when, what was lost and corrected, what the banks did and spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.memory.traffic.commands import CommandLog
from qtaml_hw.memory.traffic.energy import EnergyMeter

Codes = NDArray[np.unsignedinteger]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Timeline:
    """One fault map over simulated time.

    Per sample (int64 [samples], in order of ``sample_times_s``): ``flips_raw``, stored bits in error before decoding,
    check bits included; ``flips_data`` and ``flips_parity``, its parts; ``flips_read``, weight bits wrong as read after
    decoding; ``words_corrected`` and ``words_uncorrectable``, ECC words that this read-out changed or flagged.
    ``corrections`` int64 [samples, 4]: what scrubs corrected, refreshes corrected, both found uncorrectable, and what
    was reloaded, from the first write up to each sample.

    Over the horizon: words corrected by scrubs and by ECC-aware refreshes, words that those found uncorrectable
    (each time it was found), words reloaded from the backing store, their data bits, and ``reload_s``, the time that
    fetching and writing them took, one after another.  ``reload_wait_s`` float64 [samples]: what an inference at each
    sample waits for the words that it finds uncorrectable and fetches (a read stores nothing, so each one does).
    """

    sample_times_s: tuple[float, ...]
    read_out: tuple[tuple[Codes, ...], ...] = field(repr=False)
    flips_data: Int64
    flips_parity: Int64
    flips_read: Int64
    words_corrected: Int64
    words_uncorrectable: Int64
    corrections: Int64 = field(repr=False)
    scrub_corrected: int
    refresh_corrected: int
    corrections_uncorrectable: int
    words_reloaded: int
    reload_s: float
    reload_wait_s: Float64 = field(repr=False)
    log: CommandLog = field(repr=False)
    horizon_s: float
    reloaded_bits: int
    meter: EnergyMeter = field(repr=False)
    law: str
    warnings: tuple[str, ...]
    source: str

    @property
    def flips_raw(self) -> Int64:
        """Stored bits in error before decoding, check bits included, at every sample."""
        return self.flips_data + self.flips_parity

    @property
    def snapshots(self) -> dict[float, list[Codes]]:
        """Codes of every tensor as read after decoding, by sample time in seconds."""
        return {t: list(codes) for t, codes in zip(self.sample_times_s, self.read_out, strict=True)}

    @property
    def reads(self) -> int:
        """Layer read bursts of banks."""
        return len(self.log.read_s)

    @property
    def refreshes(self) -> int:
        """Refresh passes of banks (row classes counted apart)."""
        return self.log.refreshes

    @property
    def scrubs(self) -> int:
        """Scrubs of banks."""
        return self.log.scrubs

    @property
    def stalls(self) -> int:
        """Read bursts held up by a refresh pass."""
        return self.log.stalls

    @property
    def bank_busy_fraction(self) -> Float64:
        """Share of the horizon in which each bank was occupied: float64 [banks]; reloads are spread evenly."""
        banks = len(self.log.bank_busy_s)
        return (self.log.bank_busy_s + self.reload_s / banks) / self.horizon_s

    @property
    def events(self) -> list[tuple[float, str, int, int]]:
        """(time_s, action, bank, tensor or row class or -1) of every bank command."""
        return self.log.events()

    @cached_property
    def energy_j(self) -> Mapping[str, float]:
        """Joules by action over the horizon."""
        energy = self.meter.spent(self.log, self.horizon_s)
        energy["backing"] += self.reloaded_bits * self.meter.costs.backing_j_per_bit
        return MappingProxyType(energy)

    @property
    def reloaded_j(self) -> float:
        """Joules that fetching and writing words which no correction could save took."""
        costs = self.meter.costs
        return self.reloaded_bits * costs.backing_j_per_bit + self.words_reloaded * costs.write_j

    def power_w(self, edges_s: Sequence[float]) -> dict[str, Float64]:
        """Average watts by action between ascending times [n+1]: float64 [n]; an action counts when it starts.

        The first write belongs to the time before 0; words that corrections reload are in ``reloaded_j``.
        """
        edges = np.asarray(edges_s, dtype=np.float64)
        if (
            edges.ndim != 1
            or edges.size < 2
            or np.any(np.diff(edges) <= 0.0)
            or edges[0] < 0.0
            or edges[-1] > self.horizon_s
        ):
            raise ValueError(f"edges must ascend within 0 to the horizon of {self.horizon_s:g} s; got {edges.tolist()}")
        return {a: joules / np.diff(edges) for a, joules in self.meter.between(self.log, edges.tolist()).items()}


def sample_arrays(samples: int, tensors: Sequence[Codes]) -> list[Codes]:
    """Writable copies [samples, weights] of every tensor's codes."""
    return [np.repeat(codes[None, :], samples, axis=0) for codes in tensors]
