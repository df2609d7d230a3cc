"""Values of one inference, or of a batch: how many numbers, written when, read from when to when.

Layers run one after another, each for its systolic time.  A value counts as written when the layer before it ends, and
as read from the begin of its first reader to the end of its last.  A causal model grows keys and values by a token a
step: token t of T is written at the begin of step t and read at every later step, the last time at the end of step T-1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qtaml_hw.arrays import Float64, Int64


@dataclass(frozen=True)
class Produced:
    """A value as a network makes it.

    ``words`` numbers for one inference; ``after`` the layer that ran last before it was written (empty: an input);
    ``read_first``, ``read_last`` the layers between whose begin and end it is read; ``word_reads`` numbers read in all
    (0: each once); ``tokens``: of keys and values, which lie one token after another (0: all is written at once).
    """

    name: str
    words: int
    after: str
    read_first: str
    read_last: str
    word_reads: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Value:
    """Numbers that are written and read together, or token by token.

    ``words`` in all, each of ``bits``, of ``batch`` inferences one behind the other; times in seconds from the begin of
    the batch; token t of ``tokens`` is written ``t * token_s`` later than the first.  ``word_reads`` numbers read in
    all; ``check_bits`` of its ECC words, which lie behind it.
    Raises ValueError for a value of no words, or one that is read before it is written (a lifetime of zero or below).
    """

    name: str
    layer: str
    words: int
    bits: int
    written_at_s: float
    first_read_s: float
    last_read_s: float
    word_reads: int = 0
    tokens: int = 1
    token_s: float = 0.0
    check_bits: int = 0
    batch: int = 1

    def __post_init__(self) -> None:
        if min(self.words, self.tokens, self.batch) < 1 or self.words % (self.tokens * self.batch):
            raise ValueError(
                f"{self.name} has {self.words} words in {self.tokens} tokens of {self.batch} inferences; each token "
                "has whole words"
            )
        if not (math.isfinite(self.last_read_s) and float(self.lifetimes_s.min()) > 0.0):
            least = float(self.lifetimes_s.min())
            raise ValueError(
                f"{self.name} would live {least:g} s from its write to its last read; a lifetime is above 0"
            )

    @property
    def own_words(self) -> int:
        """Numbers of one inference."""
        return self.words // self.batch

    @property
    def token_of_word(self) -> Int64:
        """[words]: the token that every number belongs to."""
        return np.tile(np.repeat(np.arange(self.tokens), self.own_words // self.tokens), self.batch)

    @property
    def room(self) -> int:
        """Words that it takes in the array, check cells with it."""
        return self.words - (-self.check_bits // self.bits)

    @property
    def stored_bits(self) -> float:
        """Bits that a read of a number takes with its share of the check bits."""
        return self.bits + self.check_bits / self.words

    @property
    def lifetimes_s(self) -> Float64:
        """[tokens]: from the write to the last read."""
        found: Float64 = self.last_read_s - self.written_at_s - self.token_s * np.arange(self.tokens, dtype=np.float64)
        return found

    @property
    def ages_s(self) -> Float64:
        """[readings]: a token's age when it is read for the first time, the second ... and the last; else one age."""
        return self.lifetimes_s[::-1] if self.token_s else self.lifetimes_s[:1]

    @property
    def code_type(self) -> type[np.unsignedinteger[Any]]:
        """Of its codes."""
        return np.uint8 if self.bits <= np.iinfo(np.uint8).bits else np.uint16

    @property
    def between_reads_s(self) -> Float64:
        """[tokens]: the longest time without a read: until the first one, or from one step to the next."""
        return np.asarray(np.max([gaps_s for gaps_s, _ in self.unread_s], axis=0))

    @property
    def unread_s(self) -> tuple[tuple[Float64, Int64], ...]:
        """Times without a read while it lives, [tokens] each, and how many of them every token has [tokens]."""
        if self.token_s:
            steps = np.ceil(self.lifetimes_s / self.token_s * (1.0 - 1e-12)).astype(np.int64)
            return ((np.minimum(self.lifetimes_s, self.token_s), steps),)
        once = np.ones(self.tokens, dtype=np.int64)
        gaps = (self.first_read_s - self.written_at_s, self.last_read_s - self.first_read_s)
        return tuple((np.full(self.tokens, gap), once) for gap in gaps)

    @property
    def ends_s(self) -> float:
        """When its words are free again."""
        return self.last_read_s


def schedule_of(
    produced: Iterable[Produced],
    layers: Sequence[tuple[str, float]],
    *,
    bits: int,
    batch: int = 1,
    token_s: float | None = None,
    lifetime_s: float | None = None,
) -> tuple[Value, ...]:
    """The values of one inference, or of ``batch`` inferences that go through the layers together.

    ``layers`` (name, seconds) in the order they run; one that runs several times under one name counts from its first
    begin to its last end.  ``token_s`` : time of a token (None: the tokens of a value share the latency);
    ``lifetime_s`` : from the write of every value to its last read, in place of the schedule.
    Raises ValueError for a layer that does not run and for a lifetime of zero or below.
    """
    begin, end, now = dict[str, float](), {"": 0.0}, 0.0
    for name, seconds in layers:
        begin.setdefault(name, now)
        now += seconds * batch
        end[name] = now
    values = []
    for one in produced:
        lost = [name for name in (one.after, one.read_first, one.read_last) if name not in end]
        if lost:
            raise ValueError(f"{one.name}: no layer {lost[0]!r} runs; there are {', '.join(begin)}")
        step = 0.0 if not one.tokens else now / one.tokens if token_s is None else token_s
        tokens = max(one.tokens, 1)
        written = 0.0 if one.tokens else end[one.after]
        first = step if one.tokens else begin.get(one.read_first, 0.0)
        last = step * tokens if one.tokens else end[one.read_last]
        if lifetime_s is not None:
            step, first, last = 0.0, written + lifetime_s, written + lifetime_s
        words = one.words * batch
        reads = batch * (one.word_reads or (one.words * (tokens + 1) // 2 if one.tokens else one.words))
        times = (written, max(first, written), last)
        values.append(Value(one.name, one.after, words, bits, *times, reads, tokens, step, batch=batch))
    return tuple(values)
