"""The weight memory in simulated time: commands once, then every fault map aged lazily from the command log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.ecc import MenuEntry, ProtectionPlan
from qtaml_hw.faults import weak_cells
from qtaml_hw.memory.cells import CellModel, FixedCells, PoissonCells, check_cell
from qtaml_hw.memory.commands import CommandLog, simulate_commands
from qtaml_hw.memory.energy import EnergyCosts, energy_costs, spent
from qtaml_hw.memory.exposure import Exposure
from qtaml_hw.memory.geometry import ArrayGeometry, ArrayLayout
from qtaml_hw.memory.history import History, Visits, build_history, sample_thresholds
from qtaml_hw.memory.kernels import WORD, count_differences, scan_plane
from qtaml_hw.memory.regions import PARITY_TENSOR, CodeRegion, code_regions
from qtaml_hw.memory.schedule import Schedule
from qtaml_hw.memory.timeline import Codes, Timeline, sample_arrays
from qtaml_hw.memory.words import Wearing, WordCells, WordCounts, WordSample, WordState

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
NONE = np.empty(0, dtype=np.float64)
EPOCH_SEED = 0x9E3779B97F4A7C15  # odd constant (golden ratio) that separates the seeds of a poisson memory's rewrites


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

    Raises ValueError when plan, codes and geometry do not fit, or the banks cannot do the work.
    """

    codes: tuple[Codes, ...]
    planes: int
    plan: ProtectionPlan
    geometry: ArrayGeometry
    schedule: Schedule
    zero_code: int = 0

    def __post_init__(self) -> None:
        sizes = np.array([c.size for c in self.codes], dtype=np.int64)
        if not np.array_equal(sizes, np.diff(self.plan.tensor_starts)) or self.planes != self.plan.planes:
            raise ValueError(
                f"the plan protects tensors of {np.diff(self.plan.tensor_starts).tolist()} weights in {self.plan.planes} "
                f"planes; the codes have {sizes.tolist()} in {self.planes}"
            )
        for c in self.codes:
            if c.dtype not in (np.uint8, np.uint16) or c.ndim != 1:
                raise ValueError(f"codes must be flat uint8 or uint16 arrays; got {c.dtype} of shape {c.shape}")

    @cached_property
    def layout(self) -> ArrayLayout:
        """Where the image lies."""
        parity = np.zeros(self.plan.tensors, dtype=np.int64)
        for index, item in enumerate(self.plan.entries):
            if item.code is not None:
                parity += [self.plan.layout(t, index).parity_bits for t in range(self.plan.tensors)]
        return ArrayLayout(self.geometry, self.plan.tensor_starts, self.planes, parity)

    @cached_property
    def regions(self) -> tuple[CodeRegion, ...]:
        """ECC words of every entry with a code."""
        return code_regions(self.codes, self.plan, self.layout)

    @cached_property
    def log(self) -> CommandLog:
        """Bank commands over the horizon; the same for every fault map."""
        return simulate_commands(self.layout, self.schedule, sum(r.words for r in self.regions))

    @cached_property
    def costs(self) -> EnergyCosts:
        """Energy per action from the cost model."""
        return energy_costs(self.layout, self.plan)

    def run(self, cell: CellModel, *, seed: int, map_index: int = 0, costs: EnergyCosts | None = None) -> Timeline:
        """Age the fault map (seed, map_index) of these cells over the horizon.

        ``cell`` is a retention population, :class:`PoissonCells` or :class:`FixedCells`.
        """
        draft = _Draft(self, Exposure(check_cell(cell), self.schedule), seed, map_index)
        draft.age()
        words = {r.entry.name: np.diff(r.word_starts) for r in self.regions}
        costs = self.costs if costs is None else costs
        return Timeline(
            sample_times_s=self.schedule.sample_times_s,
            read_out=tuple(tuple(reads[s] for reads in draft.reads) for s in range(draft.samples)),
            flips_data=draft.flips_data, flips_parity=draft.flips_parity, flips_read=draft.flips_read(),
            words_corrected=draft.corrected, words_uncorrectable=draft.uncorrectable,
            scrub_corrected=draft.counts.scrub_corrected, refresh_corrected=draft.counts.refresh_corrected,
            corrections_uncorrectable=draft.counts.uncorrectable, words_reloaded=draft.counts.reloaded,
            log=self.log, horizon_s=self.schedule.horizon_s,
            energy_j=spent(self.layout, self.schedule, self.log, words, costs),
            law=draft.law, warnings=self.warnings, source=costs.source,
        )

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What was asked for and does nothing here, in words."""
        notes = []
        if self.schedule.scrub_interval_s is not None and not self.regions:
            notes.append("scrubbing is asked for, but no plane has an ECC word to scrub")
        if self.schedule.ecc_aware_refresh and not self.regions:
            notes.append("ECC-aware refresh is asked for, but no plane has an ECC word")
        if any(e.kind == "ideal" for e, n in zip(self.plan.entries, np.bincount(self.plan.choice.ravel(), minlength=256),
                                                 strict=False) if n):
            notes.append("ideal protection: these bits never flip; it cannot be built and bounds what can")
        return tuple(notes)

    def visits(self, tensor: int, group: int, *, words: bool) -> Visits:
        """The commands that touched a tensor's bits in a refresh group; ``words``: ECC words, which scrubs also touch."""
        bank, log, schedule = group // self.layout.classes, self.log, self.schedule
        refresh = log.refresh_s[group]
        correcting = words and schedule.ecc_aware_refresh
        restore = NONE if correcting else refresh
        if self.geometry.destructive_read:
            mine = (log.read_tensor == tensor) & (log.read_bank == bank)
            restore = np.sort(np.concatenate([restore, log.read_s[mine]]))
        return Visits(restore, refresh if correcting else NONE, log.scrub_s[bank] if words else NONE, log.write_s[bank],
                      np.array(schedule.sample_times_s, dtype=np.float64))


