"""What a file's tensors are taken for, on the names that published models have; folders with an index."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from qtaml_hw.config import parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.report import tensors_in_short
from qtaml_hw.study.design.streamed.model import stream
from qtaml_hw.study.design.streamed.slots import told
from qtaml_hw.weights import quantise
from qtaml_hw.workloads.shards import open_shards

STUDY = parse_study("study: s\ncell: {preset: gain-cell-65nm}\nflips: {law: fixed, p: 0.02}\nrefresh: off\n")
TRIANGLE = torch.ones(64, 64).tril().reshape(1, 1, 64, 64)
MODELS: dict[str, dict[str, tuple[torch.Tensor, str]]] = {
    "GPT-2": {
        "wte.weight": (torch.randn(50, 32), "table"),
        "wpe.weight": (torch.randn(64, 32), "table"),
        "h.0.attn.bias": (TRIANGLE, "mask"),
        "h.0.attn.c_attn.weight": (torch.randn(32, 96), "matrix"),
        "h.0.attn.c_attn.bias": (torch.randn(96), "vector"),
        "h.0.mlp.gate": (torch.where(TRIANGLE == 1.0, 0.0, -1e4), "mask"),
        "ln_f.weight": (torch.randn(32), "vector"),
    },
    "ViT": {
        "cls_token": (torch.randn(1, 1, 16), "token"),
        "pos_embed": (torch.randn(1, 5, 16), "token"),
        "patch_embed.proj.weight": (torch.randn(16, 3, 4, 4), "kernel"),
        "patch_embed.proj.bias": (torch.randn(16), "vector"),
        "blocks.0.attn.qkv.weight": (torch.randn(48, 16), "matrix"),
        "blocks.0.attn.relative_position_bias_table": (torch.randn(9, 4), "bias"),
        "time_embed.0.weight": (torch.randn(32, 16), "matrix"),
        "time_embed.0.bias": (torch.randn(32), "vector"),
    },
    "others": {
        "encoder.embed_tokens.weight": (torch.randn(50, 16), "table"),
        "embeddings.word_embeddings.weight": (torch.randn(50, 16), "table"),
        "block.0.layer.0.SelfAttention.relative_attention_bias.weight": (torch.randn(32, 4), "table"),
        "embed_out.weight": (torch.randn(50, 16), "matrix"),
        "lm_head.weight": (torch.eye(16), "matrix"),
        "conv.weight": (torch.randn(1, 16, 3), "kernel"),
        "experts.gate_up_proj": (torch.randn(4, 8, 16), "matrix of every expert"),
        "steps": (torch.arange(4), "type"),
    },
}


@pytest.mark.parametrize("name", MODELS)
def test_what_is_stored_of_published_models(tmp_path: Path, name: str) -> None:
    tensors = {key: tensor for key, (tensor, _) in MODELS[name].items()}
    save_file(tensors, tmp_path / "model.safetensors")
    slots = {slot.name: slot for shard in open_shards(tmp_path) for slot in shard.slots}
    for key, (_, expected) in MODELS[name].items():
        assert expected in told(slots[key], tensors).what, key
    found = stream(STUDY, tmp_path).as_dict()
    stored = {key for key, (_, what) in MODELS[name].items() if what.startswith(("matrix", "kernel"))}
    assert {t["name"] for t in found["stored"]} == stored
    assert {t["name"] for t in found["exact"]} == set(tensors) - stored


def test_every_expert_and_channel_has_a_scale(tmp_path: Path) -> None:
    weights = torch.randn(4, 8, 16) * torch.logspace(-2, 2, 4).reshape(4, 1, 1)
    save_file({"layers.0.experts.up": weights}, tmp_path / "model.safetensors")
    seen: dict[str, np.ndarray] = {}
    found = stream(STUDY.with_({"weights.scale": "per_channel", "flips.p": 0.0}), tmp_path, each=seen.__setitem__)
    assert found.image.tensors[0].scale.size == 32
    by_hand = quantise({"w": weights.reshape(32, 16).numpy()}, None, "per_channel").decode()["w"]
    np.testing.assert_array_equal(seen["layers.0.experts.up"].reshape(32, 16), by_hand)


def _sharded(folder: Path) -> dict[str, str]:
    """Two shards, and a consolidated copy of both under other names, which no index names."""
    a, b = torch.randn(8, 16), torch.randn(16, 16)
    save_file({"a.weight": a}, folder / "model-1.safetensors")
    save_file({"b.weight": b}, folder / "model-2.safetensors")
    save_file({"x.weight": a.clone(), "y.weight": b.clone()}, folder / "consolidated.safetensors")
    return {"a.weight": "model-1.safetensors", "b.weight": "model-2.safetensors"}


def _write(folder: Path, index: object, name: str = "model") -> None:
    (folder / f"{name}.safetensors.index.json").write_text(json.dumps(index))


def test_an_index_says_which_files_are_the_model(tmp_path: Path) -> None:
    _write(tmp_path, {"metadata": {}, "weight_map": _sharded(tmp_path)})
    found = stream(STUDY, tmp_path).as_dict()
    assert found["stored_weights"] == 8 * 16 + 16 * 16
    assert [Path(file).name for file in found["files_not_read"]] == ["consolidated.safetensors"]


def test_without_an_index_the_whole_model_is_one_file(tmp_path: Path) -> None:
    save_file({"a.weight": torch.randn(8, 16)}, tmp_path / "model.safetensors")
    save_file({"x.weight": torch.randn(8, 16)}, tmp_path / "consolidated.safetensors")
    assert [shard.file.name for shard in open_shards(tmp_path)] == ["model.safetensors"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a.weight": "model-2.safetensors"}, "disagree on a.weight"),
        ({"c.weight": "model-1.safetensors"}, "disagree on c.weight"),
        ({"a.weight": "../model-1.safetensors"}, "names files that are not beside it"),
        ({"a.weight": "gone.safetensors"}, "gone.safetensors"),
        ({"a.weight": 3}, "names files that are not beside it"),
    ],
)
def test_an_index_that_is_wrong_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    _write(tmp_path, {"weight_map": {**_sharded(tmp_path), **change}})
    with pytest.raises(InputError, match=message):
        stream(STUDY, tmp_path)


@pytest.mark.parametrize("index", [[], {}, {"weight_map": []}, "x"])
def test_an_index_that_is_none_is_refused(tmp_path: Path, index: object) -> None:
    _sharded(tmp_path)
    _write(tmp_path, index)
    with pytest.raises(ValueError, match="not a readable index"):
        open_shards(tmp_path)


def test_layers_that_are_numbered_alike_are_one_line() -> None:
    rows = [{"name": f"h.{i}.fc.weight", "what": "matrix"} for i in range(12)] + [{"name": "cls", "what": "token"}]
    assert tensors_in_short(rows) == ["h.*.fc.weight (12, matrix)", "cls (token)"]
