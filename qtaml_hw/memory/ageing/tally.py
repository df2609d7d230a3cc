"""What is added up while one fault map ages: the read-outs, and what becomes its counts and reloads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qtaml_hw.arrays import Codes, Int64
from qtaml_hw.memory.ageing.counts import Aged, Counts, Reload
from qtaml_hw.memory.ageing.kernels import BitErrors, count_differences, count_ones
from qtaml_hw.memory.ageing.laid_out import LaidOut
from qtaml_hw.memory.ageing.regions import CodeRegion
from qtaml_hw.memory.ageing.stored import Stored
from qtaml_hw.memory.ageing.words import WordCounts, WordOutcome, WordSample


class Tally:
    """Read-outs that start as what the memory should hold, and counts that start at none.

    ``right`` [samples][tensors], what every sample should read; ``zero_code`` the code that stands for weight zero.
    """

    def __init__(self, laid_out: LaidOut, right: Sequence[Sequence[Codes]], zero_code: int) -> None:
        samples = laid_out.samples
        self.laid_out, self.right, self.zero_code = laid_out, right, zero_code
        self.reads = [np.empty((samples, codes.size), dtype=codes.dtype) for codes in laid_out.codes]
        for s, sample in enumerate(right):
            for reads, codes in zip(self.reads, sample, strict=True):
                reads[s] = codes
        self.flips_data, self.flips_parity, self.corrected, self.uncorrectable = np.zeros((4, samples), dtype=np.int64)
        self.corrections = np.zeros((samples, 4), dtype=np.int64)  # as WordCounts, up to each sample
        self.over_horizon = WordCounts()
        self.reloaded_bits, self.reload_s = 0, 0.0
        self.reload_wait_s = np.zeros(samples)
        self.answered: list[tuple[int, CodeRegion, Int64]] = []
        self.errors: dict[int, list[BitErrors]] = {}  # of words at the last sample, by number of the menu entry

    def flipped(self, tensor: int, sample: int, stored: Codes) -> None:
        """Count the flips of a whole tensor that is read without correction."""
        self.flips_data[sample] += count_differences(self.reads[tensor][sample], stored)

    def read_otherwise(self, tensor: int, sample: int, flips: Codes) -> None:
        """Flip and count bits of a tensor that are read without correction."""
        self.reads[tensor][sample] ^= flips
        self.flips_data[sample] += count_ones(flips)

    def words(self, region: CodeRegion, outcome: WordOutcome, later: int, reload_word_s: float) -> None:
        """ECC words after their history; its corrections precede all samples from number ``later`` on."""
        counts = outcome.counts
        self.over_horizon = self.over_horizon.plus(counts)
        self.corrections[later:] += counts
        self.reloaded_bits += counts.reloaded * region.code.k
        self.reload_s += counts.reloaded * reload_word_s
        for sample in outcome.samples:
            self._sample(region, sample, reload_word_s)

    def _sample(self, region: CodeRegion, sample: WordSample, reload_word_s: float) -> None:
        """Put what decoding left into the read-out."""
        s = sample.sample
        self.corrections[s] += sample.before
        if s == len(self.right) - 1:
            self.errors.setdefault(region.index, []).append(sample.errors)
        self.flips_data[s] += sample.raw_data
        self.flips_parity[s] += sample.raw_parity
        self.corrected[s] += sample.corrected
        self.uncorrectable[s] += len(sample.flagged)
        region.flip([reads[s] for reads in self.reads], sample.left)
        if region.code.policy == "reload":
            self.reload_wait_s[s] += len(sample.flagged) * reload_word_s
        if region.code.policy in ("zero", "sign") and len(sample.flagged):
            self.answered.append((s, region, sample.flagged))

    def _answer(self, sample: int, region: CodeRegion, words: Int64) -> None:
        """Read the weights, or the bits, of flagged words as zero, or the bits below the top plane as that one."""
        top = self.laid_out.planes - 1
        for t, weight, plane in region.data_addresses(words):
            if region.code.policy == "sign":
                self._mask(self.reads[t][sample], weight[plane != top], plane[plane != top], top)
            elif region.entry.zeroes_weight:
                self.reads[t][sample, weight] = self.zero_code
            else:
                dtype = self.reads[t].dtype
                keep = ~np.left_shift(np.ones(len(plane), dtype=dtype), plane.astype(dtype))
                np.bitwise_and.at(self.reads[t][sample], weight, keep)

    @staticmethod
    def _mask(read: Codes, weight: Int64, plane: Int64, top: int) -> None:
        """Set bits of the weights of one tensor to their top plane."""
        bit = np.left_shift(np.ones(len(plane), dtype=read.dtype), plane.astype(read.dtype))
        sign = (read[weight] >> top) & 1 == 1
        np.bitwise_or.at(read, weight[sign], bit[sign])
        np.bitwise_and.at(read, weight[~sign], ~bit[~sign])

    def result(self) -> Aged:
        """Everything, once every bit and word has been added."""
        seen = tuple(reads[-1].copy() if self.answered else reads[-1] for reads in self.reads if len(reads))
        for sample, region, words in sorted(
            self.answered, key=lambda z: z[1].entry.zeroes_weight
        ):  # whole weights last
            self._answer(sample, region, words)
        read_out = tuple(tuple(reads[s] for reads in self.reads) for s in range(len(self.right)))
        flips_read = [sum(map(count_differences, *both)) for both in zip(read_out, self.right, strict=True)]
        counts = Counts(
            flips_data=self.flips_data,
            flips_parity=self.flips_parity,
            flips_read=np.array(flips_read, dtype=np.int64),
            words_corrected=self.corrected,
            words_uncorrectable=self.uncorrectable,
            corrections=self.corrections,
            over_horizon=self.over_horizon,
        )
        reload = Reload(self.over_horizon.reloaded, self.reloaded_bits, self.reload_s, self.reload_wait_s)
        written = tuple(self.right[-1]) if self.right else ()
        return Aged(read_out, counts, reload, Stored(self.laid_out, written, seen, self.errors))
