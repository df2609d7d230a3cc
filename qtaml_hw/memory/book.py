"""Histories and thresholds of every refresh group under one cell model: the same for every fault map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.ecc import MenuEntry
from qtaml_hw.memory.cells import FixedCells
from qtaml_hw.memory.commands import CommandLog
from qtaml_hw.memory.exposure import Exposure
from qtaml_hw.memory.geometry import ArrayLayout
from qtaml_hw.memory.history import History, Visits, build_history, sample_thresholds

Float64 = NDArray[np.float64]
NONE = np.empty(0, dtype=np.float64)


class HistoryBook:
    """What every stretch of rows lived through, looked up by (tensor, refresh group); filled when asked.

    Parameters: the layout, the command log, and a cell model over the schedule that the log was made from.
    """

    def __init__(self, layout: ArrayLayout, log: CommandLog, exposure: Exposure) -> None:
        self.layout, self.log, self.exposure, self.schedule = layout, log, exposure, exposure.schedule
        self.law = exposure.law
        self.streamed = layout.residency.streamed
        own = self.streamed | layout.geometry.destructive_read
        self.tensor_key = np.where(own, 1 + np.arange(len(own)), 0)  # tensors with a key of their own share no history
        self._histories: dict[tuple[int, int, bool, float], list[History]] = {}
        self._thresholds: dict[tuple[int, int, int], Float64] = {}

    @property
    def epochs(self) -> int:
        """Stretches between rewrites that need fresh cells: a memoryless cell starts afresh when it is written."""
        writes = [len(times) for times in self.log.write_s] + [len(self.schedule.sample_times_s)] * bool(
            self.streamed.any()
        )
        return 1 + max(writes) if self.law == "poisson" else 1

    def visits(self, tensor: int, group: int, *, words: bool) -> Visits:
        """The commands that touched a tensor's bits in a refresh group; ``words``: its ECC words, also scrubbed.

        A streamed tensor is read from tiles that were written just before: every sample has such a write of its own.
        """
        bank, log = group // self.layout.classes, self.log
        refresh = log.refresh_s[group]
        correcting = words and self.schedule.ecc_aware_refresh
        restore = NONE if correcting else refresh
        samples = np.array(self.schedule.sample_times_s, dtype=np.float64)
        if self.streamed[tensor]:
            previous = np.concatenate([[0.0], samples[:-1]])
            write = np.maximum(samples - self.layout.residency.age_s[tensor], previous)
            return Visits(restore, refresh if correcting else NONE, NONE, write, samples)
        if self.layout.geometry.destructive_read:
            mine = (log.read_tensor == tensor) & (log.read_bank == bank)
            restore = np.sort(np.concatenate([restore, log.read_s[mine]]))
        return Visits(
            restore_s=restore,
            refresh_correct_s=refresh if correcting else NONE,
            scrub_s=log.scrub_s[bank] if words else NONE,
            write_s=log.write_s[bank],
            sample_s=samples,
        )

    def history(self, tensor: int, group: int, epoch: int, *, words: bool, gain: float = 1.0) -> History:
        """History of a tensor's bits in a refresh group; reads of a tensor only matter where they restore."""
        key = (int(self.tensor_key[tensor]), group, words, gain)
        if key not in self._histories:
            whole = build_history(self.visits(tensor, group, words=words), self.exposure, gain)
            self._histories[key] = whole.epochs() if self.law == "poisson" else [whole]
        epochs = self._histories[key]
        return epochs[epoch] if epoch < len(epochs) else epochs[0].select(slice(0))

    def thresholds(self, tensor: int, plane: int, epoch: int, items: Sequence[MenuEntry]) -> Float64:
        """[samples, items, banks, 2] thresholds of a plane by written bit, for entries without words (ideal: -1)."""
        same = plane if self.law == "fixed" else int(self.layout.class_of_plane[plane])
        key = (int(self.tensor_key[tensor]), same, epoch)
        if key not in self._thresholds:
            samples, banks = len(self.schedule.sample_times_s), self.layout.geometry.banks
            out = np.full((samples, len(items), banks, 2), -1.0)
            for slot, item in enumerate(items):
                if item.kind != "ideal":
                    self._fill(out[:, slot], tensor, plane, epoch, item)
            self._thresholds[key] = out
        return self._thresholds[key]

    def _fill(self, out: Float64, tensor: int, plane: int, epoch: int, item: MenuEntry) -> None:
        """[samples, banks, 2] thresholds under one entry."""
        if isinstance(self.exposure.cell, FixedCells):
            p01, p10 = self.exposure.cell.per_plane(self.layout.planes)[:, plane].tolist()
            out[:] = (p01, p10) if item.kind == "none" else item.residual_channel(p01, p10)
            return
        leaky = self.exposure.leaky_state
        if leaky is None:
            return
        # refreshing more often does nothing against memoryless losses
        gain = 1.0 if self.law == "poisson" and item.kind == "refresh" else item.retention_gain
        for bank in range(self.layout.geometry.banks):
            group = bank * self.layout.classes + int(self.layout.class_of_plane[plane])
            history = self.history(tensor, group, epoch, words=False, gain=gain)
            out[:, bank, leaky] = sample_thresholds(history, self.exposure, len(out))
