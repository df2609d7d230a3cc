"""Jacobian energies: against closed forms and against autograd's full Jacobian."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

from qtaml_hw.tac import jacobian_energy


def test_a_linear_layer_has_the_mean_square_of_its_inputs() -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(5, 3), torch.randn(40, 5)
    got = jacobian_energy(layer, ["weight"], x, probes=1)
    expected = x.square().mean(0).repeat(3, 1).detach().numpy().reshape(-1)
    np.testing.assert_allclose(got.values, expected, rtol=1e-5)


def test_hutchinson_meets_the_full_jacobian() -> None:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    x = torch.randn(12, 6)
    names = ["0.weight", "2.weight"]
    parameters = {n: p.detach() for n, p in net.named_parameters()}
    full = jacrev(lambda w: functional_call(net, {**parameters, **w}, (x,)))({n: parameters[n] for n in names})
    exact = np.concatenate([full[n].square().sum((0, 1)).reshape(-1).numpy() for n in names]) / 12
    got = jacobian_energy(net, names, x, probes=4000, seed=3)
    # signs give a relative spread of at most sqrt(2) per probe: 5 sigma over 4,000 probes
    np.testing.assert_allclose(got.values, exact, rtol=5 * np.sqrt(2 / 4000), atol=1e-7)
    assert np.all(got.relative_error < 0.03)


def test_deterministic_and_the_module_is_left_alone() -> None:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(18, 3))
    net[0].weight.requires_grad_(False)
    x = torch.randn(8, 1, 5, 5)
    state = {k: v.clone() for k, v in net.state_dict().items()}
    one, two = (jacobian_energy(net, ["0.weight", "2.weight"], x, probes=3, seed=7) for _ in range(2))
    assert np.array_equal(one.values, two.values)
    assert not np.array_equal(one.values, jacobian_energy(net, ["0.weight", "2.weight"], x, probes=3, seed=8).values)
    assert [p.requires_grad for p in net.parameters()] == [False, True, True, True]
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())


def test_a_parameter_that_never_matters_has_no_energy() -> None:
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    got = jacobian_energy(Dead(), ["used.weight", "unused.weight"], torch.randn(4, 3), probes=2)
    assert np.all(got.values[:6] > 0)
    assert np.all(got.values[6:] == 0)


def test_no_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="needs inputs and probes, got 0 inputs"):
        jacobian_energy(nn.Linear(2, 2), ["weight"], torch.empty(0, 2))
