"""A systematic binary block code as its words are handled: encode, decode, error-only decoding, whatever its decoder.

Word order: data bits 0 .. k-1, then check bits k .. n-1.  Codes are linear, so what a decoder does depends on the error
pattern alone, except for the ``zero`` policy, which replaces the data of a flagged word.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtaml_hw.arrays import Bool, Int64, Uint8, Uint64
from qtaml_hw.ecc import codec
from qtaml_hw.ecc.errors import ErrorOutcome, check_sorted
from qtaml_hw.names import OnUncorrectable

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


class BlockCode(ABC):
    """A named systematic code of k data and r check bits; what its decoder is, a subclass says.

    ``policy``: what a flagged word's data become: ``raw`` (as the decoder passes them), ``zero``, ``reload`` (from a
    backing store); ``t``: errors per word that are certain to be corrected; ``whole``: a block that is longer than what
    is read at once, so that it is read and decoded as a whole;
    ``in_place``: check bits lie inside the weights, so that all planes of eight neighbouring weights are a word.
    """

    name: str
    family: str
    t: int
    policy: OnUncorrectable
    whole: ClassVar[bool] = False
    in_place: ClassVar[bool] = False

    @property
    @abstractmethod
    def k(self) -> int:
        """Data bits per word."""

    @property
    @abstractmethod
    def parity(self) -> int:
        """Check bits per word, n - k."""

    @abstractmethod
    def with_policy(self, policy: OnUncorrectable) -> Self:
        """The same code under another decoder policy."""

    @abstractmethod
    def _check_limbs(self, data: Uint64) -> Uint64:
        """Check bits uint64 [m, R] of packed data [m, L]."""

    @abstractmethod
    def _correct(self, data: Uint64, syndromes: Uint64) -> Uint8:
        """Correct packed data [m, L] in place, given stored checks XOR those of the data; status uint8 [m]."""

    @abstractmethod
    def _left(self, word_ids: Int64, positions: Int64) -> ErrorOutcome:
        """See :meth:`correct_errors`; what is given is checked."""

    @property
    def n(self) -> int:
        """Bits per word."""
        return self.k + self.parity

    @property
    def parity_fraction(self) -> float:
        """Check bits per data bit."""
        return self.parity / self.k

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
        checks = self._check_limbs(self._two_axes(data))
        return checks[:, 0].astype(codec.check_dtype(self.parity)) if self.parity <= 64 else checks

    def decode_packed(self, data: Uint64, checks: Checks) -> PackedDecoded:
        """Correct packed data given stored check bits (layout of :meth:`encode_packed`); ``reload`` passes data raw."""
        out, status = self._decoded(data, checks)
        flagged = status == codec.UNCORRECTABLE
        if self.policy == "zero":
            out[flagged] = 0
        return PackedDecoded(out, status == codec.CORRECTED, flagged)

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
        return self._left(word_ids, positions)

    # ---- helpers

    def _decoded(self, data: Uint64, checks: Checks) -> tuple[Uint64, Uint8]:
        """Packed data after decoding, in the shape given, and the status of every word."""
        out = self._two_axes(data).copy()
        status = self._correct(out, checks.astype(np.uint64).reshape(len(out), -1) ^ self._check_limbs(out))
        return out.reshape(data.shape), status

    @property
    def _limbs(self) -> int:
        return -(-self.k // 64)

    def _two_axes(self, data: Uint64) -> Uint64:
        limbs = np.ascontiguousarray(data, dtype=np.uint64).reshape(len(data), -1)
        if limbs.shape[1] != self._limbs:
            raise ValueError(f"{self.name} packs {self.k} data bits in {self._limbs} uint64; got {limbs.shape[1]}")
        return limbs

    def _bits(self, bits: ArrayLike, width: int, what: str) -> Uint8:
        array = np.asarray(bits)
        if array.ndim == 0 or array.shape[-1] != width:
            raise ValueError(f"{what} of {self.name} must end in an axis of {width} bits, got shape {array.shape}")
        if array.size and not np.isin(array, (0, 1)).all():
            raise ValueError(f"{what} must be bits 0 or 1")
        return np.ascontiguousarray(array, dtype=np.uint8)
