"""The commands about models: what is stored, and weights streamed through the memory to a folder."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.cli.conftest import call

STUDY = """
cell: {preset: gain-cell-65nm}
flips: {law: fixed, p: 0.01}
refresh: off
network: {factory: "cli_models_net:build"}
protection: {policy: uniform, budget: {bits: 20 %}}
"""
SOURCE = """
from torch import nn

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 10))
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    sys.modules.pop("cli_models_net", None)
    (tmp_path / "cli_models_net.py").write_text(SOURCE)
    (tmp_path / "s.yaml").write_text(STUDY)
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path / "s.yaml"


def test_tensors(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "tensors", file, "--json", "-q") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["stored_values"], found["exact_values"]) == (370, 15)
    assert call(monkeypatch, "tensors", file, "-q", "--set", "network.store.biases=true") == 0
    assert "stored: 385 values; exact, beside the memory: 0" in " ".join(capsys.readouterr().out.split())
    assert call(monkeypatch, "tensors", file, "-q", "--set", "network.store.exclude=9*") == 2
    assert "no parameter matches '9*'" in capsys.readouterr().err


def test_stream(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    weights, out = file.with_name("w.safetensors"), file.with_name("out")
    save_file({"a": torch.randn(64, 64), "b": torch.randn(64)}, weights)
    assert call(monkeypatch, "stream", file, weights, "--out", out, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["stored_weights"], found["passed_through"]) == (4096, ["b"])
    assert found["stored"][0]["protected_planes"] == 1
    assert not torch.equal(load_file(out / "w.safetensors")["a"], load_file(weights)["a"])
    assert call(monkeypatch, "stream", file, weights) == 0
    told = capsys.readouterr().out
    assert "bits read wrong" in told
    area = re.search(r"([\d,.]+) µm² \(", told)
    assert area is not None
    assert float(area[1].replace(",", "")) == pytest.approx(1e12 * found["area_m2"], rel=0.01)
    assert f"refresh takes {100 * found['refresh_bandwidth_share']:.1f} % of a bank's time" in told
    assert call(monkeypatch, "stream", file, file) == 2
    assert "not a readable safetensors file" in capsys.readouterr().err
