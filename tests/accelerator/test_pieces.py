"""Inputs at a time: as many as keep every tensor of a pass in the caches, and the answers are those of one pass."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from qtaml_hw.accelerator.pieces import MOST, TENSOR_BYTES, fitting
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.workloads.published import CifarResNet


def test_the_largest_tensor_of_a_piece_fills_its_bytes() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 32 * 32, 10))
    assert fitting(layers, torch.zeros(5, 3, 32, 32)) == TENSOR_BYTES // (16 * 32 * 32 * 4) == 64


def test_weights_are_no_part_of_what_grows_with_the_batch() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1024, 2048))  # 8 MiB, computed anew in every pass

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ (2.0 * self.weight)

    assert fitting(Scaled(), torch.zeros(3, 1024)) == TENSOR_BYTES // (4 * 2048) == MOST


@pytest.mark.parametrize(("inputs", "found"), [((3, 1 << 21), 1), ((3, 3), MOST), ((2, 1 << 21), MOST)])
def test_at_least_one_input_and_at_most_so_many(inputs: tuple[int, ...], found: int) -> None:
    assert fitting(nn.ReLU(), torch.zeros(inputs)) == found


def test_inputs_that_the_network_does_not_take_are_left_to_its_first_pass() -> None:
    assert fitting(nn.Linear(3, 2), torch.zeros(4, 5)) == MOST
    assert fitting(nn.BatchNorm2d(3), torch.zeros(4, 3)) == MOST  # a ValueError of torch


def test_watching_leaves_modes_as_they_were() -> None:
    layers = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5).eval())
    fitting(layers, torch.zeros(2, 3))
    assert [layer.training for layer in layers] == [True, False]


def test_pieces_are_alike_and_answer_as_one_pass() -> None:
    sizes: list[int] = []

    class Counted(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            out: torch.Tensor = self.inner(x)
            return out

    torch.manual_seed(1)
    net, x = Counted(CifarResNet(1).eval()), torch.randn(65, 3, 32, 32)
    whole, cut = (ServedNetwork(net, batch).outputs({}, x) for batch in (MOST, 32))
    assert sizes == [65, 22, 22, 21]
    assert (whole == cut).all()
    assert ServedNetwork(net, 32).outputs({}, x[:0]).shape == (0, 10)
