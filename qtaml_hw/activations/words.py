"""ECC words of a value: the same codes and layouts as in the weight memory, decoded when the value is read.

Data bits of a word are neighbours of one input (``protection.WordLayout``).  A word that is flagged passes its bits as
they are, or makes every number that has a bit in it read as zero: detection, or the answer ``zero``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.activations.faults import Counts, ValueFaults
from qtaml_hw.arrays import Bool, Float64, Int64
from qtaml_hw.ecc import Code
from qtaml_hw.faults import flip_each
from qtaml_hw.protection import MenuEntry
from qtaml_hw.protection.layout import WordLayout

_LIMB = 32


@dataclass(frozen=True, eq=False)
class Guard:
    """One entry with a code on some planes of a value of ``values`` numbers.

    ``p01``, ``p10`` : of the check cells; ``number`` : among the codes of the value, whose check cells draw apart;
    ``by_step`` [2, steps] : the same where their tokens grow older.
    Raises ValueError for a code whose flagged words are reloaded: what was computed a moment ago is nowhere else.
    """

    code: Code
    layout: WordLayout
    planes: int
    zeroes: bool
    p01: float
    p10: float
    by_step: Float64 | None = None
    number: int = 0

    def at(self, step: int) -> Guard:
        """As a step reads them."""
        return self if self.by_step is None else replace(self, p01=self.by_step[0, step], p10=self.by_step[1, step])

    def read(
        self, written: NDArray[Any], held: NDArray[Any], faults: ValueFaults, first: int, counts: Counts, zero: int = 0
    ) -> None:
        """Decode ``held`` [N, M] in place, as it was struck, given what was written; words without errors are left.

        ``zero`` : the code that a zeroed number reads as; ``counts`` takes check bits and words.
        """
        data, n_words = self._data_errors(written ^ held), self.layout.n_words
        checks = self._check_errors(written, faults, first)
        keys = np.sort(np.concatenate([data, checks]))
        if not keys.size:
            return
        n = self.code.n
        outcome = self.code.correct_errors(keys // n, keys % n)
        place, planes = held.shape[1], held.dtype.type(self.planes)
        touched = np.unique(keys // n)
        whole = _all_bits(self.layout, touched % n_words)
        row, weight, _ = self._addresses(touched[whole[0]], whole[1])
        flat = held.reshape(-1)
        before = written.reshape(-1)
        index = row * place + weight
        flat[index] &= ~planes
        flat[index] |= before[index] & planes  # as written; what decoding leaves comes on top
        words, positions = outcome.word_ids, outcome.positions
        there = self.layout.exists(words % n_words, positions)
        words, positions = words[there], positions[there]
        passed = ~np.isin(words, outcome.uncorrectable_words) if self.zeroes else np.ones(len(words), dtype=bool)
        row, weight, plane = self._addresses(words[passed], positions[passed])
        bits = np.left_shift(np.ones(len(plane), held.dtype), plane.astype(held.dtype))
        np.bitwise_xor.at(flat, row * place + weight, bits)
        if self.zeroes and len(outcome.uncorrectable_words):
            lost = _all_bits(self.layout, outcome.uncorrectable_words % n_words)
            row, weight, _ = self._addresses(outcome.uncorrectable_words[lost[0]], lost[1])
            flat[row * place + weight] = zero
        counts.parity += len(checks)
        counts.corrected += len(outcome.corrected_words)
        counts.flagged += len(outcome.uncorrectable_words)

    def _addresses(self, words: Int64, positions: Int64) -> tuple[Int64, Int64, Int64]:
        """(input, number, plane) of data bits by word, counted over all inputs."""
        weight, plane = self.layout.address(words % self.layout.n_words, positions)
        return words // self.layout.n_words, weight, plane

    def _data_errors(self, errors: NDArray[Any]) -> Int64:
        """Keys word * n + position of the data bits in error, words counted over all inputs."""
        row, weight = np.nonzero(errors & errors.dtype.type(self.planes))
        inside = (errors[row, weight][:, None] & errors.dtype.type(self.planes)) >> np.arange(
            8 * errors.itemsize
        ).astype(errors.dtype)
        place, plane = np.nonzero(inside & 1)
        word, position = self.layout.locate(weight[place], plane)
        keys: Int64 = (row[place] * self.layout.n_words + word) * self.code.n + position
        return keys

    def _check_errors(self, written: NDArray[Any], faults: ValueFaults, first: int) -> Int64:
        """Keys of the check bits in error; only words with a weak check cell are encoded."""
        parity, n_words = self.code.parity, self.layout.n_words
        if not (parity and (self.p01 or self.p10)):
            return np.empty(0, dtype=np.int64)
        limbs = -(-parity // _LIMB)
        up = np.zeros((len(written), n_words * limbs), dtype=np.uint32)
        down = np.full_like(up, 0xFFFFFFFF)
        keys = faults.keys("value parity", first, len(written), self.number)
        flip_each(up, self.p01, 0.0, keys)
        flip_each(down, 0.0, self.p10, keys)
        up_bits, down_bits = (_bits(x, limbs)[:, :parity] for x in (up, ~down))
        weak = np.flatnonzero((up_bits | down_bits).any(axis=1))
        if not weak.size:
            return np.empty(0, dtype=np.int64)
        data = np.zeros((len(weak), self.code.k), dtype=np.uint8)
        which, position = _all_bits(self.layout, weak % n_words)
        row, weight, plane = self._addresses(weak[which], position)
        data[which, position] = (written[row, weight] >> plane.astype(written.dtype)) & 1
        checks = self.code.encode(data)[:, self.code.k :]
        wrong = np.where(checks == 1, down_bits[weak], up_bits[weak])
        which, bit = np.nonzero(wrong)
        found: Int64 = weak[which] * self.code.n + self.code.k + bit
        return found


def _bits(words: NDArray[np.uint32], limbs: int) -> NDArray[np.uint8]:
    """[N, words x limbs] as bits [N x words, limbs x 32]."""
    return np.unpackbits(words.reshape(-1, limbs).view(np.uint8), axis=1, bitorder="little")


def _all_bits(layout: WordLayout, words: Int64) -> tuple[Int64, Int64]:
    """(index into ``words``, position) of every data bit that these words really have."""
    which, position = np.nonzero(layout.exists(words[:, None], np.arange(layout.k)))
    return which, position


def guard(entry: MenuEntry, planes: Bool, values: int, channel: Float64, answer: str | None = None) -> Guard:
    """The words of an entry with a code on planes [B] of a value; check cells fail as the top plane's do.

    ``channel`` [2, steps, B] : p01 and p10, at the only or at every step that reads it.
    ``answer`` : what is made of flagged words, as ``array.on_uncorrectable``; None: what the entry makes of them.
    Raises ValueError where flagged words are to be reloaded, or read as signs.
    """
    assert entry.code is not None
    own = "zero" if entry.zeroes_weight else entry.code.policy
    if (answer or own) in ("reload", "sign"):
        raise ValueError("a value that was just computed lies nowhere else: a flagged word reads as it is, or as zero")
    top = int(np.flatnonzero(planes)[-1])
    layout = WordLayout(np.array([0, values]), planes[None], entry.code)
    mask = int((planes * (1 << np.arange(planes.size))).sum())
    zeroes = (answer or own) == "zero"
    checks = channel[:, :, top]
    p01, p10 = checks[:, -1].tolist()
    return Guard(entry.code, layout, mask, zeroes, p01, p10, checks if checks.shape[1] > 1 else None)
