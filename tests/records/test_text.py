"""Numbers and labels as people read them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.records.text import number, percent, plain, power_of_ten, scale, share_of_cells, spelled


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0, 3, "0"),
        (1.0, 3, "1"),
        (0.1234, 3, "0.123"),
        (2.04e6, 3, "2.04×10⁶"),
        (99999, 3, "1×10⁵"),
        (99949, 3, "99,949"),
        (9.9996e-5, 3, "1×10⁻⁴"),
        (-0.5, 3, "-0.5"),
        (1.0e-12, 2, "1×10⁻¹²"),
        (None, 3, "–"),
        (float("nan"), 3, "–"),
        (True, 3, "–"),
    ],
)
def test_number(value: object, digits: int, shown: str) -> None:
    assert number(value, digits) == shown


@given(st.floats(1e-30, 1e30), st.integers(2, 6))
def test_number_keeps_its_digits(value: float, digits: int) -> None:
    shown = number(value, digits).replace(",", "")
    if "×" in shown:
        mantissa, power = shown.split("×10")
        exponent = int(power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")))
        read = float(mantissa) * 10.0**exponent
    else:
        read = float(shown)
    assert read == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits))


@given(st.text())
def test_plain_is_one_printable_line(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert len(shown) <= 300
    assert plain(shown) == shown


def test_small_shares_keep_their_digits() -> None:
    assert percent(0.951) == "95.1"
    assert percent(2.5e-6) == "2.5×10⁻⁴"
    assert percent(0) == "0.0"
    assert share_of_cells(1e-6) == "1 ppm"
    assert share_of_cells(0.05) == "5 %"
    assert power_of_ten(-12) == "10⁻¹²"


def test_one_unit_for_a_column() -> None:
    assert scale([1.1e-6, 2e-9, 3e-6], "J").unit == "µJ"
    assert scale([2.2e-6], "m2").unit == "mm²"
    assert scale([3e-10], "m2").unit == "µm²"
    assert scale([0.0, None], "s").unit == "s"
    assert scale([3.56e-9], "s").show(3.56e-9) == "3.56"


def test_importing_the_package_is_light() -> None:
    heavy = "{'matplotlib', 'jinja2', 'rich', 'torch', 'scipy'}"
    code = f"import sys, qtaml_hw.report; print(*({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("5 us", "5 µs"),
        ("interval=5us, t_ox=1.8 nm", "interval=5 µs, t_ox=1.8 nm"),
        ("1e-3 uJ at 2.5 um2", "1e-3 µJ at 2.5 µm2"),
        ("v2us, 3 us-like, 4 users, gpu5us", "v2us, 3 µs-like, 4 users, gpu5us"),
    ],
)
def test_a_unit_has_one_spelling(written: str, shown: str) -> None:
    assert spelled(written) == shown
