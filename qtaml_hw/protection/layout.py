"""Where the bits of ECC words live: the words of one tensor and one menu entry, explicit and reversible.

Data bits run weight ascending and, within a weight, over its planes with this entry, most significant first; word w
holds bits w k .. (w + 1) k - 1 of that sequence, so neighbouring weights share a word.  Words restart at each tensor;
the last word of a tensor may be shortened (its missing data bits are tied to zero) but has all its check bits.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Bool, Int64
from qtaml_hw.ecc.block import BlockCode


class BitOrder(NamedTuple):
    """The sequence of data bits, group by group.

    ``starts`` int64 [G+1] weights; ``first`` int64 [G+1] numbers of the groups' first bits; ``per_weight`` int64 [G];
    ``plane`` int8 [G, B]: a weight's bits in their order, the first ``per_weight`` of a row.
    """

    starts: Int64
    first: Int64
    per_weight: Int64
    plane: NDArray[np.int8]


class WordLayout:
    """The ECC words of one tensor and one menu entry.

    Parameters
    ----------
    starts : int64 [G+1], group g of the tensor = its weights starts[g] : starts[g+1]; starts[0] = 0.
    chosen : bool [G, B], the planes (LSB first) of each group that are under this entry.
    code : the entry's code; None where it has none: words of one bit and no check bits.
    floor : check bits per data bit beside those of words (Shannon's bound), rounded up.

    Attributes
    ----------
    k, n, parity_per_word : data bits, bits and check bits of a word.
    order : the sequence of the data bits.
    n_words, data_bits, parity_bits : totals; parity counts whole words.
    """

    def __init__(self, starts: Int64, chosen: Bool, code: BlockCode | None, floor: float = 0.0) -> None:
        self.k = 1 if code is None else code.k
        self.parity_per_word = 0 if code is None else code.parity
        self.n = self.k + self.parity_per_word
        per_weight: Int64 = chosen.sum(axis=1, dtype=np.int64)
        # rank of a plane among its group's planes with this entry, most significant first; -1 elsewhere
        self._rank: NDArray[np.int8] = np.where(chosen, np.cumsum(chosen[:, ::-1], axis=1)[:, ::-1] - 1, -1).astype(
            np.int8
        )
        plane = np.argsort(np.where(chosen, self._rank, 127), axis=1, kind="stable").astype(np.int8)
        first = np.concatenate([[0], np.cumsum(np.diff(starts) * per_weight)]).astype(np.int64)
        self.order = BitOrder(np.ascontiguousarray(starts, dtype=np.int64), first, per_weight, plane)
        self.data_bits = int(first[-1])
        self.n_words = -(-self.data_bits // self.k)
        self.parity_bits = self.n_words * self.parity_per_word + ceil(floor * self.data_bits)

    def locate(self, weight_local: Int64, plane: Int64) -> tuple[Int64, Int64]:
        """(word, position) of data bits given by weight index within the tensor and plane (LSB = 0).

        ValueError where a bit does not belong to this entry or does not exist.
        """
        weight = np.asarray(weight_local, dtype=np.int64)
        planes = np.asarray(plane, dtype=np.int64)
        if weight.size and (int(weight.min()) < 0 or int(weight.max()) >= int(self.order.starts[-1])):
            raise ValueError(f"weights of this tensor are 0 .. {int(self.order.starts[-1]) - 1}")
        if planes.size and (int(planes.min()) < 0 or int(planes.max()) >= self._rank.shape[1]):
            raise ValueError(f"planes are 0 .. {self._rank.shape[1] - 1}")
        group = np.searchsorted(self.order.starts, weight, side="right") - 1
        rank = self._rank[group, planes].astype(np.int64)
        if np.any(rank < 0):
            raise ValueError("a bit asked for is not protected by this menu entry")
        starts, first, per_weight, _ = self.order
        index = first[group] + (weight - starts[group]) * per_weight[group] + rank
        return index // self.k, index % self.k

    def address(self, word: Int64, position: Int64) -> tuple[Int64, Int64]:
        """The inverse of :meth:`locate`: (weight within the tensor, plane) of data bits.

        ValueError for check bits and for data bits that a shortened last word does not have (see :meth:`exists`).
        """
        index = np.asarray(word, dtype=np.int64) * self.k + np.asarray(position, dtype=np.int64)
        if not np.all(self.exists(word, position)):
            raise ValueError(
                f"positions 0 .. {self.k - 1} of words 0 .. {self.n_words - 1} hold data bits "
                f"({self.data_bits} in all); a bit asked for is none of them"
            )
        starts, first, per_weight, plane = self.order
        group = np.searchsorted(first, index, side="right") - 1
        rest, rank = np.divmod(index - first[group], np.maximum(per_weight[group], 1))
        return starts[group] + rest, plane[group, rank].astype(np.int64)

    def exists(self, word: Int64, position: Int64) -> Bool:
        """Whether (word, position) is a data bit that is really stored."""
        word, position = np.asarray(word, dtype=np.int64), np.asarray(position, dtype=np.int64)
        inside = (position >= 0) & (position < self.k) & (word >= 0)
        held: Bool = inside & (word * self.k + position < self.data_bits)
        return held
