"""One fault map under a command log: weak cells drawn, aged lazily, corrected, and read out at the samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.faults import flip_bits, flip_structured, weak_cells
from qtaml_hw.memory.ageing.book import HistoryBook
from qtaml_hw.memory.ageing.history import History
from qtaml_hw.memory.ageing.kernels import WORD, count_differences, scan_plane
from qtaml_hw.memory.ageing.memoryless import MemorylessWords, lifetime_key
from qtaml_hw.memory.ageing.profile import unit_of_words
from qtaml_hw.memory.ageing.regions import PARITY_TENSOR, CodeRegion
from qtaml_hw.memory.ageing.words import FixedWords, WordCells, WordCounts, WordSample, WordState
from qtaml_hw.memory.cells import FixedCells
from qtaml_hw.memory.timeline import Codes, sample_arrays

if TYPE_CHECKING:
    from qtaml_hw.memory.simulate import Memory

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
DENSE_FROM = 1e-3  # flip probability from which whole planes are flipped at once instead of listing their weak cells
EPOCH_SEED = 0x9E3779B97F4A7C15  # odd constant (golden ratio) that separates the seeds of a poisson memory's rewrites


class Aging:
    """One fault map of a memory being aged: the read-outs and counts that become a Timeline."""

    def __init__(self, memory: Memory, book: HistoryBook, seed: int, map_index: int) -> None:
        self.memory, self.book, self.exposure, self.seed, self.map_index = memory, book, book.exposure, seed, map_index
        self.law = book.law
        self.samples = len(memory.schedule.sample_times_s)
        self.written = self._written()
        self.reads = (
            sample_arrays(self.samples, memory.codes) if self.written is None else [w.copy() for w in self.written]
        )
        self.flips_data, self.flips_parity, self.corrected, self.uncorrectable = np.zeros(
            (4, self.samples), dtype=np.int64
        )
        self.counts = WordCounts()
        self.corrections = np.zeros((self.samples, 4), dtype=np.int64)  # as WordCounts, up to each sample
        self.sampled: dict[tuple[int, int, int], int] = {}  # samples seen so far by (region, tensor key, group)
        self.reloaded_bits, self.reload_s = 0, 0.0
        self.reload_wait_s = np.zeros(self.samples)
        self.zeroed: list[tuple[int, CodeRegion, Int64]] = []
        self.word_unit = {r.index: unit_of_words(r, memory.layout, book.bins) for r in memory.regions}

    def age(self) -> None:
        """Everything: bits that nothing corrects, ECC words, zeroed words."""
        for epoch in range(self.book.epochs):
            seed = (self.seed + epoch * EPOCH_SEED) % 2**63 if epoch and self.law == "poisson" else self.seed
            self._age_epoch(epoch, seed)
        for sample, region, words in sorted(self.zeroed, key=lambda z: z[1].entry.zeroes_weight):  # whole weights last
            for t, weight, plane in region.data_addresses(words):
                if region.entry.zeroes_weight:
                    self.reads[t][sample, weight] = self.memory.zero_code
                else:
                    dtype = self.reads[t].dtype
                    keep = ~np.left_shift(np.ones(len(plane), dtype=dtype), plane.astype(dtype))
                    np.bitwise_and.at(self.reads[t][sample], weight, keep)

    def flips_read(self) -> Int64:
        """Weight bits wrong as read, per sample."""
        right = self.memory.codes if self.written is None else self.written
        pairs = list(zip(self.reads, right, strict=True))
        return np.array(
            [sum(count_differences(r[s], c if c.ndim == 1 else c[s]) for r, c in pairs) for s in range(self.samples)],
            dtype=np.int64,
        )

    def _written(self) -> list[Codes] | None:
        """[samples, weights] of every tensor: the codes that the memory should hold; None where they never change."""
        images, layout, log = self.book.images, self.memory.layout, self.book.log
        if not images.change:
            return None
        out = sample_arrays(self.samples, self.memory.codes)
        for t, first in enumerate(layout.tensor_starts[:-1].tolist()):
            bank = layout.bank_of(first + np.arange(self.memory.codes[t].size))
            for s, sample_s in enumerate(self.memory.schedule.sample_times_s):
                rewrites = [images.rewrites_before(sample_s, w) for w in log.write_s]
                held = [self.book.image(t, s + 1 if self.book.streamed[t] else n) for n in rewrites]
                for number in sorted(set(held) - {0}):
                    mine = np.isin(bank, [b for b, h in enumerate(held) if h == number])
                    out[t][s, mine] = images.codes[number][t][mine]
                if len(set(held)) > 1:
                    self._written_words(out[t][s], t, held)
        return out

    def _written_words(self, codes: Codes, tensor: int, held: Sequence[int]) -> None:
        """Bits of words that lie in another bank than their weight follow the words' bank; images by bank."""
        layout = self.memory.layout
        for region in self.memory.regions:
            home = np.where(region.tensor == tensor, region.group // layout.classes, -1)
            for bank in np.unique(home[home >= 0]).tolist():
                new = self.book.images.codes[held[bank]][tensor]
                for _, weight, plane in region.data_addresses(np.nonzero(home == bank)[0]):
                    for p in np.unique(plane).tolist():
                        mine, mask = weight[plane == p], codes.dtype.type(1 << p)
                        codes[mine] = (codes[mine] & ~mask) | (new[mine] & mask)

    def _worst(self, histories: Sequence[History]) -> float:
        """Largest probability that any of these histories reaches."""
        level = max((float(h.level.max()) for h in histories if len(h.level)), default=0.0)
        return -float(np.expm1(-level)) if self.law == "poisson" else level

    # ---- bits that nothing corrects

    def _age_epoch(self, epoch: int, seed: int) -> None:
        plan, entries = self.memory.plan, self.memory.plan.entries
        slots = np.full(len(entries), WORD, dtype=np.int64)
        free = [i for i, item in enumerate(entries) if item.code is None]
        slots[free] = np.arange(len(free))
        word_history = self._word_histories(epoch)
        worst_word = self._worst([h for table in word_history.values() for h in table.values()])
        cells: dict[int, list[WordCells]] = {r.index: [] for r in self.memory.regions}
        for t in range(plan.tensors):
            first, last = plan.tensor_groups(t)
            choices = [np.unique(plan.choice[first:last, plane]) for plane in range(self.memory.planes)]
            tables = [self.book.thresholds(t, p, epoch, [entries[i] for i in free]) for p in range(self.memory.planes)]
            dense = self._flip_structured(t, seed, slots, tables) or self._flip_dense(t, seed, slots, choices, tables)
            for plane, (used, thresholds) in enumerate(zip(choices, tables, strict=True)):
                loose = slots[used][slots[used] != WORD]
                p_max = 0.0 if plane in dense else float(thresholds[:, loose].max(initial=0.0))
                if len(loose) < len(used):
                    p_max = max(p_max, self._word_p(worst_word, plane))
                if p_max > 0.0:
                    self._scan(t, plane, epoch, seed, p_max, slots, thresholds, cells)
            self._parity(t, epoch, seed, self._word_p(worst_word, self.memory.planes - 1), cells)
        for region in self.memory.regions:
            for unit, history in word_history[region.index].items():
                seen = self.sampled.get((region.index, *unit), 0)
                self.sampled[region.index, *unit] = seen + int(np.count_nonzero(history.sample >= 0))
            self._age_words(region, cells[region.index], word_history[region.index], seed)

    def _flip_dense(
        self, tensor: int, seed: int, slots: Int64, choices: list[NDArray[np.uint8]], tables: list[Float64]
    ) -> list[int]:
        """Flip at once, and return, the planes whose bits all have one entry without words and one threshold.

        The same cells flip as when weak cells are listed (a cell flips when its U is below the threshold); only what is
        read once, before any rewrite, can be had this way.
        """
        codes, reads = self.memory.codes[tensor], self.reads[tensor]
        p = np.zeros((self.samples, 8 * codes.itemsize, 2))  # planes that are not used never flip
        dense = []
        for plane, (used, thresholds) in enumerate(zip(choices, tables, strict=True)):
            if self.book.epochs > 1 or len(used) > 1 or slots[used[0]] == WORD:
                continue
            levels = thresholds[:, slots[used[0]]]
            if levels.max(initial=0.0) >= DENSE_FROM and np.all(levels == levels[:, :1]):
                p[:, plane] = np.maximum(levels[:, 0], 0.0)
                dense.append(plane)
        for s in range(self.samples if dense else 0):
            flip_bits(codes, p[s, :, 0], p[s, :, 1], seed=seed, map_index=self.map_index, tensor=tensor, out=reads[s])
            self.flips_data[s] += count_differences(reads[s], codes)
        return dense

    def _flip_structured(self, tensor: int, seed: int, slots: Int64, tables: list[Float64]) -> list[int]:
        """Flip, and return, all planes where neighbouring cells depend on each other; none where they do not.

        A cell flips with its neighbours or is ideal; raises ValueError where bits lie in ECC words or have another p.
        """
        cell = self.exposure.cell
        if not isinstance(cell, FixedCells) or cell.structure is None:
            return []
        plan, codes, reads = self.memory.plan, self.memory.codes[tensor], self.reads[tensor]
        bits, p = 8 * codes.itemsize, np.zeros((2, 8 * codes.itemsize))
        p[:, : self.memory.planes] = cell.per_plane(self.memory.planes)
        first, last = plan.tensor_groups(tensor)
        sizes = np.diff(plan.starts[first : last + 1])
        leaky = np.zeros((self.samples, codes.size), dtype=codes.dtype)
        for plane, thresholds in enumerate(tables):
            slot = slots[plan.choice[first:last, plane]]
            level = np.where(thresholds < 0.0, p[:, plane], thresholds)[:, slot[slot != WORD]]
            if self.book.epochs > 1 or np.any(slot == WORD) or np.any(level != p[:, plane]):
                raise ValueError("flips that depend on each other need bits of one probability and without ECC words")
            flips = (thresholds[:, slot].max(axis=(2, 3)) > 0.0).astype(codes.dtype)
            leaky |= np.repeat(flips, sizes, axis=1) << codes.dtype.type(plane)
        key = {"seed": seed, "map_index": self.map_index, "tensor": tensor}
        flips = flip_structured(codes, p[0, :bits], p[1, :bits], cell.structure, **key) ^ codes
        for s in range(self.samples):
            reads[s] = codes ^ (flips & leaky[s])
            self.flips_data[s] += count_differences(reads[s], codes)
        return list(range(self.memory.planes))

    def _word_p(self, worst: float, plane: int) -> float:
        """Largest flip probability of a cell of an ECC word."""
        if isinstance(self.exposure.cell, FixedCells):
            return float(self.exposure.cell.per_plane(self.memory.planes)[:, plane].max())
        return worst

    def _scan(
        self,
        tensor: int,
        plane: int,
        epoch: int,
        seed: int,
        p_max: float,
        slots: Int64,
        thresholds: Float64,
        cells: dict[int, list[WordCells]],
    ) -> None:
        plan, layout = self.memory.plan, self.memory.layout
        codes = self.book.images.codes[self.book.image(tensor, epoch)][tensor]
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
            self.book.rows_of_class(int(layout.class_of_plane[plane])),
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
        """History of every (tensor key, unit) that holds words, by region."""
        key = self.book.tensor_key.tolist()
        return {
            region.index: {
                (key[t], u): self.book.history(t, u, epoch, words=True)
                for t, u in region.units(self.word_unit[region.index])
            }
            for region in self.memory.regions
        }

    def _parity(self, tensor: int, epoch: int, seed: int, p_max: float, cells: dict[int, list[WordCells]]) -> None:
        """Weak check cells of a tensor."""
        total = int(self.memory.layout.parity_bits[tensor])
        if not total or not p_max > 0.0:
            return
        weak = weak_cells(total, 0, p_max, seed=seed, map_index=self.map_index, tensor=PARITY_TENSOR + tensor)
        for region in self.memory.regions_of(self.book.image(tensor, epoch)):
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
        units_each = self.book.units
        unit = self.word_unit[region.index][word] + self.book.tensor_key[region.tensor[word]] * units_each
        alike: dict[tuple[bytes, int], list[int]] = {}
        for (t, u), history in histories.items():
            later = self.sampled[region.index, t, u]
            alike.setdefault((history.key, later), []).append(u + t * units_each)
        by_unit = {u + t * units_each: h for (t, u), h in histories.items()}
        for (_, later), units in alike.items():
            chosen = np.isin(unit, units)
            mine = cells if chosen.all() else cells.select(chosen)
            state = self._state(region, mine, seed)
            outcome = state.run(by_unit[units[0]])
            self.counts.add(outcome.counts.values())
            self.corrections[later:] += outcome.counts.values()
            self.reloaded_bits += outcome.counts.reloaded * region.code.k
            self.reload_s += outcome.counts.reloaded * self.memory.reload_word_s(region)
            for sample in outcome.samples:
                self._apply(region, sample)

    def _state(self, region: CodeRegion, cells: WordCells, seed: int) -> WordState:
        """Words ready to age under the cell's law."""
        code, leaky = region.code, self.exposure.leaky_state
        if self.law == "retention":
            return WordState(code, cells, leaky, region.word_bits)
        if self.law == "poisson":
            key = lifetime_key(seed, self.map_index, region.index)
            return MemorylessWords(code, cells, leaky, region.word_bits, key)
        return FixedWords(code, cells, region.word_bits, self._fixed_p(region, cells))

    def _fixed_p(self, region: CodeRegion, cells: WordCells) -> Float64:
        """P(read flipped) of every cell given what was written; check cells take the top plane's."""
        assert isinstance(self.exposure.cell, FixedCells)
        word, position = np.divmod(cells.key, region.code.n)
        plane = np.full(len(word), self.memory.planes - 1, dtype=np.int64)
        data = np.nonzero(position < region.code.k)[0]
        tensor = region.tensor[word[data]]
        for t in np.unique(tensor).tolist():
            mine = data[tensor == t]
            plane[mine] = region.layouts[t].address(word[mine] - region.word_starts[t], position[mine])[1]
        p: Float64 = self.exposure.cell.per_plane(self.memory.planes)[cells.written, plane]
        return p

    def _apply(self, region: CodeRegion, sample: WordSample) -> None:
        """Put what decoding left into the read-out."""
        s = sample.sample
        self.corrections[s] += sample.before
        self.flips_data[s] += sample.raw_data
        self.flips_parity[s] += sample.raw_parity
        self.corrected[s] += sample.corrected
        self.uncorrectable[s] += len(sample.flagged)
        for t, weight, plane in region.addresses(sample.left // region.code.n, sample.left % region.code.n):
            dtype = self.reads[t].dtype
            np.bitwise_xor.at(
                self.reads[t][s], weight, np.left_shift(np.ones(len(plane), dtype=dtype), plane.astype(dtype))
            )
        if region.code.policy == "reload":
            self.reload_wait_s[s] += len(sample.flagged) * self.memory.reload_word_s(region)
        if region.code.policy == "zero" and len(sample.flagged):
            self.zeroed.append((s, region, sample.flagged))
