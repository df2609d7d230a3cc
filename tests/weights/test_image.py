"""A network as one stored image: exact round trips, groups, digests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.weights import ENCODINGS, WeightFormat, quantise


def tensors(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "a.weight": rng.normal(size=(3, 2, 5, 5)).astype(np.float32),
        "b.weight": rng.normal(size=(7, 70)).astype(np.float32),
    }


@pytest.mark.parametrize("granularity", ["per_tensor", "per_channel"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_quantising_the_decoded_weights_gives_the_same_codes(granularity: str, encoding: str) -> None:
    image = quantise(tensors(), WeightFormat(8, encoding), granularity)
    again = quantise(image.decode(), WeightFormat(8, encoding), granularity)
    for one, two in zip(image.tensors, again.tensors, strict=True):
        assert np.array_equal(one.codes, two.codes)
        np.testing.assert_allclose(one.scale, two.scale, rtol=2e-7)


@given(seed=st.integers(0, 2**32 - 1), granularity=st.sampled_from(["per_tensor", "per_channel"]))
def test_rounding_error_is_at_most_half_a_step(seed: int, granularity: str) -> None:
    given_tensors = tensors(seed)
    image = quantise(given_tensors, granularity=granularity)
    for t in image.tensors:
        error = np.abs(image.decode()[t.name] - given_tensors[t.name]).reshape(t.shape[0], -1)
        assert np.all(error <= 0.5 * t.scale[:, None] * (1 + 1e-5))


def test_all_encodings_decode_to_the_same_weights() -> None:
    two, *others = (quantise(tensors(), WeightFormat(8, e)).decode() for e in ENCODINGS)
    assert all(np.array_equal(two[name], other[name]) for other in others for name in two)


def test_the_peak_is_the_largest_level_and_minus_128_is_never_written() -> None:
    image = quantise(tensors(), granularity="per_channel")
    levels = image.format.decode_table[np.concatenate(image.codes())]
    assert levels.min() >= -127
    for t in image.tensors:
        rows = np.abs(image.format.decode_table[t.codes]).reshape(t.shape[0], -1)
        assert np.all(rows.max(axis=1) == 127)


def test_groups_are_contiguous_and_never_straddle_tensors() -> None:
    image = quantise(tensors())
    assert image.tensor_starts.tolist() == [0, 150, 640]
    assert image.group_starts("layer").tolist() == [0, 150, 640]
    assert image.group_starts("channel").tolist() == [0, 50, 100, 150, *range(220, 641, 70)]
    word = image.group_starts("word")
    assert set(image.tensor_starts) <= set(word)
    assert np.diff(word).max() == 32
    assert np.diff(word).sum() == image.weights


def test_a_zero_tensor_decodes_to_zero() -> None:
    image = quantise({"w": np.zeros((2, 3), np.float32)})
    assert not image.decode()["w"].any()


def test_not_finite_weights_are_refused() -> None:
    bad = tensors()
    bad["b.weight"][0, 0] = np.nan
    with pytest.raises(ValueError, match=r"b.weight: weights must be finite; 1 are NaN"):
        quantise(bad)


def test_the_digest_sees_codes_and_scales() -> None:
    base = quantise(tensors())
    assert base.digest == quantise(tensors()).digest
    assert base.digest != quantise({k: 2 * v for k, v in tensors().items()}).digest
