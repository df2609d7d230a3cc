"""One fault map under a command log: weak cells drawn, aged lazily, corrected, and read out at the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qtaml_hw.arrays import Float64
from qtaml_hw.faults import TENSORS, MapKey, flip, flip_structured, second_uniforms, weak_cells
from qtaml_hw.memory.ageing.at_once import flip_at_once
from qtaml_hw.memory.ageing.counts import Aged
from qtaml_hw.memory.ageing.exposure import Exposure
from qtaml_hw.memory.ageing.histories import Histories
from qtaml_hw.memory.ageing.history import History
from qtaml_hw.memory.ageing.kernels import WORD, AgeingCells, CellsOfWords, Groups, Place, scan_plane
from qtaml_hw.memory.ageing.memoryless import MemorylessWords, lifetime_key
from qtaml_hw.memory.ageing.profile import unit_of_words
from qtaml_hw.memory.ageing.regions import CodeRegion
from qtaml_hw.memory.ageing.tally import Tally
from qtaml_hw.memory.ageing.words import FixedWords, WordCells, WordState
from qtaml_hw.memory.cells import CellModel, FixedCells

DENSE_FROM = 1e-3  # flip probability from which whole planes are flipped at once instead of listing their weak cells
EPOCH_SEED = 0x9E3779B97F4A7C15  # odd constant (golden ratio) that separates the seeds of a poisson memory's rewrites


@dataclass(frozen=True, eq=False)
class _Epoch:
    """A stretch between rewrites: its number, fault map, the worst word's p [strata], weak cells of words by region."""

    number: int
    key: MapKey
    worst_word: Float64
    cells: dict[int, list[WordCells]]


