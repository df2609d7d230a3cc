"""Units at the boundary, SI inside: ``parse("1.2 nm", "length") == 1.2e-9`` and its way back.

A bare number for a physical value is refused: a unit-less thickness is the classical way to be wrong by 1e9.
Constants are CODATA 2018 (exact ones by definition of the SI), https://physics.nist.gov/cuu/Constants/.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from qtaml_hw.errors import nearest

ELEMENTARY_CHARGE_C: Final = 1.602176634e-19
BOLTZMANN_J_PER_K: Final = 1.380649e-23
PLANCK_J_S: Final = 6.62607015e-34
HBAR_J_S: Final = PLANCK_J_S / (2.0 * math.pi)
ELECTRON_MASS_KG: Final = 9.1093837015e-31
VACUUM_PERMITTIVITY_F_PER_M: Final = 8.8541878128e-12
ZERO_CELSIUS_K: Final = 273.15
_ZERO_CELSIUS: Final = Decimal("273.15")
_LONGEST: Final = 80
_HUGE: Final = Decimal("1e100")
_TINY: Final = Decimal("1e-100")
_SPELLINGS: Final = frozenset("µμ")

_EXPONENT: Final = {"f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}


def _scaled(base: str, prefixes: str, power: int = 1) -> dict[str, float]:
    """Unit symbols with SI prefixes; ``mm2`` is (1e-3 m)^2."""
    return {prefix + base: float(f"1e{power * _EXPONENT[prefix]}") for prefix in [*prefixes, ""]}


@dataclass(frozen=True)
class Dimension:
    """A kind of physical value: the symbols it is written in, as multiples of its SI unit."""

    name: str
    si: str
    units: dict[str, float]
    example: str


DIMENSIONS: Final[dict[str, Dimension]] = {
    d.name: d
    for d in (
        Dimension("length", "m", _scaled("m", "pnuµμm") | {"Å": 1e-10, "angstrom": 1e-10}, "1.2 nm"),
        Dimension("area", "m2", _scaled("m2", "nuµμm", 2) | {"cm2": 1e-4}, "0.05 um2"),
        Dimension("time", "s", _scaled("s", "pnuµμm") | {"min": 60.0, "h": 3600.0}, "40 us"),
        Dimension("frequency", "Hz", _scaled("Hz", "kMG"), "500 MHz"),
        Dimension("voltage", "V", _scaled("V", "uµμm"), "1.0 V"),
        Dimension("energy", "J", _scaled("J", "fpnuµμm"), "0.8 pJ"),
        Dimension("electronvolt", "eV", {"eV": 1.0, "meV": 1e-3}, "0.50 eV"),
        Dimension("current", "A", _scaled("A", "fpnuµμm"), "0.12 pA"),
        Dimension("capacitance", "F", _scaled("F", "fpnuµμm"), "1 fF"),
        Dimension("power", "W", _scaled("W", "fpnuµμmk"), "3 mW"),
        Dimension("temperature", "K", {"degC": 1.0, "°C": 1.0, "K": 1.0}, "85 degC"),
        Dimension("fraction", "1", {"%": 1e-2, "": 1.0, "ppm": 1e-6}, "5 %"),
        Dimension("rate", "1/s", {"1/s": 1.0, "/s": 1.0, "Hz": 1.0}, "1000 1/s"),
        Dimension("doping", "1/m3", {"1/m3": 1.0, "1/cm3": 1e6}, "1e18 1/cm3"),
        Dimension(
            "capacity",
            "bit",
            {"bit": 1.0, "Kbit": 1024.0, "Mbit": 1024.0**2, "B": 8.0, "KB": 8192.0, "MB": 8.0 * 1024**2},
            "512 KB",
        ),
        Dimension(
            "bandwidth",
            "bit/s",
            _scaled("bit/s", "kMG") | {"B/s": 8.0, "kB/s": 8e3, "MB/s": 8e6, "GB/s": 8e9, "TB/s": 8e12},
            "10 GB/s",
        ),
    )
}

_BITS: Final = re.compile(r"([a-zA-Z]?)b(ps|/s)?")
_QUANTITY = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?)(\s+1/\w+|\s*[^\s\d].*)?\s*")


def split(text: object, dimension: str) -> tuple[Decimal, str]:
    """``"1.2 nm"`` -> (Decimal("1.2"), "nm"): the number as written and its unit symbol, checked against the dimension.

    Raises ValueError with what is allowed and, for a near miss, what was probably meant.
    """
    kind = DIMENSIONS[dimension]
    match = None
    if not isinstance(text, bool) and isinstance(text, str | int | float) and len(str(text)) <= _LONGEST:
        match = _QUANTITY.fullmatch(unicodedata.normalize("NFC", str(text)))  # U+212B is the letter of angstrom too
    if match is None:
        raise ValueError(f"expected {_article(kind.name)} such as '{kind.example}', got {shorten(text)}")
    number, symbol = Decimal(match.group(1)), (match.group(2) or "").strip()
    if abs(number) >= _HUGE:
        raise ValueError(f"{text!r} is too large a number")
    if 0 < abs(number) < _TINY:
        raise ValueError(f"{text!r} is too small a number; write 0 if it is none")
    if symbol not in kind.units:
        allowed = ", ".join(u or "(none)" for u in kind.units if not set(u) & _SPELLINGS)
        if not symbol:
            raise ValueError(f"{text!r} has no unit; write it as in '{kind.example}' (units: {allowed})")
        raise ValueError(f"{shorten(symbol)} is not a unit of {kind.name} (units: {allowed}){_meant(symbol, kind)}")
    return number, symbol


def parse(text: object, dimension: str) -> float:
    """``"1.2 nm"`` -> 1.2e-9: the value in SI units of the dimension, correctly rounded.

    Raises ValueError with what is allowed and, for a near miss, what was probably meant.
    """
    number, symbol = split(text, dimension)
    if dimension == "temperature":
        return float(number if symbol == "K" else number + _ZERO_CELSIUS)
    return float(number * _exact(DIMENSIONS[dimension].units[symbol]))


def _meant(symbol: str, kind: Dimension) -> str:
    """The unit that a symbol was probably meant to be: same letters first (mn, NM), else the closest spelling.

    Never one of another size: a ``b`` may be a bit or a byte, and ``GB`` is not a mistyped ``MB``.
    """
    units = [unit for unit in kind.units if unit]
    if (bits := _BITS.fullmatch(symbol)) is not None:
        asked = {f"{bits[1]}{word}{'/s' if bits[2] else ''}".lower() for word in ("bit", "b")}
        both = [unit for unit in units if unit.lower() in asked]
        return f"; 'b' may be a bit or a byte: write {' or '.join(map(repr, both))}" if len(both) == 2 else ""
    same = [unit for unit in units if sorted(unit.lower()) == sorted(symbol.lower())]
    if same:
        return f"; did you mean {same[0]!r}?"
    bases = {unit[1:] for unit in units if unit[1:]} | set(units)
    return "" if symbol[1:] in bases else nearest(symbol, units)


def _exact(factor: float) -> Decimal:
    """A unit's factor as written, so that 1.2 nm is the float nearest to 1.2e-9 and not 1.2 * 1e-9."""
    return Decimal(repr(factor))


