"""What the cells hold as the last read-out finds it, bit for bit and before any decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qtaml_hw.arrays import Codes, Int64, Uint8
from qtaml_hw.memory.ageing.laid_out import LaidOut
from qtaml_hw.memory.ageing.regions import CodeRegion


@dataclass(frozen=True, eq=False)
class Stored:
    """An image in its cells.

    ``written`` [tensors], the codes that the cells should hold; ``seen`` [tensors], those with the flips of every bit
    that lies in no ECC word (in words as decoded); ``errors``: by number of the menu entry the bits in error of its
    words, int64 keys word * n + position, in parts.
    """

    laid_out: LaidOut
    written: tuple[Codes, ...]
    seen: tuple[Codes, ...]
    errors: Mapping[int, Sequence[Int64]]

    @cached_property
    def regions(self) -> tuple[CodeRegion, ...]:
        """ECC words of every entry with a code, with the check bits of what was written."""
        return self.laid_out.regions_of(self.written)

    @cached_property
    def held(self) -> tuple[Codes, ...]:
        """[tensors] codes as the cells hold them."""
        plan, out = self.laid_out.plan, []
        coded = np.isin(plan.choice, [region.index for region in self.regions])
        in_words = (coded << np.arange(plan.planes)).sum(axis=1)
        for t, (written, seen) in enumerate(zip(self.written, self.seen, strict=True)):
            first, last = plan.tensor_groups(t)
            mask = np.repeat(in_words[first:last], np.diff(plan.starts[first : last + 1])).astype(written.dtype)
            out.append((seen & ~mask) | (written & mask))
        for region in self.regions:
            word, position = np.divmod(self.errors_of(region), region.code.n)
            data = position < region.code.k
            for t, weight, plane in region.addresses(word[data], position[data]):
                dtype = out[t].dtype
                np.bitwise_xor.at(out[t], weight, np.left_shift(np.ones(len(plane), dtype), plane.astype(dtype)))
        return tuple(out)

    def errors_of(self, region: CodeRegion) -> Int64:
        """Keys of the bits in error of an entry's words, sorted."""
        return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *self.errors.get(region.index, ())]))

    def words(self, region: CodeRegion) -> tuple[Uint8, Uint8]:
        """Words of an entry as written and as held: 0/1 uint8 [words, n], data bits first.

        Data bits that a shortened last word does not have are zero.
        """
        code = region.code
        written = np.zeros((region.words, code.n), dtype=np.uint8)
        row, position = np.nonzero(np.arange(code.k) < region.word_bits[:, None])
        tensor = region.tensor[row]
        for t, codes in enumerate(self.written):
            mine = tensor == t
            weight, plane = region.layouts[t].address(row[mine] - region.word_starts[t], position[mine])
            written[row[mine], position[mine]] = (codes[weight] >> plane.astype(codes.dtype)) & 1
        checks = np.arange(code.parity)
        written[:, code.k :] = (region.checks[:, checks // 64] >> (checks % 64).astype(np.uint64)) & np.uint64(1)
        held = written.copy()
        word, position = np.divmod(self.errors_of(region), code.n)
        held[word, position] ^= 1
        return written, held
