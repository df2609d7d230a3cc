"""Studies of quantised Hugging Face folders: the folder's own codes, its own network without a flip, clear refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from qtaml_hw.config import parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.study.design.networks.loaded import load_network
from qtaml_hw.workloads.language import load_language_model
from qtaml_hw.workloads.packed import read_quantised_folder
from tests.workloads.test_packed import AWQ, packed
from tests.workloads.tiny_llama import hugging_face

pytest.importorskip("transformers", reason="language models need transformers: pip install 'qtaml-hw[transformers]'")
GROUP = 16
TOKENS = torch.arange(24).reshape(2, 12)
SETTINGS: dict[str, dict[str, Any]] = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm"},
    "compressed-tensors": {"quant_method": "compressed-tensors", "format": "pack-quantized"},
}
STUDY = """
network: {folder: tiny}
data: {texts: mine.txt, tokens: 12}
weights: {format: file}
flips: {law: fixed, p: 0.01}
refresh: off
protection: {policy: none, correction: none}
evaluate: {images: 40, metric: perplexity, maps: {min: 2, max: 2}}
"""


def quantised(folder: Path, method: str, turned: bool = False) -> Any:
    """The tiny Llama in a folder with its layers' matrices packed; the model with the weights they stand for.

    turned: the groups are of inputs that lie apart (activation order).
    """
    model, rng = hugging_face(folder), np.random.default_rng(5)
    tensors: dict[str, torch.Tensor] = {}
    for name, own in list(load_file(folder / "model.safetensors").items()):
        if own.ndim < 2 or "proj" not in name:
            tensors[name] = own.bfloat16() if own.ndim > 1 else own.half()
            continue
        w, groups = own.numpy(), own.shape[1] // GROUP
        of_input = np.arange(own.shape[1]) // GROUP
        of_input = rng.permutation(of_input) if turned else of_input
        scales = (np.abs(w.reshape(len(w), groups, GROUP)).max(-1) / 6.0).astype(np.float16)
        zeros = rng.integers(6, 10, scales.shape)
        spread, shift = scales.astype(np.float32)[:, of_input], zeros[:, of_input]
        levels = np.clip(np.rint(w / spread + shift), 0, 15).astype(np.int64)
        tensors |= packing(method, name.removesuffix("weight"), levels, zeros, scales, of_input)
        own.copy_(torch.from_numpy(spread * (levels - shift).astype(np.float32)))
        model.get_parameter(name).data.copy_(own)
    for name, parameter in model.named_parameters():
        if "proj" not in name:
            parameter.data.copy_(tensors[name].float())
    save_file({name: t.contiguous() for name, t in tensors.items()}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": SETTINGS[method]}))
    return model


def packing(
    method: str, stem: str, levels: np.ndarray, zeros: np.ndarray, scales: np.ndarray, of_input: np.ndarray
) -> dict[str, torch.Tensor]:
    if method == "compressed-tensors":
        return {
            f"{stem}weight_packed": packed(levels),
            f"{stem}weight_scale": torch.from_numpy(scales),
            f"{stem}weight_shape": torch.tensor(levels.shape),
            f"{stem}weight_zero_point": packed(zeros.T).T,
            f"{stem}weight_g_idx": torch.from_numpy(of_input.astype(np.int32)),
        }
    turned = torch.from_numpy(scales.T.copy())
    if method == "awq":
        return {
            f"{stem}qweight": packed(levels.T, AWQ),
            f"{stem}qzeros": packed(zeros.T, AWQ),
            f"{stem}scales": turned,
        }
    groups = torch.from_numpy(of_input.astype(np.int32))
    return {
        f"{stem}qweight": packed(levels).T,
        f"{stem}qzeros": packed(zeros.T - 1),
        f"{stem}scales": turned,
        f"{stem}g_idx": groups,
        f"{stem}bias": torch.zeros(len(levels), dtype=torch.float16),
    }


@pytest.mark.parametrize("method", ["gptq", "compressed-tensors"])
def test_groups_of_inputs_that_lie_apart_are_stored_together(tmp_path: Path, method: str) -> None:
    twin = quantised(tmp_path / "tiny", method, turned=True)
    loaded = load_language_model(tmp_path / "tiny", tokens=12)
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(TOKENS), twin(TOKENS).logits)
    name = "model.layers.1.mlp.down_proj.weight"
    own, exact = loaded.codes[f"model.{name}"], twin.get_parameter(name).detach().numpy()
    order = read_quantised_folder(tmp_path / "tiny").orders[name]
    np.testing.assert_array_equal(own.decode(own.codes), exact[:, order])
    x = torch.arange(96.0)  # gradients and flips meet the weight as it lies
    with torch.no_grad():
        layer = loaded.module.get_submodule(f"model.{name.removesuffix('.weight')}")
        torch.testing.assert_close(layer(x), torch.from_numpy(exact) @ x)


@pytest.mark.parametrize("method", SETTINGS)
def test_a_study_stores_the_folders_own_codes_and_reads_its_own_network(tmp_path: Path, method: str) -> None:
    twin = quantised(tmp_path / "tiny", method)
    loaded = load_language_model(tmp_path / "tiny", tokens=12)
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(TOKENS), twin(TOKENS).logits)
    for name, parameter in twin.named_parameters():
        if parameter.ndim > 1:
            own = loaded.codes[f"model.{name}"]
            assert own.format.name == ("uint4" if "proj" in name else "bfloat16")
            np.testing.assert_array_equal(own.decode(own.codes), parameter.detach().numpy())
    (tmp_path / "mine.txt").write_text("\n\n\n\n".join(["a" * 30, "abc, de." * 4, "zq. " * 9]))
    study = parse_study(STUDY, folder=tmp_path)
    stored = load_network(study)
    assert stored.image.format_name == "uint4 + bfloat16"
    assert stored.quantised_score == stored.network.clean_score  # zero flips: the folder's own network, bit for bit
    beside = load_network(study.with_({"network.store.scales": True}))
    assert beside.quantised_score == stored.network.clean_score
    assert beside.image.stored_bits == stored.image.stored_bits + stored.image.metadata_bits


@pytest.mark.parametrize(
    ("settings", "tensors", "said"),
    [
        ({"quant_method": "bitsandbytes"}, {}, "quantised by bitsandbytes; read are gptq, awq, compressed-tensors"),
        ({"quant_method": "awq", "version": "gemv"}, {}, "its version is gemv; read of awq is gemm"),
        ({"quant_method": "compressed-tensors", "format": "float-quantized"}, {}, "its format is float-quantized"),
        ({}, {"model.norm.weight": None}, "there is no model.norm.weight"),
        ({}, {"model.norm.weight": torch.ones(3)}, r"model.norm.weight is \(3,\), the network has \(64,\)"),
        ({}, {"model.norm.weight": torch.full((64,), torch.inf)}, "not finite"),
        ({}, {"model.layers.0.mlp.k_scale": torch.ones(1)}, "model.layers.0.mlp.k_scale has no place in the network"),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, settings: dict[str, Any], tensors: dict[str, torch.Tensor | None], said: str
) -> None:
    folder = tmp_path / "tiny"
    quantised(folder, "gptq")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "quantization_config": {**config["quantization_config"], **settings}})
    )
    held = {**load_file(folder / "model.safetensors"), **tensors}
    save_file({name: t for name, t in held.items() if t is not None}, folder / "model.safetensors")
    with pytest.raises(InputError, match=said) as raised:
        load_language_model(folder)
    assert "\n" not in str(raised.value)
