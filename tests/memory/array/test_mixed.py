"""Tensors of different numbers of planes in one array: places counted by hand, and against every weight's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.memory import ArrayGeometry, ArrayLayout, FixedCells, Memory, Schedule
from qtaml_hw.memory.array.geometry import Interleave
from qtaml_hw.memory.array.words import PlacedWords
from qtaml_hw.protection import ProtectionPlan, plan_difference

ONCE = Schedule(horizon_s=1e-3, refresh_interval_s=None, sample_times_s=(1e-3,))


def mixed(geometry: ArrayGeometry, sizes: list[int], bits: list[int], parity: int = 0) -> ArrayLayout:
    stored = np.arange(8)[None, :] >= 8 - np.array(bits)[:, None]
    check = np.array([parity] + [0] * (len(sizes) - 1))
    return ArrayLayout(geometry, np.cumsum([0, *sizes]), 8, check, stored=stored)


def plan_of(sizes: list[int], bits: list[int], protected: list[int], entry: str = "ideal") -> ProtectionPlan:
    edges, plane = np.cumsum([0, *sizes]), np.arange(8)[None, :]
    choice = np.where(plane >= 8 - np.array(protected)[:, None], 2, 0)
    choice = np.where(plane < 8 - np.array(bits)[:, None], 1, choice)
    return ProtectionPlan(edges, edges, "layer", "joint", ("none", "absent", entry), choice)


def test_ten_weights_of_three_bits_and_seven_of_five_in_two_banks() -> None:
    """65 bits; a bank's share are seven weights of five bits, which is where the second bank begins."""
    array = mixed(ArrayGeometry(banks=2, row_bits=16, word_bits=8), [10, 7], [3, 5])
    assert array.stored_bits == 65
    assert array.stride == 35
    assert array.bank_of(np.arange(17)).tolist() == [0] * 11 + [1] * 6
    assert array.bank_weights.tolist() == [[10, 0], [1, 6]]
    assert array.bank_words.tolist() == [[4, 0], [1, 4]]  # 30, 5 and 30 bits in accesses of 8
    assert array.rows_per_group.tolist() == [3]  # 33 bits in rows of 16


def test_the_same_weights_with_words_interleaved() -> None:
    """An access of eight bits holds one weight of five, so the bank changes every five bits."""
    array = mixed(ArrayGeometry(banks=2, row_bits=16, word_bits=8, interleave="word"), [10, 7], [3, 5])
    assert array.stride == 5
    assert array.bank_of(np.arange(17)).tolist() == [0, 0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert array.bank_weights.tolist() == [[5, 5], [4, 3]]


def test_planes_apart_have_the_rows_of_the_tensors_that_store_them() -> None:
    """Plane 7 holds 17 bits and 11 check bits, planes 5 and 6 hold 17, 3 and 4 the seven of the second tensor."""
    geometry = ArrayGeometry(banks=1, row_bits=8, word_bits=8, placement="plane_separated")
    array = mixed(geometry, [10, 7], [3, 5], parity=11)
    assert array.rows_per_group.tolist() == [0, 0, 0, 1, 1, 3, 3, 4]
    assert array.stored_bits == 76


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 8)), min_size=1, max_size=6),
    st.integers(1, 5), st.sampled_from(["block", "word"]), st.sampled_from([8, 16, 64]),
)  # fmt: skip
def test_every_weight_is_in_the_bank_of_its_first_bit(
    tensors: list[tuple[int, int]], banks: int, interleave: Interleave, word_bits: int
) -> None:
    sizes, bits = [n for n, _ in tensors], [b for _, b in tensors]
    array = mixed(ArrayGeometry(banks=banks, row_bits=64, word_bits=word_bits, interleave=interleave), sizes, bits)
    of_weight = np.repeat(bits, sizes)
    address = np.concatenate([[0], np.cumsum(of_weight)])[:-1]
    bank = array.bank_of(np.arange(array.weights))
    assert np.array_equal(array.address_of(np.arange(array.weights)), address)
    assert np.array_equal(bank, address // array.stride % banks)
    expected = np.zeros((len(sizes), banks), dtype=np.int64)
    np.add.at(expected, (np.repeat(np.arange(len(sizes)), sizes), bank), 1)
    assert np.array_equal(array.bank_weights, expected)
    assert array.data_bits.tolist() == [n * b for n, b in tensors]


def test_a_plan_counts_what_it_stores() -> None:
    """Two of three planes of ten weights under secded-8-4: 20 bits in five words of four check bits."""
    plan = plan_of([10, 7], [3, 5], [2, 0], "secded-8-4")
    assert (plan.stored_bits, plan.protected_bits, plan.parity_bits) == (65, 20, 20)
    assert plan.protected_bits_fraction == pytest.approx(20 / 65)
    assert plan.planes_protected().tolist() == [2, 0]
    assert plan.stored_planes.sum(axis=1).tolist() == [3, 5]
    again = ProtectionPlan.from_json(plan.to_json())
    assert again == plan
    assert plan_difference(plan, again).same


def test_rows_and_accesses_hold_the_words_of_narrow_weights_densest() -> None:
    """Of 60 bits of the first tensor 40 are protected: of a row of 20 bits, 17 are data, and 11.3 of them protected."""
    plan = plan_of([20, 8], [3, 5], [2, 0], "secded-8-4")
    words = PlacedWords(plan, ArrayGeometry(banks=1, row_bits=20, word_bits=20), at_refresh=False)
    (entry,) = words.entries
    data = 20 * 100 / 140  # data bits of a row, with 40 check bits among 140
    assert entry.words == 10
    assert entry.per_row[0] == pytest.approx(data * 2 / 3 / 4)
    assert entry.per_access == pytest.approx(data * 2 / 3 / 4)


@pytest.mark.parametrize("entry", ["ideal", "secded-8-4"])
def test_planes_that_are_not_stored_never_flip_and_the_others_flip_as_ever(entry: str) -> None:
    sizes, bits = [400, 90], [3, 5]
    codes = tuple(np.random.default_rng(i).integers(0, 256, n).astype(np.uint8) for i, n in enumerate(sizes))
    cells, geometry = FixedCells(0.2, 0.3), ArrayGeometry(banks=3)
    whole = Memory(codes, 8, plan_of(sizes, [8, 8], [0, 0]), geometry, ONCE).run(cells, seed=1)
    narrow = Memory(codes, 8, plan_of(sizes, bits, [0, 0], entry), geometry, ONCE).run(cells, seed=1)
    for before, full, some, b in zip(codes, whole.read_out[-1], narrow.read_out[-1], bits, strict=True):
        kept = np.uint8(256 - (1 << (8 - b)))
        assert np.array_equal(some ^ before, (full ^ before) & kept)


def test_a_tensor_stores_the_same_planes_everywhere_and_one_at_least() -> None:
    edges, groups = np.array([0, 8]), np.array([0, 4, 8])
    menu, none = ("none", "absent"), np.zeros((2, 8), dtype=np.uint8)
    half = none.copy()
    half[0, 0] = 1
    for choice in (half, none + np.uint8(1)):
        with pytest.raises(ValueError, match="by whole tensors"):
            ProtectionPlan(groups, edges, "channel", "joint", menu, choice)
