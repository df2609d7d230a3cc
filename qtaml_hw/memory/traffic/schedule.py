"""What happens to the memory and when: refresh, scrub, inferences, reloads, phases of the operating conditions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

import numpy as np

from qtaml_hw.arrays import Float64
from qtaml_hw.memory.cells import CellModel, Cells, check_cell
from qtaml_hw.names import OnUncorrectable, RefreshMode

SAMPLE_LEAD = 1e-9  # a sample counts as earlier than commands within this share of its time


@dataclass(frozen=True, eq=False)
class RetentionAware:
    """Rows binned by their weakest cell, so that strong rows are refreshed less often (RAIDR: Liu et al., ISCA 2012).

    A row is refreshed at every k-th tick for the largest k of ``multiples`` (ascending, from 2 on) such that all its
    cells, in the leaky state, outlive k intervals times ``margin``.  ``cell``: the cells that plans take for the
    profiled ones (None: they count every row at every tick); every fault map is profiled by the cells it is run with.
    """

    multiples: tuple[int, ...] = (2, 4)
    margin: float = 1.0
    cell: CellModel | Cells | None = None

    def __post_init__(self) -> None:
        if not self.multiples or list(self.multiples) != sorted(set(self.multiples)) or self.multiples[0] < 2:
            raise ValueError(f"multiples must ascend from 2 on; got {self.multiples}")
        if not (math.isfinite(self.margin) and self.margin >= 1.0):
            raise ValueError(f"the margin of a retention profile is at least 1; got {self.margin:g}")


@dataclass(frozen=True, eq=False)
class Phase:
    """A stretch [start_s, end_s) of simulated time under other conditions.

    ``cell`` is the cell model at that temperature and voltage (None: as outside); ``refresh`` and ``inferences`` say
    whether they run; ``powered=False`` loses the contents, which are reloaded at ``end_s``.
    """

    start_s: float
    end_s: float
    label: str = ""
    cell: CellModel | None = None
    refresh: bool = True
    inferences: bool = True
    powered: bool = True

    def __post_init__(self) -> None:
        if not (0.0 <= self.start_s < self.end_s and math.isfinite(self.end_s)):
            raise ValueError(
                f"phase {self.label!r} must run forward from 0 s on; got {self.start_s:g} s to {self.end_s:g} s"
            )
        if self.cell is not None:
            check_cell(self.cell)


@dataclass(frozen=True, eq=False)
class Schedule:
    """The memory's work over simulated time, in seconds from the moment when every weight has been written.

    Parameters
    ----------
    horizon_s : simulated time.
    refresh_interval_s : None (no refresh), one interval, or one per row class (None inside: that class is not
        refreshed).
    refresh_mode : ``burst``, all banks at every multiple of the interval; ``staggered``, banks spread evenly over it.
    retention_aware : None (all rows alike), or how rows are binned by their weakest cell.
    ecc_aware_refresh : True when a refresh corrects ECC words before it restores them.
    scrub_interval_s : None, or how often every ECC word is read, decoded and written back.
    sample_times_s : ascending times at which the weights are read out; a sample precedes commands of the same instant.
    inferences_per_s : rate of inferences; each reads every tensor, in order.
    tensor_reads : how often it reads each tensor in one burst (empty: once), as the dataflow has it.
    layer_time_s : compute time of every tensor's layer (empty: limited by the memory); reading overlaps computing.
    reload_times_s : times at which all weights are written anew from a backing store.
    on_uncorrectable : what a correcting code makes of a flagged word: ``raw`` as read, ``zero``, ``reload`` from the
        backing store; None keeps each code's own policy.
    phases : not overlapping, ascending.
    """

    horizon_s: float
    refresh_interval_s: float | tuple[float | None, ...] | None = None
    refresh_mode: RefreshMode = "burst"
    ecc_aware_refresh: bool = False
    scrub_interval_s: float | None = None
    sample_times_s: tuple[float, ...] = ()
    inferences_per_s: float = 0.0
    layer_time_s: tuple[float, ...] = ()
    reload_times_s: tuple[float, ...] = ()
    on_uncorrectable: OnUncorrectable | None = None
    phases: tuple[Phase, ...] = ()
    retention_aware: RetentionAware | None = None
    tensor_reads: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.horizon_s) and self.horizon_s > 0.0):
            raise ValueError(f"horizon_s must be positive; got {self.horizon_s:g} s")
        if self.refresh_mode not in ("burst", "staggered"):
            raise ValueError(f"refresh_mode must be 'burst' or 'staggered'; got {self.refresh_mode!r}")
        if self.on_uncorrectable not in (None, *get_args(OnUncorrectable)):
            raise ValueError(
                f"on_uncorrectable must be one of {get_args(OnUncorrectable)} or None; got {self.on_uncorrectable!r}"
            )
        given = self.refresh_interval_s if isinstance(self.refresh_interval_s, tuple) else (self.refresh_interval_s,)
        for name, value in (*(("refresh_interval_s", v) for v in given), ("scrub_interval_s", self.scrub_interval_s)):
            if value is not None and not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name} must be positive or None; got {value:g} s")
        if not (math.isfinite(self.inferences_per_s) and self.inferences_per_s >= 0.0):
            raise ValueError(f"inferences_per_s must not be negative; got {self.inferences_per_s:g}")
        for name, values in (("layer times", self.layer_time_s), ("tensor_reads", self.tensor_reads)):
            if any(not t >= 0.0 for t in values):
                raise ValueError(f"{name} must not be negative; got {values}")
        self._check_times("sample_times_s", self.sample_times_s)
        self._check_times("reload_times_s", self.reload_times_s)
        self._check_phases()

    def _check_times(self, name: str, times: tuple[float, ...]) -> None:
        if any(not 0.0 <= t <= self.horizon_s for t in times) or list(times) != sorted(set(times)):
            raise ValueError(f"{name} must ascend within 0 to the horizon of {self.horizon_s:g} s; got {times}")

    def _check_phases(self) -> None:
        for before, after in zip(self.phases, self.phases[1:], strict=False):
            if after.start_s < before.end_s:
                raise ValueError(
                    f"phases {before.label!r} ({before.start_s:g} to {before.end_s:g} s) and {after.label!r} "
                    f"({after.start_s:g} to {after.end_s:g} s) overlap or are out of order"
                )
        if self.phases and self.phases[-1].end_s > self.horizon_s:
            last = self.phases[-1]
            raise ValueError(
                f"phase {last.label!r} ends at {last.end_s:g} s, after the horizon of {self.horizon_s:g} s"
            )
        for t in self.sample_times_s:
            phase = self.phase_at(t)
            if phase is not None and not phase.powered:
                raise ValueError(
                    f"the sample at {t:g} s lies in phase {phase.label!r}, in which the memory has no power"
                )

    @property
    def rewrites_s(self) -> tuple[float, ...]:
        """When all weights are planned to be written anew: reloads, and ends of phases without power; ascending."""
        return tuple(sorted({*self.reload_times_s, *(p.end_s for p in self.phases if not p.powered)}))

    def reads_of(self, tensors: int) -> Float64:
        """Reads of each tensor in an inference, float64 [T]; ValueError when their number does not fit."""
        if not self.tensor_reads:
            return np.ones(tensors)
        if len(self.tensor_reads) != tensors:
            raise ValueError(f"{len(self.tensor_reads)} tensor_reads are given for {tensors} tensors")
        return np.array(self.tensor_reads)

    def phase_at(self, time_s: float) -> Phase | None:
        """The phase that holds a time, if any."""
        return next((p for p in self.phases if p.start_s <= time_s < p.end_s), None)

    def refresh_intervals(self, classes: int) -> tuple[float | None, ...]:
        """One interval per row class; ValueError when their number does not fit."""
        if not isinstance(self.refresh_interval_s, tuple):
            return (self.refresh_interval_s,) * classes
        if len(self.refresh_interval_s) != classes:
            raise ValueError(
                f"{len(self.refresh_interval_s)} refresh intervals are given, the placement has {classes} row classes"
            )
        return self.refresh_interval_s
