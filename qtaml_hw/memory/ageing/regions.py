"""Where the ECC words of one menu entry lie over all tensors, and the check bits that were written with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from qtaml_hw.arrays import Bool, Codes, Int64, Uint8, Uint64
from qtaml_hw.ecc import Code
from qtaml_hw.memory.ageing.kernels import BitErrors, WordRun, count_ones, flip_listed, list_errors, pack_words
from qtaml_hw.memory.array.layout import ArrayLayout
from qtaml_hw.names import OnUncorrectable
from qtaml_hw.protection import MenuEntry, ProtectionPlan, WordLayout


@dataclass(frozen=True, eq=False, kw_only=True)
class CodeRegion:
    """The words of one entry with a code, numbered over all tensors.

    ``word_starts`` int64 [T+1]; ``parity_starts`` int64 [T], first index of these words' check bits among the parity
    cells of the tensor; ``checks`` uint64 [words, limbs], written check bits; ``word_bits`` int64 [words], data bits of
    each word (the last of a tensor may be short); ``home``, ``group`` and ``tensor`` int64 [words]: global weight of
    each word's first data bit, its refresh group and its tensor.
    """

    index: int
    entry: MenuEntry
    code: Code
    layouts: tuple[WordLayout, ...]
    word_starts: Int64
    parity_starts: Int64
    checks: Uint64
    word_bits: Int64
    home: Int64
    group: Int64
    tensor: Int64

    def units(self, unit: Int64) -> list[tuple[int, int]]:
        """(tensor, unit) pairs that hold words; ``unit`` int64 [words]: what words of one history share."""
        units = int(unit.max()) + 1
        return [divmod(u, units) for u in np.unique(self.tensor * units + unit).tolist()]

    @property
    def words(self) -> int:
        """Words over all tensors."""
        return int(self.word_starts[-1])

    def keys(self, tensor: int, weight: Int64, plane: Int64) -> Int64:
        """Keys (word * n + position) of data bits of a tensor."""
        word, position = self.layouts[tensor].locate(weight, plane)
        keys: Int64 = (word + self.word_starts[tensor]) * self.code.n + position
        return keys

    def parity_cells(self, tensor: int, cell: Int64) -> tuple[Bool, Int64, Uint8]:
        """Of parity cells of a tensor: which belong to this region, their keys and the check bits written in them."""
        r = self.code.parity
        index = cell - self.parity_starts[tensor]
        mine = (index >= 0) & (index < self.layouts[tensor].parity_bits)
        word, check = index[mine] // r + self.word_starts[tensor], index[mine] % r
        bits = (self.checks[word, check // 64] >> (check % 64).astype(np.uint64)) & np.uint64(1)
        return mine, word * self.code.n + self.code.k + check, bits.astype(np.uint8)

    def run(self, tensor: int) -> WordRun:
        """The words of a tensor."""
        return WordRun(int(self.word_starts[tensor]), self.code.k, self.code.parity)

    def errors(self, tensor: int, flips: Codes, lost_checks: Bool) -> BitErrors:
        """Bits in error of a tensor's words: ``flips`` [weights] of their data bits, none of others; ``lost_checks``
        [parity cells of the tensor].
        """
        first = int(self.parity_starts[tensor])
        lost = np.flatnonzero(lost_checks[first : first + self.layouts[tensor].parity_bits])
        return list_errors(flips, lost, self.layouts[tensor].order, self.run(tensor), count_ones(flips))

    def flip(self, codes: Sequence[Codes], errors: BitErrors) -> None:
        """Flip listed data bits in codes, tensor by tensor; those that a shortened word lacks are left out."""
        ends = np.searchsorted(errors.word, self.word_starts).tolist()
        for t, (first, last) in enumerate(pairwise(ends)):
            if last > first:
                mine = BitErrors(errors.word[first:last], errors.position[first:last])
                flip_listed(codes[t], mine, self.layouts[t].order, self.run(t))

    def addresses(self, words: Int64, positions: Int64) -> list[tuple[int, Int64, Int64]]:
        """(tensor, weights, planes) of data bits, tensor by tensor."""
        tensor = self.tensor[words]
        out = []
        for t in np.unique(tensor).tolist():
            mine = tensor == t
            weight, plane = self.layouts[t].address(words[mine] - self.word_starts[t], positions[mine])
            out.append((t, weight, plane))
        return out

    def data_addresses(self, words: Int64) -> list[tuple[int, Int64, Int64]]:
        """(tensor, weights, planes) of every data bit of some words."""
        row, position = np.nonzero(np.arange(self.code.k) < self.word_bits[words][:, None])
        return self.addresses(words[row], position.astype(np.int64))


def code_regions(
    codes: Sequence[Codes], plan: ProtectionPlan, array: ArrayLayout, policy: OnUncorrectable | None = None
) -> tuple[CodeRegion, ...]:
    """The regions of a plan's codes, with the check bits of ``codes`` (flat, tensor by tensor).

    ``policy`` replaces what correcting codes do with a word they flag; detecting codes keep one of theirs.
    """
    regions: list[CodeRegion] = []
    parity_used = np.zeros(plan.tensors, dtype=np.int64)
    for index, item in enumerate(plan.entries):
        if item.code is None or not np.any(plan.choice == index):
            continue
        layouts = tuple(plan.layout(t, index) for t in range(plan.tensors))
        region = _region(index, item, layouts, parity_used.copy(), codes, plan, array)
        if policy is not None and (item.kind == "code" or region.code.policy == "raw"):
            region = replace(region, code=region.code.with_policy(policy))
        regions.append(region)
        parity_used += [layout.parity_bits for layout in layouts]
    return tuple(regions)


def _region(
    index: int,
    item: MenuEntry,
    layouts: tuple[WordLayout, ...],
    parity_starts: Int64,
    codes: Sequence[Codes],
    plan: ProtectionPlan,
    array: ArrayLayout,
) -> CodeRegion:
    code = item.code
    assert code is not None
    words = np.array([layout.n_words for layout in layouts], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(words)]).astype(np.int64)
    limbs = -(-code.parity // 64)
    checks = np.zeros((int(starts[-1]), limbs), dtype=np.uint64)
    home, group = np.zeros((2, int(starts[-1])), dtype=np.int64)
    bits = np.full(int(starts[-1]), code.k, dtype=np.int64)
    for t, layout in enumerate(layouts):
        if not layout.n_words:
            continue
        span = slice(int(starts[t]), int(starts[t + 1]))
        packed = np.zeros((layout.n_words, -(-code.k // 64)), dtype=np.uint64)
        pack_words(codes[t], layout.order, code.k, packed)
        checks[span] = code.encode_packed(packed).astype(np.uint64).reshape(layout.n_words, limbs)
        local = np.arange(layout.n_words, dtype=np.int64)
        weight, plane = layout.address(local, np.zeros_like(local))
        home[span] = weight + plan.tensor_starts[t]
        group[span] = array.group_of(home[span], plane)
        bits[span.stop - 1] = layout.data_bits - (layout.n_words - 1) * code.k
    tensor = np.repeat(np.arange(len(layouts), dtype=np.int64), words)
    return CodeRegion(
        index=index,
        entry=item,
        code=code,
        layouts=layouts,
        word_starts=starts,
        parity_starts=parity_starts,
        checks=checks,
        word_bits=bits,
        home=home,
        group=group,
        tensor=tensor,
    )
