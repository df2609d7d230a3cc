"""Banks, rows and refresh passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.memory import ArrayGeometry, ArrayLayout, refresh_pass
from qtaml_hw.memory.array.geometry import Interleave


def layout(geometry: ArrayGeometry, sizes: Sequence[int] = (1000, 24), planes: int = 8, parity: int = 0) -> ArrayLayout:
    starts = np.cumsum([0, *sizes])
    return ArrayLayout(geometry, starts, planes, np.array([parity] + [0] * (len(sizes) - 1)))


def test_a_refresh_pass_is_rows_times_row_cycle() -> None:
    result = refresh_pass(ArrayGeometry(banks=8, row_bits=1024, cycle_s=2e-9), 8 * 2**22, 40e-6)
    assert result.rows_per_bank == 4096
    assert result.pass_s == pytest.approx(8.192e-6)
    assert result.bandwidth_share == pytest.approx(0.2048)
    assert result.availability == pytest.approx(0.7952)


def test_rows_refreshed_together_shorten_the_pass() -> None:
    result = refresh_pass(ArrayGeometry(banks=1, cycle_s=2e-9, rows_refreshed_together=4), 1024 * 10, 1e-6)
    assert result.pass_s == pytest.approx(3 * 2e-9)


def test_a_pass_longer_than_its_interval_is_refused_with_the_numbers() -> None:
    with pytest.raises(ValueError, match=r"65\.54 us \(32768 rows per bank x 2 ns\).* 40 us.* 2 banks instead of 1"):
        refresh_pass(ArrayGeometry(banks=1, cycle_s=2e-9), 8 * 2**22, 40e-6)


@given(
    st.integers(1, 9), st.sampled_from(["block", "word"]), st.lists(st.integers(1, 400), min_size=1, max_size=5),
    st.sampled_from([16, 64]),
)  # fmt: skip
def test_weights_of_every_tensor_are_spread_over_the_banks_once(
    banks: int, interleave: Interleave, sizes: list[int], word_bits: int
) -> None:
    geometry = ArrayGeometry(banks=banks, row_bits=128, word_bits=word_bits, interleave=interleave)
    array = layout(geometry, sizes)
    bank = array.bank_of(np.arange(array.weights))
    tensor = np.repeat(np.arange(len(sizes)), sizes)
    expected = np.zeros((len(sizes), banks), dtype=np.int64)
    np.add.at(expected, (tensor, bank), 1)
    np.testing.assert_array_equal(array.bank_weights, expected)


def test_parity_takes_rows_and_accesses() -> None:
    geometry = ArrayGeometry(banks=2, row_bits=64, word_bits=64)
    bare, protected = layout(geometry, (512,)), layout(geometry, (512,), parity=1024)
    assert bare.rows_per_group.tolist() == [32]
    assert protected.rows_per_group.tolist() == [40]
    assert protected.bank_words.sum() == 80


def test_plane_separated_rows_by_class() -> None:
    geometry = ArrayGeometry(
        banks=1, row_bits=64, word_bits=64, placement="plane_separated", plane_class=(0, 0, 0, 0, 0, 0, 1, 1)
    )
    assert layout(geometry, (64,)).rows_per_group.tolist() == [6, 2]
    assert layout(geometry, (64,), parity=64).rows_per_group.tolist() == [6, 3]


def test_an_image_larger_than_the_array_is_refused_with_the_bits() -> None:
    with pytest.raises(ValueError, match=r"8200 bits.*has 8192.*backing store"):
        layout(ArrayGeometry(capacity_bits=8192), parity=8).residency  # noqa: B018


def test_tensors_stay_while_the_largest_of_the_rest_fits_beside_them() -> None:
    sizes = (10, 20, 30, 5)  # bytes: 80, 160, 240, 40 bits
    geometry = ArrayGeometry(banks=1, row_bits=64, word_bits=64, capacity_bits=360, backing_bits_per_s=1e9)
    residency = layout(geometry, sizes).residency
    assert residency.streamed.tolist() == [False, True, True, True]
    np.testing.assert_allclose(residency.load_s, [0.0, 160e-9, 240e-9, 40e-9])
    np.testing.assert_allclose(residency.age_s, residency.load_s)
    tiled = layout(ArrayGeometry(banks=1, row_bits=64, word_bits=64, capacity_bits=100, backing_bits_per_s=1e9), sizes)
    assert tiled.residency.streamed.all()
    np.testing.assert_allclose(tiled.residency.age_s, [80e-9, 100e-9, 100e-9, 40e-9])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"banks": 0}, "banks"),
        ({"row_bits": 100}, "whole words"),
        ({"interleave": "bit"}, "interleave"),
        ({"placement": "column"}, "placement"),
        ({"plane_class": (0, 1)}, "plane_separated"),
        ({"plane_class": (0, 2), "placement": "plane_separated"}, "every class"),
        ({"cycle_s": 0.0}, "cycle_s"),
        ({"backing_bits_per_s": 0.0}, "backing_bits_per_s"),
        ({"capacity_bits": 100}, "one row of 1024"),
    ],
)
def test_bad_geometries_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ArrayGeometry(**change)


def test_plane_classes_must_fit_the_planes() -> None:
    with pytest.raises(ValueError, match="2 planes, the weights have 8"):
        ArrayGeometry(placement="plane_separated", plane_class=(0, 1)).classes_of(8)