class Ageing:
    """One fault map of an image in its array, aged once.

    Parameters: the histories of its rows under its cells, the key of the map, and the code that stands for weight zero.
    """

    def __init__(self, histories: Histories, key: MapKey, zero_code: int) -> None:
        self.histories, self.laid_out = histories, histories.laid_out
        self.key, self.law = key, histories.law
        entries = self.laid_out.plan.entries
        self.free = [i for i, item in enumerate(entries) if item.code is None]
        self.slots = np.full(len(entries), WORD, dtype=np.int64)
        self.slots[self.free] = np.arange(len(self.free))
        self.tally = Tally(self.laid_out, histories.should_hold(), zero_code)
        self.sampled: dict[tuple[int, int, int], int] = {}  # samples seen so far by (region, tensor key, group)
        self.word_unit = {
            r.index: unit_of_words(r, self.laid_out.layout, histories.bins) for r in self.laid_out.regions
        }

    def age(self) -> Aged:
        """Everything: bits that nothing corrects, ECC words, zeroed words."""
        if self.histories.levels is not None:
            flip_at_once(self.laid_out, self.histories.levels, self.key, self.tally)
            return self.tally.result()
        for number in range(self.histories.epochs):
            seed = (self.key.seed + number * EPOCH_SEED) % 2**63 if number and self.law == "poisson" else self.key.seed
            self._age_epoch(number, replace(self.key, seed=seed))
        return self.tally.result()

    # ---- bits that nothing corrects

    def _age_epoch(self, number: int, key: MapKey) -> None:
        laid_out, plan = self.laid_out, self.laid_out.plan
        word_history = self._word_histories(number)
        worst = self._worst([h for table in word_history.values() for h in table.values()])
        epoch = _Epoch(number, key, worst, {r.index: [] for r in laid_out.regions})
        entries = [plan.entries[i] for i in self.free]
        for t in range(plan.tensors):
            tables = [self.histories.thresholds(t, p, number, entries) for p in range(laid_out.planes)]
            dense = self._flip_structured(t, key, tables) or self._flip_dense(t, key)
            for plane, (used, thresholds) in enumerate(zip(laid_out.used[t], tables, strict=True)):
                loose = self.slots[used][self.slots[used] != WORD]
                p_max = thresholds[:, loose].max(axis=(0, 1, 2, 3), initial=0.0) * (plane not in dense)
                if len(loose) < len(used):
                    p_max = np.maximum(p_max, self._word_p(epoch, plane))
                if p_max.any():
                    self._scan(epoch, t, plane, p_max, thresholds)
            self._parity(epoch, t)
        for region in laid_out.regions:
            for unit, history in word_history[region.index].items():
                seen = self.sampled.get((region.index, *unit), 0)
                self.sampled[region.index, *unit] = seen + int(np.count_nonzero(history.sample >= 0))
            self._age_words(region, epoch, word_history[region.index])

    def _worst(self, histories: Sequence[History]) -> Float64:
        """[strata]: largest probability that any of these histories reaches."""
        level = np.zeros(len(self.histories.strata) - 1)
        for history in histories:
            level = np.maximum(level, history.level.max(axis=0, initial=0.0))
        return np.asarray(-np.expm1(-level)) if self.law == "poisson" else level

    def _weak(self, cells: int, plane: int, p_max: Float64, key: MapKey) -> AgeingCells:
        """The cells of a plane that are lost at ``p_max`` [strata]."""
        weak = weak_cells(cells, plane, float(p_max.max()), key)
        if len(p_max) == 1:
            return AgeingCells(weak.position, weak.u, np.zeros(len(weak.u), dtype=np.uint8))
        v = second_uniforms(weak.position, plane, key)
        stratum = (np.searchsorted(self.histories.strata, v, side="right") - 1).astype(np.uint8)
        lost = weak.u < p_max[stratum]
        return AgeingCells(weak.position[lost], weak.u[lost], stratum[lost])

    def _flip_dense(self, tensor: int, key: MapKey) -> tuple[int, ...]:
        """Flip at once, and return, the planes whose cells all flip alike and often.

        The same cells flip as when weak cells are listed (a cell flips when its U is below the threshold); only what is
        read once, before any rewrite, can be had this way.
        """
        codes, dense = self.laid_out.codes[tensor], self.histories.alike(tensor).at_least(DENSE_FROM)
        for s, p in enumerate(dense.p if dense.planes else ()):
            flip(codes, p[:, 0], p[:, 1], key.of(tensor), out=self.tally.reads[tensor][s])
            self.tally.flipped(tensor, s, codes)
        return dense.planes

    def _flip_structured(self, tensor: int, key: MapKey, tables: list[Float64]) -> tuple[int, ...]:
        """Flip, and return, all planes where neighbouring cells depend on each other; none where they do not.

        A cell flips with its neighbours or is ideal; raises ValueError where bits lie in ECC words or have another p.
        """
        cell = self.histories.exposure_of(0).cell
        if not isinstance(cell, FixedCells) or cell.structure is None:
            return ()
        plan, planes, samples = self.laid_out.plan, self.laid_out.planes, self.laid_out.samples
        codes = self.laid_out.codes[tensor]
        p = np.zeros((2, 8 * codes.itemsize))
        p[:, :planes] = cell.per_plane(planes)
        first, last = plan.tensor_groups(tensor)
        sizes = np.diff(plan.starts[first : last + 1])
        leaky = np.zeros((samples, codes.size), dtype=codes.dtype)
        for plane, thresholds in enumerate(tables):
            slot = self.slots[plan.choice[first:last, plane]]
            level = np.where(thresholds < 0.0, p[:, plane, None], thresholds)[:, slot[slot != WORD]]
            if self.histories.epochs > 1 or np.any(slot == WORD) or np.any(level != p[:, plane, None]):
                raise ValueError("flips that depend on each other need bits of one probability and without ECC words")
            flips = (thresholds[:, slot].max(axis=(2, 3, 4)) > 0.0).astype(codes.dtype)
            leaky |= np.repeat(flips, sizes, axis=1) << codes.dtype.type(plane)
        flips = flip_structured(codes, p[0], p[1], cell.structure, key.of(tensor)) ^ codes
        for s in range(samples):
            self.tally.reads[tensor][s] = codes ^ (flips & leaky[s])
            self.tally.flipped(tensor, s, codes)
        return tuple(range(planes))

    def _word_p(self, epoch: _Epoch, plane: int) -> Float64:
        """[strata]: largest flip probability of a cell of an ECC word."""
        cell = self.histories.exposure_of(plane).cell
        if isinstance(cell, FixedCells):
            return np.asarray(cell.per_plane(self.laid_out.planes)[:, plane].max(keepdims=True))
        return epoch.worst_word

    def _scan(self, epoch: _Epoch, tensor: int, plane: int, p_max: Float64, thresholds: Float64) -> None:
        """List the weak cells of a plane, flip those that nothing corrects and keep those of words."""
        plan, layout = self.laid_out.plan, self.laid_out.layout
        codes = self.laid_out.images[self.histories.image(tensor, epoch.number)][tensor]
        weak = self._weak(codes.size, plane, p_max, epoch.key.of(tensor))
        first, last = plan.tensor_groups(tensor)
        start = int(plan.tensor_starts[tensor])
        entry = np.ascontiguousarray(plan.choice[first:last, plane])
        kept = CellsOfWords.room(len(weak.position))
        count = scan_plane(
            weak,
            codes,
            Place(
                plane,
                int(layout.first_bits[tensor]),
                int(layout.weight_bits[tensor]),
                layout.stride,
                layout.geometry.banks,
            ),
            self.histories.rows_of_plane(plane),
            Groups(plan.starts[first : last + 1] - start, entry, self.slots),
            thresholds,
            (self.tally.reads[tensor], self.tally.flips_data),
            kept,
        )
        for region in self.laid_out.regions:
            mine = kept.entry[:count] == region.index
            if mine.any():
                weight = kept.position[:count][mine]
                written = ((codes[weight] >> plane) & 1).astype(np.uint8)
                keys = region.keys(tensor, weight, np.full(len(weight), plane, dtype=np.int64))
                u, stratum = kept.u[:count][mine], kept.stratum[:count][mine]
                epoch.cells[region.index].append(WordCells(keys, u, stratum, written))

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
        p_max = np.maximum.reduce([self._word_p(epoch, plane) for plane in self._homes_of_parity])
        if not total or not p_max.any():
            return
        weak = self._weak(total, 0, p_max, epoch.key.of(TENSORS["parity"].number(tensor)))
        for region in self.laid_out.regions_of_images[self.histories.image(tensor, epoch.number)]:
            mine, keys, written = region.parity_cells(tensor, weak.position)
            epoch.cells[region.index].append(WordCells(keys, weak.u[mine], weak.stratum[mine], written))

    @property
    def _homes_of_parity(self) -> list[int]:
        """The top plane of every row class, beside which check cells may lie."""
        of_plane = self.laid_out.layout.class_of_plane.tolist()
        return [max(p for p, c in enumerate(of_plane) if c == row_class) for row_class in sorted(set(of_plane))]

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
            row_class = u // self.histories.bins.bins % self.laid_out.layout.classes
            own = bytes([row_class]) if self.histories.cells.of_classes else b""
            alike.setdefault((own + history.key, later), []).append(u + t * units_each)
        by_unit = {u + t * units_each: h for (t, u), h in histories.items()}
        for (_, later), units in alike.items():
            chosen = np.isin(unit, units)
            mine = cells if chosen.all() else cells.select(chosen)
            row_class = (units[0] % units_each) // self.histories.bins.bins % self.laid_out.layout.classes
            exposure = self.histories.of_classes[row_class]
            outcome = self._state(region, mine, exposure, epoch.key).run(by_unit[units[0]])
            self.tally.words(region, outcome, later, self.laid_out.reload_word_s(region))

    def _state(self, region: CodeRegion, cells: WordCells, exposure: Exposure, key: MapKey) -> WordState:
        """Words ready to age under their cells' law."""
        code, leaky = region.code, exposure.leaky_state
        if exposure.law == "retention":
            return WordState(code, cells, leaky, region.word_bits)
        if exposure.law == "poisson":
            return MemorylessWords(code, cells, leaky, region.word_bits, lifetime_key(key, region.index))
        return FixedWords(code, cells, region.word_bits, self._fixed_p(region, cells, exposure.cell))

    def _fixed_p(self, region: CodeRegion, cells: WordCells, cell: CellModel) -> Float64:
        """P(read flipped) of every cell given what was written; check cells take the top plane's."""
        assert isinstance(cell, FixedCells)
        word, position = np.divmod(cells.key, region.code.n)
        plane = np.full(len(word), self.laid_out.planes - 1, dtype=np.int64)
        data = np.nonzero(position < region.code.k)[0]
        tensor = region.tensor[word[data]]
        for t in np.unique(tensor).tolist():
            mine = data[tensor == t]
            plane[mine] = region.layouts[t].address(word[mine] - region.word_starts[t], position[mine])[1]
        p: Float64 = cell.per_plane(self.laid_out.planes)[cells.written, plane]
        return p
