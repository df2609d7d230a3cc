"""Floating-point codes from four to sixteen bits.

Sources: OCP 8-bit Floating Point (OFP8) 1.0 for E4M3 and E5M2, OCP Microscaling Formats (MX) 1.0 for E2M1, E2M3 and
E3M2, IEEE 754 for binary16; bfloat16 is the upper half of an IEEE binary32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.errors import unknown
from qtaml_hw.names import Specials
from qtaml_hw.weights.formats import HALF_ADDER_GE, MUX_GE, XOR_GE, NumberFormat, Scaling

SPECIALS: tuple[Specials, ...] = get_args(Specials)
Reserved = Literal["none", "last", "exponent"]


@dataclass(frozen=True)
class FloatLayout:
    """Widths of exponent and mantissa, which codes are no numbers, and whether weights need a scale.

    ``reserved`` : ``none``; ``last``, exponent and mantissa all ones (NaN); ``exponent``, the whole top exponent
    (infinities and NaN, as in IEEE 754).
    """

    exponent: int
    mantissa: int
    reserved: Reserved
    scaled: bool = True


LAYOUTS: Final[dict[str, FloatLayout]] = {
    "e2m1": FloatLayout(2, 1, "none"),
    "e2m3": FloatLayout(2, 3, "none"),
    "e3m2": FloatLayout(3, 2, "none"),
    "e4m3": FloatLayout(4, 3, "last"),
    "e4m3-ieee": FloatLayout(4, 3, "exponent"),
    "e3m4": FloatLayout(3, 4, "exponent"),
    "e5m2": FloatLayout(5, 2, "exponent"),
    "float16": FloatLayout(5, 10, "exponent", scaled=False),
    "bfloat16": FloatLayout(8, 7, "exponent", scaled=False),
}


@dataclass(frozen=True)
class FloatFormat(NumberFormat):
    """Sign, exponent, mantissa; bias 2^(E-1) - 1 and gradual underflow in every layout.

    No encoder writes an infinity or a NaN, but a flip can make one.  ``specials`` says what the decoder then gives:
    ``saturate`` the largest number of that sign, ``zero`` nothing (an impossible code is a detected error).

    Raises ValueError for an unknown layout or rule.
    """

    layout: str = "e4m3"
    specials: Specials = "saturate"

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(unknown("floating-point format", self.layout, LAYOUTS))
        if self.specials not in SPECIALS:
            raise ValueError(unknown("rule for special codes", self.specials, SPECIALS))

    @property
    def bits(self) -> int:
        """Sign, exponent and mantissa."""
        return 1 + self._shape.exponent + self._shape.mantissa

    @property
    def name(self) -> str:
        """``e4m3``, ``bfloat16``; ``e4m3/zero`` where special codes read as zero."""
        return self.layout if self.specials == "saturate" else f"{self.layout}/{self.specials}"

    @property
    def scaling(self) -> Scaling:
        """Two-byte floats carry their own range; narrower ones are scaled to their largest number."""
        return "peak" if self._shape.scaled else "none"

    @property
    def special_codes(self) -> NDArray[np.bool_]:
        """Codes that are no numbers, bool [2^B]."""
        magnitude = np.arange(1 << self.bits) & ((1 << (self.bits - 1)) - 1)
        e, m = self._shape.exponent, self._shape.mantissa
        first = {"none": 1 << (e + m), "last": (1 << (e + m)) - 1, "exponent": ((1 << e) - 1) << m}
        special: NDArray[np.bool_] = magnitude >= first[self._shape.reserved]
        return special

    def _values(self) -> NDArray[np.float64]:
        codes, m = np.arange(1 << self.bits), self._shape.mantissa
        exponent = (codes >> m) & ((1 << self._shape.exponent) - 1)
        fraction = (codes & ((1 << m) - 1)) / (1 << m) + (exponent > 0)
        bias = (1 << (self._shape.exponent - 1)) - 1
        magnitude = np.ldexp(fraction, np.maximum(exponent, 1) - bias)
        special = self.special_codes
        magnitude[special] = magnitude[~special].max() if self.specials == "saturate" else 0.0
        values: NDArray[np.float64] = np.where(codes >> (self.bits - 1), -magnitude, magnitude)
        return values

    @property
    def decode_ge(self) -> float:
        """A shifter of E stages over the fixed-point width, and a conditional negation; two-byte floats: none."""
        if not self._shape.scaled:
            return 0.0
        width = self._shape.mantissa + (1 << self._shape.exponent) - 1
        return self._shape.exponent * width * MUX_GE + width * (XOR_GE + HALF_ADDER_GE)

    @property
    def decode_basis(self) -> str:
        """What ``decode_ge`` counts."""
        return super().decode_basis if self._shape.scaled else "a floating-point multiplier takes the code as it is"

    @property
    def _shape(self) -> FloatLayout:
        return LAYOUTS[self.layout]


LOWER_MANTISSA: Final = 7  # bits of a float32's mantissa in the upper half of its pattern


@dataclass(frozen=True)
class LowerHalf(NumberFormat):
    """The lower half of an IEEE 754 binary32 pattern: the last sixteen bits of its mantissa, in units of the last."""

    bits: ClassVar[int] = 16

    @property
    def name(self) -> str:
        """``float32-low``."""
        return "float32-low"

    def _values(self) -> NDArray[np.float64]:
        return np.arange(1 << self.bits, dtype=np.float64)

    @property
    def decode_ge(self) -> float:
        """None: a multiplier of float32 takes it as it is."""
        return 0.0


@dataclass(frozen=True)
class ScaleExponent(NumberFormat):
    """E8M0, the shared scale of the OCP Microscaling Formats 1.0: 2^(code - 127) without a sign; code 255 is NaN.

    ``specials`` as in ``FloatFormat``.  Raises ValueError for an unknown rule.
    """

    specials: Specials = "saturate"

    def __post_init__(self) -> None:
        if self.specials not in SPECIALS:
            raise ValueError(unknown("rule for special codes", self.specials, SPECIALS))

    @property
    def bits(self) -> int:
        """Eight."""
        return 8

    @property
    def name(self) -> str:
        """``e8m0``."""
        return "e8m0" if self.specials == "saturate" else f"e8m0/{self.specials}"

    @property
    def special_codes(self) -> NDArray[np.bool_]:
        """The one code that is no number, bool [256]."""
        return np.asarray(np.arange(256) == 255)

    def _values(self) -> NDArray[np.float64]:
        values = np.ldexp(1.0, np.arange(256) - 127)
        values[255] = values[254] if self.specials == "saturate" else 0.0
        return values

    @property
    def decode_ge(self) -> float:
        """None of its own: it is added to an exponent."""
        return 0.0


@dataclass(frozen=True)
class LogScale(NumberFormat):
    """Scales on a logarithmic grid, the place of 2^(1/16) below a power of two in eight bits: 2^((code - 255) / 16)."""

    @property
    def bits(self) -> int:
        """Eight."""
        return 8

    @property
    def name(self) -> str:
        """``log8``."""
        return "log8"

    def _values(self) -> NDArray[np.float64]:
        return np.asarray(np.exp2((np.arange(256) - 255.0) / 16.0))

    @property
    def decode_ge(self) -> float:
        """A table of one octave is shared by all."""
        return 0.0
