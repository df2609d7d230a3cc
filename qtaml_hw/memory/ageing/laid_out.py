"""A weight image in its array, over time: what every fault map shares, whatever its cells.

Images are numbered: 0 is the first, i the one that the i-th update brings; a rewrite stores the newest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise

import numpy as np

from qtaml_hw.arrays import Codes, Float64, Int64, Uint8
from qtaml_hw.memory.ageing.regions import CodeRegion, code_regions
from qtaml_hw.memory.array.layout import ArrayLayout
from qtaml_hw.memory.traffic.schedule import SAMPLE_LEAD, Schedule
from qtaml_hw.protection import ProtectionPlan

SMALL_TENSOR = 1 << 16  # weights up to which a call costs more than the flips, so that a copy beside others pays

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
class EndToEnd:
    """Arrays of one width in one: ``cells`` [all], array i of them from ``starts[i]`` to ``starts[i + 1]``."""

    cells: Codes
    starts: Int64

    @classmethod
    def of(cls, arrays: Sequence[Codes]) -> EndToEnd:
        """One alone is not copied."""
        starts = np.concatenate([[0], np.cumsum([a.size for a in arrays])]).astype(np.int64)
        return cls(arrays[0] if len(arrays) == 1 else np.concatenate(arrays), starts)


@dataclass(frozen=True, eq=False)
class Run:
    """Neighbouring tensors, from number ``first`` on, whose cells flip by one call: their codes and check cells."""

    first: int
    codes: EndToEnd
    checks: EndToEnd

    @property
    def tensors(self) -> range:
        """The numbers of the tensors."""
        return range(self.first, self.first + len(self.codes.starts) - 1)


@dataclass(frozen=True, eq=False)
class LaidOut:
    """The codes of every image, protected by a plan, where a layout puts them, under a schedule.

    ``images`` [images][tensors] flat codes; ``updates_s`` the times of the updates, ascending.
    """

    images: tuple[tuple[Codes, ...], ...]
    updates_s: tuple[float, ...]
    plan: ProtectionPlan
    layout: ArrayLayout
    schedule: Schedule

    @property
    def codes(self) -> tuple[Codes, ...]:
        """The first image."""
        return self.images[0]

    @property
    def planes(self) -> int:
        """Bit planes of a weight."""
        return self.layout.planes

    @property
    def samples(self) -> int:
        """How often the weights are read out."""
        return len(self.schedule.sample_times_s)

    @property
    def changes(self) -> bool:
        """Whether anything but the first image is ever stored."""
        return len(self.images) > 1

    @cached_property
    def used(self) -> tuple[tuple[Int64, ...], ...]:
        """The entries of the plan in use, by tensor and plane, ascending."""
        groups = [self.plan.tensor_groups(t) for t in range(self.plan.tensors)]
        return tuple(
            tuple(np.unique(self.plan.choice[first:last, p]).astype(np.int64) for p in range(self.planes))
            for first, last in groups
        )

    @cached_property
    def entry_masks(self) -> tuple[dict[int, Codes], ...]:
        """By tensor and entry that can flip: the bits of its weights under that entry, [weights], or [1] if alike."""
        plan, out = self.plan, []
        can = [i for i, item in enumerate(plan.entries) if not item.never_flips]
        bits = 1 << np.arange(self.planes)
        for t, codes in enumerate(self.codes):
            first, last = plan.tensor_groups(t)
            sizes = np.diff(plan.starts[first : last + 1])
            masks = {}
            for entry in sorted(set(can) & set(np.unique(plan.choice[first:last]).tolist())):
                own = ((plan.choice[first:last] == entry) * bits).sum(axis=1).astype(codes.dtype)
                masks[entry] = own[:1] if (own == own[0]).all() else np.repeat(own, sizes)
            out.append(masks)
        return tuple(out)

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The tensors of the first image, neighbours of one width that are small together."""
        apart = [(c.dtype.str, -1 if c.size <= SMALL_TENSOR else t) for t, c in enumerate(self.codes)]
        alike = [len(list(same)) for _, same in groupby(apart)]
        ends = np.concatenate([[0], np.cumsum(alike)]).tolist()
        return tuple(
            Run(first, EndToEnd.of(self.codes[first:last]), EndToEnd.of(self._check_bits[first:last]))
            for first, last in pairwise(ends)
        )

    @cached_property
    def _check_bits(self) -> tuple[Uint8, ...]:
        """Check cells of every tensor as they are written with the first image: 0/1 uint8 [parity bits]."""
        out = []
        for t, total in enumerate(self.layout.parity_bits.tolist()):
            written = np.zeros(total, dtype=np.uint8)
            for region in self.regions if total else ():
                mine, _, bits = region.parity_cells(t, np.arange(total, dtype=np.int64))
                written[mine] = bits
            out.append(written)
        return tuple(out)

    def region(self, entry: int) -> CodeRegion:
        """The words of an entry, by its number in the plan's menu."""
        return next(region for region in self.regions if region.index == entry)

    @cached_property
    def regions(self) -> tuple[CodeRegion, ...]:
        """ECC words of every entry with a code, with the check bits of the first image."""
        return self.regions_of(self.codes)

    @cached_property
    def regions_of_images(self) -> tuple[tuple[CodeRegion, ...], ...]:
        """The same words with the check bits of every image."""
        return (self.regions, *(self.regions_of(codes) for codes in self.images[1:]))

    def regions_of(self, codes: tuple[Codes, ...]) -> tuple[CodeRegion, ...]:
        """The words with the check bits of some codes."""
        return code_regions(codes, self.plan, self.layout, self.schedule.on_uncorrectable)

    def newest(self, time_s: float) -> int:
        """Number of the image that the backing store holds at a time."""
        return int(np.searchsorted(np.array(self.updates_s), time_s, side="right"))

    def after(self, rewrites: int) -> int:
        """Number of the image after so many rewrites."""
        return self.newest(self.schedule.rewrites_s[rewrites - 1]) if rewrites else 0

    def rewrites_before(self, sample_s: float, write_s: Float64) -> int:
        """How many of a bank's rewrites precede a sample."""
        return int(np.searchsorted(write_s, sample_s * (1.0 - SAMPLE_LEAD), side="left"))

    def reload_word_s(self, region: CodeRegion) -> float:
        """Time to fetch one flagged word from the backing store and write it, check bits included, into its bank.

        Latency, data bits over the bandwidth (none where no backing store is described) and the accesses of the write;
        the bank and the store are taken meanwhile.
        """
        geometry, rate = self.layout.geometry, self.layout.geometry.backing_bits_per_s
        transfer_s = 0.0 if rate is None else geometry.backing_latency_s + region.code.k / rate
        return transfer_s + -(-region.code.n // geometry.word_bits) * self.layout.cycle_s
