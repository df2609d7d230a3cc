"""ECC words under time: weak cells of the words of one code, aged, corrected and sampled mark by mark.

Only words with a weak cell are held, as a sparse set of errors: a bit in error is a weak cell that was lost, or a
bit that a
decoder miscorrected.  A correction re-encodes what it decoded, so a miscorrected word is left as a valid, wrong code
word; a word flagged as uncorrectable keeps its bits (policies ``raw`` and ``zero``) or is written anew (``reload``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.ecc import Code
from qtaml_hw.memory.history import History, Mark

Bool = NDArray[np.bool_]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WordCells:
    """Weak cells of words of one code, sorted by key.

    ``key`` int64 [m] = word * n + position (data bits first, then check bits); ``u`` float64 [m]; ``written`` uint8
    [m], the bit that was written.
    """

    key: Int64
    u: Float64
    written: NDArray[np.uint8]

    def select(self, chosen: Bool) -> WordCells:
        """Some of the cells."""
        return WordCells(self.key[chosen], self.u[chosen], self.written[chosen])


@dataclass
class WordCounts:
    """Words that corrections changed or flagged, and how many of those were reloaded."""

    scrub_corrected: int = 0
    refresh_corrected: int = 0
    uncorrectable: int = 0
    reloaded: int = 0

    def values(self) -> tuple[int, int, int, int]:
        """The four counts."""
        return self.scrub_corrected, self.refresh_corrected, self.uncorrectable, self.reloaded

    def add(self, other: tuple[int, int, int, int], times: int = 1) -> None:
        """Add counts, several times."""
        self.scrub_corrected += times * other[0]
        self.refresh_corrected += times * other[1]
        self.uncorrectable += times * other[2]
        self.reloaded += times * other[3]


@dataclass(frozen=True, eq=False)
class WordSample:
    """One sample of the words: raw errors by kind of bit, what decoding leaves, and the words it flagged.

    ``left`` int64 keys of data bits still wrong in words that were not flagged or pass raw; ``flagged`` int64 word ids.
    """

    sample: int
    raw_data: int
    raw_parity: int
    corrected: int
    left: Int64
    flagged: Int64


@dataclass(frozen=True, eq=False)
class WordOutcome:
    """Samples and counts of a history."""

    samples: list[WordSample]
    counts: WordCounts


@dataclass(frozen=True, eq=False)
class Wearing:
    """How cells of these words are lost: ``law`` retention | poisson | fixed, the leaky value, and fixed probabilities.

    ``fixed`` float64 [m]: P(read flipped) of each cell given what was written (fixed law only); ``draw_key`` seeds the
    fresh lifetimes of a poisson cell that was lost and corrected.
    """

    law: str
    leaky_state: int | None
    draw_key: int = 0
    fixed: Float64 = field(default_factory=lambda: np.empty(0))


def fresh_uniform(draw_key: int, key: Int64, life: Int64) -> Float64:
    """Uniforms in (0, 1) of later lifetimes: SplitMix64 (Steele, Lea, Flood 2014) of (draw key, cell, life)."""
    with np.errstate(over="ignore"):
        x = np.uint64(draw_key & (2**64 - 1)) + key.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = x ^ (life.astype(np.uint64) * np.uint64(0xD1342543DE82EF95))
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        x ^= x >> np.uint64(31)
    return ((x >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def lifetime_key(seed: int, map_index: int, region: int) -> int:
    """Seed of the fresh lifetimes of one fault map and menu entry."""
    return (seed * 0x2545F4914F6CDD1D + map_index * 0x9E3779B97F4A7C15 + region) % 2**64


class WordState:
    """The errors of one set of words, moved forward mark by mark."""

    def __init__(self, code: Code, cells: WordCells, wearing: Wearing, word_bits: Int64) -> None:
        self.code, self.cells, self.wearing = code, cells, wearing
        self.word_bits = word_bits  # data bits that each word of the code region really has
        self.word = cells.key // code.n
        self.error = np.zeros(len(cells.key), dtype=bool)
        self.extra: Int64 = np.empty(0, dtype=np.int64)
        self.written_leaky = cells.written == (-1 if wearing.leaky_state is None else wearing.leaky_state)
        self.life = np.zeros(len(cells.key), dtype=np.int64)
        self.lost_at = -np.log1p(-cells.u) if wearing.law == "poisson" else np.empty(0)

    def run(self, history: History) -> WordOutcome:
        """Every mark of a history, in order."""
        samples: list[WordSample] = []
        counts = WordCounts()
        marks = zip(
            history.kind.tolist(),
            history.level.tolist(),
            history.repeat.tolist(),
            history.scrub.tolist(),
            history.sample.tolist(),
            strict=True,
        )
        for kind, level, repeat, scrub, sample in marks:
            if kind == Mark.CORRECT:
                self._repeat(level, repeat, scrub, counts)
                continue
            self._age(level)
            if kind == Mark.SAMPLE:
                samples.append(self._read(sample))
            else:
                self.error[:] = False
                self.extra = self.extra[:0]
        return WordOutcome(samples, counts)

    # ---- ageing

    def _age(self, level: float) -> None:
        """Lose the cells that this level reaches."""
        if self.wearing.law == "fixed":
            self.error = self.cells.u < self.wearing.fixed
            return
        leaky = self.written_leaky ^ self.error
        if self.wearing.law == "retention":
            self.error ^= leaky & (self.cells.u < level)
            return
        lost = leaky & (self.lost_at <= level)
        self.life += lost
        self.error ^= lost

    def _revive(self, before: Bool, level: float) -> None:
        """Poisson: cells that a correction brought back to the leaky value start a new lifetime."""
        back = (before != self.error) & (self.written_leaky ^ self.error)
        if self.wearing.law != "poisson" or not back.any():
            return
        life = self.life[back]
        drawn = fresh_uniform(self.wearing.draw_key, self.cells.key[back], life)
        self.lost_at[back] = level - np.log1p(-np.where(life == 0, self.cells.u[back], drawn))

    # ---- correcting

    def _errors(self) -> Int64:
        """Keys of all bits in error, sorted."""
        keys = self.cells.key[self.error]
        return np.sort(np.concatenate([keys, self.extra])) if len(self.extra) else keys

    def _repeat(self, level: float, repeat: int, scrub: bool, counts: WordCounts) -> None:
        """The same correction ``repeat`` times; once a state returns (Brent's search) whole cycles are skipped."""
        done, power = 0, 1
        saved: tuple[Bool, Int64, int, tuple[int, int, int, int]] | None = None
        while done < repeat:
            self._age(level)
            before = self.error.copy()
            self._correct(scrub, counts)
            self._revive(before, level)
            done += 1
            if saved is not None and np.array_equal(saved[0], self.error) and np.array_equal(saved[1], self.extra):
                cycles = (repeat - done) // (done - saved[2])
                gained = tuple(a - b for a, b in zip(counts.values(), saved[3], strict=True))
                counts.add((gained[0], gained[1], gained[2], gained[3]), cycles)
                done += cycles * (done - saved[2])
                saved = None
            if done == power:
                saved, power = (self.error.copy(), self.extra.copy(), done, counts.values()), 2 * power

    def _correct(self, scrub: bool, counts: WordCounts) -> None:
        """Read, decode, write back every word."""
        keys = self._errors()
        if not len(keys):
            return
        n = self.code.n
        outcome = self.code.correct_errors(keys // n, keys % n)
        rewritten = outcome.corrected_words
        reload = self.code.policy == "reload"
        counts.add(
            (
                len(rewritten) * scrub,
                len(rewritten) * (not scrub),
                len(outcome.uncorrectable_words),
                len(outcome.uncorrectable_words) * reload,
            )
        )
        if self.wearing.law == "fixed":  # what is read does not depend on what was written back
            return
        fixed = np.zeros(len(self.word_bits), dtype=bool)
        fixed[rewritten] = True
        keep = fixed[outcome.word_ids]
        wrong_word, wrong_position = self._stored(outcome.word_ids[keep], outcome.positions[keep])
        fixed[outcome.uncorrectable_words] = reload
        self.error &= ~fixed[self.word]
        self.extra = self.extra[~fixed[self.extra // n]]
        if len(wrong_word):
            self._plant(wrong_word, wrong_position)

    def _stored(self, words: Int64, positions: Int64) -> tuple[Int64, Int64]:
        """Without the data bits that a shortened word does not have (they are tied to zero)."""
        there = positions < self.word_bits[words]
        return words[there], positions[there]

    def _plant(self, words: Int64, positions: Int64) -> None:
        """Leave the code word of these wrong data bits as errors."""
        unique, row = np.unique(words, return_inverse=True)
        data = np.zeros((len(unique), self.code.k), dtype=np.uint8)
        data[row, positions] = 1
        rows, columns = np.nonzero(self.code.encode(data))
        keys = unique[rows] * self.code.n + columns
        slot = np.minimum(np.searchsorted(self.cells.key, keys), max(len(self.cells.key) - 1, 0))
        weak = self.cells.key[slot] == keys
        self.error[slot[weak]] = True
        self.extra = np.sort(np.concatenate([self.extra, keys[~weak]]))

    # ---- reading

    def _read(self, sample: int) -> WordSample:
        """Decode without writing back."""
        keys = self._errors()
        n = self.code.n
        raw_data = int(np.count_nonzero(keys % n < self.code.k))
        outcome = self.code.correct_errors(keys // n, keys % n)
        words, positions = self._stored(outcome.word_ids, outcome.positions)
        flagged = outcome.uncorrectable_words
        if self.code.policy != "raw":
            passed = ~np.isin(words, flagged)
            words, positions = words[passed], positions[passed]
        return WordSample(
            sample, raw_data, len(keys) - raw_data, len(outcome.corrected_words), words * n + positions, flagged
        )
