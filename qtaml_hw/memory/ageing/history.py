"""What one stretch of rows lived through, reduced to what its cells can feel.

A plain restore only matters through the longest stretch without one, so thousands of refresh commands collapse to one
threshold per *mark*: a correction (scrub, ECC-aware refresh), a rewrite, or a sample.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from qtaml_hw.arrays import Bool, Float64, Int64
from qtaml_hw.memory.ageing.exposure import Exposure, lengths
from qtaml_hw.memory.cells import FixedCells, PoissonCells
from qtaml_hw.memory.traffic.schedule import SAMPLE_LEAD


class Mark(IntEnum):
    """Kinds of events in a history, in order of precedence at one instant; RESTORE only matters between marks."""

    SAMPLE = 0
    RESTORE = 1
    CORRECT = 2
    WRITE = 3


@dataclass(frozen=True, eq=False)
class History:
    """Marks in order of time.

    ``kind`` Mark values [m]; ``level`` float64 [m, strata]: retention, the largest threshold of any stretch that ended
    or was under way since the mark before; poisson, the hazard accumulated since the last rewrite.
    ``repeat`` int64 [m]: how many identical corrections in a row; ``scrub`` bool [m]: the correction was a scrub, not a
    refresh; ``sample`` int64 [m]: index of the sample, -1 for other marks.
    """

    kind: Int64
    level: Float64
    repeat: Int64
    scrub: Bool
    sample: Int64

    @property
    def key(self) -> bytes:
        """Histories with equal keys treat equal cells alike."""
        return b"".join(a.tobytes() for a in (self.kind, self.level, self.repeat, self.scrub, self.sample))

    def select(self, chosen: slice, base: Float64 | float = 0.0) -> History:
        """Some of the marks, their level less ``base``."""
        return History(
            self.kind[chosen], self.level[chosen] - base, self.repeat[chosen], self.scrub[chosen], self.sample[chosen]
        )

    def epochs(self, *, cumulative: bool) -> list[History]:
        """The marks between rewrites; levels that are ``cumulative`` (poisson) are counted from the rewrite."""
        writes = np.nonzero(self.kind == Mark.WRITE)[0]
        starts = [0, *(writes + 1).tolist()]
        bases: list[Float64 | float] = [0.0, *(self.level[writes] * cumulative)]
        ends = [*writes.tolist(), len(self.kind)]
        return [self.select(slice(a, b), base) for a, b, base in zip(starts, ends, bases, strict=True)]


@dataclass(frozen=True, eq=False)
class Marks:
    """Marks in order of time, whatever the cells: ``kind``, ``scrub`` and ``sample`` [m] as of :class:`History`.

    ``time_s`` float64 [m]; ``length_s`` float64, ascending, the lengths of the stretches without a restore; ``longest``
    int64 [m], the longest one that ended or was under way since the mark before.
    """

    kind: Int64
    time_s: Float64
    scrub: Bool
    sample: Int64
    length_s: Float64
    longest: Int64


@dataclass(frozen=True, eq=False)
class Visits:
    """The commands that touched one stretch of rows: ascending start times in seconds, float64."""

    restore_s: Float64
    refresh_correct_s: Float64
    scrub_s: Float64
    write_s: Float64
    sample_s: Float64

    @cached_property
    def key(self) -> bytes:
        """Equal for equal visits: a digest, since refreshes may be millions."""
        state = hashlib.sha256()
        for times in (self.restore_s, self.refresh_correct_s, self.scrub_s, self.write_s, self.sample_s):
            state.update(len(times).to_bytes(8, "little"))
            state.update(np.ascontiguousarray(times).tobytes())
        return state.digest()

    @cached_property
    def marks(self) -> Marks:
        """What any cells' history of these visits begins with."""
        times, kinds, scrub = self.ordered
        marked = np.nonzero(kinds != Mark.RESTORE)[0]
        kind = kinds[marked]
        sample = np.where(kind == Mark.SAMPLE, np.cumsum(kind == Mark.SAMPLE) - 1, -1)
        start_s, end_s, first = self.stretches
        length_s, own = lengths(end_s - start_s)
        longest = np.maximum.reduceat(own, first) if len(first) else first
        return Marks(kind, times[marked], scrub[marked], sample, length_s, longest)

    @property
    def stretches(self) -> tuple[Float64, Float64, Int64]:
        """(start, end, number of the first of every mark) of the stretches without a restore, up to the last mark."""
        times, kinds, _ = self.ordered
        marked = np.nonzero(kinds != Mark.RESTORE)[0]
        upto = int(marked[-1]) + 1 if len(marked) else 0
        start_s = _last_restore(times, kinds)[:upto]
        return start_s, np.maximum(times[:upto], start_s), np.concatenate([[0], marked[:-1] + 1])[: len(marked)]

    @cached_property
    def ordered(self) -> tuple[Float64, Int64, Bool]:
        """(times, kinds, is scrub) of everything, in order; samples just before commands of the same instant."""
        parts = (
            (self.sample_s, Mark.SAMPLE),
            (self.restore_s, Mark.RESTORE),
            (self.refresh_correct_s, Mark.CORRECT),
            (self.scrub_s, Mark.CORRECT),
            (self.write_s, Mark.WRITE),
        )
        times = np.concatenate([t for t, _ in parts])
        kinds = np.repeat([int(k) for _, k in parts], [len(t) for t, _ in parts])
        scrub = np.repeat([False, False, False, True, False], [len(t) for t, _ in parts])
        order = np.lexsort((kinds, np.where(kinds == Mark.SAMPLE, times * (1.0 - SAMPLE_LEAD), times)))
        return times[order], kinds[order], scrub[order]


