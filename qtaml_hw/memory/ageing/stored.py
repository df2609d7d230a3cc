"""What the cells hold as the last read-out finds it, bit for bit and before any decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qtaml_hw.arrays import Codes, Uint8
from qtaml_hw.memory.ageing.kernels import BitErrors
from qtaml_hw.memory.ageing.laid_out import LaidOut
from qtaml_hw.memory.ageing.regions import CodeRegion


@dataclass(frozen=True, eq=False)
class Stored:
    """An image in its cells.

    ``written`` [tensors], the codes that the cells should hold; ``seen`` [tensors], those with the flips of every bit
    that lies in no ECC word (in words as decoded); ``errors``: by number of the menu entry the bits in error of its
    words, in parts.
    """

    laid_out: LaidOut
    written: tuple[Codes, ...]
    seen: tuple[Codes, ...]
    errors: Mapping[int, Sequence[BitErrors]]

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
            word, position = self.errors_of(region)
            data = position < region.code.k
            region.flip(out, BitErrors(word[data], position[data]))
        return tuple(out)

    def errors_of(self, region: CodeRegion) -> BitErrors:
        """The bits in error of an entry's words."""
        keys = [found.word * region.code.n + found.position for found in self.errors.get(region.index, ())]
        return BitErrors(*np.divmod(np.sort(np.concatenate([np.empty(0, dtype=np.int64), *keys])), region.code.n))

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
        held[self.errors_of(region)] ^= 1
        return written, held
