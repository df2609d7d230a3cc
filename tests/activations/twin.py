"""Values through a buffer, one bit at a time: what the hooks of a forward pass do, written plainly."""

from __future__ import annotations

import numpy as np
import torch

from qtaml_hw.arrays import Float32
from tests.faults.reference import flip


def number(seen: int, value: int) -> int:
    """The tensor of the engine's keys that a value of one input is."""
    return 2**48 + value * 2**44 + seen


def read_back(
    x: Float32, scale: float, p01: float, p10: float, *, seed: int, map_index: int, value: int, first: int
) -> Float32:
    """int8 in two's complement [N, ...] with one scale, flipped cell by cell."""
    out = np.empty_like(x)
    for i, one in enumerate(x):
        codes = [int(v) & 0xFF for v in np.clip(np.rint(one.reshape(-1) / np.float32(scale)), -127, 127)]
        read = flip(codes, 8, [p01] * 8, [p10] * 8, seed, map_index, number(first + i, value))
        levels = np.array([code - 256 if code & 0x80 else code for code in read], dtype=np.float32)
        out[i] = (levels * np.float32(scale)).reshape(one.shape)
    return out


def lenet_by_hand(net: torch.nn.Module, x: torch.Tensor, through: dict[str, object]) -> torch.Tensor:
    """The embedded LeNet, with a function on what every layer but the first reads."""

    def at(name: str, y: torch.Tensor) -> torch.Tensor:
        function = through[name]
        assert callable(function)
        return torch.from_numpy(function(y.contiguous().numpy()))

    x = net.pool(net.relu(net.conv1(x)))
    x = net.pool(net.relu(net.conv2(at("conv2", x))))
    x = net.relu(net.fc1(at("fc1", torch.flatten(x, 1))))
    x = net.relu(net.fc2(at("fc2", x)))
    return torch.as_tensor(net.fc3(at("fc3", x)))
