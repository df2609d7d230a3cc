"""Number formats: how a quantised weight is written in bits.

The decode table is the truth: significance, damage of a flip and the nearest code all follow from it, so that integers,
minifloats and any other code share one face (docs/formats.md).  Values are in units of one scale step (LSB).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtaml_hw.names import Encoding

Scaling = Literal["peak", "range", "mean", "rms", "none"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
LINEAR_ENCODINGS: tuple[Encoding, ...] = ENCODINGS[:2]

# Areas in gate equivalents (NAND2_X1 = 0.798 um2) of the Nangate 45 nm open cell library.
INVERTER_GE: Final = 0.67
XOR_GE: Final = 2.0
MUX_GE: Final = 2.33
HALF_ADDER_GE: Final = 3.33


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array


class NumberFormat(ABC):
    """A code of ``bits`` planes and the value of each of its codes."""

    for_channel: ClassVar[bool] = False
    """Whether codes are chosen for what flips make of them, so that a reader corrects nothing."""

    @property
    @abstractmethod
    def bits(self) -> int:
        """Planes B of a code."""

    @property
    @abstractmethod
    def name(self) -> str:
        """``int8/twos_complement``, ``e4m3`` and the like."""

    @abstractmethod
    def _values(self) -> NDArray[np.float64]:
        """Value of every code [2^B], finite."""

    @property
    @abstractmethod
    def decode_ge(self) -> float:
        """Gates that turn a code into what the multiplier takes, in gate equivalents (``decode_basis`` says how)."""

    @property
    def decode_basis(self) -> str:
        """What ``decode_ge`` counts."""
        return "modelled: cells of the Nangate 45 nm library, to two's complement of the format's own range"

    @property
    def scaling(self) -> Scaling:
        """What sets the step: the largest magnitude, the range, the mean or root mean square magnitude, or nothing."""
        return "peak"

    @property
    def special_codes(self) -> NDArray[np.bool_]:
        """Codes that are no numbers, bool [2^B]: none."""
        return np.zeros(1 << self.bits, dtype=np.bool_)

    @property
    def step_of_rms(self) -> float:
        """One step over the root mean square, where that sets it."""
        raise ValueError(f"the steps of {self.name} do not go by the root mean square")

    @property
    def planes(self) -> int:
        """Bit planes of a code."""
        return self.bits

    @property
    def code_dtype(self) -> np.dtype[Any]:
        """uint8 up to eight bits, uint16 above."""
        return np.dtype(np.uint8 if self.bits <= 8 else np.uint16)

    @cached_property
    def bit_table(self) -> NDArray[np.uint8]:
        """Bits of every code, shape [2^B, planes], LSB first."""
        codes = np.arange(1 << self.bits, dtype=np.uint32)
        return _frozen(((codes[:, None] >> np.arange(self.bits, dtype=np.uint32)) & 1).astype(np.uint8))

    @cached_property
    def decode_table(self) -> NDArray[np.float64]:
        """Value in steps of every code, shape [2^B]."""
        return _frozen(self._values())

    @cached_property
    def flip_damage(self) -> NDArray[np.float64]:
        """Squared change of the value when plane i alone of code c flips, shape [2^B, planes], steps^2."""
        codes = np.arange(1 << self.bits)
        flipped = self.decode_table[codes[:, None] ^ (1 << np.arange(self.bits))]
        return _frozen((flipped - self.decode_table[:, None]) ** 2)

    @cached_property
    def largest(self) -> float:
        """Largest level written."""
        table = self.decode_table
        return float(min(table.max(), -table.min()))

    @property
    def lowest(self) -> float:
        """Lowest level written: the range is symmetric."""
        return -self.largest

    @cached_property
    def _ladder(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """All values ascending, and for each the lowest code that has it."""
        return np.unique(self.decode_table, return_index=True)

    @cached_property
    def zero_code(self) -> int:
        """The code of zero, or the nearest to it (binary weights have no zero: +1)."""
        return int(self.encode(np.zeros(1))[0])

    def encode(self, values: ArrayLike) -> NDArray[Any]:
        """Codes of the nearest values, in steps; a tie goes to the value an even number of codes from zero.

        Raises ValueError when a value lies outside the range of the format.
        """
        x = np.asarray(values, dtype=np.float64)
        ladder, codes = self._ladder
        self._check_range(x, float(ladder[0]), float(ladder[-1]))
        upper = np.clip(np.searchsorted(ladder, x), 1, ladder.size - 1)
        above, below = ladder[upper] - x, x - ladder[upper - 1]
        even = (upper - np.searchsorted(ladder, 0.0)) % 2 == 0
        found = codes[np.where((above < below) | ((above == below) & even), upper, upper - 1)]
        return found.astype(self.code_dtype)

    def squared_error(self, weights: NDArray[Any], codes: NDArray[Any], step: NDArray[Any]) -> NDArray[np.float64]:
        """(what codes are read as - weights)^2 at a step that broadcasts against them, in the unit of the weights."""
        found: NDArray[np.float64] = (self.decode_table[codes] * step.astype(np.float64) - weights) ** 2
        return found

    def _check_range(self, x: NDArray[Any], low: float, high: float) -> None:
        if x.size and (x.min() < low or x.max() > high):
            raise ValueError(f"levels must lie in [{low:g}, {high:g}], got [{x.min():g}, {x.max():g}]")

    @cached_property
    def _constant_significance(self) -> NDArray[np.float64] | None:
        table = self.decode_table
        weights = table[1 << np.arange(self.bits)] - table[0]
        return _frozen(weights) if np.array_equal(self.bit_table @ weights + table[0], table) else None

    @property
    def linear(self) -> bool:
        """True when the value is a constant plus a constant significance for every plane that holds a one."""
        return self._constant_significance is not None

    @property
    def offset(self) -> float:
        """Value of the all-zero code."""
        return float(self.decode_table[0])

    @property
    def significance(self) -> NDArray[np.float64]:
        """``s_i`` [planes], LSB first: 2^i, and -2^(B-1) for the sign plane of two's complement.

        Raises ValueError for a format that is not linear: there a plane's worth depends on the rest of the code.
        """
        if self._constant_significance is None:
            raise ValueError(f"the planes of {self.name} have no constant significance; see decode_table, flip_damage")
        return self._constant_significance


@dataclass(frozen=True)
class UnsignedFormat(NumberFormat):
    """Integer levels 0 to 2^bits - 1 as they are: weights with a zero point or a minimum beside their scale.

    Raises ValueError for bits outside 1..8.
    """

    bits: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8:
            raise ValueError(f"an unsigned level has 1 to 8 bits, got {self.bits}")

    @property
    def name(self) -> str:
        """``uint4`` and the like."""
        return f"uint{self.bits}"

    @property
    def scaling(self) -> Scaling:
        """All levels from the least weight of a scale to the largest."""
        return "range"

    @cached_property
    def largest(self) -> float:
        """The highest level."""
        return float((1 << self.bits) - 1)

    @property
    def lowest(self) -> float:
        """Zero."""
        return 0.0

    def _values(self) -> NDArray[np.float64]:
        return np.arange(1 << self.bits, dtype=np.float64)

    @property
    def decode_ge(self) -> float:
        """One bit of a subtractor of the zero point per plane."""
        return self.bits * (XOR_GE + HALF_ADDER_GE)

    @property
    def decode_basis(self) -> str:
        """What ``decode_ge`` counts."""
        return "modelled: cells of the Nangate 45 nm library, a subtractor of the zero point or minimum"


@dataclass(frozen=True)
class WeightFormat(NumberFormat):
    """A symmetric integer format of ``bits`` planes (2 to 16) in one encoding.

    ``gray`` is the reflected binary code of the level counted from the lowest one, so that neighbouring levels differ
    in one plane; ``sign_magnitude`` has the sign on top and two codes for zero, of which +0 is written.

    Raises
    ------
    ValueError : bits outside 2..16 or an unknown encoding.
    """

    bits: int = 8
    encoding: Encoding = "twos_complement"

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 16:
            raise ValueError(f"a stored integer weight has 2 to 16 bits, got {self.bits}")
        if self.encoding not in ENCODINGS:
            raise ValueError(f"unknown encoding {self.encoding!r}; allowed: {', '.join(ENCODINGS)}")

    @property
    def name(self) -> str:
        """``int8/twos_complement`` and the like."""
        return f"int{self.bits}/{self.encoding}"

    @cached_property
    def levels(self) -> NDArray[np.int64]:
        """Integer level of every code, [2^B]."""
        codes, half = np.arange(1 << self.bits), 1 << (self.bits - 1)
        if self.encoding == "sign_magnitude":
            return _frozen(np.where(codes & half, -(codes & (half - 1)), codes))
        if self.encoding == "twos_complement":
            return _frozen(np.where(codes & half, codes - 2 * half, codes))
        index = codes.copy()
        if self.encoding == "gray":
            for shift in (1, 2, 4, 8):
                index ^= index >> shift
        return _frozen(index - half)

    def _values(self) -> NDArray[np.float64]:
        return self.levels.astype(np.float64)

    @cached_property
    def _code_of_level(self) -> NDArray[Any]:
        """Code of every level, ascending from the lowest."""
        _, codes = np.unique(self.levels, return_index=True)
        return _frozen(codes.astype(self.code_dtype))

    def encode(self, values: ArrayLike) -> NDArray[Any]:
        """Codes of the nearest levels, a tie to the even one; ValueError outside [lowest, highest] level."""
        x = np.asarray(values)
        low, high = int(self.levels.min()), int(self.levels.max())
        self._check_range(x, low, high)
        found: NDArray[Any] = self._code_of_level[np.rint(x).astype(np.int64) - low]
        return found

    @property
    def decode_ge(self) -> float:
        """Gates to two's complement: none, one inverter, a conditional negation, or a chain of exclusive ors."""
        low = self.bits - 1
        return {
            "twos_complement": 0.0,
            "offset_binary": INVERTER_GE,
            "sign_magnitude": low * (XOR_GE + HALF_ADDER_GE),
            "gray": low * XOR_GE + INVERTER_GE,
        }[self.encoding]
