"""Floating-point codes: every value against ml_dtypes and numpy, and what codes that are no numbers decode to."""

from __future__ import annotations

import numpy as np
import pytest

from qtaml_hw.weights import LAYOUTS, FloatFormat

PEERS = {
    "e2m1": "float4_e2m1fn",
    "e2m3": "float6_e2m3fn",
    "e3m2": "float6_e3m2fn",
    "e4m3": "float8_e4m3fn",
    "e4m3-ieee": "float8_e4m3",
    "e3m4": "float8_e3m4",
    "e5m2": "float8_e5m2",
    "bfloat16": "bfloat16",
}


def peer(layout: str) -> np.dtype:
    if layout == "float16":
        return np.dtype(np.float16)
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="the package ml_dtypes (test extra) is not installed")
    return np.dtype(getattr(ml_dtypes, PEERS[layout]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_value_is_that_of_the_peer(layout: str) -> None:
    form, dtype = FloatFormat(layout), peer(layout)
    codes = np.arange(1 << form.bits).astype(form.code_dtype)
    with np.errstate(invalid="ignore"):  # NaN
        theirs = codes.view(dtype).astype(np.float64)
    assert np.array_equal(form.special_codes, ~np.isfinite(theirs))
    finite = ~form.special_codes
    assert np.array_equal(form.decode_table[finite], theirs[finite])
    assert np.array_equal(np.signbit(form.decode_table), np.signbit(np.where(finite, theirs, form.decode_table)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rounding_is_that_of_the_peer(layout: str) -> None:
    form, dtype = FloatFormat(layout), peer(layout)
    rng = np.random.default_rng(0)
    spread = rng.normal(size=20_000) * np.exp2(rng.uniform(-12, 0, 20_000)) * min(form.largest, 2.0**40)
    ties = (form.decode_table[:-1] + form.decode_table[1:]) / 2.0
    x = np.clip(np.concatenate([spread, ties]), -form.largest, form.largest).astype(np.float32)
    ours = form.decode_table[form.encode(x)]
    assert np.array_equal(ours, x.astype(dtype).astype(np.float64))


def test_special_codes_saturate_or_are_zero() -> None:
    saturating, zeroing = FloatFormat("e4m3"), FloatFormat("e4m3", "zero")
    assert saturating.decode_table[[0x7E, 0x7F, 0xFF]].tolist() == [448.0, 448.0, -448.0]
    assert zeroing.decode_table[[0x7E, 0x7F, 0xFF]].tolist() == [448.0, 0.0, 0.0]
    assert not np.any(FloatFormat("e2m1").special_codes)
    assert FloatFormat("e5m2").special_codes.sum() == 8  # +-inf and six NaN
    assert FloatFormat("bfloat16").special_codes.sum() == 256


def test_specials_are_never_written() -> None:
    for layout in ("e4m3", "e5m2", "float16"):
        form = FloatFormat(layout)
        x = np.linspace(-form.largest, form.largest, 5001)
        assert not form.special_codes[form.encode(x)].any()


def test_bad_layouts_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown floating-point format 'e9m9'; allowed: e2m1"):
        FloatFormat("e9m9")
    with pytest.raises(ValueError, match="allowed: saturate, zero"):
        FloatFormat("e4m3", "nan")  # type: ignore[arg-type]
