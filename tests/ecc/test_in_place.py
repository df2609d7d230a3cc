"""In-place (64,57) protection of int8 weights."""

from __future__ import annotations

import numpy as np
import pytest

from qtaml_hw.ecc.in_place import clip_for_in_place, decode_in_place, encode_in_place, in_place_code


def test_round_trip_and_every_single_and_double_error() -> None:
    rng = np.random.default_rng(1)
    weights = clip_for_in_place(rng.integers(-128, 128, (50, 8)).astype(np.int8))
    stored = encode_in_place(weights)
    back, flags = decode_in_place(stored)
    assert (back == weights).all()
    assert not flags.corrected.any()
    one = np.eye(64, dtype=np.uint8)
    single = np.packbits(one, axis=1, bitorder="little") ^ stored[0]
    back, flags = decode_in_place(single)
    assert (back == weights[0]).all()
    assert flags.corrected.all()
    pairs = np.array([one[i] ^ one[j] for i in range(64) for j in range(i)])
    _, flags = decode_in_place(np.packbits(pairs, axis=1, bitorder="little") ^ stored[0])
    assert flags.uncorrectable.all()
    assert (in_place_code().n, in_place_code().k) == (64, 57)


def test_wide_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="clip them first"):
        encode_in_place(np.full((1, 8), 100, dtype=np.int8))
    with pytest.raises(ValueError, match="blocks of 8"):
        decode_in_place(np.zeros(7, dtype=np.uint8))
