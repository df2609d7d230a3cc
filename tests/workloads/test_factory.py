"""A user's own network: loaded from a factory and safetensors, and one clear message for each way to be wrong."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from qtaml_hw.workloads import load_data, load_data_factory, load_factory, state_digest

SOURCE = """
import numpy as np
import torch
from torch import nn

from qtaml_hw.workloads import load_data

def pair(count=300):
    return np.zeros((count, 2, 2), np.float32), np.arange(count) % 3

def whole():
    return load_data("digits")

def tiny(width=3):
    return nn.Sequential(nn.Flatten(), nn.Linear(4, width), nn.BatchNorm1d(width), nn.Linear(width, 2))

def nothing():
    return None

def broken():
    raise RuntimeError("no such luck")

def image():
    return nn.Conv2d(1, 1, 1)

number = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own_networks.py").write_text(SOURCE)
    yield_name = "own_networks"
    sys.modules.pop(yield_name, None)
    return tmp_path


def weights(folder: Path, **changes: torch.Tensor | None) -> Path:
    torch.manual_seed(1)
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    state: dict[str, torch.Tensor | None] = {**module.state_dict(), **changes}
    path = folder / "weights.safetensors"
    save_file({k: v for k, v in state.items() if v is not None}, path)
    return path


def load(folder: Path, factory: str = "own_networks:tiny", file: Path | None = None, **more: object) -> object:
    return load_factory(factory, file, input_shape=(1, 2, 2), folder=folder, **more)  # type: ignore[arg-type]


def test_a_factory_with_weights(folder: Path) -> None:
    file = weights(folder)
    path_before = list(sys.path)
    loaded = load_factory("own_networks:tiny", file, input_shape=(1, 2, 2), folder=folder)
    assert sys.path == path_before
    assert (loaded.classes, loaded.input_shape, loaded.record) == (2, (1, 2, 2), None)
    assert not loaded.module.training
    torch.manual_seed(1)
    expected = nn.Linear(4, 3).weight
    assert torch.equal(loaded.module.state_dict()["1.weight"], expected)
    assert loaded.digest == state_digest(loaded.module.state_dict())


def test_without_weights_the_network_is_reproducible(folder: Path) -> None:
    torch.manual_seed(8)
    before = torch.get_rng_state()
    first = load_factory("own_networks:tiny", input_shape=(1, 2, 2), arguments={"width": 5}, folder=folder)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(9)
    again = load_factory("own_networks:tiny", input_shape=(1, 2, 2), arguments={"width": 5}, folder=folder)
    assert first.digest == again.digest
    assert first.module.state_dict()["1.weight"].shape == (5, 4)


def test_half_precision_and_missing_step_counters_are_taken(folder: Path) -> None:
    file = weights(folder, **{"1.weight": torch.full((3, 4), 0.5).half(), "2.num_batches_tracked": None})
    loaded = load_factory("own_networks:tiny", file, input_shape=(1, 2, 2), folder=folder)
    assert loaded.module.state_dict()["1.weight"].dtype == torch.float32


def test_all_that_does_not_fit_is_said_at_once(folder: Path) -> None:
    changes = {
        "1.bias": None,
        "extra": torch.zeros(1),
        "3.weight": torch.zeros(2, 4),
        "2.weight": torch.full((3,), torch.nan),
    }
    with pytest.raises(ValueError, match="does not fit the network") as error:
        load(folder, file=weights(folder, **changes))
    message = str(error.value)
    assert "missing keys: 1.bias" in message
    assert "unexpected keys: extra" in message
    assert "other shapes: 3.weight is (2, 4), the network has (2, 3)" in message
    assert "not finite: 2.weight" in message


def test_a_file_of_another_network_is_refused_in_ten_lines(folder: Path) -> None:
    strange = {f"blocks.{i}.weight": torch.zeros(1) for i in range(200)}
    with pytest.raises(ValueError, match=r"and 196 more \(of 200\)") as error:
        load(folder, file=weights(folder, **strange))
    assert len(textwrap.wrap(str(error.value), 100)) <= 10


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 64])
def test_a_file_that_is_not_safetensors(folder: Path, content: bytes) -> None:
    file = folder / "gewichte-ü.bin"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"gewichte-ü.bin: not a readable safetensors file"):
        load(folder, file=file)
    with pytest.raises(ValueError, match=r"none.safetensors: not a readable safetensors file"):
        load(folder, file=folder / "none.safetensors")


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("own_networks.tiny", "a factory is written 'package.module:function'"),
        ("own networks:tiny", "a factory is written"),
        ("own_networks:", "a factory is written"),
        ("no_such_module:tiny", "there is no module 'no_such_module'"),
        ("own_networks:tyni", "no function 'tyni'; did you mean 'tiny'"),
        ("own_networks:number", "no function 'number'"),
        ("own_networks:nothing", "must return a torch.nn.Module, it returned NoneType"),
        ("own_networks:broken", "own_networks:broken failed: RuntimeError: no such luck"),
        ("own_networks:image", r"must return logits \[batch, classes\], for one sample it returned \(1, 1, 2, 2\)"),
    ],
)
def test_a_factory_that_is_wrong(folder: Path, factory: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(folder, factory)


def test_arguments_and_inputs_that_do_not_fit(folder: Path) -> None:
    with pytest.raises(ValueError, match="unexpected keyword argument 'depth'"):
        load(folder, arguments={"depth": 3})
    with pytest.raises(ValueError, match=r"does not take an input of shape \(1, 3, 3\)"):
        load_factory("own_networks:tiny", input_shape=(3, 3), folder=folder)


def test_a_data_factory(folder: Path) -> None:
    assert load_data_factory("own_networks:whole", folder=folder).digest == load_data("digits").digest
    pair = load_data_factory("own_networks:pair", arguments={"count": 400}, folder=folder)
    assert (len(pair.test_x), len(pair.calibration_x), pair.classes) == (144, 256, 3)
    with pytest.raises(ValueError, match=r"must return a DataSet or arrays \(images, labels\), it returned NoneType"):
        load_data_factory("own_networks:nothing", folder=folder)
    with pytest.raises(ValueError, match="too few"):
        load_data_factory("own_networks:pair", arguments={"count": 20}, folder=folder)
