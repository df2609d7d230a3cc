"""The torch twin gives the CPU engine's bits; the same path runs on a GPU where there is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qtaml_hw.faults import MapKey, flip_bits
from qtaml_hw.faults.torch_twin import flip_torch

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n", [0, 1, 2049, 131_075])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_same_bits_as_the_compiled_engine(device: str, n: int, dtype: type) -> None:
    rng = np.random.default_rng(n)
    bits = 8 * np.dtype(dtype).itemsize
    codes = rng.integers(0, 2**bits, n, dtype=np.uint64).astype(dtype)
    for p01, p10 in (
        (np.full(bits, 0.1), np.full(bits, 0.1)),
        (rng.uniform(0, 1, bits), np.geomspace(1e-6, 1.0, bits)),
        (np.full(bits, 2e-4), np.full(bits, 1e-4)),
    ):
        expected = flip_bits(codes, p01, p10, seed=3, map_index=2, tensor=1)
        got = flip_torch(torch.from_numpy(codes.copy()).to(device), p01, p10, MapKey(3, 2, 1))
        assert np.array_equal(got.cpu().numpy(), expected)


def test_a_batch_edge_and_a_shape() -> None:
    codes = np.zeros((2, 550_000), dtype=np.uint8)
    got = flip_torch(torch.from_numpy(codes), 0.02, 0.02, MapKey(9))
    assert got.shape == codes.shape
    assert np.array_equal(got.numpy(), flip_bits(codes, 0.02, 0.02, seed=9))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="uint8, uint16 or uint32"):
        flip_torch(torch.zeros(3), 0.1, 0.1, MapKey(1))
    with pytest.raises(ValueError, match="p01"):
        flip_torch(torch.zeros(3, dtype=torch.uint8), 1.5, 0.1, MapKey(1))
