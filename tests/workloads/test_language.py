"""Language models: a folder and a GGUF file give transformers' own logits; every token of a text is judged once."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from qtaml_hw.workloads.language import load_language_model
from qtaml_hw.workloads.tokenizers_of import tokenizer_of
from qtaml_hw.workloads.windows import DESCRIPTIONS, IGNORED, load_windows
from tests.workloads.tiny_llama import LETTERS, gguf_file, hugging_face, tiny_llama

pytest.importorskip("transformers", reason="language models need transformers: pip install 'qtaml-hw[transformers]'")
TOKENS = torch.arange(24).reshape(2, 12)


def test_a_folder_is_transformers_own_model(tmp_path: Path) -> None:
    model = hugging_face(tmp_path)
    loaded = load_language_model(tmp_path, tokens=12)
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(TOKENS), model(TOKENS).logits)
    assert (loaded.input_shape, loaded.classes) == ((12,), len(LETTERS))
    with pytest.raises(ValueError, match="at most 64 tokens, 65 are asked for"):
        load_language_model(tmp_path, tokens=65)


def test_a_folder_with_code_or_pickles_alone_is_refused(tmp_path: Path) -> None:
    hugging_face(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "own.Model"}}))
    with pytest.raises(ValueError, match="names code of its own"):
        load_language_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    whole = load_file(tmp_path / "model.safetensors")
    save_file({n: t for n, t in whole.items() if "up_proj" not in n}, tmp_path / "model.safetensors")
    lacking = r"there is no model.layers.0.mlp.up_proj.weight; there is no model.layers.1.mlp.up_proj.weight\)$"
    with pytest.raises(ValueError, match=lacking):
        load_language_model(tmp_path)  # never random numbers in their place
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pickled weights .* are never read"):
        load_language_model(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"vocab_size": 50},
            "model.safetensors: model.embed_tokens.weight is (31, 64), config.json makes it (50, 64)",
        ),
        ({"intermediate_size": 80}, "layers.0.mlp.down_proj.weight is (64, 96), config.json makes it (64, 80); "),
        ({"num_hidden_layers": 3}, "there is no model.layers.2.input_layernorm.weight; "),
        ({"num_hidden_layers": 1}, "model.layers.1.input_layernorm.weight has no place in the network; "),
        ({"tie_word_embeddings": False}, "there is no lm_head.weight)"),
        ({"hidden_size": 100_000}, "config.json asks for 99,600,000 parameters, its files hold 63,744 values"),
    ],
)
def test_a_folder_that_contradicts_its_configuration_is_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    hugging_face(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **changes}))
    capfd.readouterr()
    with pytest.raises(ValueError, match=re.escape(said)) as told:
        load_language_model(tmp_path, tokens=8)
    assert str(told.value).startswith(f"{tmp_path}: ")
    assert "\n" not in str(told.value)
    assert capfd.readouterr().err == ""  # neither bars nor reports of transformers


def test_loading_is_silent_and_leaves_the_bars_of_others(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    hugging_face(tmp_path)
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    capfd.readouterr()
    load_language_model(tmp_path, tokens=8)
    assert capfd.readouterr().err == ""
    assert (logging.is_progress_bar_enabled(), logging.get_verbosity()) == (bars, level) == (True, level)


def test_a_file_with_more_than_its_metadata_say_is_refused(tmp_path: Path) -> None:
    import gguf

    gguf_file(tmp_path / "tiny.gguf")
    read = gguf.GGUFReader(tmp_path / "tiny.gguf", "r+")
    read.fields["llama.block_count"].parts[-1][0] = 1
    read.data.flush()
    with pytest.raises(ValueError, match=r"tensors do not fit: blk.1.* has no place in the network; .* and \d+ more"):
        load_language_model(tmp_path / "tiny.gguf", tokens=8)


@pytest.mark.parametrize(("kind", "tied"), [("Q4_1", True), ("Q8_0", False), ("Q4_0", True)])
def test_a_gguf_file_keeps_its_codes_and_gives_their_logits(tmp_path: Path, kind: str, tied: bool) -> None:
    exact = gguf_file(tmp_path / "tiny.gguf", kind, tied)
    loaded = load_language_model(tmp_path / "tiny.gguf", tokens=12)
    twin = tiny_llama(tied)
    twin.load_state_dict({name: torch.tensor(values) for name, values in exact.items()}, strict=not tied)
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(TOKENS), twin(TOKENS).logits, rtol=1e-5, atol=1e-5)
    stored = {f"model.{name}" for name, values in exact.items() if values.ndim == 2}
    assert set(loaded.codes) - stored == ({"model.lm_head.weight"} if tied else set())
    head = loaded.codes["model.lm_head.weight"]
    assert np.array_equal(head.codes, loaded.codes["model.model.embed_tokens.weight"].codes) == tied
    for name in stored:  # bit for bit, the rows of queries and keys in the network's order too
        own = loaded.codes[name]
        np.testing.assert_array_equal(own.decode(own.codes), exact[name.removeprefix("model.")])


@pytest.mark.parametrize("arch", ["llama", "qwen2", "qwen3"])
def test_architectures_of_files_are_transformers_own_forward_of_the_dequantised_file(tmp_path: Path, arch: str) -> None:
    """The same file read by transformers, which dequantises it, and by us, which keep its codes: logits bit for bit."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    path = tmp_path / "tiny.gguf"
    gguf_file(path, "Q8_0", arch=arch)
    loaded, read = load_language_model(path, tokens=12), partial(load_gguf_checkpoint, str(path))
    more = {"head_dim": 24} if arch == "qwen3" else {}  # which its reader leaves at 128
    config = AutoConfig.for_model(**{**read()["config"], "tie_word_embeddings": True, **more})
    configured: Any = AutoModelForCausalLM
    peer = configured.from_config(config, attn_implementation="eager").eval()
    told = read(return_tensors=True, model_to_load=peer)["tensors"]
    assert peer.load_state_dict(told, strict=False).unexpected_keys == []
    assert peer.config.model_type == arch
    own = {name.removeprefix("model."): p for name, p in loaded.module.named_parameters()}
    assert own.keys() == dict(peer.named_parameters()).keys()
    assert {"qwen2": "q_proj.bias", "qwen3": "q_norm.weight"}.get(arch, "q_proj.weight") in " ".join(own)
    for name, p in peer.named_parameters():
        np.testing.assert_array_equal(own[name].detach().numpy(), p.detach().numpy(), err_msg=name)
    with torch.no_grad():
        assert torch.equal(loaded.module(TOKENS), peer(TOKENS).logits)


