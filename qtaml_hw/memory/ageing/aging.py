"""One fault map under a command log: weak cells drawn, aged lazily, corrected, and read out at the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qtaml_hw.arrays import Codes, Float64, Int64, Uint8
from qtaml_hw.faults import TENSORS, MapKey, flip, flip_structured, weak_cells
from qtaml_hw.memory.ageing.counts import Aged, Counts, Reload
from qtaml_hw.memory.ageing.histories import Histories
from qtaml_hw.memory.ageing.history import History
from qtaml_hw.memory.ageing.kernels import WORD, CellsOfWords, Groups, Place, count_differences, scan_plane
from qtaml_hw.memory.ageing.memoryless import MemorylessWords, lifetime_key
from qtaml_hw.memory.ageing.profile import unit_of_words
from qtaml_hw.memory.ageing.regions import CodeRegion
from qtaml_hw.memory.ageing.words import FixedWords, WordCells, WordCounts, WordSample, WordState
from qtaml_hw.memory.cells import FixedCells

DENSE_FROM = 1e-3  # flip probability from which whole planes are flipped at once instead of listing their weak cells
EPOCH_SEED = 0x9E3779B97F4A7C15  # odd constant (golden ratio) that separates the seeds of a poisson memory's rewrites


@dataclass(frozen=True, eq=False)
class _Epoch:
    """A stretch between rewrites: its number, its fault map, the worst word's p, and weak cells of words by region."""

    number: int
    key: MapKey
    worst_word: float
    cells: dict[int, list[WordCells]]


@dataclass(frozen=True, eq=False)
class _Planes:
    """The planes of one tensor: entries in use of each, and thresholds [samples, slots, banks * bins, 2] of each."""

    used: list[Uint8]
    thresholds: list[Float64]