class _Draft:
    """One fault map being aged: the read-outs and counts that become a Timeline."""

    def __init__(self, memory: Memory, exposure: Exposure, seed: int, map_index: int) -> None:
        self.memory, self.exposure, self.seed, self.map_index = memory, exposure, seed, map_index
        self.law = {PoissonCells: "poisson", FixedCells: "fixed"}.get(type(exposure.cell), "retention")
        self.samples = len(memory.schedule.sample_times_s)
        self.reads = sample_arrays(self.samples, memory.codes)
        self.flips_data, self.flips_parity, self.corrected, self.uncorrectable = np.zeros((4, self.samples), dtype=np.int64)
        self.counts = WordCounts()
        self.zeroed: list[tuple[int, CodeRegion, Int64]] = []
        self._histories: dict[tuple[int, int, bool, float], History] = {}

    def age(self) -> None:
        """Everything: bits that nothing corrects, ECC words, zeroed words."""
        rewrites = max(len(times) for times in self.memory.log.write_s)
        for epoch in range(1 + rewrites if self.law == "poisson" else 1):
            seed = (self.seed + epoch * EPOCH_SEED) % 2**63 if epoch else self.seed
            self._age_epoch(epoch, seed)
        for sample, region, words in self.zeroed:
            for t, weight, plane in region.data_addresses(words):
                if region.entry.zeroes_weight:
                    self.reads[t][sample, weight] = self.memory.zero_code
                else:
                    dtype = self.reads[t].dtype
                    keep = ~np.left_shift(np.ones(len(plane), dtype=dtype), plane.astype(dtype))
                    np.bitwise_and.at(self.reads[t][sample], weight, keep)

    def flips_read(self) -> Int64:
        """Weight bits wrong as read, per sample."""
        pairs = list(zip(self.reads, self.memory.codes, strict=True))
        return np.array([sum(count_differences(r[s], c) for r, c in pairs) for s in range(self.samples)], dtype=np.int64)

    # ---- histories

    def _history(self, tensor: int, group: int, epoch: int, *, words: bool, gain: float = 1.0) -> History:
        key = (tensor if self.memory.geometry.destructive_read else 0, group, words, gain)
        if key not in self._histories:
            self._histories[key] = build_history(self.memory.visits(tensor, group, words=words), self.exposure, gain)
        history = self._histories[key]
        return history.epochs()[epoch] if self.law == "poisson" else history

    def _worst(self, histories: Sequence[History]) -> float:
        """Largest probability that any of these histories reaches."""
        level = max((float(h.level.max()) for h in histories if len(h.level)), default=0.0)
        return -float(np.expm1(-level)) if self.law == "poisson" else level

    # ---- bits that nothing corrects

    def _gain(self, item: MenuEntry) -> float:
        """Factor on retention times; refreshing more often does nothing for memoryless losses."""
        return 1.0 if self.law == "poisson" and item.kind == "refresh" else item.retention_gain

    def _thresholds(self, tensor: int, plane: int, epoch: int, items: Sequence[MenuEntry]) -> Float64:
        """[samples, items, banks, 2] thresholds by written bit; ideal entries stay at -1."""
        layout = self.memory.layout
        out = np.full((self.samples, len(items), layout.geometry.banks, 2), -1.0)
        for slot, item in enumerate(items):
            if item.kind == "ideal":
                continue
            if isinstance(self.exposure.cell, FixedCells):
                p01, p10 = self.exposure.cell.per_plane(self.memory.planes)[:, plane].tolist()
                out[:, slot] = item.residual_channel(p01, p10) if item.kind != "none" else (p01, p10)
                continue
            if self.exposure.leaky_state is None:
                continue
            for bank in range(layout.geometry.banks):
                group = bank * layout.classes + int(layout.class_of_plane[plane])
                history = self._history(tensor, group, epoch, words=False, gain=self._gain(item))
                out[:, slot, bank, self.exposure.leaky_state] = sample_thresholds(history, self.exposure, self.samples)
        return out

    def _age_epoch(self, epoch: int, seed: int) -> None:
        plan, entries = self.memory.plan, self.memory.plan.entries
        slots = np.full(len(entries), WORD, dtype=np.int64)
        free = [i for i, item in enumerate(entries) if item.code is None]
        slots[free] = np.arange(len(free))
        word_history = self._word_histories(epoch)
        worst_word = self._worst([h for table in word_history.values() for h in table.values()])
        cells: dict[int, list[WordCells]] = {r.index: [] for r in self.memory.regions}
        cache: dict[tuple[int, int], Float64] = {}
        for t in range(plan.tensors):
            first, last = plan.tensor_groups(t)
            for plane in range(self.memory.planes):
                choice = plan.choice[first:last, plane]
                row_class = plane if self.law == "fixed" else int(self.memory.layout.class_of_plane[plane])
                key = (t if self.memory.geometry.destructive_read else 0, row_class)
                if key not in cache:
                    cache[key] = self._thresholds(t, plane, epoch, [entries[i] for i in free])
                used = np.unique(choice)
                loose = slots[used][slots[used] != WORD]
                p_max = float(cache[key][:, loose].max(initial=0.0))
                if len(loose) < len(used):
                    p_max = max(p_max, self._word_p(worst_word, plane))
                if p_max > 0.0:
                    self._scan(t, plane, seed, p_max, slots, cache[key], cells)
            self._parity(t, seed, self._word_p(worst_word, self.memory.planes - 1), cells)
        for region in self.memory.regions:
            self._age_words(region, cells[region.index], word_history[region.index], seed)

    def _word_p(self, worst: float, plane: int) -> float:
        """Largest flip probability of a cell of an ECC word."""
        if isinstance(self.exposure.cell, FixedCells):
            return float(self.exposure.cell.per_plane(self.memory.planes)[:, plane].max())
        return worst

    def _scan(self, tensor: int, plane: int, seed: int, p_max: float, slots: Int64, thresholds: Float64,
              cells: dict[int, list[WordCells]]) -> None:
        plan, layout, codes = self.memory.plan, self.memory.layout, self.memory.codes[tensor]
        weak = weak_cells(codes.size, plane, p_max, seed=seed, map_index=self.map_index, tensor=tensor)
        first, last = plan.tensor_groups(tensor)
        start = int(plan.tensor_starts[tensor])
        size = len(weak.position)
        kept = (np.empty(size, dtype=np.int64), np.empty(size), np.empty(size, dtype=np.uint8))
        count = scan_plane(
            weak.position, weak.u, codes, (plane, start, layout.stride, layout.geometry.banks),
            (plan.starts[first : last + 1] - start, np.ascontiguousarray(plan.choice[first:last, plane])), slots, thresholds,
            self.reads[tensor], self.flips_data, kept,
        )
        position, u, index = (a[:count] for a in kept)
        for region in self.memory.regions:
            mine = index == region.index
            if mine.any():
                weight = position[mine]
                written = ((codes[weight] >> plane) & 1).astype(np.uint8)
                cells[region.index].append(
                    WordCells(region.keys(tensor, weight, np.full(len(weight), plane, dtype=np.int64)), u[mine], written))

    # ---- ECC words

    def _word_histories(self, epoch: int) -> dict[int, dict[tuple[int, int], History]]:
        """History of every (tensor, refresh group) that holds words, by region; tensor is 0 when reads restore nothing."""
        out: dict[int, dict[tuple[int, int], History]] = {}
        for region in self.memory.regions:
            tensor = region.tensor if self.memory.geometry.destructive_read else np.zeros_like(region.tensor)
            pairs = np.unique(np.stack([tensor, region.group]), axis=1).T.tolist()
            out[region.index] = {(t, g): self._history(t, g, epoch, words=True) for t, g in pairs}
        return out

    def _parity(self, tensor: int, seed: int, p_max: float, cells: dict[int, list[WordCells]]) -> None:
        """Weak check cells of a tensor."""
        total = int(self.memory.layout.parity_bits[tensor])
        if not total or not p_max > 0.0:
            return
        weak = weak_cells(total, 0, p_max, seed=seed, map_index=self.map_index, tensor=PARITY_TENSOR + tensor)
        for region in self.memory.regions:
            mine, keys, written = region.parity_cells(tensor, weak.position)
            cells[region.index].append(WordCells(keys, weak.u[mine], written))

    def _age_words(self, region: CodeRegion, parts: list[WordCells], histories: dict[tuple[int, int], History], seed: int) -> None:
        if not parts:
            return
        key = np.concatenate([p.key for p in parts])
        order = np.argsort(key, kind="stable")
        cells = WordCells(key[order], np.concatenate([p.u for p in parts])[order],
                          np.concatenate([p.written for p in parts])[order])
        word = cells.key // region.code.n
        destructive = self.memory.geometry.destructive_read
        unit = region.group[word] + (region.tensor[word] * self.memory.layout.groups if destructive else 0)
        alike: dict[bytes, list[int]] = {}
        for (t, g), history in histories.items():
            alike.setdefault(history.key, []).append(g + t * self.memory.layout.groups)
        by_unit = {g + t * self.memory.layout.groups: h for (t, g), h in histories.items()}
        for units in alike.values():
            chosen = np.isin(unit, units)
            mine = cells if chosen.all() else cells.select(chosen)
            state = WordState(region.code, mine, self._wearing(region, mine, seed), region.word_bits)
            outcome = state.run(by_unit[units[0]])
            self.counts.add(outcome.counts.values())
            for sample in outcome.samples:
                self._apply(region, sample)

    def _wearing(self, region: CodeRegion, cells: WordCells, seed: int) -> Wearing:
        if not isinstance(self.exposure.cell, FixedCells):
            draw_key = (seed * 0x2545F4914F6CDD1D + self.map_index * 0x9E3779B97F4A7C15 + region.index) % 2**64
            return Wearing(self.law, self.exposure.leaky_state, draw_key)
        probability = self.exposure.cell.per_plane(self.memory.planes)
        word, position = np.divmod(cells.key, region.code.n)
        plane = np.full(len(word), self.memory.planes - 1, dtype=np.int64)
        data = np.nonzero(position < region.code.k)[0]
        tensor = region.tensor[word[data]]
        for t in np.unique(tensor).tolist():
            mine = data[tensor == t]
            plane[mine] = region.layouts[t].address(word[mine] - region.word_starts[t], position[mine])[1]
        return Wearing("fixed", None, fixed=probability[cells.written, plane])

    def _apply(self, region: CodeRegion, sample: WordSample) -> None:
        """Put what decoding left into the read-out."""
        s = sample.sample
        self.flips_data[s] += sample.raw_data
        self.flips_parity[s] += sample.raw_parity
        self.corrected[s] += sample.corrected
        self.uncorrectable[s] += len(sample.flagged)
        for t, weight, plane in region.addresses(sample.left // region.code.n, sample.left % region.code.n):
            dtype = self.reads[t].dtype
            np.bitwise_xor.at(self.reads[t][s], weight, np.left_shift(np.ones(len(plane), dtype=dtype), plane.astype(dtype)))
        if region.code.policy == "zero" and len(sample.flagged):
            self.zeroed.append((s, region, sample.flagged))


def simulate(
    codes: Sequence[Codes],
    planes: int,
    plan: ProtectionPlan,
    cell: CellModel,
    geometry: ArrayGeometry,
    schedule: Schedule,
    *,
    seed: int,
    map_index: int = 0,
) -> Timeline:
    """One fault map of a weight image over simulated time (see :class:`Memory`, which serves many maps at less cost)."""
    return Memory(tuple(codes), planes, plan, geometry, schedule).run(cell, seed=seed, map_index=map_index)
