"""Which commands touched which rows, and when: the same for every chip of a memory, whatever its cells."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.memory.ageing.history import Visits
from qtaml_hw.memory.ageing.laid_out import LaidOut
from qtaml_hw.memory.ageing.profile import unit_of_words
from qtaml_hw.memory.traffic.commands import CommandLog
from qtaml_hw.memory.traffic.rows import RowBins

NONE = np.empty(0, dtype=np.float64)


class Visited:
    """The commands of a log by tensor and unit of rows; looked up once.

    A unit is a refresh group and a bin of its rows, numbered ``group * bins + bin``.

    Parameters: the image in its array, the command log of its schedule, and the bins of the rows.
    """

    def __init__(self, laid_out: LaidOut, log: CommandLog, bins: RowBins) -> None:
        self.laid_out, self.log, self.bins = laid_out, log, bins
        self.layout, self.schedule = laid_out.layout, laid_out.schedule
        self.streamed = self.layout.residency.streamed
        own = self.streamed | any(map(self.layout.geometry.reads_destroy, range(self.layout.classes)))
        self.tensor_key = np.where(own, 1 + np.arange(len(own)), 0)  # tensors with a key of their own share no visits
        self._visits: dict[tuple[int, int, bool, float], Visits] = {}
        self._alike: dict[tuple[int, int, float], list[tuple[int, Int64]]] = {}

    @cached_property
    def units_of_words(self) -> list[tuple[int, int]]:
        """(tensor, unit) pairs that hold ECC words, one of those of a class that the same commands touch."""
        regions, apart = self.laid_out.regions, dict[tuple[int, bytes], tuple[int, int]]()
        for tensor, unit in sorted({u for r in regions for u in r.units(unit_of_words(r, self.layout, self.bins))}):
            apart.setdefault((self.class_of(unit), self.visits(tensor, unit, words=True).key), (tensor, unit))
        return list(apart.values())

    def units_of_class(self, tensor: int, row_class: int, factor: float) -> list[tuple[int, Int64]]:
        """(unit, places) of a tensor's bits in a class outside words: a unit of every history, and where they have it.

        A place is a bank and a bin, numbered ``bank * bins + bin``; ``factor`` as in :meth:`visits`.
        """
        key = int(self.tensor_key[tensor]), row_class, factor
        if key not in self._alike:
            alike: dict[bytes, list[int]] = {}
            units = [self._unit(place, row_class) for place in range(self.layout.geometry.banks * self.bins.bins)]
            for place, unit in enumerate(units):
                alike.setdefault(self.visits(tensor, unit, words=False, factor=factor).key, []).append(place)
            self._alike[key] = [(units[places[0]], np.array(places)) for places in alike.values()]
        return self._alike[key]

    def class_of(self, unit: int) -> int:
        """The row class of a unit."""
        return unit // self.bins.bins % self.layout.classes

    def _unit(self, place: int, row_class: int) -> int:
        bank, row_bin = divmod(place, self.bins.bins)
        return (bank * self.layout.classes + row_class) * self.bins.bins + row_bin

    def visits(self, tensor: int, unit: int, *, words: bool, factor: float = 1.0) -> Visits:
        """The commands that touched a tensor's bits in a unit; ``words``: its ECC words, also scrubbed.

        ``factor``: those of its rows that are refreshed so many times as often as the rest of their class.

        A streamed tensor is read from tiles that were written just before: every sample has such a write of its own.
        """
        key = int(self.tensor_key[tensor]), unit, words, factor
        if key not in self._visits:
            self._visits[key] = self._found(tensor, unit, words, factor)
        return self._visits[key]

    def _found(self, tensor: int, unit: int, words: bool, factor: float) -> Visits:
        (group, row_bin), log = divmod(unit, self.bins.bins), self.log
        bank, row_class = divmod(group, self.layout.classes)
        lane = self.layout.lane(row_class, factor)
        assert lane is not None
        place = bank * self.layout.lanes + lane
        refresh = log.refresh_s[place]
        if row_bin and lane < self.layout.classes:
            refresh = refresh[log.refresh_tick[place] % self.bins.multiples[row_bin] == 0]
        correcting = words and self.schedule.ecc_aware_refresh
        restore = NONE if correcting else refresh
        samples = np.array(self.schedule.sample_times_s, dtype=np.float64)
        if self.streamed[tensor]:
            return Visits(restore, refresh if correcting else NONE, NONE, self.tile_writes(tensor), samples)
        if self.layout.geometry.reads_destroy(row_class):
            mine = (log.read_tensor == tensor) & (log.read_bank == bank)
            restore = np.sort(np.concatenate([restore, log.read_s[mine]]))
        return Visits(
            restore_s=restore,
            refresh_correct_s=refresh if correcting else NONE,
            scrub_s=log.scrub_s[bank] if words else NONE,
            write_s=log.write_s[bank],
            sample_s=samples,
        )

    def tile_writes(self, tensor: int) -> Float64:
        """When the tile of a streamed tensor that each sample reads was written."""
        samples = np.array(self.schedule.sample_times_s, dtype=np.float64)
        before = np.concatenate([[0.0], samples[:-1]])
        written: Float64 = np.maximum(samples - self.layout.residency.age_s[tensor], before)
        return written
