"""The compiled walks over the data bits of ECC words against the layout's own formulas, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtaml_hw.memory.ageing.kernels import (
    BitErrors,
    WordRun,
    count_differences,
    count_ones,
    flip_listed,
    list_errors,
    pack_words,
)
from qtaml_hw.protection import WordLayout, entry

CODES = ("repeat-3", "secded-13-8", "secded-72-64", "bch-63-45")


def layout(rng: np.random.Generator, name: str, bits: int) -> WordLayout:
    """Groups of 0 to 40 weights, some without a plane under the entry."""
    sizes = rng.integers(0, 40, 6)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return WordLayout(starts, rng.random((6, bits)) < rng.choice([0.2, 0.7, 1.0]), entry(name).code)


def data_bits(order: WordLayout) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(word, position, weight, plane) of every data bit, by the layout's inverse."""
    word, position = np.divmod(np.arange(order.data_bits), order.k)
    return word, position, *order.address(word, position)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(CODES), st.sampled_from([np.uint8, np.uint16]))
def test_errors_are_listed_and_flipped_where_the_layout_has_them(
    seed: int, name: str, dtype: type[np.unsignedinteger]
) -> None:
    rng = np.random.default_rng(seed)
    own = layout(rng, name, 8 * np.dtype(dtype).itemsize)
    word, position, weight, plane = data_bits(own)
    wrong = rng.random(own.data_bits) < rng.choice([0.0, 0.01, 0.3, 1.0])
    flips = np.zeros(int(own.order.starts[-1]), dtype=dtype)
    np.bitwise_or.at(flips, weight[wrong], (1 << plane[wrong]).astype(dtype))
    lost = np.flatnonzero(rng.random(own.parity_bits) < rng.choice([0.0, 0.2]))

    run = WordRun(100, own.k, own.parity_per_word)
    found = list_errors(flips, lost, own.order, run, count_ones(flips))
    keys = np.concatenate(
        [
            word[wrong] * own.n + position[wrong],
            lost // max(own.parity_per_word, 1) * own.n + own.k + lost % max(own.parity_per_word, 1),
        ]
    )
    np.testing.assert_array_equal((found.word - 100) * own.n + found.position, np.sort(keys))

    codes = rng.integers(0, np.iinfo(dtype).max, len(flips), endpoint=True).astype(dtype)
    struck, data = codes.copy(), found.position < own.k
    lacking = BitErrors(np.array([100 + own.n_words]), np.array([0]))  # one that the last word does not have
    flip_listed(
        struck, BitErrors.together([BitErrors(found.word[data], found.position[data]), lacking]), own.order, run
    )
    np.testing.assert_array_equal(struck, codes ^ flips)

    packed = np.zeros((own.n_words, -(-own.k // 64)), dtype=np.uint64)
    pack_words(codes, own.order, own.k, packed)
    expected = np.zeros_like(packed)
    bit = ((codes[weight] >> plane.astype(dtype)) & 1).astype(np.uint64)
    np.bitwise_or.at(expected, (word, position // 64), bit << (position % 64).astype(np.uint64))
    np.testing.assert_array_equal(packed, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 1001])
def test_bits_are_counted(size: int, dtype: type[np.unsignedinteger]) -> None:
    a, b = np.random.default_rng(size).integers(0, 2**16, (2, size)).astype(dtype)
    assert count_ones(a) == np.bitwise_count(a).sum()
    assert count_differences(a, b) == np.bitwise_count(a ^ b).sum()
    assert count_ones(a[1:]) == np.bitwise_count(a[1:]).sum()  # eight bytes at a time from any place