class Aging:
    """One fault map of an image in its array, aged once.

    Parameters: the histories of its rows under its cells, the key of the map, and the code that stands for weight zero.
    """

    def __init__(self, histories: Histories, key: MapKey, zero_code: int) -> None:
        self.histories, self.laid_out, self.exposure = histories, histories.laid_out, histories.exposure
        self.key, self.zero_code, self.law = key, zero_code, histories.law
        self.samples = self.laid_out.samples
        entries = self.laid_out.plan.entries
        self.free = [i for i, item in enumerate(entries) if item.code is None]
        self.slots = np.full(len(entries), WORD, dtype=np.int64)
        self.slots[self.free] = np.arange(len(self.free))
        self.written = self._written()
        self.reads = self._copies() if self.written is None else [w.copy() for w in self.written]
        self.flips_data, self.flips_parity, self.corrected, self.uncorrectable = np.zeros(
            (4, self.samples), dtype=np.int64
        )
        self.total = WordCounts()
        self.corrections = np.zeros((self.samples, 4), dtype=np.int64)  # as WordCounts, up to each sample
        self.sampled: dict[tuple[int, int, int], int] = {}  # samples seen so far by (region, tensor key, group)
        self.reloaded_bits, self.reload_s = 0, 0.0
        self.reload_wait_s = np.zeros(self.samples)
        self.zeroed: list[tuple[int, CodeRegion, Int64]] = []
        self.word_unit = {
            r.index: unit_of_words(r, self.laid_out.layout, histories.bins) for r in self.laid_out.regions
        }

    def age(self) -> Aged:
        """Everything: bits that nothing corrects, ECC words, zeroed words."""
        for number in range(self.histories.epochs):
            seed = (self.key.seed + number * EPOCH_SEED) % 2**63 if number and self.law == "poisson" else self.key.seed
            self._age_epoch(number, replace(self.key, seed=seed))
        for sample, region, words in sorted(self.zeroed, key=lambda z: z[1].entry.zeroes_weight):  # whole weights last
            self._zero(sample, region, words)
        counts = Counts(
            flips_data=self.flips_data,
            flips_parity=self.flips_parity,
            flips_read=self._flips_read(),
            words_corrected=self.corrected,
            words_uncorrectable=self.uncorrectable,
            corrections=self.corrections,
            over_horizon=self.total,
        )
        read_out = tuple(tuple(reads[s] for reads in self.reads) for s in range(self.samples))
        return Aged(
            read_out, counts, Reload(self.total.reloaded, self.reloaded_bits, self.reload_s, self.reload_wait_s)
        )

    def _zero(self, sample: int, region: CodeRegion, words: Int64) -> None:
        """Read the weights, or the bits, of flagged words as zero."""
        for t, weight, plane in region.data_addresses(words):
            if region.entry.zeroes_weight:
                self.reads[t][sample, weight] = self.zero_code
            else:
                dtype = self.reads[t].dtype
                keep = ~np.left_shift(np.ones(len(plane), dtype=dtype), plane.astype(dtype))
                np.bitwise_and.at(self.reads[t][sample], weight, keep)

    def _flips_read(self) -> Int64:
        """Weight bits wrong as read, per sample."""
        right = self.laid_out.codes if self.written is None else self.written
        pairs = list(zip(self.reads, right, strict=True))
        return np.array(
            [sum(count_differences(r[s], c if c.ndim == 1 else c[s]) for r, c in pairs) for s in range(self.samples)],
            dtype=np.int64,
        )

    # ---- what the memory should hold

    def _copies(self) -> list[Codes]:
        """Writable copies [samples, weights] of every tensor's first codes."""
        return [np.repeat(codes[None, :], self.samples, axis=0) for codes in self.laid_out.codes]

    def _written(self) -> list[Codes] | None:
        """[samples, weights] of every tensor: the codes that the memory should hold; None where they never change."""
        laid_out, layout, log = self.laid_out, self.laid_out.layout, self.histories.log
        if not laid_out.changes:
            return None
        out = self._copies()
        for t, first in enumerate(layout.tensor_starts[:-1].tolist()):
            bank = layout.bank_of(first + np.arange(laid_out.codes[t].size))
            for s, sample_s in enumerate(laid_out.schedule.sample_times_s):
                rewrites = [laid_out.rewrites_before(sample_s, w) for w in log.write_s]
                held = [self.histories.image(t, s + 1 if self.histories.streamed[t] else n) for n in rewrites]
                for number in sorted(set(held) - {0}):
                    mine = np.isin(bank, [b for b, h in enumerate(held) if h == number])
                    out[t][s, mine] = laid_out.images[number][t][mine]
                if len(set(held)) > 1:
                    self._written_words(out[t][s], t, held)
        return out

    def _written_words(self, codes: Codes, tensor: int, held: Sequence[int]) -> None:
        """Bits of words that lie in another bank than their weight follow the words' bank; images by bank."""
        layout = self.laid_out.layout
        for region in self.laid_out.regions:
            home = np.where(region.tensor == tensor, region.group // layout.classes, -1)
            for bank in np.unique(home[home >= 0]).tolist():
                new = self.laid_out.images[held[bank]][tensor]
                for _, weight, plane in region.data_addresses(np.nonzero(home == bank)[0]):
                    for p in np.unique(plane).tolist():
                        mine, mask = weight[plane == p], codes.dtype.type(1 << p)
                        codes[mine] = (codes[mine] & ~mask) | (new[mine] & mask)

    # ---- bits that nothing corrects

    def _age_epoch(self, number: int, key: MapKey) -> None:
        laid_out, plan = self.laid_out, self.laid_out.plan
        word_history = self._word_histories(number)
        worst = self._worst([h for table in word_history.values() for h in table.values()])
        epoch = _Epoch(number, key, worst, {r.index: [] for r in laid_out.regions})
        entries = [plan.entries[i] for i in self.free]
        for t in range(plan.tensors):
            first, last = plan.tensor_groups(t)
            planes = _Planes(
                [np.unique(plan.choice[first:last, p]) for p in range(laid_out.planes)],
                [self.histories.thresholds(t, p, number, entries) for p in range(laid_out.planes)],
            )
            dense = self._flip_structured(t, key, planes.thresholds) or self._flip_dense(t, key, planes)
            for plane, (used, thresholds) in enumerate(zip(planes.used, planes.thresholds, strict=True)):
                loose = self.slots[used][self.slots[used] != WORD]
                p_max = 0.0 if plane in dense else float(thresholds[:, loose].max(initial=0.0))
                if len(loose) < len(used):
                    p_max = max(p_max, self._word_p(epoch, plane))
                if p_max > 0.0:
                    self._scan(epoch, t, plane, p_max, thresholds)
            self._parity(epoch, t)
        for region in laid_out.regions:
            for unit, history in word_history[region.index].items():
                seen = self.sampled.get((region.index, *unit), 0)
                self.sampled[region.index, *unit] = seen + int(np.count_nonzero(history.sample >= 0))
            self._age_words(region, epoch, word_history[region.index])

    def _worst(self, histories: Sequence[History]) -> float:
        """Largest probability that any of these histories reaches."""
        level = max((float(h.level.max()) for h in histories if len(h.level)), default=0.0)
        return -float(np.expm1(-level)) if self.law == "poisson" else level

    def _flip_dense(self, tensor: int, key: MapKey, planes: _Planes) -> list[int]:
        """Flip at once, and return, the planes whose bits all have one entry without words and one threshold.

        The same cells flip as when weak cells are listed (a cell flips when its U is below the threshold); only what is
        read once, before any rewrite, can be had this way.
        """
        codes, reads = self.laid_out.codes[tensor], self.reads[tensor]
        p = np.zeros((self.samples, 8 * codes.itemsize, 2))  # planes that are not used never flip
        dense = []
        for plane, (used, thresholds) in enumerate(zip(planes.used, planes.thresholds, strict=True)):
            if self.histories.epochs > 1 or len(used) > 1 or self.slots[used[0]] == WORD:
                continue
            levels = thresholds[:, self.slots[used[0]]]
            if levels.max(initial=0.0) >= DENSE_FROM and np.all(levels == levels[:, :1]):
                p[:, plane] = np.maximum(levels[:, 0], 0.0)
                dense.append(plane)
        for s in range(self.samples if dense else 0):
            flip(codes, p[s, :, 0], p[s, :, 1], key.of(tensor), out=reads[s])
            self.flips_data[s] += count_differences(reads[s], codes)
        return dense

    def _flip_structured(self, tensor: int, key: MapKey, tables: list[Float64]) -> list[int]:
        """Flip, and return, all planes where neighbouring cells depend on each other; none where they do not.

        A cell flips with its neighbours or is ideal; raises ValueError where bits lie in ECC words or have another p.
        """
        cell = self.exposure.cell
        if not isinstance(cell, FixedCells) or cell.structure is None:
            return []
        plan, planes = self.laid_out.plan, self.laid_out.planes
        codes, reads = self.laid_out.codes[tensor], self.reads[tensor]
        p = np.zeros((2, 8 * codes.itemsize))
        p[:, :planes] = cell.per_plane(planes)
        first, last = plan.tensor_groups(tensor)
        sizes = np.diff(plan.starts[first : last + 1])
        leaky = np.zeros((self.samples, codes.size), dtype=codes.dtype)
        for plane, thresholds in enumerate(tables):
            slot = self.slots[plan.choice[first:last, plane]]
            level = np.where(thresholds < 0.0, p[:, plane], thresholds)[:, slot[slot != WORD]]
            if self.histories.epochs > 1 or np.any(slot == WORD) or np.any(level != p[:, plane]):
                raise ValueError("flips that depend on each other need bits of one probability and without ECC words")
            flips = (thresholds[:, slot].max(axis=(2, 3)) > 0.0).astype(codes.dtype)
            leaky |= np.repeat(flips, sizes, axis=1) << codes.dtype.type(plane)
        flips = flip_structured(codes, p[0], p[1], cell.structure, key.of(tensor)) ^ codes
        for s in range(self.samples):
            reads[s] = codes ^ (flips & leaky[s])
            self.flips_data[s] += count_differences(reads[s], codes)
        return list(range(planes))

    def _word_p(self, epoch: _Epoch, plane: int) -> float:
        """Largest flip probability of a cell of an ECC word."""
        if isinstance(self.exposure.cell, FixedCells):
            return float(self.exposure.cell.per_plane(self.laid_out.planes)[:, plane].max())
        return epoch.worst_word

    def _scan(self, epoch: _Epoch, tensor: int, plane: int, p_max: float, thresholds: Float64) -> None:
        """List the weak cells of a plane, flip those that nothing corrects and keep those of words."""
        plan, layout = self.laid_out.plan, self.laid_out.layout
        codes = self.laid_out.images[self.histories.image(tensor, epoch.number)][tensor]
        weak = weak_cells(codes.size, plane, p_max, epoch.key.of(tensor))
        first, last = plan.tensor_groups(tensor)
        start = int(plan.tensor_starts[tensor])
        entry = np.ascontiguousarray(plan.choice[first:last, plane])
        kept = CellsOfWords.room(len(weak.position))
        count = scan_plane(
            weak,
            codes,
            Place(plane, start, layout.stride, layout.geometry.banks),
            self.histories.rows_of_plane(plane),
            Groups(plan.starts[first : last + 1] - start, entry, self.slots),
            thresholds,
            (self.reads[tensor], self.flips_data),
            kept,
        )
        for region in self.laid_out.regions:
            mine = kept.entry[:count] == region.index
            if mine.any():
                weight = kept.position[:count][mine]
                written = ((codes[weight] >> plane) & 1).astype(np.uint8)
                keys = region.keys(tensor, weight, np.full(len(weight), plane, dtype=np.int64))
                epoch.cells[region.index].append(WordCells(keys, kept.u[:count][mine], written))

    # ---- ECC words

    def _word_histories(self, number: int) -> dict[int, dict[tuple[int, int], History]]:
        """History of every (tensor key, unit) that holds words, by region."""
        key = self.histories.tensor_key.tolist()
        return {
            region.index: {
                (key[t], u): self.histories.history(t, u, number, words=True)
                for t, u in region.units(self.word_unit[region.index])
            }
            for region in self.laid_out.regions
        }

    def _parity(self, epoch: _Epoch, tensor: int) -> None:
        """Weak check cells of a tensor."""
        total = int(self.laid_out.layout.parity_bits[tensor])
        p_max = self._word_p(epoch, self.laid_out.planes - 1)
        if not total or not p_max > 0.0:
            return
        weak = weak_cells(total, 0, p_max, epoch.key.of(TENSORS["parity"].number(tensor)))
        for region in self.laid_out.regions_of_images[self.histories.image(tensor, epoch.number)]:
            mine, keys, written = region.parity_cells(tensor, weak.position)
            epoch.cells[region.index].append(WordCells(keys, weak.u[mine], written))

    def _age_words(self, region: CodeRegion, epoch: _Epoch, histories: dict[tuple[int, int], History]) -> None:
        if not epoch.cells[region.index]:
            return
        cells = WordCells.sorted(epoch.cells[region.index])
        word = cells.key // region.code.n
        units_each = self.histories.units
        unit = self.word_unit[region.index][word] + self.histories.tensor_key[region.tensor[word]] * units_each
        alike: dict[tuple[bytes, int], list[int]] = {}
        for (t, u), history in histories.items():
            later = self.sampled[region.index, t, u]
            alike.setdefault((history.key, later), []).append(u + t * units_each)
        by_unit = {u + t * units_each: h for (t, u), h in histories.items()}
        for (_, later), units in alike.items():
            chosen = np.isin(unit, units)
            mine = cells if chosen.all() else cells.select(chosen)
            outcome = self._state(region, mine, epoch.key).run(by_unit[units[0]])
            self.total = self.total.plus(outcome.counts)
            self.corrections[later:] += outcome.counts
            self.reloaded_bits += outcome.counts.reloaded * region.code.k
            self.reload_s += outcome.counts.reloaded * self.laid_out.reload_word_s(region)
            for sample in outcome.samples:
                self._apply(region, sample)

    def _state(self, region: CodeRegion, cells: WordCells, key: MapKey) -> WordState:
        """Words ready to age under the cell's law."""
        code, leaky = region.code, self.exposure.leaky_state
        if self.law == "retention":
            return WordState(code, cells, leaky, region.word_bits)
        if self.law == "poisson":
            return MemorylessWords(code, cells, leaky, region.word_bits, lifetime_key(key, region.index))
        return FixedWords(code, cells, region.word_bits, self._fixed_p(region, cells))

    def _fixed_p(self, region: CodeRegion, cells: WordCells) -> Float64:
        """P(read flipped) of every cell given what was written; check cells take the top plane's."""
        assert isinstance(self.exposure.cell, FixedCells)
        word, position = np.divmod(cells.key, region.code.n)
        plane = np.full(len(word), self.laid_out.planes - 1, dtype=np.int64)
        data = np.nonzero(position < region.code.k)[0]
        tensor = region.tensor[word[data]]
        for t in np.unique(tensor).tolist():
            mine = data[tensor == t]
            plane[mine] = region.layouts[t].address(word[mine] - region.word_starts[t], position[mine])[1]
        p: Float64 = self.exposure.cell.per_plane(self.laid_out.planes)[cells.written, plane]
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
            self.reload_wait_s[s] += len(sample.flagged) * self.laid_out.reload_word_s(region)
        if region.code.policy == "zero" and len(sample.flagged):
            self.zeroed.append((s, region, sample.flagged))
