"""ECC words of memoryless cells: losses come one by one, and only the words they hit are looked at.

A cell in the leaky state lives for an exponential lifetime, in units of expected losses.  Its first lifetime comes
from its uniform; a cell that was lost and corrected draws a fresh one.
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.ecc import Code
from qtaml_hw.faults import MapKey
from qtaml_hw.memory.ageing.words import WordCells, WordCounts, WordState
from qtaml_hw.names import LeakyState


def fresh_uniform(draw_key: int, key: Int64, life: Int64) -> Float64:
    """Uniforms in (0, 1) of later lifetimes: SplitMix64 (Steele, Lea, Flood 2014) of (draw key, cell, life)."""
    with np.errstate(over="ignore"):
        x = np.uint64(draw_key & (2**64 - 1)) + key.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = x ^ (life.astype(np.uint64) * np.uint64(0xD1342543DE82EF95))
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        x ^= x >> np.uint64(31)
    return ((x >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def lifetime_key(key: MapKey, region: int) -> int:
    """Seed of the fresh lifetimes of one fault map and menu entry."""
    return (key.seed * 0x2545F4914F6CDD1D + key.map_index * 0x9E3779B97F4A7C15 + region) % 2**64


class MemorylessWords(WordState):
    """Words of cells that lose the leaky state at a rate; ``draw_key`` seeds the lifetimes after the first."""

    def __init__(
        self, code: Code, cells: WordCells, leaky_state: LeakyState | None, word_bits: Int64, draw_key: int
    ) -> None:
        super().__init__(code, cells, leaky_state, word_bits)
        self.draw_key = draw_key
        self.life = np.zeros(len(cells.key), dtype=np.int64)
        self.lost_at = -np.log1p(-cells.u)
        self.order = np.argsort(self.lost_at, kind="stable")  # first lifetimes by their end, up to self.passed
        self.order_ends = self.lost_at[self.order]
        self.passed = 0
        self.again: list[tuple[float, int]] = []  # heap of (end, cell) of lifetimes that began after a correction
        self.hit: list[Int64] = []  # words with losses since the last correction
        self.flagged = np.zeros(len(word_bits), dtype=bool)
        self.flagged_count = 0

    def _age(self, level: Float64) -> None:
        """Lose the cells whose lifetime ends by this level."""
        self._age_until(float(level[0]))

    def _age_until(self, level: float) -> None:
        end = int(np.searchsorted(self.order_ends, level, side="right"))
        due = self.order[self.passed : end]
        self.passed = max(self.passed, end)
        ended = []
        while self.again and self.again[0][0] <= level:
            ended.append(heappop(self.again)[1])
        if ended:
            due = np.unique(np.concatenate([due, np.array(ended, dtype=np.int64)]))
        lost = due[(self.written_leaky[due] ^ self.error[due]) & (self.lost_at[due] <= level)]
        if len(lost):
            self.error[lost] = ~self.error[lost]
            self.life[lost] += 1
            self.hit.append(self.word[lost])

    def _repeat(self, level: Float64, repeat: int, scrub: bool) -> None:
        """Correct the words that were hit; words flagged before and not hit since are found flagged again."""
        reached = float(level[0])
        for _ in range(repeat):
            self._age_until(reached)
            words = np.unique(np.concatenate(self.hit)) if self.hit else np.empty(0, dtype=np.int64)
            self.hit.clear()
            self.flagged_count -= int(np.count_nonzero(self.flagged[words]))
            self.flagged[words] = False
            self.counts = self.counts.plus(WordCounts(uncorrectable=self.flagged_count))
            if len(words):
                self._correct_hit(words, reached, scrub)

    def _correct_hit(self, words: Int64, level: float, scrub: bool) -> None:
        first, last = np.searchsorted(self.word, words), np.searchsorted(self.word, words, side="right")
        sizes = last - first
        chosen = np.repeat(first - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes) + np.arange(sizes.sum())
        keys = self.cells.key[chosen[self.error[chosen]]]
        if len(self.extra):
            keys = np.sort(np.concatenate([keys, self.extra[np.isin(self.extra // self.code.n, words)]]))
        before = self.error[chosen]
        outcome = self._correct(keys, chosen, scrub)
        if self.code.policy != "reload":
            self.flagged[outcome.uncorrectable_words] = True
            self.flagged_count += len(outcome.uncorrectable_words)
        changed = chosen[before != self.error[chosen]]
        self._revive(changed[self.written_leaky[changed] ^ self.error[changed]], level)

    def _revive(self, cells: Int64, level: float) -> None:
        """Cells that a correction brought back to the leaky value start a new lifetime."""
        life = self.life[cells]
        drawn = fresh_uniform(self.draw_key, self.cells.key[cells], life)
        self.lost_at[cells] = level - np.log1p(-np.where(life == 0, self.cells.u[cells], drawn))
        for end, cell in zip(self.lost_at[cells].tolist(), cells.tolist(), strict=True):
            heappush(self.again, (end, cell))
