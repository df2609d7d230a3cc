"""Encodings: the decode table against plain integer arithmetic, for every code."""

from __future__ import annotations

import numpy as np
import pytest

from qtaml_hw.weights import ENCODINGS, WeightFormat


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_level_round_trips(bits: int, encoding: str) -> None:
    form = WeightFormat(bits, encoding)
    lowest = -(1 << (bits - 1)) + (encoding == "sign_magnitude")
    levels = np.arange(lowest, 1 << (bits - 1))
    codes = form.encode(levels)
    assert np.array_equal(form.decode_table[codes], levels)
    assert len(set(codes.tolist())) == levels.size


def test_twos_complement_is_the_machine_one() -> None:
    levels = np.arange(-128, 128)
    assert np.array_equal(WeightFormat(8).encode(levels), levels.astype(np.int8).view(np.uint8))


def test_significance_and_offset() -> None:
    assert WeightFormat(4).significance.tolist() == [1, 2, 4, -8]
    assert WeightFormat(4).significance.sum() == -1
    assert WeightFormat(4, "offset_binary").significance.sum() == 15
    assert WeightFormat(4, "offset_binary").offset == -8


def test_bad_formats_are_refused() -> None:
    with pytest.raises(ValueError, match="2 to 16 bits, got 17"):
        WeightFormat(17)
    with pytest.raises(ValueError, match="allowed: twos_complement, offset_binary, sign_magnitude, gray"):
        WeightFormat(8, "grey")
    with pytest.raises(ValueError, match=r"levels must lie in \[-128, 127\]"):
        WeightFormat(8).encode(np.array([128]))
