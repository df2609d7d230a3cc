"""Passes that are not made twice: the same answers to the bit as whole passes, whatever is known before."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from qtaml_hw.accelerator.passes import ANSWER_BYTES, ANSWERS, MIDDLE_BYTES, MIDDLES, Bounded, Counts, Passes
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.accelerator.steps import Steps, max_pool2d
from qtaml_hw.weights.one_by_one import OneByOne
from qtaml_hw.workloads.published import CifarLeNet, CifarResNet, DsCnn, TinyResNet8

Arrays = dict[str, NDArray[np.float32]]
NETWORKS = {
    "resnet": (lambda: CifarResNet(1), (3, 32, 32)),
    "resnet8": (TinyResNet8, (3, 32, 32)),
    "dscnn": (DsCnn, (1, 49, 10)),
    "lenet": (CifarLeNet, (3, 32, 32)),
}


def built(name: str, count: int = 6) -> tuple[nn.Module, torch.Tensor, Arrays]:
    torch.manual_seed(3)
    make, shape = NETWORKS[name]
    net = make().eval()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
            layer.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    weights = {n: p.detach().numpy().copy() for n, p in net.named_parameters() if p.ndim >= 2}
    return net, torch.randn(count, *shape), weights


def changed(weights: Arrays, name: str, value: float = 0.25) -> Arrays:
    """The same weights but for one number of a tensor."""
    other = weights[name].copy()
    other.flat[other.size // 2] += value
    return weights | {name: other}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_changed_alone_and_back_answers_as_whole_passes(name: str) -> None:
    """Two rounds over the layers, so that passes begin behind every layer that is the same."""
    net, x, weights = built(name)
    passes, plain = Passes(ServedNetwork(net, batch=4), x), ServedNetwork(net, batch=4)
    for value in (0.25, -0.5):
        for layer in (None, *weights):
            one = weights if layer is None else changed(weights, layer, value)
            np.testing.assert_array_equal(passes.outputs(one), plain.begun(one, x))
    asked, layers = 2 * (len(weights) + 1), len(weights)
    assert passes.counts.asked == asked
    assert passes.counts.known == 1  # the second time that nothing is changed
    assert passes.counts.resumed >= layers  # all of the second round but the first cut's, most of the first


def test_weights_with_keys_are_made_only_where_a_pass_is_computed() -> None:
    net, x, weights = built("lenet")
    passes, plain, made = Passes(ServedNetwork(net), x), ServedNetwork(net), list[str]()
    names = list(weights)

    def keyed(values: Arrays) -> OneByOne[NDArray[np.float32]]:
        def make(i: int) -> NDArray[np.float32]:
            made.append(names[i])
            return values[names[i]]

        return OneByOne({name: i for i, name in enumerate(names)}, make, lambda i: values[names[i]].tobytes())

    for other in (weights, changed(weights, names[-1]), weights):
        np.testing.assert_array_equal(passes.outputs(keyed(other)), plain.begun(other, x))
    assert len(made) == 2 * len(names)
    assert (passes.counts.known, passes.counts.asked) == (1, 3)


def test_numbers_that_are_none_are_answered_alike() -> None:
    net, x, weights = built("lenet")
    passes, plain = Passes(ServedNetwork(net), x), ServedNetwork(net)
    for value in (np.nan, np.inf, -np.inf):
        for name in weights:
            one = changed(weights, name, value)
            np.testing.assert_array_equal(passes.outputs(one), plain.begun(one, x))


def test_what_is_answered_is_the_callers_own() -> None:
    net, x, weights = built("lenet")
    passes = Passes(ServedNetwork(net), x)
    first = passes.outputs(weights).clone()
    for _ in range(2):
        found = passes.outputs(weights)
        assert torch.equal(found, first)
        with torch.inference_mode():
            found.zero_()


@pytest.mark.parametrize("how", ["hook", "forward"])
def test_who_watches_a_layer_may_do_anything_so_nothing_is_looked_up(how: str) -> None:
    net, x, weights = built("lenet")
    passes = Passes(ServedNetwork(net), x)
    passes.outputs(weights)
    seen: list[int] = []
    layer, inner = net.get_submodule("fc1"), net.get_submodule("fc1").forward
    if how == "hook":
        remove = layer.register_forward_hook(lambda *_: seen.append(1)).remove
    else:
        layer.forward = lambda x: seen.append(1) or inner(x)  # type: ignore[func-returns-value]
        remove = lambda: layer.__dict__.pop("forward")  # noqa: E731
    passes.outputs(weights)
    passes.outputs(weights)
    remove()
    passes.outputs(weights)
    assert len(seen) == 2
    assert passes.counts == Counts(asked=4, known=1)


def test_a_network_that_cannot_be_traced_is_answered_from_before_and_never_resumed() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.a(x)
            out: torch.Tensor = self.b(y if y.sum() > 0 else -y)
            return out

    net, x = Branching().eval(), torch.randn(5, 3)
    weights = {name: p.detach().numpy().copy() for name, p in net.named_parameters()}
    passes = Passes(ServedNetwork(net), x)
    for _ in range(2):
        for name in weights:
            one = changed(weights, name)
            np.testing.assert_array_equal(passes.outputs(one), ServedNetwork(net).begun(one, x))
    assert passes.counts == Counts(asked=8, known=4, resumed=0)


def test_a_trace_that_answers_otherwise_is_not_believed() -> None:
    """What a forward does besides its operators is lost in a trace: here, that every second pass doubles."""

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.calls = nn.Linear(3, 4), nn.Linear(4, 2), 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            out: torch.Tensor = self.b(self.a(x)) * (1 + self.calls % 2)
            return out

    net = Counting().eval()
    weights = {"a.weight": np.ones((4, 3), np.float32)}
    assert Passes(ServedNetwork(net), torch.randn(5, 3))._steps is None
    assert Passes(ServedNetwork(net), torch.randn(5, 3)).outputs(weights).shape == (5, 2)


def test_operators_that_write_over_what_they_read_spoil_nothing() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.a(x)
            z = functional.relu_(y)
            z = self.b(z.mul_(2.0))
            z += z
            out: torch.Tensor = self.c(functional.relu(z) + z)
            return out

    torch.manual_seed(1)
    net, x = InPlace().eval(), torch.randn(5, 3)
    weights = {name: p.detach().numpy().copy() for name, p in net.named_parameters() if p.ndim == 2}
    passes = Passes(ServedNetwork(net), x)
    for value in (0.1, 0.2, 0.3):
        one = changed(weights, "c.weight", value)
        np.testing.assert_array_equal(passes.outputs(one), ServedNetwork(net).begun(one, x))
    assert passes.counts.resumed == 1


def test_a_shared_tensor_counts_where_it_is_read_first() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.a(self.b(self.a(x)))
            return out

    names = [cut.names for cut in Steps(Twice().eval(), torch.zeros(2, 3)).cuts]
    assert names == [("a.weight", "a.bias"), ("b.weight", "b.bias")]


class Halves(nn.Module):
    """What is left between two layers is a pair of tensors, and no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 8), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = self.a(x).chunk(2, -1)
        out: torch.Tensor = self.c(self.b(left) * right)
        return out