def _last_restore(times: Float64, kinds: Int64) -> Float64:
    """For every event the time of the last restoring event before it (0, the first write, at the start)."""
    restored = np.maximum.accumulate(np.where(kinds == Mark.SAMPLE, 0.0, times))
    return np.concatenate([[0.0], restored[:-1]])


def build_history(visits: Visits, exposure: Exposure) -> History:
    """Reduce the visits to marks."""
    marks = visits.marks
    if isinstance(exposure.cell, PoissonCells):
        level = exposure.hazard(marks.time_s)[:, None]
    elif isinstance(exposure.cell, FixedCells) or not len(marks.kind):
        level = np.zeros((len(marks.kind), len(exposure.shares)))
    elif not exposure.schedule.phases:
        level = exposure.levels(marks.length_s)[marks.longest]
    else:
        start_s, end_s, first = visits.stretches
        level = np.maximum.reduceat(exposure.thresholds(start_s, end_s), first, axis=0)
    history = History(marks.kind, level, np.ones(len(marks.kind), dtype=np.int64), marks.scrub, marks.sample)
    return history if isinstance(exposure.cell, PoissonCells) else _merge_runs(history)


def _merge_runs(history: History) -> History:
    """One mark for corrections in a row at the same level: each repeats the same step."""
    kind, level, scrub = history.kind, history.level, history.scrub
    if len(kind) == 0:
        return history
    correct = kind == Mark.CORRECT
    same = correct[1:] & correct[:-1] & np.all(level[1:] == level[:-1], axis=1) & (scrub[1:] == scrub[:-1])
    starts = np.concatenate([[0], 1 + np.nonzero(~same)[0]])
    repeat = np.diff(np.concatenate([starts, [len(kind)]])).astype(np.int64)
    return History(kind[starts], level[starts], repeat, scrub[starts], history.sample[starts])


def sample_thresholds(history: History, exposure: Exposure, samples: int) -> Float64:
    """For bits that nothing corrects: [samples, strata] thresholds; -1 where the sample is not in this history."""
    out = np.full((samples, len(exposure.shares)), -1.0)
    poisson, reached = isinstance(exposure.cell, PoissonCells), np.zeros(len(exposure.shares))
    for kind, level, sample in zip(history.kind.tolist(), history.level, history.sample.tolist(), strict=True):
        reached = np.maximum(reached, level)
        if kind == Mark.SAMPLE:
            out[sample] = -np.expm1(-reached) if poisson else reached
        elif kind == Mark.WRITE:
            reached = np.zeros(len(exposure.shares))
    return out
