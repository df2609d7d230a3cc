"""Real pretrained networks and their test data, for tests and benchmarks; the product never needs them.

They lie in ``$QTAML_HW_DATA``, or in ``../shared/data`` beside the repository; its README names sources and licences.
CIFAR-10 is a JPEG copy of the test set (lossy: about ten points below the published accuracies).
"""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from qtaml_hw.workloads import DataSet, load_weights
from qtaml_hw.workloads.published import PUBLISHED

CLEAN_PERCENT = {"resnet20": 80.4, "resnet56": 83.0, "resnet8": 75.1, "dscnn": 90.2, "lenet-cifar": 62.0}
"""Accuracy given with the files (for both ResNets it says 80-83)."""


def data_folder() -> Path:
    """The folder of real data; FileNotFoundError with what to do if it is not there."""
    given = os.environ.get("QTAML_HW_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "networks").is_dir():
        raise FileNotFoundError(f"real networks are not at {folder}; set QTAML_HW_DATA to their folder")
    return folder


def real_network(name: str) -> tuple[nn.Module, DataSet]:
    """A real network in eval mode and its data; FileNotFoundError if the folder is absent."""
    real, folder = PUBLISHED[name], data_folder()
    module = real.build()
    load_weights(module, folder / "networks" / f"{real.weights}.safetensors")
    return module.eval(), real.data(folder)


def real_network_or_skip(name: str) -> tuple[nn.Module, DataSet]:
    """The same inside a test: skips with the reason if the folder is absent."""
    import pytest  # benchmarks are run without it

    try:
        return real_network(name)
    except FileNotFoundError as error:
        pytest.skip(str(error))
