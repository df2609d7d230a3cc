"""Fused passes: outputs near the network's own, of every network and fault map; exact where that cannot be said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from qtaml_hw.accelerator.fused import TOLERANCE, Folded, near, ordinary
from qtaml_hw.accelerator.passes import Bounded, Passes
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.accelerator.steps import Steps
from qtaml_hw.faults import flip_bits
from qtaml_hw.weights import quantise
from qtaml_hw.weights.network import weight_arrays
from qtaml_hw.workloads.catalogue import ZOO
from qtaml_hw.workloads.published import PUBLISHED, CifarResNet
from qtaml_hw.workloads.training import build

Arrays = dict[str, NDArray[np.float32]]
SHAPES = {"dscnn": (1, 49, 10)}


def with_statistics(net: nn.Module) -> nn.Module:
    """The network in eval mode with batch norms that do something."""
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean.uniform_(-0.2, 0.2)
            layer.running_var.uniform_(0.3, 2.0)
            if layer.affine:
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.uniform_(layer.bias, -0.2, 0.2)
    return net.eval()


def built(name: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(6)
    if name in PUBLISHED:
        return with_statistics(PUBLISHED[name].build()), torch.randn(6, *SHAPES.get(name, (3, 32, 32)))
    return with_statistics(build(ZOO[name])), torch.rand(6, *ZOO[name].input_shape)


class Everything(nn.Module):
    """Two readers of a batch norm and of a convolution, one without parameters, a layer in two places, groups, edges,
    sums with themselves and over places, a norm before its convolution.
    """

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm_a = nn.Conv2d(3, 8, 3, padding="same", bias=False), nn.BatchNorm2d(8)
        self.b, self.norm_b = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8, affine=False)
        self.c, self.norm_c = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect", groups=2), nn.BatchNorm2d(8)
        self.d, self.norm_d = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)
        self.before, self.e = nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3, stride=2, dilation=2)
        self.live = nn.BatchNorm2d(4, track_running_stats=False)
        self.fc = nn.Linear(4 * 4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm_a(self.a(x)))
        y = self.norm_b(self.b(x))
        y = functional.relu(y) + y.mean((2, 3), keepdim=True)
        z = self.d(y)  # read twice
        z = functional.relu(self.norm_d(z) + z)
        z = z + z
        z = self.norm_c(self.c(self.norm_c(self.c(z)))) + x
        z = self.live(self.e(self.before(z)))
        out: torch.Tensor = self.fc(functional.max_pool2d(z, 2).flatten(1))
        return out


def maps(net: nn.Module, p: float, count: int = 2) -> list[Arrays]:
    """Fault maps of the network's int8 codes."""
    image = quantise(weight_arrays(net))
    struck = [
        [flip_bits(c, p, p, seed=7, map_index=i, tensor=t) for t, c in enumerate(image.codes())] for i in range(count)
    ]
    return [image.decode(codes) for codes in struck]


@pytest.mark.parametrize("name", sorted({*ZOO, *PUBLISHED} - {"resnet56", "digits-resnet-wide", "digits-mlp"}))
def test_outputs_of_every_network_of_the_zoo_are_within_the_tolerance(name: str) -> None:
    net, x = built(name)
    passes, plain = Passes(ServedNetwork(net), x, fused=True), ServedNetwork(net)
    assert passes.fuses
    for p in (1e-4, 1e-2, 0.2):
        for weights in maps(net, p):
            own = plain.begun(weights, x)
            assert float((passes.outputs(weights) - own).abs().max()) <= TOLERANCE * float(own.abs().max())


def test_a_network_without_convolutions_stays_as_it_is() -> None:
    net, x = built("digits-mlp")
    passes = Passes(ServedNetwork(net), x, fused=True)
    assert not passes.fuses
    for weights in maps(net, 1e-2):
        assert torch.equal(passes.outputs(weights), ServedNetwork(net).begun(weights, x))


def test_every_batch_norm_that_alone_reads_a_convolution_is_folded() -> None:
    torch.manual_seed(8)
    net, x = with_statistics(Everything()), torch.randn(5, 3, 12, 12)
    steps = Steps(net, x, "fused")
    folded = [node.target for node in steps.nodes if isinstance(node.target, Folded)]
    assert [one.conv for one in folded] == [net.a, net.b, net.c, net.c]
    assert {name for cut in steps.cuts for name in cut.names} == {name for name, _ in net.named_parameters()}
    passes, plain = Passes(ServedNetwork(net), x, fused=True), ServedNetwork(net)
    assert passes.fuses
    for weights in maps(net, 0.02, 4):
        own = plain.begun(weights, x)
        found = passes.outputs(weights)
        assert near(found, own)
        assert not torch.equal(found, own)


