"""ONNX files run by onnxruntime: every flipped weight changes the output, whatever the session folds in advance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import qtaml_hw as q
from qtaml_hw.config import StudyError, load_study
from qtaml_hw.study.design.networks.loaded import load_network
from qtaml_hw.weights.network import call_with
from qtaml_hw.workloads.model_files import load_model_file

pytest.importorskip("onnx", reason="reads .onnx files: pip install 'qtaml-hw[onnx]'")
pytest.importorskip("onnxruntime", reason="runs .onnx files: pip install 'qtaml-hw[onnxruntime]'")

from tests.workloads.test_onnx_codes import by_onnxruntime, codes, make, qdq, save, two_inputs

rng = np.random.default_rng(12)


def integer(path: Path) -> Path:
    nodes = [
        make("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        make("Flatten", ["q"], ["f"]),
        make("MatMulInteger", ["f", "w", "z"], ["i"]),
        make("Cast", ["i"], ["c"], to=1),
        make("Mul", ["c", "s"], ["y"]),
    ]
    return save(path, nodes, {"w": codes(72, 5)}, {"x": ("n", 2, 6, 6)})


def floats(path: Path) -> Path:
    w = rng.normal(size=(72, 5)).astype(np.float32)
    nodes = [make("Cos", ["x"], ["a"]), make("Flatten", ["a"], ["f"]), make("MatMul", ["f", "w"], ["y"])]
    return save(path, nodes, {"w": w}, {"x": ("n", 2, 6, 6)})


@pytest.mark.parametrize("kind", ["floats", "qdq", "integer"])
def test_every_flipped_weight_changes_the_output(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "net.onnx"
    {"floats": floats, "qdq": qdq, "integer": integer}[kind](path)
    net = load_model_file(path, runtime="onnxruntime")
    x = rng.normal(size=(4, 2, 6, 6)).astype(np.float32)
    clean = net.module(torch.from_numpy(x))
    if kind != "qdq":  # optimised kernels round a little otherwise than the file says
        peer = np.concatenate([by_onnxruntime(path, {"x": some[None]}, "y") for some in x])
        np.testing.assert_allclose(clean.numpy(), peer, rtol=1e-4, atol=1e-4)
    for name, parameter in net.module.named_parameters():
        changed = parameter.detach().clone().reshape(-1)
        changed[0] = changed[0] - 64.0 if changed[0] >= 0.0 else changed[0] + 64.0
        found = call_with(net.module, {name: changed.reshape(parameter.shape)}, torch.from_numpy(x))
        assert float((found - clean).abs().max()) > 1e-3, name
        torch.testing.assert_close(net.module(torch.from_numpy(x)), clean, rtol=0, atol=0)


YAML = """
cell: {preset: gain-cell-65nm}
flips: {law: fixed, p: 0.01}
refresh: off
weights: {format: file}
protection: {policy: none, correction: none}
network: {file: net.onnx, output: y}
data: {npz: {path: set.npz, inputs: {ids: a, mask: b}}, calibration: 10}
evaluate: {runtime: onnxruntime, metric: agreement, images: 30, maps: {min: 2, max: 2}}
"""


def test_a_study_of_a_deployed_file(tmp_path: Path) -> None:
    two_inputs(tmp_path / "net.onnx")
    np.savez(
        tmp_path / "set.npz",
        a=rng.integers(0, 9, (40, 5)),
        b=(rng.random((40, 5)) < 0.7).astype(np.float32),
        y=np.zeros(40, np.int64),
    )
    (tmp_path / "s.yaml").write_text(YAML)
    study = load_study(tmp_path / "s.yaml")
    stored = load_network(study)
    assert [t.name for t in stored.image.tensors] == ["w"]
    assert stored.quantised_score == 1.0
    (layer,) = stored.network.layers(study.accelerator)
    assert (layer.weight, layer.m, layer.k, layer.n) == ("w", 1, 4, 3)
    assert 0.0 <= q.run(study).accuracy.mean < 1.0
    (tmp_path / "s.yaml").write_text(YAML.replace("policy: none", "policy: tac, budget: {bits: 5 %}"))
    with pytest.raises(StudyError, match=r"no gradients.*policies without are none, uniform, magnitude, random"):
        load_study(tmp_path / "s.yaml")
