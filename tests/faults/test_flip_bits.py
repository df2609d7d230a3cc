"""flip_bits: exact probabilities, nesting, independence of threads and layout, the reference twin, bad input."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.faults import MapKey, error_masks, flip_bits
from tests.faults import reference

SIZES = [0, 1, 63, 64, 65, 2047, 2048, 2049, 65_535, 65_536, 65_537]
PROBABILITIES = [1e-7, 1e-6, 1e-4, 2.4e-4, 2.5e-4, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.9, 1.0 - 1e-3]


def codes_of(n: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(7).integers(0, np.iinfo(dtype).max + 1, n, dtype=np.uint64).astype(dtype)


def plane_counts(masks: np.ndarray) -> np.ndarray:
    return np.array([np.count_nonzero(masks & (1 << plane)) for plane in range(8)])


@pytest.mark.parametrize("p", PROBABILITIES)
def test_every_plane_flips_at_the_stated_rate(p: float) -> None:
    n, maps = 2_000_000, 3
    counts = sum(plane_counts(error_masks(n, p, MapKey(11, m))) for m in range(maps))
    sigma = np.sqrt(maps * n * p * (1.0 - p))
    assert np.all(np.abs(counts - maps * n * p) <= 5.0 * max(sigma, 1.0))


@pytest.mark.parametrize("size", SIZES)
def test_p_zero_touches_nothing_and_p_one_flips_all(size: int) -> None:
    codes = codes_of(size)
    assert np.array_equal(flip_bits(codes, 0.0, 0.0, seed=1), codes)
    assert np.array_equal(flip_bits(codes, 1.0, 1.0, seed=1), ~codes)


@pytest.mark.parametrize("size", SIZES)
def test_a_longer_tensor_starts_with_the_flips_of_a_shorter_one(size: int) -> None:
    codes = codes_of(70_000)
    for p in (1e-3, 0.2):
        assert np.array_equal(flip_bits(codes[:size], p, p, seed=3), flip_bits(codes, p, p, seed=3)[:size])


def test_every_index_can_flip() -> None:
    n = 65_537
    seen = np.zeros(n, dtype=np.uint8)
    for m in range(60):
        seen |= error_masks(n, 0.3, MapKey(5, m))
    assert np.all(seen == 255)
    sparse = np.zeros(64, dtype=np.uint8)
    for m in range(3125):
        sparse |= error_masks(64, 2e-4, MapKey(5, m))
    assert 100 < np.unpackbits(sparse).sum() < 300  # 512 cells, mean 236 of them hit


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (16, np.uint16), (32, np.uint32)])
def test_agrees_with_the_reference_twin(bits: int, dtype: type) -> None:
    rng = np.random.default_rng(bits)
    codes = codes_of(2100 if bits == 8 else 150, dtype)
    for p01, p10 in (
        (rng.uniform(0, 1, bits), rng.uniform(0, 1, bits)),
        (np.full(bits, 0.1), np.full(bits, 0.1)),
        (np.geomspace(1e-5, 1.0, bits), np.linspace(0.0, 1e-3, bits)),
    ):
        expected = reference.flip([int(c) for c in codes], bits, list(p01), list(p10), 9, 4, 2)
        assert flip_bits(codes, p01, p10, seed=9, map_index=4, tensor=2).tolist() == expected


def test_agrees_with_the_reference_twin_across_a_chunk_edge() -> None:
    codes = codes_of(65_540)
    p = [2e-4] * 4 + [0.02] * 4
    got = flip_bits(codes, p, p, seed=1)
    key = reference.draw(reference.group_key(1, 0, 0, 0), 1)
    rows = reference.chunk_uniforms(4, key)
    for i, row in enumerate(rows, start=65_536):
        assert int(got[i] ^ codes[i]) == sum((u < p[plane]) << plane for plane, u in enumerate(row))


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2), st.integers(0, 2**64 - 1), st.integers(0, 300))
def test_flips_are_nested_over_p(pair: list[float], seed: int, n: int) -> None:
    low, high = sorted(pair)
    small, large = error_masks(n, low, MapKey(seed)), error_masks(n, high, MapKey(seed))
    assert not np.any(small & ~large)


@pytest.mark.parametrize("grid", [[1e-7, 1e-6, 2e-5, 1e-4, 2.44e-4, 2.45e-4, 1e-3, 0.01, 0.1, 0.5, 0.999, 1.0]])
def test_a_ladder_of_p_is_nested_on_a_large_tensor(grid: list[float]) -> None:
    masks = [error_masks(300_000, p, MapKey(8)) for p in grid]
    for small, large in pairwise(masks):
        assert not np.any(small & ~large)


@given(
    st.integers(0, 2000),
    st.integers(0, 5),
    st.lists(st.sampled_from([0.0, 1e-4, 0.03, 0.6, 1.0]), min_size=16, max_size=16),
)
def test_only_the_stored_bit_chooses_the_direction(n: int, seed: int, p: list[float]) -> None:
    codes = codes_of(n)
    flips = flip_bits(codes, p[:8], p[8:], seed=seed) ^ codes
    up, down = error_masks(n, p[:8], MapKey(seed)), error_masks(n, p[8:], MapKey(seed))
    assert np.array_equal(flips, (up & ~codes) | (down & codes))


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_low_planes_of_wide_codes_flip_like_bytes(dtype: type) -> None:
    n, width = 70_001, 8 * np.dtype(dtype).itemsize
    wide = error_masks(n, 0.07, MapKey(6), bits=width)
    assert np.array_equal((wide & 255).astype(np.uint8), error_masks(n, 0.07, MapKey(6)))
    assert not np.array_equal((wide >> 8 & 255).astype(np.uint8), error_masks(n, 0.07, MapKey(6)))


def test_threads_in_place_and_shape_do_not_change_the_flips() -> None:
    codes = codes_of(400_000).reshape(40, -1)
    p = np.array([0.0, 1e-3, 0.1, 0.5, 0.0, 0.2, 1.0, 1e-5])
    expected = flip_bits(codes, p, p / 2, seed=2)
    assert np.array_equal(flip_bits(codes, p, p / 2, seed=2, threads=3), expected)
    transposed = np.asfortranarray(codes)
    assert np.array_equal(flip_bits(transposed, p, p / 2, seed=2), expected)
    out = np.empty_like(codes)
    assert flip_bits(codes, p, p / 2, seed=2, out=out) is out
    assert np.array_equal(out, expected)
    assert flip_bits(codes, p, p / 2, seed=2, out=codes) is codes
    assert np.array_equal(codes, expected)


def test_protected_planes_stay_and_the_others_do_not_notice() -> None:
    codes = codes_of(100_000)
    p = np.full(8, 0.1)
    protected = p.copy()
    protected[6:] = 0.0
    free, held = flip_bits(codes, p, p, seed=4) ^ codes, flip_bits(codes, protected, protected, seed=4) ^ codes
    assert np.array_equal(held, free & 0b0011_1111)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"codes": np.zeros(3, np.int8), "p01": 0.1, "p10": 0.1, "seed": 1}), "uint8, uint16 or uint32"),
        (
            ({"codes": np.zeros(3, np.uint8), "p01": 1.1, "p10": 0.1, "seed": 1}),
            r"p01 must be probabilities in \[0, 1\]",
        ),
        (({"codes": np.zeros(3, np.uint8), "p01": 0.1, "p10": float("nan"), "seed": 1}), "p10 must be probabilities"),
        (({"codes": np.zeros(3, np.uint8), "p01": [0.1, 0.2], "p10": 0.1, "seed": 1}), "8 of them"),
        (({"codes": np.zeros(3, np.uint8), "p01": 0.1, "p10": 0.1, "seed": -1}), "seed must be a whole number"),
        (({"codes": np.zeros(3, np.uint8), "p01": 0.1, "p10": 0.1, "seed": 1, "map_index": 1.5}), "map_index"),
        (
            ({"codes": np.zeros(3, np.uint8), "p01": 0.1, "p10": 0.1, "seed": 1, "out": np.zeros(4, np.uint8)}),
            "out must",
        ),
        (({"codes": np.zeros(3, np.uint8), "p01": 0.1, "p10": 0.1, "seed": 1, "threads": 0}), "threads"),
    ],
)
def test_bad_input_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        flip_bits(**arguments)


def test_overlapping_output_is_refused() -> None:
    memory = np.zeros(10, np.uint8)
    with pytest.raises(ValueError, match="overlaps"):
        flip_bits(memory[:8], 0.1, 0.1, seed=1, out=memory[2:])