def test_a_norm_of_each_batch_is_not_folded() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    net.eval()[1].train()
    assert not any(isinstance(node.target, Folded) for node in Steps(net, torch.randn(3, 1, 5, 5), "fused").nodes)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -(2.0**41)])
def test_a_weight_that_may_overflow_is_answered_exactly(value: float) -> None:
    """The norm behind it multiplies by far less than one, so that folding it would hide the overflow, or by more."""
    torch.manual_seed(9)
    net, x = with_statistics(CifarResNet(1)), torch.randn(4, 3, 32, 32)
    passes, plain = Passes(ServedNetwork(net), x, fused=True), ServedNetwork(net)
    weights = weight_arrays(net)
    for name in ("conv1.weight", "l.1.0.conv2.weight", "fc.weight"):
        other = weights[name].copy()
        other.flat[3] = value
        one = weights | {name: other}
        np.testing.assert_array_equal(passes.outputs(one), plain.begun(one, x))


def test_answers_that_are_no_numbers_are_exact() -> None:
    """Every weight is ordinary, and their products are not."""
    net, x = with_statistics(CifarResNet(2)), torch.randn(4, 3, 32, 32)
    passes, plain = Passes(ServedNetwork(net), x, fused=True), ServedNetwork(net)
    weights = {name: w * np.float32(2.0**36) for name, w in weight_arrays(net).items()}
    assert ordinary(torch.from_numpy(w) for w in weights.values())
    own = plain.begun(weights, x)
    assert not own.isfinite().all()
    np.testing.assert_array_equal(passes.outputs(weights), own)


def test_a_map_has_one_answer_whatever_was_passed_before() -> None:
    """To the bit: begun in the middle, looked up, some images alone."""
    net, x = with_statistics(CifarResNet(1)), torch.randn(5, 3, 32, 32)
    weights = weight_arrays(net)
    every = []
    for value in (0.5, 0.25):
        for name in ("fc.weight", "l.2.0.conv2.weight", "l.1.0.conv1.weight", "conv1.weight"):
            other = weights[name].copy()
            other.flat[0] += value
            every.append(weights | {name: other})
    passes = Passes(ServedNetwork(net, batch=3), x, fused=True)
    for one in (*every, *every[::-1]):
        alone = Passes(ServedNetwork(net, batch=3), x, fused=True, _answers=Bounded(0), _middles=Bounded(0))
        found = passes.outputs(one)
        assert torch.equal(found, alone.outputs(one))
        assert near(passes.others(one, x[1:4]), found[1:4])
    assert passes.counts.known == 8
    assert passes.counts.resumed >= 2


def test_values_between_layers_are_where_the_network_has_them() -> None:
    """Whoever watches a layer, as buffers do, sees the network's own passes, and what he changes is read."""
    net, x = with_statistics(CifarResNet(1)), torch.randn(4, 3, 32, 32)
    passes, weights = Passes(ServedNetwork(net), x, fused=True), weight_arrays(net)
    passes.outputs(weights)
    fuses = [passes.fuses]
    handle = net.get_submodule("conv1").register_forward_hook(lambda _, __, value: torch.zeros_like(value))
    fuses += [passes.fuses]
    found, own = passes.outputs(weights), ServedNetwork(net).begun(weights, x)
    assert torch.equal(found, own)
    assert torch.equal(passes.others(weights, x[:2]), ServedNetwork(net).begun(weights, x[:2]))
    handle.remove()
    assert not near(passes.outputs(weights), own)
    assert [*fuses, passes.fuses] == [True, False, True]


def test_what_cannot_be_traced_or_changes_too_much_is_exact() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.a(x)
            out: torch.Tensor = self.b(y if y.sum() > 0 else -y).mean((2, 3))
            return out

    class Cancelling(Branching):
        """Outputs are what rounding leaves of numbers that are the same."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            b = self.b
            same = functional.batch_norm(self.a(x) * 1.0, b.running_mean, b.running_var, b.weight, b.bias)
            out: torch.Tensor = (b(self.a(x)) - same + 1e-7).mean((2, 3))
            return out

    x = torch.randn(4, 1, 6, 6)
    for kind in (Branching, Cancelling):
        net = kind().eval()
        passes = Passes(ServedNetwork(net), x, fused=True)
        assert not passes.fuses
        weights = weight_arrays(net)
        assert torch.equal(passes.outputs(weights), ServedNetwork(net).begun(weights, x))


def test_near_is_within_the_tolerance_of_finite_answers() -> None:
    own = torch.tensor([[1.0, -2.0]])
    assert near(own + 1.9 * TOLERANCE, own)
    assert not near(own + 2.1 * TOLERANCE, own)
    assert not near(own, own * torch.inf)
    assert not near(own * torch.nan, own)
    assert not near(own[:, :1], own)
