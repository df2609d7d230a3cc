"""Every format: the decode table against independent arithmetic, round trips of all codes, nearest codes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.weights import (
    ENCODINGS,
    FORMATS,
    LINEAR_ENCODINGS,
    BinaryFormat,
    NumberFormat,
    PowerFormat,
    WeightFormat,
    number_format,
)

ALL = [
    *(number_format(name) for name in FORMATS),
    *(number_format(name, encoding=e) for name in ("int3", "int8", "int16", "power6") for e in ENCODINGS[1:]),
    *(number_format(name, specials="zero") for name in ("e4m3", "e5m2", "bfloat16")),
    PowerFormat(8, 0.5),
]
SMALL = [form for form in ALL if form.bits <= 8]


def named(form: NumberFormat) -> str:
    return form.name


@pytest.mark.parametrize("form", ALL, ids=named)
def test_every_code_round_trips_in_value(form: NumberFormat) -> None:
    table = form.decode_table
    assert table.shape == (1 << form.bits,)
    assert np.all(np.isfinite(table))
    codes = form.encode(table)
    assert codes.dtype == form.code_dtype == (np.uint8 if form.bits <= 8 else np.uint16)
    assert np.array_equal(table[codes], table)


@pytest.mark.parametrize("form", ALL, ids=named)
def test_the_face_follows_from_the_table(form: NumberFormat) -> None:
    codes, table = np.arange(1 << form.bits), form.decode_table
    assert form.planes == form.bits == form.bit_table.shape[1]
    assert np.array_equal(form.bit_table @ (1 << np.arange(form.bits)), codes)
    for plane in (0, form.bits - 1):
        assert np.array_equal(form.flip_damage[:, plane], (table[codes ^ (1 << plane)] - table) ** 2)
    assert table[form.zero_code] == np.abs(table).min() * (1 if table[form.zero_code] >= 0 else -1)
    assert form.lowest in table
    assert form.largest in table
    constant = np.all(np.ptp(form.flip_damage, axis=0) == 0.0) and form.name != "int2/sign_magnitude"
    assert form.linear == bool(constant)
    assert form.decode_ge >= 0.0
    assert form.decode_basis


@pytest.mark.parametrize("form", SMALL, ids=named)
@given(data=st.data())
def test_codes_are_nearest_and_monotone(form: NumberFormat, data: st.DataObject) -> None:
    reach = st.floats(form.lowest, form.largest)
    x = np.sort(np.array(data.draw(st.lists(reach, min_size=1, max_size=8))))
    found = form.decode_table[form.encode(x)]
    distance = np.abs(form.decode_table[None, :] - x[:, None]).min(axis=1)
    np.testing.assert_allclose(np.abs(found - x), distance, rtol=0, atol=1e-12 * form.largest)
    assert np.all(np.diff(found) >= 0.0)


@pytest.mark.parametrize("bits", [*range(2, 9), 16])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_level_has_a_code_of_its_own(bits: int, encoding: str) -> None:
    form = WeightFormat(bits, encoding)
    lowest = -(1 << (bits - 1)) + (encoding == "sign_magnitude")
    levels = np.arange(lowest, 1 << (bits - 1))
    codes = form.encode(levels)
    assert np.array_equal(form.decode_table[codes], levels)
    assert len(set(codes.tolist())) == levels.size


def test_twos_complement_is_the_machine_one() -> None:
    levels = np.arange(-128, 128)
    assert np.array_equal(WeightFormat(8).encode(levels), levels.astype(np.int8).view(np.uint8))
    wide = np.arange(-(1 << 15), 1 << 15)
    assert np.array_equal(WeightFormat(16).encode(wide), wide.astype(np.int16).view(np.uint16))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_gray_and_sign_magnitude_against_plain_strings(bits: int) -> None:
    def reflected(n: int) -> list[str]:  # the textbook construction: the list, then the list mirrored
        shorter = reflected(n - 1) if n > 1 else [""]
        return [f"0{w}" for w in shorter] + [f"1{w}" for w in reversed(shorter)]

    half = 1 << (bits - 1)
    for level, word in zip(range(-half, half), reflected(bits), strict=True):
        assert WeightFormat(bits, "gray").encode(np.array([level]))[0] == int(word, 2)
    for level in range(1 - half, half):
        word = f"{'1' if level < 0 else '0'}{abs(level):0{bits - 1}b}"
        assert WeightFormat(bits, "sign_magnitude").encode(np.array([level]))[0] == int(word, 2)


def test_neighbouring_levels_differ_in_one_plane_of_gray() -> None:
    codes = WeightFormat(8, "gray").encode(np.arange(-128, 128)).astype(np.int64)
    assert {int(x).bit_count() for x in codes[1:] ^ codes[:-1]} == {1}


def test_one_directional_decay_finds_few_ones_in_sign_magnitude() -> None:
    """Gaussian weights whose peak is at four sigma: the share of ones in bit 6."""
    levels = np.rint(np.clip(np.random.default_rng(1).normal(scale=127 / 4, size=1_000_000), -127, 127))
    share = {}
    for encoding in ("twos_complement", "sign_magnitude"):
        form = WeightFormat(8, encoding)
        share[encoding] = form.bit_table[form.encode(levels), 6].mean()
    assert share["sign_magnitude"] == pytest.approx(0.046, abs=0.001)
    assert share["twos_complement"] == pytest.approx(0.495, abs=0.01)


def test_significance_and_offset() -> None:
    assert WeightFormat(4).significance.tolist() == [1, 2, 4, -8]
    assert WeightFormat(4).significance.sum() == -1
    assert WeightFormat(4, "offset_binary").significance.sum() == 15
    assert WeightFormat(4, "offset_binary").offset == -8
    assert BinaryFormat().significance.tolist() == [-2]
    assert [e for e in ENCODINGS if WeightFormat(8, e).linear] == list(LINEAR_ENCODINGS)
    with pytest.raises(ValueError, match="the planes of e4m3 have no constant significance"):
        _ = number_format("e4m3").significance


def test_power_codes_are_powers_of_the_level() -> None:
    form = PowerFormat(8, 2.0)
    codes = WeightFormat(8).encode(np.array([0, 1, 64, 127, -127]))
    np.testing.assert_allclose(form.decode_table[codes], [0.0, 1 / 127, 64**2 / 127, 127.0, -127.0])
    np.testing.assert_allclose(PowerFormat(8, 1.0).decode_table, WeightFormat(8).decode_table)


def test_binary_weights_have_no_zero() -> None:
    form = BinaryFormat()
    assert form.decode_table.tolist() == [1.0, -1.0]
    assert form.encode(np.array([-0.1, 0.0, 0.1])).tolist() == [1, 0, 0]
    assert form.zero_code == 0


def test_bad_formats_are_refused() -> None:
    with pytest.raises(ValueError, match="2 to 16 bits, got 17"):
        WeightFormat(17)
    with pytest.raises(ValueError, match="allowed: twos_complement, offset_binary, sign_magnitude, gray"):
        WeightFormat(8, "grey")
    with pytest.raises(ValueError, match=r"levels must lie in \[-128, 127\]"):
        WeightFormat(8).encode(np.array([128]))
    with pytest.raises(ValueError, match=r"levels must lie in \[-448, 448\]"):
        number_format("e4m3").encode(np.array([449.0]))
    with pytest.raises(ValueError, match=r"lies in \[0.25, 4\], got 9"):
        PowerFormat(8, 9.0)
    with pytest.raises(ValueError, match="a power code has 2 to 8 bits, got 16"):
        PowerFormat(16)
    with pytest.raises(ValueError, match="did you mean 'bfloat16'"):
        number_format("bf16")
