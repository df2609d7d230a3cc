"""A Llama of a few thousand parameters as a Hugging Face folder and as a GGUF file, with a tokenizer of letters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

LETTERS = ["<s>", *"abcdefghijklmnopqrstuvwxyz., ".replace(" ", "Ġ"), "zq"]


def tiny_llama(tied: bool = True, kind: str = "llama", **told: Any) -> Any:
    """A model of an architecture, as GGUF files call it: llama, qwen2 (with biases), qwen3 (with norms of heads)."""
    import transformers

    torch.manual_seed(4)
    more = {"head_dim": 24} if kind == "qwen3" else {}
    config: Any = transformers.AutoConfig.for_model(
        kind,
        vocab_size=len(LETTERS),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=tied,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=0,
        **more,
        **told,
    )
    configured: Any = transformers.AutoModelForCausalLM
    model: Any = configured.from_config(config, attn_implementation="eager")
    for parameter in model.parameters():
        if parameter.ndim == 1:  # made as ones and zeros, which would hide that they are read
            parameter.data += 0.3 * torch.randn(parameter.shape)
    return model.eval()


def hugging_face(folder: Path) -> Any:
    """The model in a folder; returned too."""
    model = tiny_llama()
    model.save_pretrained(folder)
    vocabulary = {letter: i for i, letter in enumerate(LETTERS)}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return model


def gguf_file(
    path: Path, kind: str = "Q4_1", tied: bool = True, arch: str = "llama", *floats: tuple[str, np.ndarray[Any, Any]]
) -> dict[str, np.ndarray[Any, Any]]:
    """The model in a file whose matrices are of a type; returned are its values by the names of transformers.

    ``floats``: further tensors.
    """
    import gguf

    model = tiny_llama(tied, arch)
    writer = gguf.GGUFWriter(path, arch)
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    if arch == "qwen3":
        writer.add_key_length(24)
        writer.add_value_length(24)
    writer.add_vocab_size(len(LETTERS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(LETTERS)
    writer.add_token_types([3] + [1] * (len(LETTERS) - 1))
    writer.add_token_merges(["z q"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], 2)
    chosen = gguf.GGMLQuantizationType[kind]
    exact = {}
    for name, parameter in model.named_parameters():
        values = parameter.detach().numpy()
        own = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if values.ndim == 1:
            writer.add_tensor(own, values)
            exact[name] = values
            continue
        packed = gguf.quants.quantize(as_llama_cpp(name, values, arch), chosen)
        writer.add_tensor(own, packed, raw_dtype=chosen)
        exact[name] = back(name, gguf.quants.dequantize(packed, chosen), arch)
    for own, values in floats:
        writer.add_tensor(own, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return exact


def _heads(name: str, arch: str) -> int:
    if arch != "llama":
        return 0
    return 4 if "q_proj" in name else 2 if "k_proj" in name else 0


def as_llama_cpp(name: str, values: np.ndarray[Any, Any], arch: str = "llama") -> np.ndarray[Any, Any]:
    """Rows in the file's order, as convert_hf_to_gguf.py writes them."""
    heads = _heads(name, arch)
    if not heads:
        return values
    split = values.reshape(heads, 2, len(values) // heads // 2, -1)
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(values.shape))


def back(name: str, values: np.ndarray[Any, Any], arch: str = "llama") -> np.ndarray[Any, Any]:
    heads = _heads(name, arch)
    if not heads:
        return values
    return values.reshape(heads, len(values) // heads // 2, 2, -1).swapaxes(1, 2).reshape(values.shape)
