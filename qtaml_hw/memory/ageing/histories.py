"""Histories and thresholds of every refresh group under one cell model: from a command log, or from a plan alone.

They are the same for every fault map.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from qtaml_hw.arrays import Codes, Float64
from qtaml_hw.channel import Keeping
from qtaml_hw.memory.ageing.alike import AlikePlanes, Levels
from qtaml_hw.memory.ageing.exposure import Exposure
from qtaml_hw.memory.ageing.history import History, Mark, Visits, build_history, sample_thresholds
from qtaml_hw.memory.ageing.kernels import RowsOfPlane
from qtaml_hw.memory.ageing.visited import NONE, Visited
from qtaml_hw.memory.cells import CellModel, Cells, FixedCells
from qtaml_hw.memory.traffic.rows import RowMap
from qtaml_hw.memory.traffic.schedule import Schedule
from qtaml_hw.protection import MenuEntry


class Histories:
    """What every stretch of rows lived through, looked up by (tensor, refresh group); filled when asked.

    Parameters: the commands by unit of rows, and the cells of a chip.
    """

    def __init__(self, visited: Visited, cells: Cells) -> None:
        self.visited, self.cells = visited, cells
        self.laid_out, self.log, self.bins = visited.laid_out, visited.log, visited.bins
        laid_out = self.laid_out
        self.layout, self.schedule, self.samples = laid_out.layout, laid_out.schedule, laid_out.samples
        self._exposures: dict[tuple[int, Keeping | None], Exposure] = {}
        self.of_classes = [self.exposure_under(None, row_class) for row_class in range(self.layout.classes)]
        laws = {exposure.law for exposure in self.of_classes}
        if len(laws) > 1 and "poisson" in laws:
            raise ValueError("memoryless cells and others do not go together in one memory")
        if len({len(exposure.strata) for exposure in self.of_classes}) > 1:
            raise ValueError("cells of some planes change order over the phases, and those of other planes do not")
        self.law = "retention" if len(laws) > 1 else self.of_classes[0].law
        self.strata = self.of_classes[0].strata
        # whether cells, or what they hold, are others after a write
        self.split = self.law == "poisson" or laid_out.changes
        self.streamed, self.tensor_key = visited.streamed, visited.tensor_key
        self._histories: dict[tuple[int, int, bool, Keeping | None], list[History]] = {}
        self._built: dict[tuple[int, Keeping | None, bytes], list[History]] = {}  # of rows that the same commands touch
        self._thresholds: dict[tuple[int, int, int], Float64] = {}
        self._alike: dict[int, AlikePlanes] = {}

    def exposure_under(self, keeping: Keeping | None, row_class: int) -> Exposure:
        """The cells of planes of a row class that are kept so (None: as the rest) over the schedule."""
        if (row_class, keeping) not in self._exposures:
            cells = self.cells.of_class(row_class).under(keeping)
            self._exposures[row_class, keeping] = Exposure(cells.model, self.schedule, cells.phases)
        return self._exposures[row_class, keeping]

    def exposure_of(self, plane: int) -> Exposure:
        """The cells of a plane over the schedule."""
        return self.of_classes[int(self.layout.class_of_plane[plane])]

    @property
    def epochs(self) -> int:
        """Stretches between rewrites that are aged apart: memoryless cells start afresh, new weights are others."""
        writes = [len(times) for times in self.log.write_s] + [self.samples] * bool(self.streamed.any())
        return 1 + max(writes) if self.split else 1

    @property
    def units(self) -> int:
        """Refresh groups times bins."""
        return self.layout.groups * self.bins.bins

    def image(self, tensor: int, epoch: int) -> int:
        """Number of the image that a tensor holds in an epoch."""
        if not epoch or not self.laid_out.changes:
            return 0
        if not self.streamed[tensor]:
            return self.laid_out.after(min(epoch, len(self.schedule.rewrites_s)))
        return self.laid_out.newest(float(self.visited.tile_writes(tensor)[epoch - 1])) if epoch <= self.samples else 0

    def rows_of_plane(self, plane: int) -> RowsOfPlane:
        """The rows of a plane's class and their bins."""
        row_class = int(self.layout.class_of_plane[plane])
        bin_of = np.ascontiguousarray(self.bins.bin_of[row_class :: self.layout.classes])
        if self.bins.bins == 1:
            return RowsOfPlane(bin_of, 1, 1, 1)
        rows = RowMap(self.layout)
        return RowsOfPlane(bin_of, int(rows.used[row_class]), rows.per_bank, self.bins.bins)

    def history(self, tensor: int, unit: int, epoch: int, *, words: bool, keeping: Keeping | None = None) -> History:
        """History of a tensor's bits in a unit, kept so; reads of a tensor only matter where they restore."""
        key = (int(self.tensor_key[tensor]), unit, words, keeping)
        if key not in self._histories:
            visits = self.visited.visits(
                tensor, unit, words=words, factor=1.0 if keeping is None else keeping.refresh_factor
            )
            row_class = self.visited.class_of(unit)
            alike = row_class, keeping, visits.key
            if alike not in self._built:
                whole = build_history(visits, self.exposure_under(keeping, row_class))
                self._built[alike] = whole.epochs(cumulative=self.law == "poisson") if self.split else [whole]
            self._histories[key] = self._built[alike]
        epochs = self._histories[key]
        return epochs[epoch] if epoch < len(epochs) else epochs[0].select(slice(0))

    def should_hold(self) -> list[list[Codes]]:
        """[samples][tensors]: the codes that the memory should hold at every sample."""
        laid_out, layout = self.laid_out, self.layout
        if not laid_out.changes:
            return [list(laid_out.codes)] * self.samples
        starts = layout.tensor_starts.tolist()
        banks = [layout.bank_of(np.arange(first, end)) for first, end in pairwise(starts)]
        out = []
        for s, sample_s in enumerate(self.schedule.sample_times_s):
            rewrites = [laid_out.rewrites_before(sample_s, w) for w in self.log.write_s]
            sample = [codes.copy() for codes in laid_out.codes]
            for t, (codes, bank) in enumerate(zip(sample, banks, strict=True)):
                held = [self.image(t, s + 1 if self.streamed[t] else n) for n in rewrites]
                for number in sorted(set(held) - {0}):
                    mine = np.isin(bank, [b for b, h in enumerate(held) if h == number])
                    codes[mine] = laid_out.images[number][t][mine]
                if len(set(held)) > 1:
                    self._follow_words(codes, t, held)
            out.append(sample)
        return out

    def _follow_words(self, codes: Codes, tensor: int, held: Sequence[int]) -> None:
        """Bits of words that lie in another bank than their weight follow the words' bank; ``held`` images by bank."""
        for region in self.laid_out.regions:
            home = np.where(region.tensor == tensor, region.group // self.layout.classes, -1)
            for bank in np.unique(home[home >= 0]).tolist():
                new = self.laid_out.images[held[bank]][tensor]
                for _, weight, plane in region.data_addresses(np.nonzero(home == bank)[0]):
                    for p in np.unique(plane).tolist():
                        mine, mask = weight[plane == p], codes.dtype.type(1 << p)
                        codes[mine] = (codes[mine] & ~mask) | (new[mine] & mask)

    def thresholds(self, tensor: int, plane: int, epoch: int, items: Sequence[MenuEntry]) -> Float64:
        """[samples, items, banks * bins, 2, strata] thresholds of a plane by written bit, for entries without words.

        -1 for entries that never flip, and where the sample is not in the epoch.
        """
        row_class = int(self.layout.class_of_plane[plane])
        same = plane if self.of_classes[row_class].law == "fixed" else -1 - row_class
        key = (int(self.tensor_key[tensor]), same, epoch)
        if key not in self._thresholds:
            places = self.layout.geometry.banks * self.bins.bins
            out = np.full((self.samples, len(items), places, 2, len(self.strata) - 1), -1.0)
            for slot, item in enumerate(items):
                if not item.never_flips:
                    self._fill(out[:, slot], tensor, plane, epoch, item)
            self._thresholds[key] = out
        return self._thresholds[key]

    def alike(self, tensor: int) -> AlikePlanes:
        """The planes of a tensor whose cells all flip alike; none where cells are rewritten."""
        if tensor not in self._alike:
            self._alike[tensor] = self._found_alike(tensor)
        return self._alike[tensor]

    def _found_alike(self, tensor: int) -> AlikePlanes:
        laid_out, plan = self.laid_out, self.laid_out.plan
        free = [i for i, item in enumerate(plan.entries) if item.code is None]
        entries = [plan.entries[i] for i in free]
        p, planes = np.zeros((self.samples, 8 * laid_out.codes[tensor].itemsize, 2)), []
        for plane in range(laid_out.planes if self.epochs == 1 else 0):
            used = laid_out.used[tensor][plane].tolist()
            if len(used) > 1 or used[0] not in free:
                continue
            levels = self.thresholds(tensor, plane, 0, entries)[:, free.index(used[0])]
            if np.all(levels == levels[:, :1, :, :1]):
                p[:, plane] = np.maximum(levels[:, 0, :, 0], 0.0)
                planes.append(plane)
        return AlikePlanes(tuple(planes), p)

    @cached_property
    def levels(self) -> Levels | None:
        """What flips every cell, where all under an entry flip alike and words are only read; None elsewhere."""
        laid_out, plan = self.laid_out, self.laid_out.plan
        if self.epochs > 1 or not self.samples or self._structured:
            return None
        words = self._word_levels()
        if words is None:
            return None
        free = [i for i, item in enumerate(plan.entries) if item.code is None]
        entries, of_entry = [plan.entries[i] for i in free], {}
        apart = np.unique(self.tensor_key, return_index=True)[1].tolist()
        for slot, entry in enumerate(free):
            p = of_entry[entry] = np.zeros_like(words[0])
            before: list[Float64] = []
            for plane in range(laid_out.planes):
                known = [self.thresholds(t, plane, 0, entries) for t in apart]
                if [*map(id, known)] != [*map(id, before)]:  # planes of a class share theirs
                    alike = known[0][:, slot, :1, :, :1]
                    if not all(np.all(levels[:, slot] == alike) for levels in known):
                        return None
                    before = known
                p[:, plane] = np.maximum(alike[:, 0, :, 0], 0.0)
        return Levels(of_entry, *words)

    def _word_levels(self) -> tuple[Float64, Float64] | None:
        """The same of ECC words: of data bits by plane [samples, bits, 2], and of check bits [samples, 8, 2]."""
        laid_out = self.laid_out
        p = np.zeros((self.samples, max(8 * codes.itemsize for codes in laid_out.codes), 2))
        checks = np.zeros((self.samples, 8, 2))
        if not laid_out.regions:
            return p, checks
        histories = {unit: self.history(*unit, 0, words=True) for unit in self.visited.units_of_words}
        laws = {exposure.law for exposure in self.of_classes}
        if any(np.any(history.kind != Mark.SAMPLE) for history in set(histories.values())) or len(laws) > 1:
            return None
        if laws == {"fixed"} and len(self.of_classes) == 1:
            cell = self.of_classes[0].cell
            assert isinstance(cell, FixedCells)
            p[:, : laid_out.planes] = cell.per_plane(laid_out.planes).T
            checks[:, 0] = p[:, laid_out.planes - 1]  # beside the top plane
            return p, checks
        if laws != {"retention"}:
            return None
        classes = {history: self.visited.class_of(unit) for (_, unit), history in histories.items()}
        leaky = {self.of_classes[row_class].leaky_state for row_class in classes.values()}
        found = [sample_thresholds(h, self.of_classes[c], self.samples) for h, c in classes.items()]
        if len(leaky) > 1 or any(np.any(levels != found[0][:, :1]) for levels in found):
            return None
        for state in (0, 1):
            if not leaky.isdisjoint((state, "both")):
                checks[:, 0, state] = found[0][:, 0]
        p[:, : laid_out.planes] = checks[:, :1]
        return p, checks

    @property
    def _structured(self) -> bool:
        """Whether any cell flips with its neighbours."""
        cells = [one.cell for one in self.of_classes]
        return any(isinstance(cell, FixedCells) and cell.structure is not None for cell in cells)

    def whole(self) -> tuple[AlikePlanes, ...] | None:
        """Of every tensor, where no plane of any is otherwise and no cell flips with its neighbours; else None."""
        if self.laid_out.regions or self._structured:
            return None
        tensors = tuple(self.alike(t) for t in range(self.laid_out.plan.tensors))
        return tensors if all(len(t.planes) == self.laid_out.planes for t in tensors) else None

    def _fill(self, out: Float64, tensor: int, plane: int, epoch: int, item: MenuEntry) -> None:
        """[samples, banks * bins, 2, strata] thresholds under one entry; nothing where no row is kept so."""
        row_class = int(self.layout.class_of_plane[plane])
        if self.layout.lane(row_class, item.refresh_factor) is None:
            return
        exposure = self.exposure_under(item.keeping, row_class)
        if isinstance(exposure.cell, FixedCells):
            fixed = exposure.cell.per_plane(self.layout.planes)[:, plane, None]
            for unit, places in self.visited.units_of_class(tensor, row_class, 1.0):
                history = self.history(tensor, unit, epoch, words=False)
                out[np.ix_(history.sample[history.sample >= 0], places)] = fixed
            return
        leaky = exposure.leaky_state
        if leaky is None:
            return
        states = [0, 1] if leaky == "both" else [leaky]
        for unit, places in self.visited.units_of_class(tensor, row_class, item.refresh_factor):
            history = self.history(tensor, unit, epoch, words=False, keeping=item.keeping)
            out[:, places[:, None], states] = sample_thresholds(history, exposure, len(out))[:, None, None]


def planned_flip_probability(cell: CellModel, schedule: Schedule) -> Float64:
    """P(lost) at the last sample of a leaky-state cell that nothing corrects, by row class: float64 [classes].

    Refresh, updates and phases are on time and nothing queues.  ``schedule.refresh_interval_s`` says the classes.
    Raises ValueError for cells of fixed probabilities, which know no time, and without a sample.
    """
    if isinstance(cell, FixedCells) or not schedule.sample_times_s:
        raise ValueError("planning ahead needs a cell that ages and a time at which it is read")
    given = schedule.refresh_interval_s
    intervals = given if isinstance(given, tuple) else (given,)
    exposure, last = Exposure(cell, schedule), np.array(schedule.sample_times_s[-1:])
    writes = np.array(schedule.rewrites_s, dtype=np.float64)
    out = np.empty(len(intervals))
    for row_class, interval_s in enumerate(intervals):
        visits = Visits(_refreshes(schedule, interval_s), NONE, NONE, writes[writes < last[0]], last)
        history = build_history(visits, exposure)
        if exposure.law == "poisson":
            history = history.epochs(cumulative=True)[-1]
        out[row_class] = sample_thresholds(history, exposure, 1)[0] @ exposure.shares
    return out


def _refreshes(schedule: Schedule, interval_s: float | None) -> Float64:
    """Multiples of an interval outside the phases that stop them."""
    if interval_s is None:
        return NONE
    ticks = int(schedule.horizon_s / interval_s * (1.0 + 1e-12))
    times: Float64 = np.arange(1, ticks + 1, dtype=np.float64) * interval_s
    for phase in schedule.phases:
        if not (phase.refresh and phase.powered):
            times = times[(times < phase.start_s) | (times >= phase.end_s)]
    return times
