"""Squared gradients of single inputs against the exact energy, one pass per output and input, by kind of layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from qtaml_hw.arrays import Float64
from qtaml_hw.tac import jacobian_energy


def exact_energy(net: nn.Module, names: list[str], inputs: torch.Tensor) -> Float64:
    """Mean over inputs of the sum over outputs of squared gradients: one backward pass per output of every input."""
    parameters = dict(net.named_parameters(remove_duplicate=False))
    wanted = [parameters[name] for name in names]
    total = [torch.zeros(p.numel(), dtype=torch.float64) for p in wanted]
    for i in range(len(inputs)):
        y = net(inputs[i : i + 1]).reshape(-1)
        for output in y:
            for t, g in zip(
                total, torch.autograd.grad(output, wanted, retain_graph=True, allow_unused=True), strict=True
            ):
                if g is not None:
                    t += g.reshape(-1).double().square()
    return torch.cat(total).numpy() / len(inputs)


class Twice(nn.Module):
    """One layer that is called twice, and another that shares its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 1)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.first(torch.tanh(self.first(x))))
        out: torch.Tensor = self.head(torch.tanh(self.second(x)))
        return out


class AlsoElsewhere(nn.Module):
    """A weight that its layer multiplies and a function too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(6, 6), nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(functional.linear(torch.tanh(self.layer(x)), self.layer.weight.t()))
        return out


class Flattened(nn.Module):
    """Tokens in the rows of a linear layer, or first."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.first, self.layer, self.head = first, nn.Linear(4, 5), nn.Linear(5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.first:
            y = torch.tanh(self.layer(x.transpose(0, 1))).mean(0)
        else:
            y = torch.tanh(self.layer(x.reshape(-1, 4))).reshape(x.shape[0], -1, 5).mean(1)
        out: torch.Tensor = self.head(y)
        return out


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.lstm(x)[0][:, -1])
        return out


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c, self.head = nn.Conv2d(2, 4, 3), nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(functional.relu(self.c(x), inplace=True).mean((2, 3)))
        return out


def _over(layer: nn.Module, channels: int) -> nn.Module:
    return nn.Sequential(layer, nn.Tanh(), nn.Flatten(2), _Mean(), nn.Linear(channels, 1))


class _Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(2)


IMAGES, TOKENS, ROWS = (7, 2, 6, 6), (7, 3, 4), (7, 6)
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], set[str]]] = {
    "linear": (lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1)), ROWS, set()),
    "convolution": (lambda: _over(nn.Conv2d(2, 4, 3, stride=2, padding=1), 4), IMAGES, set()),
    "dilated": (lambda: _over(nn.Conv2d(2, 4, (3, 2), dilation=(1, 2)), 4), IMAGES, set()),
    "depthwise": (lambda: _over(nn.Conv2d(2, 2, 3, groups=2), 2), IMAGES, set()),
    "grouped": (lambda: _over(nn.Conv2d(2, 6, 3, groups=2, padding="same"), 6), IMAGES, set()),
    "circular": (lambda: _over(nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), 3), IMAGES, set()),
    "one dimension": (lambda: _over(nn.Conv1d(3, 4, 2, padding=1), 4), TOKENS, set()),
    "tokens": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Flatten(), nn.Linear(15, 1)), TOKENS, set()),
    "called twice and shared": (Twice, ROWS, set()),
    "used elsewhere": (AlsoElsewhere, ROWS, {"layer.weight"}),
    "tokens in rows": (lambda: Flattened(False), TOKENS, set()),
    "tokens first": (lambda: Flattened(True), (7, 3, 4), {"layer.weight"}),
    "recurrent": (Recurrent, TOKENS, {"lstm.weight_ih_l0", "lstm.weight_hh_l0"}),
    "in place": (InPlace, IMAGES, set()),
    "transposed": (lambda: _over(nn.ConvTranspose2d(2, 4, 3), 4), IMAGES, {"0.weight"}),
}


@pytest.mark.parametrize("case", CASES)
def test_one_output_makes_one_pass_exact(case: str) -> None:
    build, shape, alone = CASES[case]
    torch.manual_seed(3)
    net, x = build().eval(), torch.randn(shape)
    names = [n for n, p in net.named_parameters() if p.dim() > 1]
    got = jacobian_energy(net, names, x, probes=1)
    expected = exact_energy(net, names, x)
    np.testing.assert_allclose(got.values, expected, rtol=2e-4, atol=1e-6 * expected.max())
    assert set(got.alone) == alone


def _spread(values: list[Float64], exact: Float64) -> float:
    return float(np.median([np.abs(v.sum() / exact.sum() - 1.0) for v in values]))


def test_signs_of_different_inputs_do_not_interfere() -> None:
    """A layer's total by single inputs against the square of the batch's gradient, at the same number of passes."""
    torch.manual_seed(4)
    layer = nn.Conv2d(1, 8, 3)
    net = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10)).eval()
    x = torch.randn(64, 1, 8, 8)
    exact = exact_energy(net, ["0.weight"], x)
    single = [jacobian_energy(net, ["0.weight"], x, probes=1, seed=s).values for s in range(24)]
    summed = []
    for s in range(24):
        y = net(x)
        signs = torch.randint(0, 2, y.shape, generator=torch.Generator().manual_seed(s)) * 2.0 - 1.0
        (g,) = torch.autograd.grad(y, [layer.weight], signs)
        summed.append(g.reshape(-1).double().square().numpy() / len(x))
    np.testing.assert_allclose(np.mean(single, axis=0), exact, rtol=0.2)
    np.testing.assert_allclose(np.mean(summed, axis=0).sum(), exact.sum(), rtol=0.5)
    assert _spread(summed, exact) > 4.0 * _spread(single, exact)  # of the deviation: 64 inputs give 8


def test_four_passes_know_a_layer_to_five_per_cent() -> None:
    torch.manual_seed(5)
    net = nn.Sequential(nn.Linear(20, 40), nn.ReLU(), nn.Linear(40, 10)).eval()
    x = torch.randn(128, 20)
    exact = exact_energy(net, ["0.weight", "2.weight"], x)
    got = jacobian_energy(net, ["0.weight", "2.weight"], x)
    for part in (slice(0, 800), slice(800, None)):
        assert got.values[part].sum() == pytest.approx(exact[part].sum(), rel=0.05)
    assert np.median(np.abs(got.values / np.maximum(exact, 1e-12) - 1.0)) < 0.1
    assert np.all(got.relative_error < 0.1)
