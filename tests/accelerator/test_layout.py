"""Tensors lie channels last only where no bit of an answer tells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from qtaml_hw.accelerator import layout
from qtaml_hw.accelerator.passes import Passes
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.accelerator.steps import Steps

CONVOLUTIONS = [
    nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(40, 8, 3, stride=2),
    nn.Conv2d(24, 24, 1), nn.Conv2d(12, 12, 3, padding="same", groups=12), nn.Conv2d(12, 8, 3, dilation=2, groups=4),
]  # fmt: skip


class Sums(nn.Module):
    """Sums over places, reshapes, permutations and a batch norm behind convolutions of few channels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 1)
        self.norm, self.c, self.pool = nn.BatchNorm2d(8), nn.Conv2d(9, 20, 3), nn.AvgPool2d(2)
        self.d, self.e = nn.Conv2d(20, 20, 3, padding=1, padding_mode="reflect"), nn.Linear(20 * 4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.norm(self.b(self.a(x))))
        y = torch.cat([self.pool(y), self.pool(y).mean(1, keepdim=True)], 1)
        y = self.d(functional.softmax(self.c(y), 1)).permute(0, 2, 3, 1)
        out: torch.Tensor = self.e(y.flatten(1)) + x.mean((1, 2, 3))[:, None]
        return out


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=str)
def test_where_a_convolution_is_said_to_give_the_same_bits_it_does(layer: nn.Conv2d) -> None:
    x = torch.randn(5, layer.in_channels, 9, 9, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        same = torch.equal(layer(x), layer(x.contiguous(memory_format=torch.channels_last)))
    assert same or not layout.same_last(layer, x.shape)


def test_a_convolution_without_sums_is_laid_channels_last() -> None:
    """One product an output: no machine has two orders of it."""
    product, x = nn.Conv2d(1, 8, 1, bias=False), torch.randn(4, 1, 16, 16)
    net = nn.Sequential(product, nn.ReLU(), nn.Flatten(), nn.Linear(8 * 256, 3)).eval()
    assert layout.same_last(product, x.shape)
    graph = Passes(ServedNetwork(net, batch=4), x)._steps
    assert graph is not None
    assert graph.graph == "laid"


def test_a_last_piece_of_another_size_gives_the_same_bits() -> None:
    """Which order a convolution sums in goes by how many inputs there are, too."""
    torch.manual_seed(3)
    net, x = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()).eval(), torch.randn(5, 3, 32, 32)
    weights = {"0.weight": net[0].weight.detach().numpy().copy()}
    for batch in (2, 4):
        passes, plain = Passes(ServedNetwork(net, batch=batch), x), ServedNetwork(net, batch=batch)
        np.testing.assert_array_equal(passes.outputs(weights), plain.begun(weights, x))


def test_what_is_no_plain_convolution_in_float32_is_left_alone() -> None:
    shape = torch.Size((2, 4, 6, 6))
    assert not layout.same_last(nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), shape)
    assert not layout.same_last(nn.Conv2d(4, 4, 1, dtype=torch.float64), shape)


@pytest.mark.parametrize("how", ["as found", "everywhere"])
def test_every_answer_is_that_of_a_whole_pass(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where convolutions are wrongly said to be the same: then the network is run as before."""
    if how == "everywhere":
        monkeypatch.setattr(layout, "same_last", lambda *_: True)
    torch.manual_seed(4)
    net, x = Sums().eval(), torch.randn(7, 3, 8, 8)
    weights = {name: p.detach().numpy().copy() for name, p in net.named_parameters() if p.ndim > 1}
    passes, plain = Passes(ServedNetwork(net, batch=4), x), ServedNetwork(net, batch=4)
    assert passes._steps is not None
    for value in (0.5, np.inf, np.nan):
        for name in weights:
            other = weights[name].copy()
            other.flat[0] = value
            one = weights | {name: other}
            np.testing.assert_array_equal(passes.outputs(one), plain.begun(one, x))


def test_sums_over_places_are_taken_of_channels_first() -> None:
    """An operator that is not known gets its arguments as a whole pass has them."""
    seen: list[bool] = []

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(1, 4, 3), nn.Softmax(1), nn.Conv2d(4, 2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.c(self.b(functional.relu(self.a(x))))
            return out

    net, x = Net().eval(), torch.randn(3, 1, 8, 8)
    steps = Steps(net, x, "laid")
    net.b.register_forward_pre_hook(lambda _, given: seen.append(given[0].is_contiguous()))
    with torch.inference_mode():
        (found,), _ = steps([x.contiguous(memory_format=torch.channels_last)])
    assert seen == [True]
    assert found.shape == (3, 2, 4, 4)
