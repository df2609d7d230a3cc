"""A systematic binary memory code with its decoder: its matrix, encode, decode, error-only decoding.

Word order: data bits 0 .. k-1, then check bits k .. n-1.  Codes are linear, so what a decoder does depends on the error
pattern alone, except for the ``zero`` policy, which replaces the data of a flagged word.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtaml_hw.arrays import Bool, Int64, Uint8, Uint64
from qtaml_hw.ecc import codec
from qtaml_hw.ecc.cosets import TABLE_LIMIT, CosetTable, coset_table
from qtaml_hw.ecc.errors import ErrorOutcome, check_sorted, correct_by_algebra, correct_by_table, syndrome_errors
from qtaml_hw.ecc.finite_field import Field
from qtaml_hw.ecc.matrices import BitMatrix
from qtaml_hw.names import OnUncorrectable

DecoderRule = Literal["strict", "odd-syndrome"]
Checks = NDArray[np.unsignedinteger]


@dataclass(frozen=True, eq=False)
class Decoded:
    """Decoded data 0/1 uint8 [..., k]; ``corrected`` and ``uncorrectable`` bool [...] per word."""

    data: Uint8
    corrected: Bool
    uncorrectable: Bool


@dataclass(frozen=True, eq=False)
class PackedDecoded:
    """Decoded data uint64 (the shape that was given); ``corrected`` and ``uncorrectable`` bool per word."""

    data: Uint64
    corrected: Bool
    uncorrectable: Bool


@dataclass(frozen=True, eq=False)
class LinearCode:
    """A named systematic code, as its decoder sees it; :class:`qtaml_hw.ecc.Code` adds residual channel and hardware.

    Parameters
    ----------
    name, family : the registry name, and secded | hamming | dected | bch | golay | repetition | parity | user.
    parity_matrix : uint8 [k, r], row j = check bits of data bit j.
    t : errors per word that the decoder corrects.
    distance : (designed) minimum distance; every pattern of up to distance - 1 - t errors is corrected or flagged.
    policy : what a flagged word's data become: ``raw`` (as read), ``zero``, ``reload`` (from a backing store).
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
    def n(self) -> int:
        """Bits per word."""
        return self.k + self.parity

    @property
    def parity_fraction(self) -> float:
        """Check bits per data bit."""
        return self.parity / self.k

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
            raise ValueError(f"decoder policy {policy!r} is unknown; allowed: raw, zero, reload")
        rule = self.rule if rule is None else rule
        if rule not in ("strict", "odd-syndrome"):
            raise ValueError(f"decoder rule {rule!r} is unknown; allowed: strict, odd-syndrome")
        if rule == "odd-syndrome" and self.family != "secded":
            raise ValueError(
                f"the odd-syndrome rule needs odd-weight columns (secded codes); {self.name} is {self.family}"
            )
        return replace(self, policy=policy, rule=rule)

    # ---- bits

    def encode(self, data: ArrayLike) -> Uint8:
        """0/1 data [..., k] -> words [..., n]."""
        bits = self._bits(data, self.k, "data")
        limbs = codec.pack(bits).reshape(-1, self._limbs)
        checks = codec.unpack(self._check_limbs(limbs), self.parity).reshape(*bits.shape[:-1], self.parity)
        return np.concatenate([bits, checks], axis=-1)

    def decode(self, words: ArrayLike, backing: ArrayLike | None = None) -> Decoded:
        """0/1 words [..., n] -> data and flags; ``backing`` [..., k] is what the ``reload`` policy falls back to."""
        bits = self._bits(words, self.n, "words")
        shape = bits.shape[:-1]
        limbs = codec.pack(bits[..., : self.k]).reshape(-1, self._limbs)
        checks = codec.pack(bits[..., self.k :]).reshape(len(limbs), -1)
        status = self._correct(limbs, checks ^ self._check_limbs(limbs))
        flagged = status == codec.UNCORRECTABLE
        data = codec.unpack(limbs, self.k)
        if self.policy == "zero":
            data[flagged] = 0
        elif self.policy == "reload":
            if backing is None:
                raise ValueError("the reload policy needs the backing store's data: decode(words, backing=data)")
            data[flagged] = self._bits(backing, self.k, "backing").reshape(-1, self.k)[flagged]
        return Decoded(data.reshape(*shape, self.k), (status == codec.CORRECTED).reshape(shape), flagged.reshape(shape))

    # ---- packed words

    def encode_packed(self, data: Uint64) -> Checks:
        """Check bits of packed data.

        ``data`` is uint64 [m] for k <= 64, or [m, ceil(k/64)]; bits above k must be 0.  Returns [m] in the narrowest
        unsigned integer (r <= 64), else uint64 [m, ceil(r/64)].
        """
        if data.ndim == 1 and self._limbs == 1 and self.parity <= 64:
            out = np.empty(data.shape, dtype=codec.check_dtype(self.parity))
            codec.encode_one_limb(self._narrow_tables, data, out)
            return out
        checks = self._check_limbs(self._two_axes(data))
        return checks[:, 0].astype(codec.check_dtype(self.parity)) if self.parity <= 64 else checks

    def decode_packed(self, data: Uint64, checks: Checks) -> PackedDecoded:
        """Correct packed data given stored check bits (layout of :meth:`encode_packed`); ``reload`` passes data raw."""
        if data.ndim == 1 and self._limbs == 1 and not self.algebraic:
            out, status = np.empty_like(data), np.empty(data.shape, dtype=np.uint8)
            codec.decode_one_limb(self._narrow_tables, self._masks[:, 0], self.cosets.status, data, checks, out, status)
        else:
            out = self._two_axes(data).copy()
            stored = checks.astype(np.uint64).reshape(len(out), -1)
            status = self._correct(out, stored ^ self._check_limbs(out))
            out = out.reshape(data.shape)
        flagged = status == codec.UNCORRECTABLE
        if self.policy == "zero":
            out[flagged] = 0
        return PackedDecoded(out, status == codec.CORRECTED, flagged)

    # ---- errors alone

    def correct_errors(self, word_ids: Int64, positions: Int64) -> ErrorOutcome:
        """Decode sparse error patterns: what is left of them, and which words were corrected or flagged.

        Parameters
        ----------
        word_ids, positions : int64 [m] sorted by word; bit position 0 .. n-1 in the word, no position twice in a word.

        Returns
        -------
        ErrorOutcome : errors left in *data* bits, sorted by word, flagged words passed raw whatever the policy (the
        caller zeroes or reloads the words listed in ``uncorrectable_words``).  A correction may name a data bit that a
        shortened last word does not have; the caller drops it (those cells are tied to zero).
        """
        word_ids = np.ascontiguousarray(word_ids, dtype=np.int64)
        positions = np.ascontiguousarray(positions, dtype=np.int64)
        if word_ids.shape != positions.shape or word_ids.ndim != 1:
            raise ValueError(
                f"word ids and positions must be 1-d and alike, got {word_ids.shape} and {positions.shape}"
            )
        if positions.size and (int(positions.min()) < 0 or int(positions.max()) >= self.n):
            raise ValueError(f"bit positions of {self.name} are 0 .. {self.n - 1}")
        check_sorted(word_ids)
        if self.algebraic:
            return self._by_algebra(word_ids, positions)
        return correct_by_table(self.columns[:, 0], self.cosets, self.k, word_ids, positions)

    # ---- helpers

    @property
    def _limbs(self) -> int:
        return -(-self.k // 64)

    def _two_axes(self, data: Uint64) -> Uint64:
        limbs = np.ascontiguousarray(data, dtype=np.uint64).reshape(len(data), -1)
        if limbs.shape[1] != self._limbs:
            raise ValueError(f"{self.name} packs {self.k} data bits in {self._limbs} uint64; got {limbs.shape[1]}")
        return limbs

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

    def _bits(self, bits: ArrayLike, width: int, what: str) -> Uint8:
        array = np.asarray(bits)
        if array.ndim == 0 or array.shape[-1] != width:
            raise ValueError(f"{what} of {self.name} must end in an axis of {width} bits, got shape {array.shape}")
        if array.size and not np.isin(array, (0, 1)).all():
            raise ValueError(f"{what} must be bits 0 or 1")
        return np.ascontiguousarray(array, dtype=np.uint8)
