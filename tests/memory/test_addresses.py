"""Where bits lie: every bit in a cell of its own, in the order that is stated."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.memory.array.addresses import Addresses
from qtaml_hw.memory.array.geometry import ArrayGeometry
from qtaml_hw.memory.array.layout import ArrayLayout


def layout(sizes: list[int], planes: int, stored: np.ndarray | None = None, **geometry: object) -> ArrayLayout:
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    parity = np.zeros(len(sizes), dtype=np.int64)
    return ArrayLayout(ArrayGeometry(**geometry), starts, planes, parity, stored=stored)  # type: ignore[arg-type]


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    banks=st.integers(1, 4),
    interleave=st.sampled_from(["block", "word"]),
    classes=st.sampled_from([(), (0, 0, 1, 1), (1, 0, 1, 2)]),
    words=st.lists(st.integers(0, 9), max_size=2),
    narrow=st.booleans(),
)
def test_every_bit_has_a_cell_of_its_own(
    sizes: list[int], banks: int, interleave: str, classes: tuple[int, ...], words: list[int], narrow: bool
) -> None:
    placement = "plane_separated" if classes else "row_major"
    rng = np.random.default_rng(sum(sizes))
    bits = rng.integers(1, 5, len(sizes))  # of a weight of each tensor
    stored = np.arange(4) < bits[:, None] if narrow else None
    array = layout(
        sizes,
        4,
        stored,
        banks=banks,
        row_bits=32,
        word_bits=8,
        interleave=interleave,
        placement=placement,
        plane_class=classes,
    )
    groups = tuple(rng.integers(0, array.groups, size) for size in words)
    places = Addresses(array, groups, tuple(5 + entry for entry in range(len(words))))
    widths = bits.tolist() if narrow else [4] * len(sizes)
    codes = [rng.integers(0, 2**b, size).astype(np.uint8) for b, size in zip(widths, sizes, strict=True)]
    checks = [rng.integers(0, 2, (len(g), 5 + e)).astype(np.uint8) for e, g in enumerate(groups)]
    image = places.image(codes, checks)
    weight, plane = np.nonzero(np.repeat(np.arange(4) < np.array(widths)[:, None], sizes, axis=0))
    taken = list(zip(*(part.tolist() for part in places.data(weight, plane)), strict=True))
    for entry, bits in enumerate(checks):
        word, index = (axis.ravel() for axis in np.indices(bits.shape))
        cells = places.check(entry, word, index)
        assert np.array_equal(image[cells], bits.ravel())
        assert np.array_equal(cells[0], groups[entry][word] // array.classes)
        taken += list(zip(*(part.tolist() for part in cells), strict=True))
    assert len(set(taken)) == len(taken)
    assert image.sum() == sum(int(np.bitwise_count(c).sum()) for c in codes) + sum(int(b.sum()) for b in checks)
    assert np.array_equal(places.data(weight, plane)[0], array.bank_of(weight))


def test_an_order_by_hand() -> None:
    """Five 4-bit weights over two banks of 8-bit rows, a word of 3 check bits in each bank."""
    array = layout([5], 4, banks=2, row_bits=8, word_bits=8)
    places = Addresses(array, (np.array([1, 0]),), (3,))
    assert places.rows.tolist() == [2]  # bank 0: 3 weights and 3 check bits, 15 bits
    found = zip(*(part.tolist() for part in places.data(np.array([0, 2, 3, 4]), np.array([3, 0, 1, 3]))), strict=True)
    assert list(found) == [(0, 0, 3), (0, 1, 0), (1, 0, 1), (1, 0, 7)]
    checks = zip(*(part.tolist() for part in places.check(0, np.array([0, 1]), np.array([2, 0]))), strict=True)
    assert list(checks) == [(1, 1, 2), (0, 1, 4)]


def test_plane_classes_have_rows_of_their_own() -> None:
    array = layout([4], 4, banks=1, row_bits=8, word_bits=8, placement="plane_separated", plane_class=(0, 0, 0, 1))
    places = Addresses(array)
    assert (places.rows.tolist(), places.first_row.tolist()) == ([2, 1], [0, 2])
    assert [int(part) for part in places.data(np.int64(3), np.int64(3))] == [0, 2, 3]  # type: ignore[arg-type]