class Beforehand(Halves):
    """A trace works out what is made of a parameter that it does not see, and keeps it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        doubled = dict(self.b.named_parameters())["weight"] * 2.0
        out: torch.Tensor = self.c(functional.linear(self.a(x)[:, :4], doubled))
        return out


class Alias(Halves):
    """A layer with two names."""

    def __init__(self) -> None:
        super().__init__()
        self.other = self.a


@pytest.mark.parametrize(("kind", "resumes"), [(Halves, True), (Beforehand, False), (Alias, True)])
def test_weights_of_any_layer_by_any_name_are_answered_as_by_whole_passes(kind: type[Halves], resumes: bool) -> None:
    torch.manual_seed(2)
    net, x = kind().eval(), torch.randn(5, 4)
    weights = {n: p.detach().numpy().copy() for n, p in net.named_parameters(remove_duplicate=False) if n[0] != "a"}
    weights |= {} if kind is Alias else {"a.weight": net.a.weight.detach().numpy().copy()}
    passes = Passes(ServedNetwork(net), x)
    for value in (0.1, 0.2, 0.3, 0.4):
        for name in weights:
            one = changed(weights, name, value)
            np.testing.assert_array_equal(passes.outputs(one), ServedNetwork(net).begun(one, x))
    assert (passes.counts.resumed > 0) == resumes


def test_cuts_are_where_one_tensor_is_left() -> None:
    """Inside a residual block two are: its input waits for the sum."""
    cuts = Steps(CifarResNet(1).eval(), torch.zeros(1, 3, 32, 32)).cuts
    blocks = [sorted({name.rpartition(".")[0] for name in cut.names}) for cut in cuts]
    inside = ["bn1", "bn2", "conv1", "conv2"]
    assert blocks == [["conv1"], ["bn1"], *([f"l.{i}.0.{name}" for name in inside] for i in range(3)), ["fc"]]


def test_nothing_is_kept_beyond_its_bytes() -> None:
    held = Bounded(most=100)
    for key in range(5):
        held.put(bytes([key]), [torch.zeros(10, dtype=torch.uint8)] * 3)
    assert held.taken == 90
    assert [key[0] for key in held.held] == [2, 3, 4]
    held.get(bytes([2]))
    held.put(b"x", [torch.zeros(60, dtype=torch.uint8)])
    assert [*held.held] == [bytes([2]), b"x"]
    held.put(b"larger", [torch.zeros(101, dtype=torch.uint8)])
    assert [*held.held] == [bytes([2]), b"x"]
    assert held.taken == 90


def test_a_pass_of_many_maps_keeps_to_its_bounds() -> None:
    net, x, weights = built("lenet", count=2)
    passes = Passes(ServedNetwork(net), x, _answers=Bounded(200), _middles=Bounded(3000))
    for number in range(12):
        passes.outputs(changed(weights, "fc3.weight", 0.01 * number))
        passes.outputs(changed(weights, "fc1.weight", 0.01 * number))
    assert 0 < passes._answers.taken <= 200
    assert 0 < passes._middles.taken <= 3000
    assert (ANSWER_BYTES, MIDDLE_BYTES) == (2**24, 2**26)


def test_networks_share_their_bounds_and_no_answers() -> None:
    """Two networks whose served weights are the same differ in all that is not served."""
    x = torch.randn(4, 4, generator=torch.Generator().manual_seed(4))
    nets = [Halves().eval() for _ in range(3)]
    weights = {"a.weight": np.ones((8, 4), np.float32)}
    every = [Passes(ServedNetwork(net), x) for net in nets]
    for passes, net in zip(every * 2, nets * 2, strict=True):
        np.testing.assert_array_equal(passes.outputs(weights), ServedNetwork(net).begun(weights, x))
    assert [passes.counts.known for passes in every] == [1, 1, 1]
    assert all(one._answers is ANSWERS and one._middles is MIDDLES for one in every)
    assert (ANSWERS.most, MIDDLES.most) == (ANSWER_BYTES, MIDDLE_BYTES)


@pytest.mark.parametrize(
    ("kernel", "stride", "size"), [(2, None, 8), (2, 2, 7), (3, 2, 9), ((2, 3), (1, 2), 8), (3, 1, 5)]
)
def test_maxima_of_slices_are_torchs(kernel: int | tuple[int, int], stride: int | None, size: int) -> None:
    torch.manual_seed(5)
    x = torch.randn(3, 2, size, size)
    x[0, 0, 1, 2], x[1, 1, 0, 0], x[2, 0, 3, 3] = torch.nan, torch.inf, -torch.inf
    expected = functional.max_pool2d(x, kernel, stride)
    np.testing.assert_array_equal(max_pool2d(x, kernel, stride), expected)


@pytest.mark.parametrize("named", [{"padding": 1}, {"ceil_mode": True}, {"dilation": 2}])
def test_other_windows_are_left_to_torch(named: dict[str, int]) -> None:
    x = torch.randn(2, 3, 9, 9)
    np.testing.assert_array_equal(max_pool2d(x, 2, 2, **named), functional.max_pool2d(x, 2, 2, **named))
    with pytest.raises(RuntimeError):
        max_pool2d(torch.zeros(1, 1, 1, 1), 2)


def test_steps_leave_the_network_as_it_was() -> None:
    net, x, weights = built("resnet")
    before = copy.deepcopy(net.state_dict())
    Passes(ServedNetwork(net), x).outputs(weights)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))
