"""ECC words under time: weak cells of the words of one code, aged, corrected and sampled mark by mark.

Only words with a weak cell are held, as a sparse set of errors: a bit in error is a weak cell that was lost, or a bit
that a decoder miscorrected.  A correction re-encodes what it decoded, so a miscorrected word is left as a valid, wrong
code word; a word flagged as uncorrectable keeps its bits (``raw``, ``zero``, ``sign``) or is written anew (``reload``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qtaml_hw.arrays import Bool, Float64, Int64, Uint8
from qtaml_hw.ecc import Code, ErrorOutcome
from qtaml_hw.memory.ageing.history import History, Mark
from qtaml_hw.memory.ageing.kernels import BitErrors
from qtaml_hw.memory.cells import leaks
from qtaml_hw.names import LeakyState


@dataclass(frozen=True, eq=False)
class WordCells:
    """Weak cells of words of one code, sorted by key.

    ``key`` int64 [m] = word * n + position (data bits first, then check bits); ``u`` float64 [m]; ``stratum`` uint8
    [m]; ``written`` uint8 [m], the bit that was written.
    """

    key: Int64
    u: Float64
    stratum: Uint8
    written: Uint8

    @classmethod
    def sorted(cls, parts: Sequence[WordCells]) -> WordCells:
        """Cells that were found in several places."""
        key = np.concatenate([p.key for p in parts])
        order = np.argsort(key, kind="stable")
        rest = (np.concatenate([getattr(p, f) for p in parts])[order] for f in ("u", "stratum", "written"))
        return cls(key[order], *rest)

    def select(self, chosen: Bool) -> WordCells:
        """Some of the cells."""
        return WordCells(self.key[chosen], self.u[chosen], self.stratum[chosen], self.written[chosen])


class WordCounts(NamedTuple):
    """Words that corrections in the memory changed or flagged, and how many of those were reloaded."""

    scrub_corrected: int = 0
    refresh_corrected: int = 0
    uncorrectable: int = 0
    reloaded: int = 0

    def plus(self, other: WordCounts, times: int = 1) -> WordCounts:
        """With other counts added, several times."""
        return WordCounts(*(mine + times * more for mine, more in zip(self, other, strict=True)))

    def since(self, before: WordCounts) -> WordCounts:
        """What was added to earlier counts."""
        return self.plus(before, -1)


@dataclass(frozen=True, eq=False)
class WordSample:
    """One sample of the words: raw errors by kind of bit, what decoding leaves, and the words it flagged.

    ``errors`` before decoding; ``left`` the data bits still wrong after it in words that were not flagged or pass raw
    (``sign`` too, whose top plane is read as it is), also such as a shortened word lacks; ``flagged`` int64 word ids;
    ``before`` what corrections counted up to here.
    """

    sample: int
    raw_data: int
    raw_parity: int
    corrected: int
    errors: BitErrors
    left: BitErrors
    flagged: Int64
    before: WordCounts


@dataclass(frozen=True, eq=False)
class WordOutcome:
    """Samples and counts of a history."""

    samples: list[WordSample]
    counts: WordCounts


def read_words(code: Code, errors: BitErrors, sample: int, before: WordCounts) -> WordSample:
    """A read-out of the words with these bits in error."""
    raw_data = int(np.count_nonzero(errors.position < code.k))
    outcome = code.correct_errors(*errors)
    left, flagged = BitErrors(outcome.word_ids, outcome.positions), outcome.uncorrectable_words
    if code.policy in ("zero", "reload"):
        passed = ~np.isin(left.word, flagged)
        left = BitErrors(left.word[passed], left.position[passed])
    return WordSample(
        sample=sample,
        raw_data=raw_data,
        raw_parity=len(errors.word) - raw_data,
        corrected=len(outcome.corrected_words),
        errors=errors,
        left=left,
        flagged=flagged,
        before=before,
    )


class WordState:
    """The errors of one set of words, moved forward mark by mark: cells with fixed retention times.

    Parameters: the code; the weak cells; the value that leaks; ``word_bits`` int64 [words of the region], data bits
    that each word really has (the last of a tensor may be short).
    """

    def __init__(self, code: Code, cells: WordCells, leaky_state: LeakyState | None, word_bits: Int64) -> None:
        self.code, self.cells = code, cells
        self.word_bits = word_bits
        self.word = cells.key // code.n
        self.error = np.zeros(len(cells.key), dtype=bool)
        self.extra: Int64 = np.empty(0, dtype=np.int64)
        self.written_leaky = leaks(leaky_state, cells.written)
        self.counts = WordCounts()

    def run(self, history: History) -> WordOutcome:
        """Every mark of a history, in order."""
        samples: list[WordSample] = []
        marks = zip(
            history.kind.tolist(),
            history.level,
            history.repeat.tolist(),
            history.scrub.tolist(),
            history.sample.tolist(),
            strict=True,
        )
        for kind, level, repeat, scrub, sample in marks:
            if kind == Mark.CORRECT:
                self._repeat(level, repeat, scrub)
                continue
            self._age(level)
            if kind == Mark.SAMPLE:
                samples.append(self._read(sample))
            else:
                self._rewrite()
        return WordOutcome(samples, self.counts)

    # ---- ageing

    def _age(self, level: Float64) -> None:
        """Lose the cells that this level [strata] reaches."""
        self.error ^= (self.written_leaky ^ self.error) & (self.cells.u < level[self.cells.stratum])

    def _rewrite(self) -> None:
        """Write every word as it should be."""
        self.error[:] = False
        self.extra = self.extra[:0]

    # ---- correcting

    def _errors(self) -> Int64:
        """Keys of all bits in error, sorted."""
        keys = self.cells.key[self.error]
        return np.sort(np.concatenate([keys, self.extra])) if len(self.extra) else keys

    def _repeat(self, level: Float64, repeat: int, scrub: bool) -> None:
        """The same correction ``repeat`` times; once a state returns (Brent's search) whole cycles are skipped."""
        done, power = 0, 1
        saved: tuple[Bool, Int64, int, WordCounts] | None = None
        while done < repeat:
            self._age(level)
            self._correct(self._errors(), slice(None), scrub)
            done += 1
            if saved is not None and np.array_equal(saved[0], self.error) and np.array_equal(saved[1], self.extra):
                cycles = (repeat - done) // (done - saved[2])
                self.counts = self.counts.plus(self.counts.since(saved[3]), cycles)
                done += cycles * (done - saved[2])
                saved = None
            if done == power:
                saved, power = (self.error.copy(), self.extra.copy(), done, self.counts), 2 * power

    def _decode(self, keys: Int64, scrub: bool) -> ErrorOutcome:
        """Decode words with these errors and count what came of it."""
        outcome = self.code.correct_errors(keys // self.code.n, keys % self.code.n)
        corrected, flagged = len(outcome.corrected_words), len(outcome.uncorrectable_words)
        reload = self.code.policy == "reload"
        new = WordCounts(corrected * scrub, corrected * (not scrub), flagged, flagged * reload)
        self.counts = self.counts.plus(new)
        return outcome

    def _correct(self, keys: Int64, chosen: slice | Int64, scrub: bool) -> ErrorOutcome:
        """Read, decode and write back the words with these errors; ``chosen``: cells that include theirs."""
        outcome = self._decode(keys, scrub)
        keep = np.isin(outcome.word_ids, outcome.corrected_words)
        wrong_word, wrong_position = self._stored(outcome.word_ids[keep], outcome.positions[keep])
        rewritten = outcome.corrected_words
        if self.code.policy == "reload":
            rewritten = np.concatenate([rewritten, outcome.uncorrectable_words])
        self.error[chosen] &= ~np.isin(self.word[chosen], rewritten)
        self.extra = self.extra[~np.isin(self.extra // self.code.n, rewritten)]
        if len(wrong_word):
            self._plant(wrong_word, wrong_position)
        return outcome

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
        return read_words(self.code, BitErrors(*np.divmod(self._errors(), self.code.n)), sample, self.counts)


class FixedWords(WordState):
    """Words of cells that read flipped with probabilities stated by the user, whatever was done to them.

    ``p`` float64 [cells]: P(read flipped) of each cell given what was written.
    """

    def __init__(self, code: Code, cells: WordCells, word_bits: Int64, p: Float64) -> None:
        super().__init__(code, cells, None, word_bits)
        self.error = cells.u < p

    def _age(self, level: Float64) -> None:
        """Nothing changes with time."""

    def _repeat(self, level: Float64, repeat: int, scrub: bool) -> None:
        """Corrections count, and what is read afterwards is the same."""
        before = self.counts
        self._decode(self._errors(), scrub)
        self.counts = before.plus(self.counts.since(before), repeat)

    def _rewrite(self) -> None:
        """A new write reads flipped all the same."""
