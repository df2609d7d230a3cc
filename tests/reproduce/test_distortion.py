"""Predicted beside measured distortion: both orders agree for small noise, the second follows further on."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.reproduce.distortion import distortion_at
from qtaml_hw.study.design.networks.calibration import Calibration
from qtaml_hw.study.design.networks.network import Network, StoredNetwork
from qtaml_hw.weights import quantise
from qtaml_hw.weights.network import weight_arrays


@pytest.fixture
def product() -> StoredNetwork:
    """Two linear layers in a row: outputs bilinear in the weights, so that independent noise has two orders.

    One large weight per layer makes the noise of all others large against them.
    """
    torch.manual_seed(5)
    net = nn.Sequential(nn.Linear(20, 40, bias=False), nn.Linear(40, 4, bias=False)).eval()
    with torch.no_grad():
        for layer in net:
            layer.weight[0, 0] = 5.0 * layer.weight.abs().max()
    weights, x = weight_arrays(net), torch.randn(30, 20)
    network, image = (
        Network("product", ServedNetwork(net), weights, x, torch.zeros(30), 4, "product"),
        quantise(weights),
    )
    return StoredNetwork(network, image, Calibration(network.served, image.names, x))


def test_the_second_order_follows_where_the_first_falls_behind(product: StoredNetwork) -> None:
    found = distortion_at(product, 0.1, 60)
    assert found.first < 0.72 * found.measured.mean
    assert 0.78 * found.measured.mean < found.second < found.measured.high  # what is left is drift that adds up


def test_both_orders_agree_with_the_measurement_for_small_noise(product: StoredNetwork) -> None:
    found = distortion_at(product, 0.003, 100)
    assert found.first == pytest.approx(found.second, rel=0.05)
    assert found.measured.low <= found.first <= found.measured.high
