"""The ECC words of a plan as the array sees them, whatever they hold: how many lie where, and what correcting asks.

A word is stored as a unit in the rows of its first data bit.  Decoders and encoders of every code stand in each bank;
those of one code take the words that are open at once in turns, those of different codes work side by side.  Nothing
is pipelined: a turn of a refresh or a scrub takes a decode and an encode.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.ecc.code import Code
from qtaml_hw.memory.array.geometry import ArrayGeometry
from qtaml_hw.protection import ProtectionPlan, WordLayout

_ROUNDING = 1e-9  # of densities, before they are rounded up to whole words


@dataclass(frozen=True)
class Corrections:
    """What correcting every ECC word once asks of a bank beside its row cycles; by default nothing.

    ``row_s`` : correcting one refreshed row (or those refreshed together) of every class, seconds, () where refresh
    corrects none; ``access_s`` : decoding what one access reads, a share of a block where blocks are longer;
    ``block_s``, ``block_accesses`` : decoding a whole block, and the accesses that bring it in (0 without long blocks);
    ``scrub_accesses`` : accesses, over all banks, that
    read what a scrub corrects; ``scrub_codec_s`` : decoding and encoding in the scrub of one bank.
    """

    row_s: tuple[float, ...] = ()
    access_s: float = 0.0
    block_s: float = 0.0
    block_accesses: int = 0
    scrub_accesses: int = 0
    scrub_codec_s: float = 0.0


@dataclass(frozen=True, eq=False)
class EccWords:
    """The words of one menu entry.

    ``per_tensor`` int64 [T]; ``per_class`` int64 [classes], by the rows they lie in; ``per_row`` float64 [classes],
    words' worth of data bits in the fullest row of a class; ``per_access``: in the fullest access.
    """

    name: str
    code: Code
    per_tensor: Int64
    per_class: Int64
    per_row: Float64
    per_access: float

    @property
    def words(self) -> int:
        """Words over all tensors."""
        return int(self.per_tensor.sum())

    def decoders(self, geometry: ArrayGeometry, *, at_refresh: bool) -> int:
        """Decoders (and encoders) of the code in one bank; ``at_refresh``: refreshed rows are corrected."""
        asked = geometry.decoders or ("per_row" if at_refresh else "per_bank")
        if isinstance(asked, int):
            return asked
        open_at_once = {
            "per_row": geometry.rows_refreshed_together * float(self.per_row.max()),
            "per_bank": self.per_access,
        }
        return max(1, ceil(open_at_once[asked] - _ROUNDING))


@dataclass(frozen=True, eq=False)
class PlacedWords:
    """All ECC words of a plan in an array; ``at_refresh``: refreshed rows are corrected before they are restored."""

    plan: ProtectionPlan
    geometry: ArrayGeometry
    at_refresh: bool

    @cached_property
    def parity_bits(self) -> Int64:
        """Check bits of each tensor, int64 [T]."""
        used = np.unique(self.plan.choice).tolist()
        return self._check_bits([index for index in used if self.plan.entries[index].parity_per_bit > 0.0])

    @cached_property
    def entries(self) -> tuple[EccWords, ...]:
        """The words of every entry with a code that protects anything, in menu order."""
        return tuple(self._words(index) for index in self._coded)

    @cached_property
    def decoders(self) -> dict[str, int]:
        """Decoders of every code in one bank, by name of the menu entry."""
        return {words.name: words.decoders(self.geometry, at_refresh=self.at_refresh) for words in self.entries}

    @cached_property
    def corrections(self) -> Corrections:
        """Times of decoding and encoding, and the accesses of a scrub."""
        geometry = self.geometry
        row_s, access_s, scrub_s = np.zeros(self._classes.max() + 1), 0.0, 0.0
        block_s, block_accesses = 0.0, 0
        for words in self.entries:
            hardware, decoders = words.code.hardware(geometry.node_m, geometry.v_dd_v), self.decoders[words.name]
            both_s = hardware.decode_latency_s + hardware.encode_latency_s
            open_rows = np.where(words.per_class > 0, geometry.rows_refreshed_together * words.per_row, 0.0)
            row_s = np.maximum(row_s, np.ceil(open_rows / decoders - _ROUNDING) * both_s)
            per_access = max(1, ceil(words.per_access - _ROUNDING))
            turns_read: float = ceil(per_access / decoders)
            if words.code.whole:
                turns_read = words.per_access / decoders
                block_s = max(block_s, hardware.decode_latency_s)
                block_accesses = max(block_accesses, ceil(words.code.n / geometry.word_bits))
            access_s = max(access_s, turns_read * hardware.decode_latency_s)
            turns = ceil(ceil(words.words / geometry.banks) / min(decoders, per_access))
            scrub_s = max(scrub_s, turns * both_s)
        return Corrections(
            row_s=tuple(row_s.tolist()) if self.at_refresh else (),
            access_s=access_s,
            block_s=block_s,
            block_accesses=block_accesses,
            scrub_accesses=ceil(self._scrubbed_bits / geometry.word_bits),
            scrub_codec_s=scrub_s,
        )

    def _check_bits(self, entries: list[int]) -> Int64:
        """Check bits of each tensor under some menu entries, int64 [T]."""
        parity = np.zeros(self.plan.tensors, dtype=np.int64)
        for index in entries:
            parity += [layout.parity_bits for layout in self._layouts(index)]
        return parity

    @cached_property
    def _coded(self) -> list[int]:
        """Menu entries with a code that are chosen anywhere."""
        used = np.unique(self.plan.choice).tolist()
        return [index for index in used if self.plan.entries[index].code is not None]

    @cached_property
    def _classes(self) -> Int64:
        """Row class of every plane, LSB first."""
        return self.geometry.classes_of(self.plan.planes)

    @cached_property
    def _of_plane(self) -> dict[int, tuple[WordLayout, ...]]:
        return {}

    def _layouts(self, index: int) -> tuple[WordLayout, ...]:
        """Words of one entry in every tensor, laid out once."""
        if index not in self._of_plane:
            self._of_plane[index] = tuple(self.plan.layout(t, index) for t in range(self.plan.tensors))
        return self._of_plane[index]

    @cached_property
    def _scrubbed_bits(self) -> int:
        """Bits that a scrub reads: all bits that share an access with a data bit of a word, and the check bits.

        An access holds all planes of a row class, so a word on two of eight planes of a row-major row takes all eight.
        """
        coded = np.isin(self.plan.choice, self._coded)
        touched = 0
        for row_class in range(int(self._classes.max()) + 1):
            mine = self._classes == row_class
            touched += int(self._class_bits(row_class)[coded[:, mine].any(axis=1)].sum())
        return touched + int(self._check_bits(self._coded).sum())

    def _class_bits(self, row_class: int) -> Int64:
        """Data bits of every group in the rows of a class, int64 [G]."""
        plan = self.plan
        of_tensor = plan.stored_planes[:, self._classes == row_class].sum(axis=1, dtype=np.int64)
        tensor = np.searchsorted(plan.tensor_starts, plan.starts[:-1], side="right") - 1
        return np.asarray(np.diff(plan.starts) * of_tensor[tensor])

    def _data_in(self, bits: int, row_class: int) -> float:
        """Data bits of a row class that fill a row or an access with their share of the check bits."""
        data = float(self._class_bits(row_class).sum())
        check = float(self.parity_bits.sum()) if row_class == self._classes[-1] else 0.0
        return bits * data / (data + check) if data else 0.0

    def _words(self, index: int) -> EccWords:
        item, layouts = self.plan.entries[index], self._layouts(index)
        assert item.code is not None
        per_tensor = np.array([layout.n_words for layout in layouts], dtype=np.int64)
        per_class = self._by_class(layouts)
        held = (self.plan.choice == index).sum(axis=1) * np.diff(self.plan.starts)  # data bits of every group
        share = per_class / max(int(per_tensor.sum()), 1)
        classes = range(share.size)
        rows = [self._fullest(held, c) for c in classes]
        access = [self._densest(held, c) * self._data_in(self.geometry.word_bits, c) for c in classes]
        return EccWords(
            name=item.name,
            code=item.code,
            per_tensor=per_tensor,
            per_class=per_class,
            per_row=share * np.array(rows) / item.code.k,
            per_access=float((share * np.array(access)).max()) / item.code.k,
        )

    def _by_class(self, layouts: tuple[WordLayout, ...]) -> Int64:
        """Words by the row class of their first data bit, int64 [classes]."""
        counts = np.zeros(int(self._classes.max()) + 1, dtype=np.int64)
        for layout in layouts:
            if counts.size == 1:
                counts += layout.n_words
            elif layout.n_words:
                word = np.arange(layout.n_words, dtype=np.int64)
                _, plane = layout.address(word, np.zeros_like(word))
                counts += np.bincount(self._classes[plane], minlength=counts.size)
        return counts

    def _densest(self, held: Int64, row_class: int) -> float:
        """Most data bits of an entry per data bit of a class in any group."""
        here = self._class_bits(row_class)
        return float(np.divide(held, here, out=np.zeros(len(held)), where=here > 0).max())

    def _fullest(self, held: Int64, row_class: int) -> float:
        """Most data bits of an entry in any row of a class; ``held`` int64 [G], those of every group.

        Rows of a bank hold a block of neighbouring weights, or with words interleaved an equal share of a longer run.
        """
        geometry, here = self.geometry, self._class_bits(row_class)
        starts, run = np.concatenate([[0], np.cumsum(here)]), self._data_in(geometry.row_bits, row_class)
        before, total = np.concatenate([[0], np.cumsum(held)]).astype(np.float64), int(starts[-1])
        if not total:
            return 0.0
        if geometry.interleave == "block":
            widest = int((here // np.diff(self.plan.starts)).max())
            share = -(-total // (geometry.banks * widest)) * widest
            banks = [np.append(np.arange(b, min(b + share, total), run), min(b + share, total))
                     for b in range(0, total, share)]  # fmt: skip
        else:
            run *= geometry.banks
            banks = [np.append(np.arange(0, total, run), total)]
        fullest = max(float(np.diff(np.interp(edges, starts, before)).max()) for edges in banks)
        return fullest / (1 if geometry.interleave == "block" else geometry.banks)
