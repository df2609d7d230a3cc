"""The weight memory in simulated time: commands once, then every fault map aged lazily from the command log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from qtaml_hw.arrays import Codes, Int64
from qtaml_hw.faults import MapKey
from qtaml_hw.memory.ageing.ageing import Ageing
from qtaml_hw.memory.ageing.alike import AlikePlanes
from qtaml_hw.memory.ageing.counts import Counts, Reload
from qtaml_hw.memory.ageing.histories import Histories
from qtaml_hw.memory.ageing.laid_out import LaidOut, Update, check_updates
from qtaml_hw.memory.ageing.profile import Profiler
from qtaml_hw.memory.ageing.regions import CodeRegion
from qtaml_hw.memory.ageing.stored import Stored
from qtaml_hw.memory.ageing.visited import Visited
from qtaml_hw.memory.ageing.words import WordCounts
from qtaml_hw.memory.array.geometry import ArrayGeometry
from qtaml_hw.memory.array.layout import ArrayLayout
from qtaml_hw.memory.cells import CellModel, Cells, check_cell
from qtaml_hw.memory.timeline import Timeline
from qtaml_hw.memory.traffic.commands import CommandLog, simulate_commands
from qtaml_hw.memory.traffic.energy import EnergyCosts, EnergyMeter
from qtaml_hw.memory.traffic.logs import command_log
from qtaml_hw.memory.traffic.planned import PlannedArray
from qtaml_hw.memory.traffic.schedule import Schedule
from qtaml_hw.protection import ProtectionPlan


@dataclass(frozen=True, eq=False)
class Memory:
    """A weight image in an array under a schedule; :meth:`run` ages one fault map of it.

    Parameters
    ----------
    codes : flat uint8 or uint16 codes, one array per tensor.
    planes : bit planes of a weight.
    plan : protection of every group and plane; its tensors are those of ``codes``.
    geometry, schedule : the array and its work.
    zero_code : the code that stands for weight zero (128 in offset binary); what detection entries read as.
    updates : (time in seconds, new codes of every tensor), at some of the schedule's ``reload_times_s``; other reloads
        write the newest codes again.

    Raises ValueError when plan, codes and geometry do not fit, or the banks cannot do the work.
    """

    codes: tuple[Codes, ...]
    planes: int
    plan: ProtectionPlan
    geometry: ArrayGeometry
    schedule: Schedule
    zero_code: int = 0
    updates: tuple[Update, ...] = ()
    _latest: list[Histories] = field(default_factory=list, init=False, repr=False)  # a cache, see ``histories``

    def __post_init__(self) -> None:
        sizes = np.array([c.size for c in self.codes], dtype=np.int64)
        if not np.array_equal(sizes, np.diff(self.plan.tensor_starts)) or self.planes != self.plan.planes:
            raise ValueError(
                f"the plan protects tensors of {np.diff(self.plan.tensor_starts).tolist()} weights in "
                f"{self.plan.planes} planes; the codes have {sizes.tolist()} in {self.planes}"
            )
        for c in self.codes:
            if c.dtype not in (np.uint8, np.uint16) or c.ndim != 1:
                raise ValueError(f"codes must be flat uint8 or uint16 arrays; got {c.dtype} of shape {c.shape}")
        check_updates(self.updates, self.codes, self.schedule)

    @cached_property
    def array(self) -> PlannedArray:
        """The array as the plan and the schedule have it, whatever the codes."""
        return PlannedArray(self.plan, self.geometry, self.schedule)

    @property
    def layout(self) -> ArrayLayout:
        """Where the image lies."""
        return self.array.layout

    @cached_property
    def laid_out(self) -> LaidOut:
        """The images in the array, as every fault map finds them."""
        images = (self.codes, *(codes for _, codes in self.updates))
        times_s = tuple(time_s for time_s, _ in self.updates)
        return LaidOut(images, times_s, self.plan, self.layout, self.schedule)

    @property
    def regions(self) -> tuple[CodeRegion, ...]:
        """ECC words of every entry with a code, with the check bits of the first codes."""
        return self.laid_out.regions

    @cached_property
    def log(self) -> CommandLog:
        """Bank commands over the horizon; the same for every fault map unless its weak cells decide on refresh.

        With retention-aware refresh these are the commands of an array with the expected rows in every bin.
        """
        return command_log(self.layout, self.schedule, self.array.bins)

    @cached_property
    def visited(self) -> Visited:
        """Those commands by the rows that they touch."""
        return Visited(self.laid_out, self.log, self.array.bins)

    @property
    def costs(self) -> EnergyCosts:
        """Energy per action from the cost model."""
        return self.array.costs

    @cached_property
    def meter(self) -> EnergyMeter:
        """What the commands spend."""
        words = {words.name: words.per_tensor for words in self.array.words.entries}
        return EnergyMeter(self.layout, self.schedule, words, self.costs)

    def run(
        self,
        cell: CellModel | Cells,
        *,
        seed: int,
        map_index: int = 0,
        costs: EnergyCosts | None = None,
        phase_cells: tuple[CellModel | None, ...] = (),
    ) -> Timeline:
        """Age the fault map (seed, map_index) of these cells over the horizon.

        ``cell`` is a retention population, :class:`PoissonCells` or :class:`FixedCells`, or :class:`Cells`, which say
        more; ``phase_cells`` are the models in the schedule's phases where every chip has its own (None: as ``cell``),
        () takes the phases' cells.
        """
        cells = cell if isinstance(cell, Cells) else Cells(check_cell(cell), phase_cells)
        key, histories = MapKey(seed, map_index), self.histories(cells)
        if self.schedule.retention_aware is not None:
            histories = self._profiled(histories, key)
        aged = Ageing(histories, key, self.zero_code).age()
        return Timeline(
            read_out=aged.read_out,
            counts=aged.counts,
            reload=aged.reload,
            stored=aged.stored,
            log=histories.log,
            meter=self.meter if costs is None else replace(self.meter, costs=costs),
            law=histories.law,
            warnings=(*self.warnings, *self._swamped(aged.reload.time_s, histories.log)),
        )

    def whole(self, cells: Cells) -> tuple[AlikePlanes, ...] | None:
        """Probabilities that say all there is of a chip of these cells, tensor by tensor; None where they do not.

        Then nothing is corrected or rewritten: codes under ``MapKey(seed, map_index, tensor)`` are what is read.
        """
        return None if self.schedule.retention_aware is not None else self.histories(cells).whole()

    def counted(self, cells: Cells, flips: Int64) -> Timeline:
        """The timeline of such a chip whose codes are read elsewhere: ``flips`` [samples] bits are in error."""
        histories, none = self.histories(cells), np.zeros(len(flips), dtype=np.int64)
        counts = Counts(
            flips_data=flips,
            flips_parity=none,
            flips_read=flips,
            words_corrected=none,
            words_uncorrectable=none,
            corrections=np.zeros((len(flips), 4), dtype=np.int64),
            over_horizon=WordCounts(),
        )
        reload, stored = Reload(0, 0, 0.0, np.zeros(len(flips))), Stored(self.laid_out, (), (), {})
        return Timeline(
            read_out=(),
            counts=counts,
            reload=reload,
            stored=stored,
            log=histories.log,
            meter=self.meter,
            law=histories.law,
            warnings=(*self.warnings, *self._swamped(0.0, histories.log)),
        )

    def _swamped(self, reload_s: float, log: CommandLog) -> list[str]:
        """What to say when words are lost faster than they can be fetched."""
        idle_s = float(self.schedule.horizon_s * self.geometry.banks - log.bank_busy_s.sum())
        store_s = self.schedule.horizon_s
        if reload_s <= min(idle_s, store_s):
            return []
        return [
            f"reloads of uncorrectable words take {reload_s:.3g} s of the one backing store and of banks that are idle "
            f"for {max(idle_s, 0.0):.3g} s within {store_s:.3g} s: words are lost faster than they can be fetched"
        ]

    def histories(self, cells: Cells) -> Histories:
        """What rows live through with these cells; kept until others are asked for (many maps share one)."""
        for kept in self._latest:
            if kept.cells.same(cells):
                return kept
        self._latest[:] = [Histories(self.visited, cells)]
        return self._latest[0]

    def _profiled(self, histories: Histories, key: MapKey) -> Histories:
        """Histories of one fault map whose rows are refreshed by their weakest cell."""
        aware = self.schedule.retention_aware
        assert aware is not None
        bins = Profiler(self.laid_out, aware).bins(histories.cells, key)
        log = simulate_commands(self.layout, self.schedule, bins)
        return Histories(Visited(self.laid_out, log, bins), histories.cells)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What was asked for and does nothing here, in words."""
        notes = []
        if self.schedule.scrub_interval_s is not None and not self.regions:
            notes.append("scrubbing is asked for, but no plane has an ECC word to scrub")
        if self.schedule.ecc_aware_refresh and not self.regions:
            notes.append("ECC-aware refresh is asked for, but no plane has an ECC word")
        if any(self.plan.entries[i].kind == "ideal" for i in np.unique(self.plan.choice).tolist()):
            notes.append("ideal protection: these bits never flip; it cannot be built and bounds what can")
        return tuple(notes)


def simulate(
    codes: Sequence[Codes],
    planes: int,
    plan: ProtectionPlan,
    cell: CellModel | Cells,
    geometry: ArrayGeometry,
    schedule: Schedule,
    *,
    seed: int,
    map_index: int = 0,
) -> Timeline:
    """One fault map of a weight image over simulated time; :class:`Memory` serves many maps at less cost."""
    return Memory(tuple(codes), planes, plan, geometry, schedule).run(cell, seed=seed, map_index=map_index)
