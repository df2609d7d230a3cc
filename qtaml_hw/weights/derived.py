"""Formats made from another one by a stated rule: planes inverted by the sign, checks in place of low planes, a bound.

Each is a number format like any other: its decode table says what every code means, so that statistics, damage,
corrections and the nearest code follow, what the rule costs without any flip included.  None stores a further bit.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.names import Beyond, InPlaceCheck, MismatchReads
from qtaml_hw.weights.formats import MUX_GE, XOR_GE, NumberFormat, Scaling

AND_GE: Final = 1.33  # AND2_X1 of the Nangate 45 nm library


class DerivedFormat(NumberFormat):
    """A format with the planes of an ``inner`` one and another meaning of its codes."""

    inner: NumberFormat

    @property
    def bits(self) -> int:
        """As inside."""
        return self.inner.bits

    @property
    def scaling(self) -> Scaling:
        """As inside."""
        return self.inner.scaling

    @property
    def step_of_rms(self) -> float:
        """As inside."""
        return self.inner.step_of_rms

    @property
    def name(self) -> str:
        """That of the inner format and the rule."""
        return f"{self.inner.name}+{self.rule}"

    @property
    def decode_ge(self) -> float:
        """Gates of the inner format, and of the rule."""
        return self.inner.decode_ge + self.rule_ge

    @property
    @abstractmethod
    def rule(self) -> str:
        """The rule in the format's name."""

    @property
    @abstractmethod
    def rule_ge(self) -> float:
        """Gates that undo the rule, in gate equivalents."""

    @property
    @abstractmethod
    def written(self) -> NDArray[np.bool_]:
        """Codes that are ever written, bool [2^B]."""

    @property
    def _codes(self) -> NDArray[np.int64]:
        return np.arange(1 << self.bits)

    @cached_property
    def _ladder(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Values of the codes that are written, ascending, and for each the lowest code that has it."""
        codes = np.flatnonzero(self.written)
        values, first = np.unique(self.decode_table[codes], return_index=True)
        return values, codes[first]

    @cached_property
    def largest(self) -> float:
        """Largest magnitude written on both sides."""
        values = self._ladder[0]
        return float(min(values[-1], -values[0]))


@dataclass(frozen=True)
class InvertedBySign(DerivedFormat):
    """Planes stored inverted in weights whose top plane holds ``if_sign`` (the one-enhancement code of MCAIMem,
    arXiv:2312.03559, inverts all the others where it holds 0, so that small numbers are mostly ones).

    Raises ValueError for the top plane itself, planes that are not there, or a format of one plane.
    """

    inner: NumberFormat
    inverted: tuple[int, ...]
    if_sign: int = 0

    def __post_init__(self) -> None:
        _inside(self.inner, self.inverted, "planes to invert", top=False)
        if self.if_sign not in (0, 1):
            raise ValueError(f"if_sign is 0 or 1, got {self.if_sign}")

    @property
    def rule(self) -> str:
        """``invert-6543210-if-0``."""
        return f"invert-{_spelt(self.inverted)}-if-{self.if_sign}"

    @property
    def rule_ge(self) -> float:
        """One exclusive or per plane."""
        return len(self.inverted) * XOR_GE

    @property
    def written(self) -> NDArray[np.bool_]:
        """All that the inner format writes: the rule is its own inverse."""
        return written(self.inner)[self._meant]

    @property
    def _meant(self) -> NDArray[np.int64]:
        """The inner code of every code."""
        mask = sum(1 << plane for plane in self.inverted)
        turned = (self._codes >> (self.bits - 1)) == self.if_sign
        return np.where(turned, self._codes ^ mask, self._codes)

    def _values(self) -> NDArray[np.float64]:
        return self.inner.decode_table[self._meant]


@dataclass(frozen=True)
class InPlaceChecks(DerivedFormat):
    """Copies or parity of guarded planes in place of others, whose loss is the price; nothing is stored beside.

    ``copy``: ``into`` holds one copy of every guarded plane, or two and the majority is read.  ``parity``: the guarded
    planes in runs of equal length, ``into`` the parity of each.  A mismatch reads as weight zero, or, of single copies,
    as the ``and`` or the ``or`` of both (right where cells lose one value only).  Planes that gave way read as 0.
    MSB copy: Hessabi 2019; opportunistic parity: Burel 2021; MSET, CEP: arXiv:2605.07417.

    Raises ValueError for planes that are not there or named twice, counts that do not go together, or ``and`` and
    ``or`` of anything but single copies.
    """

    inner: NumberFormat
    check: InPlaceCheck
    guarded: tuple[int, ...]
    into: tuple[int, ...]
    reads: MismatchReads = "zero"

    def __post_init__(self) -> None:
        _inside(self.inner, (*self.guarded, *self.into), "guarded planes and those that give way")
        sizes = {"copy": (len(self.guarded), 2 * len(self.guarded)), "parity": range(1, len(self.guarded) + 1)}
        wrong = len(self.into) not in sizes[self.check]
        if wrong or (self.check == "parity" and len(self.guarded) % len(self.into)):
            raise ValueError(
                f"a copy of {len(self.guarded)} planes takes one or two planes each, parity one for every run of them "
                f"of equal length; got {self.check} into {len(self.into)}"
            )
        if self.reads != "zero" and (self.check != "copy" or self._voted):
            raise ValueError(f"reads: {self.reads} is for single copies; parity and two copies have no two to choose")

    @property
    def _voted(self) -> bool:
        return self.check == "copy" and len(self.into) == 2 * len(self.guarded)

    @property
    def rule(self) -> str:
        """``copy-7-into-0``, with what a mismatch reads as where it is not zero."""
        reads = "" if self.reads == "zero" else f"-{self.reads}"
        return f"{self.check}-{_spelt(self.guarded)}-into-{_spelt(self.into)}{reads}"

    @property
    def rule_ge(self) -> float:
        """Majorities, two gates each; else exclusive ors per check and a gate per bit that is forced."""
        if self._voted:
            return len(self.guarded) * (MUX_GE + XOR_GE)
        forced = self.bits if self.reads == "zero" else len(self.guarded)
        return len(self.guarded) * XOR_GE + (len(self.into) - 1) * AND_GE + forced * AND_GE

    def _bit(self, plane: int) -> NDArray[np.int64]:
        return (self._codes >> plane) & 1

    @cached_property
    def _checks(self) -> list[tuple[NDArray[np.int64], int]]:
        """What every plane that gave way should hold, [2^B], and which it is."""
        run = 1 if self.check == "copy" else len(self.guarded) // len(self.into)
        runs = [self.guarded[i : i + run] for i in range(0, len(self.guarded), run)]
        if self._voted:
            runs = runs + runs
        return [
            (np.bitwise_xor.reduce([self._bit(plane) for plane in planes]), into)
            for planes, into in zip(runs, self.into, strict=True)
        ]

    @property
    def written(self) -> NDArray[np.bool_]:
        """Codes whose checks are right, of what the inner format writes."""
        right: NDArray[np.bool_] = self._checked & written(self.inner)[self._bare]
        return right

    @property
    def _checked(self) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = np.logical_and.reduce([want == self._bit(into) for want, into in self._checks])
        return right

    @property
    def _bare(self) -> NDArray[np.int64]:
        """Every code with 0 in the planes that gave way."""
        return self._codes & ~sum(1 << plane for plane in self.into)

    def _values(self) -> NDArray[np.float64]:
        bare = self._bare
        pairs = list(zip(self.guarded, self.into, strict=False))
        if self._voted:
            for (plane, first), second in zip(pairs, self.into[len(pairs) :], strict=True):
                votes = self._bit(plane) + self._bit(first) + self._bit(second)
                bare = _with_bit(bare, plane, votes >= 2)
            return self.inner.decode_table[bare]
        if self.reads == "zero":
            return np.where(self._checked, self.inner.decode_table[bare], 0.0)
        for plane, into in pairs:
            one = (np.bitwise_and if self.reads == "and" else np.bitwise_or)(self._bit(plane), self._bit(into))
            bare = _with_bit(bare, plane, one == 1)
        return self.inner.decode_table[bare]


@dataclass(frozen=True)
class Bounded(DerivedFormat):
    """Values beyond ``at``, in the unit of the weights, read as zero or as the bound: none of them was written
    (implausible values of EDEN, arXiv:1910.05340).

    Raises ValueError for a format with scales, whose range is that of its weights anyway, or a bound outside its range.
    """

    inner: NumberFormat
    at: float
    beyond: Beyond = "zero"

    def __post_init__(self) -> None:
        if self.inner.scaling != "none":
            raise ValueError(f"{self.inner.name} is scaled to its weights: there is nothing beyond them to bound")
        if not 0.0 < self.at < self.inner.largest:
            raise ValueError(f"a bound of {self.inner.name} lies between 0 and {self.inner.largest:g}, got {self.at:g}")

    @property
    def rule(self) -> str:
        """``zero-beyond-4``."""
        return f"{self.beyond}-beyond-{self.at:g}"

    @property
    def rule_ge(self) -> float:
        """A comparator and a gate per plane."""
        return self.bits * (XOR_GE + AND_GE)

    @property
    def written(self) -> NDArray[np.bool_]:
        """Codes within the bound."""
        within: NDArray[np.bool_] = np.abs(self.inner.decode_table) <= self.at
        return within

    def _values(self) -> NDArray[np.float64]:
        limit = np.abs(self.inner.decode_table[self.written]).max() if self.beyond == "bound" else 0.0
        return np.where(self.written, self.inner.decode_table, np.sign(self.inner.decode_table) * limit)


def _with_bit(codes: NDArray[np.int64], plane: int, one: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The codes with 1 in a plane where ``one``, else with 0."""
    return np.where(one, codes | (1 << plane), codes & ~(1 << plane))


def written(form: NumberFormat) -> NDArray[np.bool_]:
    """Codes of any format that are ever written, bool [2^B]."""
    return form.written if isinstance(form, DerivedFormat) else np.ones(1 << form.bits, dtype=np.bool_)


def _inside(inner: NumberFormat, planes: tuple[int, ...], what: str, *, top: bool = True) -> None:
    """ValueError unless these are planes of a format, each once (``top``: the highest among them)."""
    most = inner.bits - (1 if top else 2)
    if not planes or len(set(planes)) != len(planes) or not all(0 <= plane <= most for plane in planes):
        raise ValueError(f"{what} of {inner.name} lie in 0 .. {most}, each named once; got {list(planes)}")


def _spelt(planes: tuple[int, ...]) -> str:
    return "".join(map(str, planes)) if max(planes) < 10 else ".".join(map(str, planes))
