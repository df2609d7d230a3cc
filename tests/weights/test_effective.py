"""Weights that are computed from others are the product, shared ones are one, and everything is put back to the bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.spectral_norm import spectral_norm
from torch.nn.utils.weight_norm import weight_norm

from qtaml_hw.accelerator.served import serving
from qtaml_hw.weights.effective import effective, make_effective
from qtaml_hw.weights.network import stored_names, weight_arrays

Make = Callable[[nn.Linear], nn.Module]


def _pruned(layer: nn.Linear) -> nn.Module:
    prune.l1_unstructured(layer, "weight", 0.5)
    return prune.random_unstructured(layer, "weight", 0.2)  # type: ignore[no-any-return]


def _unit_rows(layer: nn.Linear) -> torch.Tensor:
    """g v / |v| over the rows, in NumPy's double precision."""
    v = layer.weight.detach().double().numpy()
    norms = np.linalg.norm(v, axis=1, keepdims=True)
    return torch.from_numpy(norms * v / norms)


MAKES: dict[str, tuple[Make, list[str]]] = {
    "weight norm, old": (weight_norm, ["weight_g", "weight_v"]),
    "weight norm": (parametrizations.weight_norm, ["parametrizations.weight.original0"]),
    "spectral norm, old": (spectral_norm, ["weight_orig"]),
    "spectral norm": (parametrizations.spectral_norm, ["parametrizations.weight.original"]),
    "orthogonal": (parametrizations.orthogonal, ["parametrizations.weight.original"]),
    "pruned twice": (_pruned, ["weight_orig"]),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", MAKES)
def test_the_product_is_the_weight_and_the_module_comes_back(name: str) -> None:
    torch.manual_seed(1)
    make, factors = MAKES[name]
    layer = nn.Linear(6, 5)
    module = nn.Sequential(make(layer), nn.ReLU()).train()
    x = torch.randn(3, 6)
    before, objects = module.state_dict(), dict(module.named_parameters())
    before = {key: value.clone() for key, value in before.items()}
    hooks, kind = dict(module[0]._forward_pre_hooks), type(module[0])
    module.eval()
    outputs, product = module(x).detach(), module[0].weight.detach().clone()
    module.train()
    with effective(module):
        assert set(dict(module.named_parameters())) == {"0.weight", "0.bias"}
        assert stored_names(module) == ("0.weight",)
        assert torch.equal(module[0].weight, product)
        assert torch.equal(torch.relu(x @ product.T + layer.bias), module(x)) or torch.allclose(module(x), outputs)
    assert any(factor in key for factor in factors for key in module.state_dict())
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert list(module.state_dict()) == list(before)
    assert all(p is objects[key] for key, p in module.named_parameters())
    assert (dict(module[0]._forward_pre_hooks), type(module[0])) == (hooks, kind)
    with serving(module, {"0.weight": np.full((5, 6), 0.5, np.float32)}) as served:
        expected = torch.relu(0.5 * x.sum(1, keepdim=True) + layer.bias)
        torch.testing.assert_close(served(x), expected)
    module.eval()
    assert torch.equal(module(x), outputs)


def test_weight_norm_by_hand() -> None:
    torch.manual_seed(2)
    layer = nn.Linear(6, 5)
    expected = _unit_rows(layer)
    found = make_effective(parametrizations.weight_norm(layer))
    np.testing.assert_allclose(weight_arrays(found)["weight"], expected.numpy(), rtol=1e-6)
    assert type(found) is nn.Linear
    assert list(found.state_dict()) == ["weight", "bias"]


def test_a_pruned_weight_is_stored_with_its_zeros() -> None:
    layer = nn.Linear(6, 5)
    prune.custom_from_mask(layer, "weight", torch.eye(5, 6))
    assert np.count_nonzero(weight_arrays(make_effective(layer))["weight"]) == 5


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("make", [weight_norm, parametrizations.weight_norm])
def test_a_recurrent_layer_serves_its_product(make: Callable[..., nn.Module]) -> None:
    torch.manual_seed(3)
    module, x = make(nn.LSTM(4, 5, batch_first=True), "weight_hh_l0").eval(), torch.randn(2, 3, 4)
    before = module(x)[0].detach()
    with effective(module):
        torch.testing.assert_close(module(x)[0], before)
        assert stored_names(module) == ("weight_hh_l0", "weight_ih_l0")
    zero = {name: np.zeros((20, 5 if "hh" in name else 4), np.float32) for name in ("weight_hh_l0", "weight_ih_l0")}
    with serving(module, zero) as served:
        constant = served(x)[0]
        assert torch.equal(constant[0], constant[1])
    assert torch.equal(module(x)[0], before)


def test_tensors_of_one_memory_are_stored_once_and_fail_together() -> None:
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    module[1].weight = nn.Parameter(torch.empty(4, 4))
    module[1].weight.data = module[0].weight.data
    second = module[1].weight
    with effective(module):
        assert stored_names(module) == ("0.weight",)
    with serving(module, {"0.weight": 2.0 * np.eye(4, dtype=np.float32)}) as served:
        torch.testing.assert_close(served(torch.ones(1, 4)), torch.full((1, 4), 4.0))
    assert module[1].weight is second
