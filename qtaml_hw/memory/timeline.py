"""The record of a simulated memory: what was read when, what was lost and corrected, what the banks did and spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from qtaml_hw.arrays import Codes, Float64, Int64
from qtaml_hw.memory.ageing.counts import Counts, Reload
from qtaml_hw.memory.ageing.stored import Stored
from qtaml_hw.memory.traffic.commands import CommandLog
from qtaml_hw.memory.traffic.energy import EnergyMeter
from qtaml_hw.memory.traffic.usage import read_stalls


@dataclass(frozen=True, eq=False, kw_only=True)
class Timeline:
    """One fault map over simulated time.

    ``read_out`` [samples][tensors], codes as read after decoding; ``counts``, bits and words by sample and over the
    horizon; ``reload``, what was fetched anew; ``stored``, what the cells hold at the last sample; ``log``, what the
    banks did; ``meter``, what that spends; ``law`` retention, poisson or fixed.
    """

    read_out: tuple[tuple[Codes, ...], ...] = field(repr=False)
    counts: Counts
    reload: Reload
    stored: Stored = field(repr=False)
    log: CommandLog = field(repr=False)
    meter: EnergyMeter = field(repr=False)
    law: str
    warnings: tuple[str, ...]

    @property
    def sample_times_s(self) -> tuple[float, ...]:
        """When the weights were read out."""
        return self.meter.schedule.sample_times_s

    @property
    def horizon_s(self) -> float:
        """Simulated time."""
        return self.meter.schedule.horizon_s

    @property
    def source(self) -> str:
        """Where the energies come from."""
        return self.meter.costs.source

    @property
    def snapshots(self) -> dict[float, list[Codes]]:
        """Codes of every tensor as read after decoding, by sample time in seconds."""
        return {t: list(codes) for t, codes in zip(self.sample_times_s, self.read_out, strict=True)}

    # ---- what a read-out finds, per sample: int64 [samples], as in ``counts``

    @property
    def flips_raw(self) -> Int64:
        """Stored bits in error before decoding, check bits included."""
        return self.counts.flips_raw

    @property
    def flips_data(self) -> Int64:
        """Stored data bits in error before decoding."""
        return self.counts.flips_data

    @property
    def flips_parity(self) -> Int64:
        """Stored check bits in error before decoding."""
        return self.counts.flips_parity

    @property
    def flips_read(self) -> Int64:
        """Weight bits wrong as read after decoding."""
        return self.counts.flips_read

    @property
    def words_corrected(self) -> Int64:
        """ECC words that this read-out changed."""
        return self.counts.words_corrected

    @property
    def words_uncorrectable(self) -> Int64:
        """ECC words that this read-out flagged."""
        return self.counts.words_uncorrectable

    # ---- what the banks did and spent

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
        """Read bursts of banks that a refresh pass held up."""
        return read_stalls(self.meter.layout, self.meter.schedule, self.log)[0]

    @property
    def events(self) -> list[tuple[float, str, int, int]]:
        """(time_s, action, bank, tensor or row class or -1) of every bank command."""
        return self.log.events()

    @property
    def bank_busy_fraction(self) -> Float64:
        """Share of the horizon in which each bank was occupied: float64 [banks]; reloads are spread evenly."""
        banks = len(self.log.bank_busy_s)
        return (self.log.bank_busy_s + self.reload.time_s / banks) / self.horizon_s

    @cached_property
    def energy_j(self) -> Mapping[str, float]:
        """Joules by action over the horizon."""
        energy = self.meter.spent(self.log, self.horizon_s)
        energy["backing"] += self.reload.bits * self.meter.costs.backing_j_per_bit
        return MappingProxyType(energy)

    @property
    def reloaded_j(self) -> float:
        """Joules that fetching and writing words which no correction could save took."""
        costs = self.meter.costs
        return self.reload.bits * costs.backing_j_per_bit + self.reload.words * costs.write_j

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
