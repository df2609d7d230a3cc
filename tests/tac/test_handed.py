"""Damage of flips in handed values: predicted beside measured, and one budget against every choice there is."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from qtaml_hw.activations import Fresh, Held, Kept, Numbers, calibrate, trace
from qtaml_hw.faults import MapKey
from qtaml_hw.tac.worth.handed import value_damage, value_starts
from qtaml_hw.weights.network import stored_names
from qtaml_hw.weights.registry import number_format


def small() -> tuple[nn.Module, tuple[Kept, ...], torch.Tensor]:
    torch.manual_seed(7)
    net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    inputs = torch.randn(96, 6)
    taps = trace(net, inputs[:1], ["activations"], stored_names(net))
    return net, calibrate(net, [Kept(tap, Numbers(number_format("int8"))) for tap in taps], inputs), inputs


def test_damage_of_the_last_value_is_that_of_its_layer() -> None:
    """Outputs are linear in it: of number j every squared gradient is the sum of its column of weights squared."""
    net, kept, inputs = small()
    found = value_damage(net, kept, inputs, probes=400)
    last = net[4]
    assert isinstance(last, nn.Linear)
    column = last.weight.detach().double().square().sum(0).numpy()
    assert kept[1].scale is not None
    scale = float(kept[1].scale[0, 0])
    for plane in range(8):
        exact = column.sum() * (scale * 2.0**plane) ** 2
        assert found.zeros[1, plane] + found.ones[1, plane] == pytest.approx(exact, rel=0.03)


def test_predicted_damage_ranks_values_and_planes_as_measured() -> None:
    net, kept, inputs = small()
    p = 0.01
    predicted = value_damage(net, kept, inputs).distortion(p, p).reshape(-1)
    with torch.inference_mode(), Held(kept).hooked(net):
        clean = net(inputs)
    measured = []
    for value, plane in product(range(2), range(8)):
        rates = np.zeros((1, 8))
        rates[0, plane] = p
        changed = []
        for draw in range(40):
            struck = [
                replace(one, faults=Fresh(MapKey(1, draw), i, rates, rates)) if i == value else one
                for i, one in enumerate(kept)
            ]
            with torch.inference_mode(), Held(struck).hooked(net):
                changed.append(float((net(inputs) - clean).square().sum(1).mean()))
        measured.append(float(np.mean(changed)))
    assert spearmanr(predicted, measured).statistic > 0.98
    off = np.abs(np.log2(np.array(measured) / predicted)).reshape(2, 8)
    assert off[:, 1:].max() < 0.5
    assert off[:, 0].max() < 1.5  # a lowest bit turns the rounding of what comes later, too


def test_starts_are_of_one_input() -> None:
    assert value_starts(small()[1]).tolist() == [0, 12, 20]
