"""Modules as users have them: taken out of wrappers, made where lazy, or refused in one line."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import qtaml_hw as q
from qtaml_hw.config import parse_study
from qtaml_hw.weights.network import stored_names
from qtaml_hw.weights.quantise import quantise
from qtaml_hw.weights.scales import GRANULARITIES
from qtaml_hw.workloads.factory import load_factory

SOURCE = """
import torch
from torch import nn

def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))

def parallel():
    return nn.DataParallel(net())

def compiled():
    return torch.compile(net())

def both():
    return torch.compile(nn.DataParallel(net()))

def lazy():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(3), nn.ReLU(), nn.LazyBatchNorm1d(), nn.LazyLinear(2))

def script():
    return torch.jit.script(net())

def dynamic():
    return torch.ao.quantization.quantize_dynamic(net(), {nn.Linear}, torch.qint8)

def empty():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 0), nn.Linear(0, 2))

def infinite():
    made = net()
    made[1].bias.data[0] = float("inf")
    made.register_buffer("mask", torch.full((2,), -torch.inf))
    return made

def masked():
    made = net()
    made.register_buffer("mask", torch.full((2,), -torch.inf))
    return made

class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.logit_scale = nn.Linear(64, 10), nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.logit_scale * self.layer(x.flatten(1))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "odd_nets.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["parallel", "compiled", "both", "masked"])
def test_wrappers_are_taken_off(folder: Path, name: str) -> None:
    loaded = load_factory(f"odd_nets:{name}", input_shape=(1, 2, 2), folder=folder)
    plain = load_factory("odd_nets:net", input_shape=(1, 2, 2), folder=folder)
    assert stored_names(loaded.module) == ("1.weight", "3.weight")
    assert type(loaded.module) is nn.Sequential
    for a, b in zip(loaded.module.parameters(), plain.module.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.filterwarnings("ignore")
def test_lazy_layers_are_made_before_weights_are_read(folder: Path) -> None:
    loaded = load_factory("odd_nets:lazy", input_shape=(1, 2, 2), folder=folder)
    assert [tuple(p.shape) for p in loaded.module.parameters()] == [(3, 4), (3,), (3,), (3,), (2, 3), (2,)]
    assert float(loaded.module[3].running_mean.abs().max()) == 0.0
    save_file({k: torch.full_like(v, 2.0) for k, v in loaded.module.state_dict().items()}, folder / "w.safetensors")
    filled = load_factory("odd_nets:lazy", folder / "w.safetensors", input_shape=(1, 2, 2), folder=folder)
    assert all(bool((p == 2.0).all()) for p in filled.module.parameters())
    again = load_factory("odd_nets:lazy", input_shape=(1, 2, 2), folder=folder)
    assert again.digest == loaded.digest


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("script", "returned TorchScript, which hides its layers"),
        ("dynamic", r"returned a network that torch has quantised \(1, "),
        ("empty", r"parameters without values: 1.weight \(0, 4\), 1.bias \(0,\), 2.weight \(2, 0\)"),
        ("infinite", "values that are not finite: 1.bias$"),
    ],
)
def test_what_cannot_be_seen_into_is_said(folder: Path, name: str, said: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=said):
            load_factory(f"odd_nets:{name}", input_shape=(1, 2, 2), folder=folder)


def test_eight_bit_floats_are_taken_at_their_values(folder: Path) -> None:
    state = load_factory("odd_nets:net", input_shape=(1, 2, 2), folder=folder).module.state_dict()
    small = {k: v.to(torch.float8_e4m3fn) for k, v in state.items()}
    save_file(small, folder / "w.safetensors")
    loaded = load_factory("odd_nets:net", folder / "w.safetensors", input_shape=(1, 2, 2), folder=folder)
    for name, tensor in loaded.module.state_dict().items():
        assert torch.equal(tensor, small[name].float())
    save_file({**small, "1.weight_scale": torch.ones(1)}, folder / "w.safetensors")
    with pytest.raises(ValueError, match=r"unexpected keys: 1.weight_scale"):
        load_factory("odd_nets:net", folder / "w.safetensors", input_shape=(1, 2, 2), folder=folder)
    save_file({**small, "1.bias": torch.full((3,), torch.nan).to(torch.float8_e4m3fn)}, folder / "w.safetensors")
    with pytest.raises(ValueError, match=r"values that are not finite: 1.bias"):
        load_factory("odd_nets:net", folder / "w.safetensors", input_shape=(1, 2, 2), folder=folder)


def test_codes_without_a_scale_are_refused(folder: Path) -> None:
    state = load_factory("odd_nets:net", input_shape=(1, 2, 2), folder=folder).module.state_dict()
    codes = {**state, "1.weight": torch.ones(3, 4, dtype=torch.int8), "3.weight": torch.ones(2, 3, dtype=torch.uint8)}
    save_file(codes, folder / "w.safetensors")
    said = "codes without their scale where real numbers are needed: 1.weight is int8, 3.weight is uint8"
    with pytest.raises(ValueError, match=said):
        load_factory("odd_nets:net", folder / "w.safetensors", input_shape=(1, 2, 2), folder=folder)


@pytest.mark.parametrize("scale", GRANULARITIES)
def test_a_scalar_has_one_scale(folder: Path, scale: str) -> None:
    image = quantise({"s": np.array(-1.5, np.float32)}, granularity=scale)
    assert image.tensors[0].scale.shape == (1,)
    assert image.decode()["s"].shape == ()
    assert float(image.decode()["s"]) == pytest.approx(-1.5, rel=1e-6)
    text = f"""
cell: {{preset: sram6t-65nm}}
flips: {{law: fixed, p: 1 %}}
weights: {{scale: {scale}}}
protection: {{policy: tac, group: channel, budget: {{bits: 10 %}}}}
network: {{factory: 'odd_nets:Scaled', store: {{others: true}}}}
evaluate: {{images: 20, maps: {{min: 2, max: 2}}}}
"""
    assert q.run(parse_study(text, folder=folder)).stored_bits == 8 * (640 + 1)