def shorten(value: object, longest: int = 60) -> str:
    """``repr`` of a value, cut to what fits in an error message."""
    text = repr(value) if not isinstance(value, str) or len(value) <= longest else repr(value[:longest])
    return text if len(text) <= longest + 2 else text[:longest] + "..."


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


_SCALES: Final = (
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "u"),
    (1e-9, "n"),
    (1e-12, "p"),
    (1e-15, "f"),
)


def show(value_si: float, dimension: str, digits: int = 3) -> str:
    """A value in SI as a person writes it: ``show(1.2e-9, "length") == "1.2 nm"``."""
    if dimension == "temperature":
        return f"{value_si - ZERO_CELSIUS_K:.{max(digits, 4)}g} degC"
    if dimension == "fraction":
        return f"{100.0 * value_si:.{digits}g} %"
    kind = DIMENSIONS[dimension]
    if value_si == 0.0 or not math.isfinite(value_si):
        return f"{value_si:g} {kind.si}"
    if dimension == "area":
        for factor, unit in ((1e-6, "mm2"), (1e-12, "um2"), (1e-18, "nm2")):
            if abs(value_si) >= 1e-3 * factor:
                return f"{value_si / factor:.{digits}g} {unit}"
    for factor, prefix in _SCALES:
        if abs(value_si) >= factor * (1.0 - 1e-12) and prefix + kind.si in kind.units:
            return f"{value_si / factor:.{digits}g} {prefix}{kind.si}"
    return f"{value_si:.{digits}g} {kind.si}"


def in_si(value_si: float, dimension: str) -> str:
    """A value as a study file takes it, in the SI unit: ``1.8e-09 m``."""
    unit = DIMENSIONS[dimension].si
    return f"{value_si:.9g}" if unit == "1" else f"{value_si:.9g} {unit}"
