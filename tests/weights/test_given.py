"""Codes that a file gives: weights as plain loops decode them, mixed formats, refusals; zero points of our own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.weights import (
    FloatFormat,
    ScaleLayout,
    ScalePart,
    StoredImage,
    StoredTensor,
    UnsignedFormat,
    WeightFormat,
    number_format,
    quantise,
)
from qtaml_hw.weights.given import given_floats, given_image, given_integers

GROUPS = ScaleLayout("per_group", 5)


@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(1, 8))
def test_integers_with_zero_points_decode_as_plain_loops(seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 1 << bits, (3, 12), dtype=np.uint8)
    scale, zero, least = (rng.normal(size=9).astype(np.float32), rng.integers(0, 1 << bits, 9).astype(np.float32), None)
    if seed % 2:
        zero, least = None, rng.normal(size=9).astype(np.float32)
    t = given_integers("w", (3, 12), levels, scale, GROUPS, bits=bits, zero=zero, minimum=least)
    for (row, column), read in np.ndenumerate(t.decode(t.codes)):
        own = row * 3 + column // 5
        level = np.float32(levels[row, column]) - (np.float32(0) if zero is None else zero[own])
        wanted = scale[own] * level
        assert read == (wanted if least is None else wanted + least[own])


def test_signed_levels_are_twos_complement() -> None:
    levels = np.array([[-128, -1], [0, 127]], dtype=np.int8)
    t = given_integers("w", (2, 2), levels, np.array([0.5, 2.0], np.float32), ScaleLayout("per_channel"))
    assert t.format == WeightFormat(8)
    assert t.codes.view(np.int8).tolist() == [-128, -1, 0, 127]
    assert t.decode(t.codes).tolist() == [[-64.0, -0.5], [0.0, 254.0]]


def test_scales_of_parts_are_their_product_in_order() -> None:
    """As a super-block of Q4_K has them: a float16 per eight groups, six bits per group, a minimum that is taken off"""
    rng = np.random.default_rng(1)
    d, least = rng.random(2).astype(np.float16), rng.random(2).astype(np.float16)
    six, six_min = rng.integers(0, 64, 16, dtype=np.uint8), rng.integers(0, 64, 16, dtype=np.uint8)
    half, level = FloatFormat("float16"), UnsignedFormat(6)
    parts = (
        ScalePart("scale", d.view(np.uint16), half, 8),
        ScalePart("scale", six, level),
        ScalePart("minimum", least.view(np.uint16), half, 8, negative=True),
        ScalePart("minimum", six_min, level),
    )
    codes = rng.integers(0, 16, 512, dtype=np.uint8)
    t = StoredTensor.made_of("w", (1, 512), codes, UnsignedFormat(4), ScaleLayout("per_group", 32), parts)
    for i, read in enumerate(t.decode(codes)[0]):
        g = i // 32
        step, low = np.float32(d[g // 8]) * np.float32(six[g]), np.float32(least[g // 8]) * np.float32(six_min[g])
        assert read == step * np.float32(codes[i]) - low
    assert t.scale_bits == 2 * (2 * 16 + 16 * 6)
    with pytest.raises(ValueError, match="are not for 16"):
        StoredTensor.made_of(
            "w",
            (1, 512),
            codes,
            UnsignedFormat(4),
            ScaleLayout("per_group", 32),
            (parts[1],) * 0 + (ScalePart("scale", six[:3], level),),
        )


def test_an_image_of_several_formats() -> None:
    rng = np.random.default_rng(2)
    four = given_integers("a", (2, 4), rng.integers(0, 16, 8, dtype=np.uint8), np.ones(1, np.float32), bits=4)
    half = given_floats("b", rng.normal(size=(2, 3)).astype(np.float16))
    weights = {t.name: t.decode(t.codes) for t in (four, half)}
    image = given_image(weights, {"a": four, "b": half})
    assert (image.planes, image.tensor_planes.tolist(), image.stored_bits) == (16, [4, 16], 8 * 4 + 6 * 16)
    assert image.format_name == "uint4 + float16"
    assert {t.codes.dtype for t in image.tensors} == {np.dtype(np.uint16)}
    assert all(np.array_equal(image.decode()[name], w) for name, w in weights.items())
    assert image.absent.sum() == 12
    with pytest.raises(ValueError, match="several number formats: uint4"):
        _ = image.format
    with pytest.raises(ValueError, match="no one code is zero"):
        _ = StoredImage(
            (
                half,
                given_integers(
                    "c", (2,), np.zeros(2, np.int8) - 1, np.ones(1, np.float32), minimum=np.ones(1, np.float32)
                ),
            )
        ).zero_code


def test_weights_that_a_file_has_no_codes_for_are_named() -> None:
    t = given_integers("a", (2,), np.array([1, 2], np.int8), np.ones(1, np.float32))
    with pytest.raises(ValueError, match="brings none for b: name a number format"):
        given_image({"a": t.decode(t.codes), "b": np.ones(2, np.float32)}, {"a": t})
    with pytest.raises(ValueError, match="no longer what the file's codes stand for: a"):
        given_image({"a": np.ones(2, np.float32)}, {"a": t})


@pytest.mark.parametrize("scale", ["per_tensor", "per_channel", "group-32"])
@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(2, 8), shift=st.floats(-3.0, 3.0))
def test_our_own_zero_points_clip_nothing_and_keep_zero(scale: str, seed: int, bits: int, shift: float) -> None:
    w = np.random.default_rng(seed).normal(shift, size=(4, 70)).astype(np.float32)
    w[0, 0] = 0.0
    t = quantise({"w": w}, number_format(f"uint{bits}"), scale).tensors[0]
    assert t.zero is not None
    read, step = t.decode(t.codes), np.broadcast_to(t.weight_scale(), w.size).reshape(w.shape)
    assert read[0, 0] == 0.0
    assert np.all(np.abs(read - w) <= step * (1 + 2e-5))  # half a step, and half of the zero point's rounding
    symmetric = quantise({"w": w}, WeightFormat(bits), scale).decode()["w"]
    if abs(shift) > 1.0 and bits >= 3:
        assert np.mean((read - w) ** 2) < np.mean((symmetric - w) ** 2)
    clipped = quantise({"w": w}, number_format(f"uint{bits}"), scale, clip="mse").decode()["w"]
    assert np.mean((clipped - w) ** 2) <= np.mean((read - w) ** 2) * (1 + 1e-5)
