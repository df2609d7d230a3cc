"""A code given by its matrix, decoded by its syndrome: a coset table, or Berlekamp-Massey and Chien."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self, get_args

import numpy as np

from qtaml_hw.arrays import Int64, Uint8, Uint64
from qtaml_hw.ecc import codec
from qtaml_hw.ecc.block import BlockCode, Checks
from qtaml_hw.ecc.cosets import TABLE_LIMIT, CosetTable, coset_table
from qtaml_hw.ecc.errors import ErrorOutcome, correct_by_algebra, correct_by_table, syndrome_errors
from qtaml_hw.ecc.finite_field import Field
from qtaml_hw.ecc.matrices import BitMatrix
from qtaml_hw.names import OnUncorrectable

DecoderRule = Literal["strict", "odd-syndrome"]


@dataclass(frozen=True, eq=False)
class LinearCode(BlockCode):
    """A named systematic code, as its decoder sees it; ``MatrixCode`` adds residual channel and hardware.

    Parameters
    ----------
    name, family : the registry name, and secded | hamming | dected | bch | golay | repetition | parity | user.
    parity_matrix : uint8 [k, r], row j = check bits of data bit j.
    t : errors per word that the decoder corrects.
    distance : (designed) minimum distance; every pattern of up to distance - 1 - t errors is corrected or flagged.
    policy : what a flagged word's data become: ``raw`` (as read), ``zero``, ``reload`` (from a backing store),
        ``sign`` (of their weights).
    rule : ``strict`` or ``odd-syndrome`` (see :mod:`qtaml_hw.ecc.cosets`).
    gf : the field of a BCH code decoded algebraically (more than 18 check bits); None where a coset table serves.
    """

    name: str
    family: str
    parity_matrix: BitMatrix
    t: int
    distance: int
    policy: OnUncorrectable = "raw"
    rule: DecoderRule = "strict"
    gf: Field | None = None

    @property
    def k(self) -> int:
        """Data bits per word."""
        return int(self.parity_matrix.shape[0])

    @property
    def parity(self) -> int:
        """Check bits per word, n - k."""
        return int(self.parity_matrix.shape[1])

    @property
    def algebraic(self) -> bool:
        """True where decoding runs Berlekamp-Massey and Chien instead of a coset table."""
        return self.parity > TABLE_LIMIT

    @property
    def position_symmetric(self) -> bool:
        """True for an unshortened cyclic code: every bit position behaves alike."""
        return self.family == "bch" and (self.n + 1) & self.n == 0

    @cached_property
    def check_matrix(self) -> BitMatrix:
        """H = [P^T | I], uint8 [r, n]."""
        return np.concatenate([self.parity_matrix.T, np.eye(self.parity, dtype=np.uint8)], axis=1)

    @cached_property
    def columns(self) -> Uint64:
        """uint64 [n, R]: the syndrome of a single error at each position, packed."""
        return codec.pack(np.ascontiguousarray(self.check_matrix.T))

    @cached_property
    def cosets(self) -> CosetTable:
        """The coset table; ValueError for codes with more than 18 check bits, which are decoded algebraically."""
        if self.algebraic:
            raise ValueError(f"{self.name} has {self.parity} check bits; coset tables stop at {TABLE_LIMIT}")
        return coset_table(self.columns[:, 0], self.parity, self.t, odd_passes=self.rule == "odd-syndrome")

    @cached_property
    def degrees(self) -> Int64:
        """int64 [n]: the power of x of every position of a cyclic code (data bit j is x^(r + j), check i is x^i)."""
        return np.concatenate([self.parity + np.arange(self.k), np.arange(self.parity)])

    @cached_property
    def _tables(self) -> Uint64:
        return codec.byte_tables(self.parity_matrix)

    @cached_property
    def _narrow_tables(self) -> Checks:
        return self._tables[:, :, 0].astype(codec.check_dtype(self.parity))

    @cached_property
    def _masks(self) -> Uint64:
        return self.cosets.masks(self.k)

    def with_policy(self, policy: OnUncorrectable, rule: DecoderRule | None = None) -> Self:
        """The same code under another decoder policy; ValueError where the rule does not fit the family."""
        if policy not in get_args(OnUncorrectable):
            raise ValueError(f"decoder policy {policy!r} is unknown; allowed: {', '.join(get_args(OnUncorrectable))}")
        rule = self.rule if rule is None else rule
        if rule not in ("strict", "odd-syndrome"):
            raise ValueError(f"decoder rule {rule!r} is unknown; allowed: strict, odd-syndrome")
        if rule == "odd-syndrome" and self.family != "secded":
            raise ValueError(
                f"the odd-syndrome rule needs odd-weight columns (secded codes); {self.name} is {self.family}"
            )
        return replace(self, policy=policy, rule=rule)

    def encode_packed(self, data: Uint64) -> Checks:
        """As for every code; words of one limb are looked up at once."""
        if data.ndim > 1 or self._limbs > 1 or self.parity > 64:
            return super().encode_packed(data)
        out = np.empty(data.shape, dtype=codec.check_dtype(self.parity))
        codec.encode_one_limb(self._narrow_tables, data, out)
        return out

    # ---- helpers

    def _decoded(self, data: Uint64, checks: Checks) -> tuple[Uint64, Uint8]:
        if data.ndim > 1 or self._limbs > 1 or self.algebraic:
            return super()._decoded(data, checks)
        out, status = np.empty_like(data), np.empty(data.shape, dtype=np.uint8)
        codec.decode_one_limb(self._narrow_tables, self._masks[:, 0], self.cosets.status, data, checks, out, status)
        return out, status

    def _left(self, word_ids: Int64, positions: Int64) -> ErrorOutcome:
        if self.algebraic:
            return self._by_algebra(word_ids, positions)
        return correct_by_table(self.columns[:, 0], self.cosets, self.k, word_ids, positions)

    def _check_limbs(self, data: Uint64) -> Uint64:
        out = np.zeros((len(data), -(-self.parity // 64)), dtype=np.uint64)
        codec.encode_limbs(self._tables, data, out)
        return out

    def _by_algebra(self, word_ids: Int64, positions: Int64) -> ErrorOutcome:
        if self.gf is None:
            raise ValueError(f"{self.name} has {self.parity} check bits and no algebraic decoder")
        return correct_by_algebra(self.gf, self.degrees, self.t, self.k, word_ids, positions)

    def _correct(self, data: Uint64, syndromes: Uint64) -> Uint8:
        status = np.zeros(len(data), dtype=np.uint8)
        if not self.algebraic:
            codec.apply_cosets(syndromes[:, 0], self._masks, self.cosets.status, data, status)
            return status
        # an error confined to the check bits has the word's syndrome, so it has the word's correction
        word_ids, positions = syndrome_errors(syndromes, self.k, self.parity)
        outcome = self._by_algebra(word_ids, positions)
        limb, bit = outcome.positions // 64, (outcome.positions % 64).astype(np.uint64)
        np.bitwise_xor.at(data, (outcome.word_ids, limb), np.uint64(1) << bit)
        status[outcome.corrected_words] = codec.CORRECTED
        status[outcome.uncorrectable_words] = codec.UNCORRECTABLE
        return status
