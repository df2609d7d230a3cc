"""TAC's figures against those published or measured independently before this code existed.

MSB shares: 3 4^(B-1)/(4^B - 1) (docs/theory.md).  Weight errors: an independent simulation of Gaussian int8 weights,
sigma = 127/4, p = 0.10 symmetric.  DS-CNN: MLPerf Tiny keyword spotting, accuracy at 0 to 4 error-free top planes,
p = 0.05 symmetric, per-tensor int8, measured by another injector.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from qtaml_hw._threads import single_thread
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.channel import FlipChannel
from qtaml_hw.errors import InputError
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.reproduce.flips import FixedFlips
from qtaml_hw.reproduce.networks import published
from qtaml_hw.reproduce.theorems import gaussian_codes
from qtaml_hw.study.design.networks.network import Network
from qtaml_hw.tac import corrected_noise, symmetric_variance
from qtaml_hw.weights import WeightFormat, quantise
from qtaml_hw.weights.network import weight_arrays


@pytest.mark.parametrize(("planes", "percent"), [(1, 75.0), (2, 93.8)])
def test_the_top_planes_hold_the_variance(planes: int, percent: float) -> None:
    share = 1.0 - symmetric_variance(0.1, 8, planes) / symmetric_variance(0.1, 8)
    assert 100.0 * share == pytest.approx(percent, abs=0.06)


@pytest.mark.parametrize(("protected", "expected"), [(0, 2006.0), (2, 137.0)])
def test_mean_square_error_of_gaussian_weights(protected: int, expected: float) -> None:
    form = WeightFormat(8)
    channel = FlipChannel.uniform(0.1, 8).with_planes(range(8 - protected, 8), 0.0, 0.0)
    bias, variance = corrected_noise(form, channel.p01, channel.p10, form.decode_table)
    found = float(np.mean((bias**2 + variance)[gaussian_codes(form, 200_000, 1)]))
    assert found == pytest.approx(expected, rel=0.01)


def test_accuracy_of_ds_cnn_by_protected_planes() -> None:
    given = os.environ.get("QTAML_HW_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[3] / "shared" / "data"
    try:
        module, data = published("dscnn", folder, 0.05).source()
    except InputError as error:
        pytest.skip(str(error))
    image = quantise(weight_arrays(module))
    flips = FixedFlips(image, FlipChannel.uniform(0.05, 8), seed=1)
    inputs, labels = torch.from_numpy(data.test_x[::6]), torch.from_numpy(data.test_y[::6])
    network, found = Network("dscnn", ServedNetwork(module), {}, inputs, labels, data.classes, ""), []
    with single_thread():
        for k in range(5):
            plan = ProtectionPlan.uniform_msb(image.tensor_starts, 8, k, "ideal")
            hits = [network.score(image.decode(flips.read(plan, m))) for m in range(3)]
            found.append(100.0 * float(np.mean(hits)))
    # three maps of +-10 points at k = 2, and a sixth of the samples
    assert found == pytest.approx([9.0, 11.0, 42.0, 80.0, 85.0], abs=14.0)
