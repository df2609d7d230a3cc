"""What one fault map counts: bits lost and read, words corrected and flagged, and what was fetched anew."""

from __future__ import annotations

from dataclasses import dataclass

from qtaml_hw.arrays import Codes, Float64, Int64
from qtaml_hw.memory.ageing.stored import Stored
from qtaml_hw.memory.ageing.words import WordCounts


@dataclass(frozen=True, eq=False, kw_only=True)
class Counts:
    """Per sample, int64 [samples]: what a read-out finds.

    ``flips_data``, ``flips_parity``: stored data and check bits in error before decoding; ``flips_read``: weight bits
    wrong as read after decoding; ``words_corrected``, ``words_uncorrectable``: ECC words that this read-out changed or
    flagged.

    Corrections in the memory: ``corrections`` int64 [samples, 4], the four of :class:`WordCounts` from the first write
    up to each sample; ``over_horizon``, the same up to the horizon (a word counts each time that it was found).
    """

    flips_data: Int64
    flips_parity: Int64
    flips_read: Int64
    words_corrected: Int64
    words_uncorrectable: Int64
    corrections: Int64
    over_horizon: WordCounts

    @property
    def flips_raw(self) -> Int64:
        """Stored bits in error before decoding, check bits included."""
        return self.flips_data + self.flips_parity


@dataclass(frozen=True, eq=False)
class Reload:
    """Words that no correction could save, fetched from the backing store.

    Over the horizon: words, their data ``bits``, and ``time_s`` that fetching and writing them took, one after another.
    ``wait_s`` float64 [samples]: what an inference at each sample waits for the words that it finds uncorrectable and
    fetches (a read stores nothing, so each one does).
    """

    words: int
    bits: int
    time_s: float
    wait_s: Float64


@dataclass(frozen=True, eq=False)
class Aged:
    """One fault map after its time.

    ``read_out`` [samples][tensors], codes as read after decoding; what was counted and fetched; and what the cells hold
    at the last sample.
    """

    read_out: tuple[tuple[Codes, ...], ...]
    counts: Counts
    reload: Reload
    stored: Stored
