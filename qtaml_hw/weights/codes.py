"""Codes that are neither integers nor floats: power-exponent codes, and binary weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.names import Encoding
from qtaml_hw.weights.formats import ENCODINGS, NumberFormat, Scaling, WeightFormat

ROM_BIT_GE = 0.25  # assumed: one bit of a table in logic


@dataclass(frozen=True)
class PowerFormat(NumberFormat):
    """Integer levels l whose value is ``sign(l) L (|l| / L)^power`` with L = 2^(B-1) - 1: finer near 0 for power > 1.

    After NUPES (Yvinec et al., arXiv:2308.05600), where power = 1 / a for the exponent a that is quantised.

    Raises ValueError: bits outside 2..8, a power outside [0.25, 4], or an unknown encoding.
    """

    bits: int = 8
    power: float = 2.0
    encoding: Encoding = "twos_complement"

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise ValueError(f"a power code has 2 to 8 bits, got {self.bits}")
        if not 0.25 <= self.power <= 4.0:
            raise ValueError(f"the power of a power code lies in [0.25, 4], got {self.power:g}")
        if self.encoding not in ENCODINGS:
            raise ValueError(f"unknown encoding {self.encoding!r}; allowed: {', '.join(ENCODINGS)}")

    @property
    def name(self) -> str:
        """``power8^2/twos_complement`` and the like."""
        return f"power{self.bits}^{self.power:g}/{self.encoding}"

    def _values(self) -> NDArray[np.float64]:
        levels = WeightFormat(self.bits, self.encoding).levels
        top = float((1 << (self.bits - 1)) - 1)
        magnitude: NDArray[np.float64] = top * (np.abs(levels) / top) ** self.power
        return np.copysign(magnitude, levels)

    @property
    def decode_ge(self) -> float:
        """The encoding's own gates and a table of all magnitudes, two words wide."""
        return WeightFormat(self.bits, self.encoding).decode_ge + (1 << (self.bits - 1)) * 2 * self.bits * ROM_BIT_GE

    @property
    def decode_basis(self) -> str:
        """What ``decode_ge`` counts."""
        return "assumed: a table of 2^(B-1) magnitudes of 2 B bits in logic at 0.25 GE per bit"


@dataclass(frozen=True)
class BinaryFormat(NumberFormat):
    """One bit: 0 is +1 and 1 is -1, in steps of the mean magnitude (XNOR-Net, Rastegari et al., arXiv:1603.05279)."""

    @property
    def bits(self) -> int:
        """One."""
        return 1

    @property
    def name(self) -> str:
        """``binary``."""
        return "binary"

    @property
    def scaling(self) -> Scaling:
        """The mean magnitude is the step of least squared error."""
        return "mean"

    def _values(self) -> NDArray[np.float64]:
        return np.array([1.0, -1.0])

    @property
    def decode_ge(self) -> float:
        """None: the bit selects addition or subtraction."""
        return 0.0
