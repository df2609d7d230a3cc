"""A network that knows its own labels: nothing to train, and flips hurt it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from qtaml_hw._threads import single_thread
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.study.design.networks.calibration import Calibration
from qtaml_hw.study.design.networks.network import Network, StoredNetwork
from qtaml_hw.weights import quantise
from qtaml_hw.weights.network import weight_arrays


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with single_thread():
        yield


@pytest.fixture
def stored() -> StoredNetwork:
    return tiny()


@pytest.fixture
def sure() -> StoredNetwork:
    """The same with logits so large that its softmax is as sure as it is right."""
    return tiny(gain=50.0)


def tiny(gain: float = 1.0) -> StoredNetwork:
    torch.manual_seed(11)
    last = nn.Linear(64, 6)
    net = nn.Sequential(nn.Linear(24, 64), nn.ReLU(), last).eval()
    last.weight.data *= gain
    last.bias.data *= gain
    x = torch.randn(120, 24)
    with torch.no_grad():
        labels = net(x).argmax(1)
    weights = weight_arrays(net)
    network, image = Network("tiny", ServedNetwork(net), weights, x, labels, 6, "tiny"), quantise(weights)
    return StoredNetwork(network, image, Calibration(network.served, image.names, torch.randn(40, 24)))
