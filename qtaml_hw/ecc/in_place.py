"""A code whose check bits lie inside the weights that it guards: in-place zero-space SEC-DED.

H. Guan et al., "In-Place Zero-Space Memory Protection for CNN", NeurIPS 2019 (arXiv:1910.14479): where the first
seven of eight int8 weights lie in [-64, 63], bit 6 of each repeats the sign and holds one of the seven check bits of a
(64,57) SEC-DED code instead; a decoder puts the sign back.  Nothing is stored beside the 64 bits.

Words are given in the memory's order: eight weights, in each the planes 7 .. 0.  Data are the bits that are *meant*,
with bit 6 of the first seven weights equal to the sign; words, the bits that are stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import ArrayLike

from qtaml_hw.arrays import Int64, Uint8, Uint64
from qtaml_hw.ecc import codec
from qtaml_hw.ecc.block import Checks
from qtaml_hw.ecc.code import Code, MatrixCode
from qtaml_hw.ecc.errors import ErrorOutcome
from qtaml_hw.ecc.hardware import CodecHardware
from qtaml_hw.ecc.transfer import Transfer
from qtaml_hw.names import OnUncorrectable

SIGNS: Final = 8 * np.arange(7)
"""Positions of the signs of the first seven weights; their bit 6, which gives way, comes next."""
GIVEN: Final = SIGNS + 1
DATA: Final = np.setdiff1d(np.arange(64), GIVEN)
_INNER: Final = np.argsort(np.concatenate([DATA, GIVEN]))  # position in the (64,57) word of every stored bit


@dataclass(frozen=True, eq=False)
class InPlaceCode(Code):
    """The (64,57) code ``inner`` within eight int8 weights: 64 bits stored, none of them beside."""

    inner: MatrixCode
    name: str = "in-place-64-57"
    family: str = "in-place"
    t: int = 1
    in_place: ClassVar[bool] = True

    @property
    def policy(self) -> OnUncorrectable:  # type: ignore[override]
        """Of the code inside."""
        return self.inner.policy

    @property
    def k(self) -> int:
        """Bits that are meant, the seven repeated signs among them."""
        return 64

    @property
    def parity(self) -> int:
        """None beside the weights."""
        return 0

    def with_policy(self, policy: OnUncorrectable) -> Self:
        """The same code under another decoder policy."""
        return replace(self, inner=self.inner.with_policy(policy))

    def encode(self, data: ArrayLike) -> Uint8:
        """Meant bits [..., 64] -> stored bits [..., 64]; bit 6 of the first seven weights is not looked at."""
        bits = self._bits(data, 64, "data")
        word = self.inner.encode(bits[..., DATA])
        return np.ascontiguousarray(word[..., _INNER])

    def encode_packed(self, data: Uint64) -> Checks:
        """No check bits beside the data: [m, 0]."""
        return np.zeros((len(data), 0), dtype=np.uint64)

    def transfer(self, p_data: ArrayLike, p_parity: ArrayLike) -> Transfer:
        """That of the code inside; a repeated sign is as wrong as the sign, whatever its own cell does."""
        p = np.asarray(p_data, dtype=np.float64)
        if p.ndim:
            return self._repeated(self.inner.transfer(p[DATA], p[GIVEN]), p[SIGNS])
        return self._repeated(self.inner.transfer(float(p), float(p)), np.full(7, float(p)))

    def break_even_p(self) -> float:
        """Of the code inside."""
        return self.inner.break_even_p()

    def hardware(self, node_m: float = 45e-9, v_dd_v: float | None = None) -> CodecHardware:
        """Of the code inside; moving bits takes wires alone."""
        return self.inner.hardware(node_m, v_dd_v)

    def _repeated(self, inner: Transfer, p_sign: np.ndarray) -> Transfer:
        def spread(hit: np.ndarray, clean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            out = np.zeros((2, 64))
            out[0, DATA], out[1, DATA] = hit, clean
            out[:, GIVEN] = p_sign * out[0, SIGNS] + (1.0 - p_sign) * out[1, SIGNS]
            return out[0], out[1]

        wrong = spread(inner.wrong_if_hit, inner.wrong_if_clean)
        flagged = spread(inner.flagged_if_hit, inner.flagged_if_clean)
        kept = spread(inner.flagged_if_hit, np.zeros(57))  # a flagged sign is read wrong where it was hit
        return Transfer(*wrong, *flagged, inner.p_due, inner.p_sdc, inner.method, kept)

    def _left(self, word_ids: Int64, positions: Int64) -> ErrorOutcome:
        left = self.inner.correct_errors(word_ids, _INNER[positions])
        place = DATA[left.positions]
        sign = np.isin(place, SIGNS)
        words = np.concatenate([left.word_ids, left.word_ids[sign]])
        places = np.concatenate([place, place[sign] + 1])
        order = np.lexsort((places, words))
        return replace(left, word_ids=words[order], positions=places[order])

    def _check_limbs(self, data: Uint64) -> Uint64:
        return np.zeros((len(data), 0), dtype=np.uint64)

    def _correct(self, data: Uint64, syndromes: Uint64) -> Uint8:
        stored = codec.unpack(data, 64)
        decoded = self.inner.with_policy("raw").decode(stored[:, np.concatenate([DATA, GIVEN])])
        meant = np.zeros_like(stored)
        meant[:, DATA] = decoded.data
        meant[:, GIVEN] = meant[:, SIGNS]
        data[:] = codec.pack(meant).reshape(data.shape)
        status = np.zeros(len(data), dtype=np.uint8)
        status[decoded.corrected] = codec.CORRECTED
        status[decoded.uncorrectable] = codec.UNCORRECTABLE
        return status
