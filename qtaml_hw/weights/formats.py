"""Number formats: how a quantised weight is written in bits.

The decode table is the truth; for the linear encodings here it equals ``sum_i significance_i b_i + offset``
(docs/theory.md, stored weight).  Values are in units of one scale step (LSB).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Encoding = Literal["twos_complement", "offset_binary"]
ENCODINGS: tuple[Encoding, ...] = ("twos_complement", "offset_binary")


@dataclass(frozen=True)
class WeightFormat:
    """A symmetric integer format of ``bits`` planes (2 to 8) in one encoding.

    Raises
    ------
    ValueError : bits outside 2..8 or an unknown encoding.
    """

    bits: int = 8
    encoding: Encoding = "twos_complement"

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise ValueError(f"a stored weight has 2 to 8 bits, got {self.bits}")
        if self.encoding not in ENCODINGS:
            raise ValueError(f"unknown encoding {self.encoding!r}; allowed: {', '.join(ENCODINGS)}")

    @property
    def name(self) -> str:
        """``int8/twos_complement`` and the like."""
        return f"int{self.bits}/{self.encoding}"

    @property
    def largest(self) -> int:
        """Largest magnitude written: 2^(B-1) - 1, so that the range is symmetric."""
        return (1 << (self.bits - 1)) - 1

    @property
    def offset(self) -> float:
        """Value of the all-zero code: 0, or -2^(B-1) in offset binary."""
        return -float(1 << (self.bits - 1)) if self.encoding == "offset_binary" else 0.0

    @cached_property
    def significance(self) -> NDArray[np.float64]:
        """``s_i`` [planes], LSB first: 2^i, and -2^(B-1) for the sign plane of two's complement."""
        s = np.exp2(np.arange(self.bits, dtype=np.float64))
        if self.encoding == "twos_complement":
            s[-1] = -s[-1]
        s.setflags(write=False)
        return s

    @cached_property
    def bit_table(self) -> NDArray[np.uint8]:
        """Bits of every code, shape [2^B, planes], LSB first."""
        codes = np.arange(1 << self.bits, dtype=np.uint16)
        table = ((codes[:, None] >> np.arange(self.bits)) & 1).astype(np.uint8)
        table.setflags(write=False)
        return table

    @cached_property
    def decode_table(self) -> NDArray[np.float64]:
        """Value in LSB of every code, shape [2^B]."""
        table: NDArray[np.float64] = self.bit_table @ self.significance + self.offset
        table.setflags(write=False)
        return table

    def encode(self, levels: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Codes of integer levels in [-largest - 1, largest].

        Raises ValueError when a level does not fit.
        """
        low, high = -self.largest - 1, self.largest
        if levels.size and (int(levels.min()) < low or int(levels.max()) > high):
            raise ValueError(f"levels must lie in [{low}, {high}], got [{int(levels.min())}, {int(levels.max())}]")
        if self.encoding == "offset_binary":
            return (levels - low).astype(np.uint8)
        return (levels & ((1 << self.bits) - 1)).astype(np.uint8)
