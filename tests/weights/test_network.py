"""Which tensors are stored, and batch-norm folding that keeps the network's function."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from qtaml_hw.accelerator.served import serving
from qtaml_hw.weights.network import call_with, fold_batch_norm, stored_names, weight_arrays


def small() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 36, 6),
        nn.BatchNorm1d(6),
    ).eval()
    for layer in net:
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2.0)
            nn.init.normal_(layer.weight)
    return net


def test_stored_are_weights_of_convolutions_linear_and_attention() -> None:
    assert stored_names(small()) == ("0.weight", "4.weight")
    encoder = nn.TransformerEncoderLayer(8, 2, 16)
    assert stored_names(encoder) == (
        "self_attn.in_proj_weight",
        "self_attn.out_proj.weight",
        "linear1.weight",
        "linear2.weight",
    )


def test_folding_keeps_the_output_and_removes_the_norms() -> None:
    net, x = small(), torch.randn(16, 1, 8, 8)
    folded = fold_batch_norm(net)
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    torch.testing.assert_close(folded(x), net(x), rtol=1e-4, atol=1e-5)
    assert not np.allclose(weight_arrays(folded)["0.weight"], weight_arrays(net)["0.weight"])


def test_a_norm_without_a_layer_before_it_is_refused() -> None:
    with pytest.raises(ValueError, match="does not directly follow"):
        fold_batch_norm(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2)))


def test_an_untraceable_network_is_refused_in_words() -> None:
    class Branch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match=r"torch.fx cannot trace Branch"):
        fold_batch_norm(Branch())


def test_arrays_are_served_exactly_and_taken_out_again() -> None:
    net = small()
    own = weight_arrays(net)
    arrays = {name: w + 1.0 for name, w in own.items()}
    with serving(net, arrays):
        assert all(np.array_equal(w, arrays[name]) for name, w in weight_arrays(net).items())
    assert all(np.array_equal(w, own[name]) for name, w in weight_arrays(net).items())


def test_a_layer_in_two_places_and_a_tied_one_are_replaced_and_left_alone() -> None:
    shared, tied = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
    tied.weight = shared.weight
    net, weight = nn.Sequential(shared, nn.Sequential(shared), tied), shared.weight
    out = call_with(net, {"0.weight": 2.0 * torch.eye(3)}, torch.ones(1, 3))
    assert torch.equal(out, torch.full((1, 3), 8.0))
    assert shared.weight is weight
    assert tied.weight is weight
    assert stored_names(net) == ("0.weight",)
