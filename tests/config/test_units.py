"""Units: every written form is the float nearest to its value, and what is no unit is refused with a hint."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.units import DIMENSIONS, parse, show, split


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("1.2 nm", "length", 1.2e-9),
        ("0.0015 um", "length", 1.5e-9),
        ("18 Å", "length", 1.8e-9),
        ("18 angstrom", "length", 1.8e-9),
        ("1.8nm", "length", 1.8e-9),
        (" +1.8e0  nm ", "length", 1.8e-9),
        ("0.05 um2", "area", 5e-14),
        ("3 mm2", "area", 3e-6),
        ("2 cm2", "area", 2e-4),
        ("40 us", "time", 40e-6),
        ("40 µs", "time", 40e-6),
        ("40 μs", "time", 40e-6),
        ("2 h", "time", 7200.0),
        ("500 MHz", "frequency", 5e8),
        ("900 mV", "voltage", 0.9),
        ("0.8 pJ", "energy", 8e-13),
        ("500 meV", "electronvolt", 0.5),
        ("0.12 pA", "current", 1.2e-13),
        ("1 fF", "capacitance", 1e-15),
        ("85 degC", "temperature", 358.15),
        ("-40 °C", "temperature", 233.15),
        ("300 K", "temperature", 300.0),
        ("5 %", "fraction", 0.05),
        ("0.7 %", "fraction", 0.007),
        (0.1, "fraction", 0.1),
        (1, "fraction", 1.0),
        ("20 ppm", "fraction", 2e-5),
        ("1e18 1/cm3", "doping", 1e24),
        ("512 KB", "capacity", 512 * 1024 * 8),
        ("4 MB", "capacity", 4 * 2**20 * 8),
        ("18 \u212b", "length", 1.8e-9),
        ("18 A\u030a", "length", 1.8e-9),
    ],
)
def test_parse_gives_the_nearest_float_in_si(text: object, dimension: str, value: float) -> None:
    assert parse(text, dimension) == value


@given(
    digits=st.integers(1, 10**6),
    exponent=st.integers(-6, 3),
    unit=st.sampled_from(sorted(DIMENSIONS["length"].units)),
)
def test_parse_is_correctly_rounded(digits: int, exponent: int, unit: str) -> None:
    factor = Fraction(repr(DIMENSIONS["length"].units[unit]))
    exact = Fraction(digits) * Fraction(10) ** exponent * factor
    assert parse(f"{digits}e{exponent} {unit}", "length") == float(exact)


@pytest.mark.parametrize(
    ("value", "dimension", "needles"),
    [
        ("1.8", "length", ["no unit", "1.2 nm"]),
        (1.8e-9, "length", ["no unit"]),
        ("1.8 mn", "length", ["'mn' is not a unit of length", "did you mean 'nm'"]),
        ("1.8 nM", "length", ["did you mean 'nm'"]),
        ("nm", "length", ["expected a length such as '1.2 nm'"]),
        ("1,8 nm", "length", ["not a unit"]),
        ("1.8 nm nm", "length", ["not a unit"]),
        (True, "fraction", ["expected a fraction"]),
        (None, "time", ["expected a time"]),
        ([1], "time", ["expected a time"]),
        ("nan", "fraction", ["expected a fraction"]),
        (float("inf"), "fraction", ["expected a fraction"]),
        ("1e400 nm", "length", ["too large"]),
        ("9" * 200, "length", ["expected a length"]),
        ("", "area", ["expected an area"]),
        ("١ nm", "length", ["expected a length"]),
    ],
)
def test_what_is_no_quantity_is_refused_with_what_is_allowed(value: object, dimension: str, needles: list[str]) -> None:
    with pytest.raises(ValueError, match=r"expected|unit|large") as caught:
        parse(value, dimension)
    for needle in needles:
        assert needle in str(caught.value)
    assert len(str(caught.value)) < 300


@given(number=st.floats(1e-3, 1e3), dimension=st.sampled_from(["length", "time", "voltage", "energy", "capacitance"]))
def test_show_reads_back(number: float, dimension: str) -> None:
    value = number * 1e-9
    assert parse(show(value, dimension, digits=15), dimension) == pytest.approx(value, rel=1e-12)


@given(celsius=st.floats(-70.0, 170.0))
def test_temperature_reads_back(celsius: float) -> None:
    kelvin = celsius + 273.15
    assert parse(show(kelvin, "temperature", digits=12), "temperature") == pytest.approx(kelvin, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (1.2e-9, "length", "1.2 nm"),
        (1e-6, "time", "1 us"),
        (0.999e-6, "time", "999 ns"),
        (5e8, "frequency", "500 MHz"),
        (358.15, "temperature", "85 degC"),
        (0.005, "fraction", "0.5 %"),
        (1.64e-6, "area", "1.64 mm2"),
        (0.0, "time", "0 s"),
    ],
)
def test_show_as_a_person_writes_it(value: float, dimension: str, text: str) -> None:
    assert show(value, dimension) == text


def test_split_keeps_the_number_as_written() -> None:
    number, unit = split("1.50 nm", "length")
    assert (str(number), unit) == ("1.50", "nm")


@pytest.mark.parametrize(
    ("text", "dimension", "said"),
    [
        ("512 Kb", "capacity", "; 'b' may be a bit or a byte: write 'Kbit' or 'KB'"),
        ("4 Mb", "capacity", "; 'b' may be a bit or a byte: write 'Mbit' or 'MB'"),
        ("8 b", "capacity", "; 'b' may be a bit or a byte: write 'bit' or 'B'"),
        ("10 Gb/s", "bandwidth", "; 'b' may be a bit or a byte: write 'Gbit/s' or 'GB/s'"),
        ("10 Gbps", "bandwidth", "; 'b' may be a bit or a byte: write 'Gbit/s' or 'GB/s'"),
        ("1 Tb/s", "bandwidth", ""),
        ("1 GB", "capacity", ""),
        ("1 Gb", "capacity", ""),
        ("1 km", "length", ""),
        ("1 kbit", "capacity", "; did you mean 'Kbit'?"),
        ("1 KiB", "capacity", "; did you mean 'KB'?"),
        ("1.8 NM", "length", "; did you mean 'nm'?"),
        ("18 angstroms", "length", "; did you mean 'angstrom'?"),
    ],
)
def test_a_hint_is_never_of_another_size(text: str, dimension: str, said: str) -> None:
    with pytest.raises(ValueError, match="is not a unit") as caught:
        parse(text, dimension)
    assert str(caught.value).partition(")")[2] == said
