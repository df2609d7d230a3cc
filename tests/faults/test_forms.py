"""Other forms of the same flips: packed, bursts, clusters."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from qtaml_hw.faults import (
    Bursts,
    Clusters,
    MapKey,
    RowKeys,
    error_masks,
    flip,
    flip_each,
    flip_end_to_end,
    flip_structured,
)

CODES = np.random.default_rng(3).integers(0, 256, (30, 5000), dtype=np.uint8)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_packed_planes_flip_at_their_own_rate(bits: int) -> None:
    p = np.linspace(0.05, 0.4, bits)
    flips = flip(CODES, np.tile(p, 8 // bits), np.tile(p, 8 // bits), MapKey(2)) ^ CODES
    for plane in range(bits):
        places = sum(1 << place for place in range(plane, 8, bits))
        cells = CODES.size * 8 // bits
        count = np.bitwise_count(flips & np.uint8(places)).sum()
        assert abs(count - cells * p[plane]) < 5 * np.sqrt(cells * p[plane] * (1 - p[plane]))


@pytest.mark.parametrize("size", [900, 66_000])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_rows_flip_each_as_it_would_alone(size: int, dtype: type[np.unsignedinteger]) -> None:
    p = np.geomspace(1e-5, 0.3, 8 * np.dtype(dtype).itemsize)
    rows = np.random.default_rng(4).integers(0, 256, (3, size)).astype(dtype)
    for step in (0, 7):
        alone = [flip(row, p, p[::-1], MapKey(3, 1, 2**48 + step * i)) for i, row in enumerate(rows)]
        struck = rows.copy()
        flip_each(struck, p, p[::-1], RowKeys(MapKey(3, 1, 2**48), 3, step))
        np.testing.assert_array_equal(struck, np.stack(alone))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("p", [1e-4, 0.2])
def test_tensors_end_to_end_flip_as_each_would_alone(dtype: type[np.unsignedinteger], p: float) -> None:
    starts = np.array([0, 700, 700, 70_000, 70_001, 71_000])  # an empty one, one of two chunks, one of one code
    codes = np.random.default_rng(5).integers(0, 256, 72_000).astype(dtype)
    struck = codes.copy()
    flip_end_to_end(struck, starts, p, p / 2, RowKeys(MapKey(3, 1, 20), 5))
    for i, (first, last) in enumerate(pairwise(starts.tolist())):
        np.testing.assert_array_equal(struck[first:last], flip(codes[first:last], p, p / 2, MapKey(3, 1, 20 + i)))
    np.testing.assert_array_equal(struck[71_000:], codes[71_000:])


def test_rows_and_tensors_need_a_key_each() -> None:
    with pytest.raises(ValueError, match="a key for each"):
        flip_each(CODES, 0.1, 0.1, RowKeys(MapKey(1), 1))
    for rows, keys in ((CODES.T, 5000), (CODES.astype(int), 30)):
        with pytest.raises(ValueError, match="C-contiguous uint8"):
            flip_each(rows, 0.1, 0.1, RowKeys(MapKey(1), keys))
    for starts in ([0, 5], [0, 6, 5], [-1, 5, 6], [0, 5, CODES.size + 1]):
        with pytest.raises(ValueError, match="2 tensors within"):
            flip_end_to_end(CODES.copy(), np.array(starts), 0.1, 0.1, RowKeys(MapKey(1), 2))


@pytest.mark.parametrize(("row_weights", "axis"), [(0, 1), (5000, 0)])
def test_bursts_share_their_fate_and_keep_the_rate(row_weights: int, axis: int) -> None:
    zeros = np.zeros((40, 5000), dtype=np.uint8)
    flips = flip_structured(zeros, 0.02, 0.0, Bursts(10, row_weights), MapKey(7))
    runs = flips.reshape(40, 500, 10) if axis == 1 else flips.reshape(4, 10, 5000)
    member = 2 if axis == 1 else 1
    assert np.array_equal(runs.min(axis=member), runs.max(axis=member))
    mean = np.unpackbits(runs.min(axis=member)).mean()
    assert abs(mean - 0.02) < 5 * np.sqrt(0.02 * 0.98 / 160_000)


@pytest.mark.parametrize("dispersion", [1.0, 3.0, 12.0])
def test_clusters_have_the_asked_dispersion(dispersion: float) -> None:
    blocks, size, p = 4000, 128, 0.05
    masks = flip_structured(np.zeros(blocks * size, np.uint8), p, p, Clusters(size, dispersion), MapKey(3))
    counts = np.concatenate([(masks >> plane & 1).reshape(blocks, size).sum(axis=1) for plane in range(8)])
    assert abs(counts.mean() - size * p) < 5 * np.sqrt(dispersion * size * p / counts.size)
    index = counts.var() / counts.mean()
    samples = np.random.default_rng(0).permutation(counts).reshape(100, -1)
    spread = (samples.var(axis=1) / samples.mean(axis=1)).std() / 10
    assert abs(index - dispersion) < 5 * spread


@pytest.mark.parametrize("structure", [Bursts(16), Bursts(4, 500), Clusters(64, 4.0)])
def test_structured_flips_are_nested_and_follow_the_stored_bit(structure: Bursts | Clusters) -> None:
    zeros, ones = np.zeros(50_000, np.uint8), np.full(50_000, 255, np.uint8)
    small = flip_structured(zeros, 0.03, 0.2, structure, MapKey(1))
    large = flip_structured(zeros, 0.2, 0.03, structure, MapKey(1))
    assert not np.any(small & ~large)
    down = ~flip_structured(ones, 0.03, 0.2, structure, MapKey(1))
    assert np.array_equal(down, large)
    codes = CODES.reshape(-1)[:50_000]
    flips = flip_structured(codes, 0.03, 0.2, structure, MapKey(1)) ^ codes
    assert np.array_equal(flips, (small & ~codes) | (large & codes))


def test_structures_refuse() -> None:
    for build in (lambda: Bursts(0), lambda: Bursts(3, -1), lambda: Clusters(1, 2.0), lambda: Clusters(8, 0.5)):
        with pytest.raises(ValueError, match="need"):
            build()
    with pytest.raises(ValueError, match="reach"):
        flip_structured(CODES, 0.5, 0.5, Clusters(8, 5.0), MapKey(1))
    with pytest.raises(ValueError, match="uint8, uint16 or uint32"):
        flip_structured(CODES.view(np.int8), 0.5, 0.5, Bursts(2), MapKey(1))


@pytest.mark.parametrize("bits", [0, 7, 64])
def test_masks_refuse(bits: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        error_masks(10, 0.1, MapKey(1), bits=bits)
    with pytest.raises(ValueError, match="n_weights"):
        error_masks(-1, 0.1, MapKey(1))
