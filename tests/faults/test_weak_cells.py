"""weak_cells: the same cells as flip_bits at every p, uniforms that are uniform, edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from qtaml_hw.faults import TENSORS, MapKey, error_masks, flip_bits, second_uniforms, weak_cells
from tests.faults import reference


@pytest.mark.parametrize("p_max", [1e-5, 2e-4, 0.03, 1.0])
@pytest.mark.parametrize(("plane", "bits"), [(0, 8), (5, 8), (11, 16)])
def test_flips_at_p_are_the_cells_below_p(p_max: float, plane: int, bits: int) -> None:
    n = 140_001
    cells = weak_cells(n, plane, p_max, MapKey(3, 1, 2))
    assert np.all(np.diff(cells.position) > 0)
    for p in (p_max, p_max / 3, p_max / 1000):
        masks = error_masks(n, p, MapKey(3, 1, 2), bits=bits)
        assert np.array_equal(np.flatnonzero(masks >> plane & 1), cells.position[cells.u < p])


def test_flips_change_exactly_at_the_uniform() -> None:
    cells = weak_cells(20_000, 2, 0.5, MapKey(12))
    for position, u in zip(cells.position[::400], cells.u[::400], strict=True):
        for p, flipped in ((float(u), 0), (float(np.nextafter(u, 1.0)), 1)):
            masks = error_masks(20_000, [0, 0, p, 0, 0, 0, 0, 0], MapKey(12))
            assert int(masks[position] >> 2 & 1) == flipped


def test_uniforms_agree_with_the_reference_twin() -> None:
    rows = np.array(reference.chunk_uniforms(2100, reference.draw(reference.group_key(5, 6, 7, 0), 0)))
    for plane in (0, 7):
        cells = weak_cells(2100, plane, 1.0, MapKey(5, 6, 7))
        assert np.array_equal(cells.u, rows[:, plane])


def test_uniforms_are_uniform_also_at_the_seam() -> None:
    u = weak_cells(3_000_000, 4, 1.0, MapKey(1)).u
    assert u.size == 3_000_000
    assert stats.kstest(u, "uniform").pvalue > 1e-4
    low = weak_cells(60_000_000, 4, 4e-4, MapKey(2)).u / 4e-4
    assert abs(low.size - 24_000) < 5 * np.sqrt(24_000)
    assert stats.kstest(low, "uniform").pvalue > 1e-4


def test_data_directions_choose_among_the_same_cells() -> None:
    codes = np.random.default_rng(1).integers(0, 256, 100_000, dtype=np.uint8)
    cells = weak_cells(codes.size, 3, 0.2, MapKey(1))
    flipped = np.flatnonzero((flip_bits(codes, 0.0, 0.2, seed=1) ^ codes) >> 3 & 1)
    assert np.array_equal(flipped, cells.position[codes[cells.position] >> 3 & 1 == 1])


def test_edges() -> None:
    assert weak_cells(0, 0, 0.5, MapKey(1)).position.size == 0
    assert weak_cells(100, 0, 0.0, MapKey(1)).u.size == 0
    assert np.array_equal(weak_cells(65_537, 0, 1.0, MapKey(1)).position, np.arange(65_537))


@pytest.mark.parametrize(
    ("n", "plane", "p", "message"),
    [
        (-1, 0, 0.1, "n_weights"),
        (5, 32, 0.1, "plane"),
        (5, 0, 1.5, "p_max"),
        (5, 0, float("nan"), "p_max"),
    ],
)
def test_bad_input_is_refused(n: int, plane: int, p: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weak_cells(n, plane, p, MapKey(1))


@pytest.mark.parametrize("plane", [0, 7, 13])
def test_second_uniforms_are_those_of_the_plain_twin(plane: int) -> None:
    position = np.array([0, 1, 65_535, 65_536, 4_000_000_000])
    key = reference.group_key(9, 2, TENSORS["second"].first + 5, plane)
    expected = [(reference.draw(key, w) >> 11) * 2.0**-53 for w in position.tolist()]
    assert second_uniforms(position, plane, MapKey(9, 2, 5)).tolist() == expected


def test_second_uniforms_are_uniform_and_independent_of_the_first() -> None:
    cells = weak_cells(400_000, 6, 0.5, MapKey(3))
    v = second_uniforms(cells.position, 6, MapKey(3))
    assert stats.kstest(v, "uniform").pvalue > 1e-4
    assert abs(stats.spearmanr(cells.u, v).statistic) < 4.0 / np.sqrt(v.size)
    assert abs(stats.spearmanr(v[:-1], v[1:]).statistic) < 4.0 / np.sqrt(v.size)
    other = second_uniforms(cells.position, 5, MapKey(3))
    assert abs(stats.spearmanr(other, v).statistic) < 4.0 / np.sqrt(v.size)
