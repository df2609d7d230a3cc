"""The space of keys: who draws where, and that nobody draws where another does by chance."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pytest

from qtaml_hw.faults import MAPS, TENSORS, MapKey, flip, flip_bits
from qtaml_hw.faults.keys import Stretch


@pytest.mark.parametrize("table", [MAPS, TENSORS])
def test_stretches_are_disjoint_and_within_64_bits(table: Mapping[str, Stretch]) -> None:
    for a, b in combinations(table.values(), 2):
        assert max(a.first, b.first) >= min(a.end, b.end), (a.what, b.what)
    assert all(0 <= s.first < s.end <= 2**64 for s in table.values())


def test_stretches_lie_where_records_of_earlier_versions_were_drawn() -> None:
    assert {name: s.first for name, s in MAPS.items()} == {"chips": 0, "training": 2**29, "planning": 2**30}
    assert {name: s.first for name, s in TENSORS.items()} == {
        "weights": 0, "parity": 2**20, "buffers": 2**21, "clusters": 2**40, "second": 2**41,
        "values": 2**48, "value parity": 2**60,
    }  # fmt: skip


def test_a_number_outside_its_stretch_is_refused() -> None:
    parity = TENSORS["parity"]
    assert (parity.number(0), parity.number(2**20 - 1)) == (2**20, 2**21 - 1)
    for index in (-1, 2**20):
        with pytest.raises(IndexError, match="check cells"):
            parity.number(index)


def test_every_tensor_of_a_map_is_drawn_as_the_three_numbers_say() -> None:
    codes = np.random.default_rng(1).integers(0, 256, 70_000, dtype=np.uint8)
    whole_map = MapKey(5, 2)
    for tensor in (0, 7):
        expected = flip_bits(codes, 0.01, 0.2, seed=5, map_index=2, tensor=tensor)
        np.testing.assert_array_equal(flip(codes, 0.01, 0.2, whole_map.of(tensor)), expected)
    assert not np.array_equal(flip(codes, 0.01, 0.2, whole_map.of(0)), flip(codes, 0.01, 0.2, whole_map.of(7)))
