"""One fault map under a command log: weak cells drawn, aged lazily, corrected, and read out at the samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.ecc import MenuEntry
from qtaml_hw.faults import weak_cells
from qtaml_hw.memory.cells import FixedCells, PoissonCells
from qtaml_hw.memory.exposure import Exposure
from qtaml_hw.memory.history import History, build_history, sample_thresholds
from qtaml_hw.memory.kernels import WORD, count_differences, scan_plane
from qtaml_hw.memory.regions import PARITY_TENSOR, CodeRegion
from qtaml_hw.memory.timeline import sample_arrays
from qtaml_hw.memory.words import Wearing, WordCells, WordCounts, WordSample, WordState

if TYPE_CHECKING:
    from qtaml_hw.memory.simulate import Memory

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
EPOCH_SEED = 0x9E3779B97F4A7C15  # odd constant (golden ratio) that separates the seeds of a poisson memory's rewrites


class Aging:
    """One fault map of a memory being aged: the read-outs and counts that become a Timeline."""

    def __init__(self, memory: Memory, exposure: Exposure, seed: int, map_index: int) -> None:
        self.memory, self.exposure, self.seed, self.map_index = memory, exposure, seed, map_index
        self.law = {PoissonCells: "poisson", FixedCells: "fixed"}.get(type(exposure.cell), "retention")
        self.samples = len(memory.schedule.sample_times_s)
        self.reads = sample_arrays(self.samples, memory.codes)
        self.flips_data, self.flips_parity, self.corrected, self.uncorrectable = np.zeros(
            (4, self.samples), dtype=np.int64
        )
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
        return np.array(
            [sum(count_differences(r[s], c) for r, c in pairs) for s in range(self.samples)], dtype=np.int64
        )

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

    def _scan(
        self,
        tensor: int,
        plane: int,
        seed: int,
        p_max: float,
        slots: Int64,
        thresholds: Float64,
        cells: dict[int, list[WordCells]],
    ) -> None:
        plan, layout, codes = self.memory.plan, self.memory.layout, self.memory.codes[tensor]
        weak = weak_cells(codes.size, plane, p_max, seed=seed, map_index=self.map_index, tensor=tensor)
        first, last = plan.tensor_groups(tensor)
        start = int(plan.tensor_starts[tensor])
        size = len(weak.position)
        kept = (np.empty(size, dtype=np.int64), np.empty(size), np.empty(size, dtype=np.uint8))
        count = scan_plane(
            weak.position,
            weak.u,
            codes,
            (plane, start, layout.stride, layout.geometry.banks),
            (plan.starts[first : last + 1] - start, np.ascontiguousarray(plan.choice[first:last, plane])),
            slots,
            thresholds,
            self.reads[tensor],
            self.flips_data,
            kept,
        )
        position, u, index = (a[:count] for a in kept)
        for region in self.memory.regions:
            mine = index == region.index
            if mine.any():
                weight = position[mine]
                written = ((codes[weight] >> plane) & 1).astype(np.uint8)
                cells[region.index].append(
                    WordCells(
                        region.keys(tensor, weight, np.full(len(weight), plane, dtype=np.int64)), u[mine], written
                    )
                )

    # ---- ECC words

    def _word_histories(self, epoch: int) -> dict[int, dict[tuple[int, int], History]]:
        """History of every (tensor, refresh group) with words, by region; tensor is 0 when reads restore nothing."""
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

    def _age_words(
        self, region: CodeRegion, parts: list[WordCells], histories: dict[tuple[int, int], History], seed: int
    ) -> None:
        if not parts:
            return
        key = np.concatenate([p.key for p in parts])
        order = np.argsort(key, kind="stable")
        cells = WordCells(
            key[order], np.concatenate([p.u for p in parts])[order], np.concatenate([p.written for p in parts])[order]
        )
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
            np.bitwise_xor.at(
                self.reads[t][s], weight, np.left_shift(np.ones(len(plane), dtype=dtype), plane.astype(dtype))
            )
        if region.code.policy == "zero" and len(sample.flagged):
            self.zeroed.append((s, region, sample.flagged))
