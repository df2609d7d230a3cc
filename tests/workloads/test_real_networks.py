"""Real pretrained networks keep their accuracy here; skipped where their folder is absent."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from tests.realnets import CLEAN_PERCENT, real_network_or_skip


@pytest.mark.parametrize("name", CLEAN_PERCENT)
def test_clean_accuracy_of_a_real_network(name: str) -> None:
    if name == "resnet56" and not os.environ.get("QTAML_HW_TEST_ZOO"):
        pytest.skip("runs for ten seconds or more: set QTAML_HW_TEST_ZOO=1 to run it")
    module, data = real_network_or_skip(name)
    some = np.unique(np.linspace(0, len(data.test_y) - 1, 500).astype(int))
    with torch.inference_mode():
        found = torch.cat([module(x).argmax(1) for x in torch.from_numpy(data.test_x[some]).split(125)])
    percent = 100.0 * float((found.numpy() == data.test_y[some]).mean())
    assert percent == pytest.approx(CLEAN_PERCENT[name], abs=1.5)