def test_frequencies_that_a_file_stretches_are_those_of_llama_3_1(tmp_path: Path) -> None:
    """llama.cpp's divisors by its converter's rule against transformers' own rule for the same four numbers."""
    rope = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    waves = 2.0 * np.pi * 10000.0 ** (np.arange(8) / 8.0)  # tokens a turn takes, of heads of 16 numbers
    smooth = np.clip((64.0 / waves - 1.0) / 3.0, 0.0, 1.0)
    divisors = (1.0 / ((1.0 - smooth) / 8.0 + smooth)).astype(np.float32)
    assert (divisors == 1.0).any()
    assert ((divisors > 1.0) & (divisors < 8.0)).any()
    exact = gguf_file(tmp_path / "tiny.gguf", "Q8_0", True, "llama", ("rope_freqs.weight", divisors))
    loaded = load_language_model(tmp_path / "tiny.gguf", tokens=12)
    twin = tiny_llama(rope_parameters={"rope_type": "llama3", "rope_theta": 10000.0, **rope})
    twin.load_state_dict({name: torch.tensor(values) for name, values in exact.items()}, strict=False)
    plain = tiny_llama()
    plain.load_state_dict(twin.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(TOKENS), twin(TOKENS).logits, rtol=1e-5, atol=1e-5)
        assert (twin(TOKENS).logits - plain(TOKENS).logits).abs().max() > 0.01


@pytest.mark.parametrize(
    ("divisors", "said"),
    [(np.ones(4), "rope_freqs.weight is (4,), its metadata make it (8,)"), (np.zeros(8), "are no divisors")],
)
def test_frequencies_that_do_not_fit_are_refused(tmp_path: Path, divisors: np.ndarray, said: str) -> None:
    gguf_file(tmp_path / "tiny.gguf", "Q8_0", True, "llama", ("rope_freqs.weight", divisors.astype(np.float32)))
    with pytest.raises(ValueError, match=re.escape(said)):
        load_language_model(tmp_path / "tiny.gguf", tokens=8)


def test_both_tokenizers_cover_a_text_byte_by_byte(tmp_path: Path) -> None:
    gguf_file(tmp_path / "tiny.gguf")
    hugging_face(tmp_path)
    for place in (tmp_path, tmp_path / "tiny.gguf"):
        ids, sizes = tokenizer_of(place)("abc, de.")
        assert [LETTERS[i] for i in ids] == [*"abc,", "Ġ", *"de."]
        assert sizes == [1] * 8


@pytest.mark.parametrize(("tokens", "stride"), [(8, 4), (8, 8), (5, 1), (16, 7)])
def test_every_token_but_a_texts_first_is_judged_once(tmp_path: Path, tokens: int, stride: int) -> None:
    texts = ["a" * 30, "abcdefghijklmnopqrstuvwxyz" * 2, "xyz", "b" * 17]
    (tmp_path / "mine.txt").write_text("\n\n\n\n".join(texts))

    def encode(text: str) -> tuple[list[int], list[int]]:
        return [ord(c) for c in text], [1] * len(text)

    data = load_windows(tmp_path / "mine.txt", encode, tokens=tokens, stride=stride, calibration=3)
    assert data.windows is not None
    assert len(data.calibration_x) <= 3
    assert set(data.calibration_x.ravel()) <= {ord("a"), 0}  # the first text is set aside, whole
    for number, text in enumerate(texts[1:], start=1):
        mine = data.windows.text == number
        labels = data.test_y[mine]
        assert labels[labels != IGNORED].tolist() == [ord(c) for c in text[1:]]
        assert data.windows.judged_bytes[mine].sum() == len(text) - 1
        for x, y in zip(data.test_x[mine], labels, strict=True):  # a label is the next window token
            inside = np.flatnonzero(y[:-1] != IGNORED)
            assert (x[inside + 1][x[inside + 1] > 0] == y[inside][x[inside + 1] > 0]).all()
    with pytest.raises(ValueError, match="leaves tokens out"):
        load_windows(tmp_path / "mine.txt", encode, tokens=4, stride=5)
    assert len(np.unique(load_windows(DESCRIPTIONS, encode, tokens=512).windows.text)) > 5  # type: ignore[union-attr]
