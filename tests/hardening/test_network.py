"""Hardened networks of the zoo and of a user: cached by what they are, robust where they were trained to be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import prune

from qtaml_hw.hardening import Hardening, fine_tuned, hardened
from qtaml_hw.weights import StoredImage, quantise
from qtaml_hw.weights.network import weight_arrays
from qtaml_hw.workloads import DataSet, load_data, state_digest
from qtaml_hw.workloads.data import data_set
from qtaml_hw.workloads.load import LoadedNetwork


def store(weights: Mapping[str, NDArray[np.float32]]) -> StoredImage:
    return quantise(weights)


def test_a_hardened_network_is_trained_once_and_found_by_what_it_is(cache: Path) -> None:
    method = Hardening("noise", amplitude=0.05, epochs=1, clip=0.4)
    first = hardened("digits-lenet", method, store, "int8")
    again = hardened("digits-lenet", method, store, "another format, which noise never sees")
    assert first.record is not None
    assert again.record is not None
    assert (first.record.cached, again.record.cached) == (False, True)
    assert first.digest == again.digest
    assert max(float(np.abs(w).max()) for w in weight_arrays(first.module).values()) <= 0.4
    (file,) = (cache / "networks").glob("digits-lenet-noise-seed2026-*.safetensors")
    other = hardened("digits-lenet", Hardening("noise", amplitude=0.05, epochs=1, seed=7), store, "int8")
    assert other.digest != first.digest
    assert file.exists()


def test_formats_matter_where_the_training_sees_codes() -> None:
    for method in (Hardening("qat"), Hardening("bit_error", p=0.01)):
        assert method.digest("int8") != method.digest("int4")
    assert Hardening("noise", amplitude=1.0).digest("int8") == Hardening("noise", amplitude=1.0).digest("int4")
    assert Hardening("noise", amplitude=1.0).digest("") != Hardening("noise", amplitude=2.0).digest("")


def _small() -> tuple[LoadedNetwork, DataSet]:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    return LoadedNetwork("mine", module.eval(), state_digest(module.state_dict()), (1, 8, 8), 10, None), load_data()


def test_a_users_network_is_trained_further_and_left_as_it_was() -> None:
    loaded, data = _small()
    tuned = fine_tuned(loaded, data, Hardening("qat", epochs=20), store)
    assert state_digest(loaded.module.state_dict()) == loaded.digest
    assert tuned.digest == state_digest(tuned.module.state_dict()) != loaded.digest
    assert not tuned.module.training
    x, y = torch.from_numpy(data.test_x), torch.from_numpy(data.test_y)
    with torch.inference_mode():
        assert float((tuned.module(x).argmax(1) == y).double().mean()) > 0.5


def test_what_fine_tuning_needs_is_asked_for() -> None:
    loaded, data = _small()
    with pytest.raises(ValueError, match="how many epochs"):
        fine_tuned(loaded, data, Hardening("qat"), store)
    none = (data.train_x[:0], data.train_y[:0])
    empty = data_set("mine", none, (data.test_x, data.test_y), data.calibration_x)
    with pytest.raises(ValueError, match="no training images"):
        fine_tuned(loaded, empty, Hardening("qat", epochs=1), store)


def test_layers_that_compute_their_weights_are_not_trained_further() -> None:
    loaded, data = _small()
    prune.l1_unstructured(next(m for m in loaded.module.modules() if isinstance(m, nn.Linear)), "weight", 0.5)
    with pytest.raises(ValueError, match="computes its own from others"):
        fine_tuned(loaded, data, Hardening("qat", epochs=1), store)
