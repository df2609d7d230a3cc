"""The weights that the memory should hold over time: the first image, and those that updates bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.memory.ageing.history import SAMPLE_LEAD
from qtaml_hw.memory.traffic.schedule import Schedule

Codes = NDArray[np.unsignedinteger]
Float64 = NDArray[np.float64]
Update = tuple[float, tuple[Codes, ...]]
"""(time in seconds, codes of every tensor) of an update with new weights."""


def check_updates(updates: Sequence[Update], codes: Sequence[Codes], schedule: Schedule) -> None:
    """ValueError when an update is not at one of the schedule's rewrites, or its codes do not fit the first ones."""
    for time_s, new in updates:
        if time_s not in schedule.reload_times_s:
            raise ValueError(
                f"the update at {time_s:g} s is at none of the schedule's reload_times_s {schedule.reload_times_s}"
            )
        if [(c.dtype, c.shape) for c in new] != [(c.dtype, c.shape) for c in codes]:
            raise ValueError(f"the update at {time_s:g} s has other tensors than the memory: {[c.shape for c in new]}")
    times = [time_s for time_s, _ in updates]
    if times != sorted(set(times)):
        raise ValueError(f"updates must ascend in time; got {times}")


@dataclass(frozen=True, eq=False)
class Images:
    """Images by number: 0 is the first, i the one of the i-th update; a rewrite stores the newest.

    ``codes`` [images][tensors]; ``updates_s`` the updates' times; ``rewrites_s`` all planned rewrites, ascending.
    """

    codes: tuple[tuple[Codes, ...], ...]
    updates_s: Float64
    rewrites_s: Float64

    @classmethod
    def of(cls, codes: tuple[Codes, ...], updates: Sequence[Update], schedule: Schedule) -> Images:
        """The images of a memory."""
        times = np.array([time_s for time_s, _ in updates], dtype=np.float64)
        return cls((codes, *(new for _, new in updates)), times, np.array(schedule.rewrites_s, dtype=np.float64))

    @property
    def change(self) -> bool:
        """Whether anything but the first image is ever stored."""
        return len(self.codes) > 1

    def newest(self, time_s: float) -> int:
        """Number of the image that the backing store holds at a time."""
        return int(np.searchsorted(self.updates_s, time_s, side="right"))

    def after(self, rewrites: int) -> int:
        """Number of the image after so many rewrites."""
        return self.newest(float(self.rewrites_s[rewrites - 1])) if rewrites else 0

    def rewrites_before(self, sample_s: float, write_s: Float64) -> int:
        """How many of a bank's rewrites precede a sample."""
        return int(np.searchsorted(write_s, sample_s * (1.0 - SAMPLE_LEAD), side="left"))
