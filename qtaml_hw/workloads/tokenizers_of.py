"""A network's own tokenizer, read as data: from tokenizer.json of its folder, or from the metadata of a GGUF file."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from qtaml_hw.workloads.reading import readable

Encode = Callable[[str], tuple[list[int], list[int]]]
"""A text -> token numbers, and the UTF-8 bytes that each stands for; together they are the text's."""

SPLITS: Final[dict[str, bool]] = {"smollm": True, "gpt-2": False, "default": False}
"""Byte-level tokenizers (tokenizer.ggml.pre) that are read: whether digits stand alone, as llama.cpp splits them."""


def tokenizer_of(place: Path) -> Encode:
    """The tokenizer of a Hugging Face folder or a .gguf file.

    Raises ValueError for one that cannot be read, or without the package ``tokenizers``.
    """
    if place.suffix != ".gguf":
        return _spans(read_tokenizer(place))
    _package()
    with readable(place, "GGUF file"):
        return _spans(_from_gguf(place))


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer.json of a folder, as the package ``tokenizers`` reads it.

    Raises ValueError for one that cannot be read, or without the package.
    """
    path, package = folder / "tokenizer.json", _package()
    with readable(path, "tokenizer.json"):
        return package.Tokenizer.from_str(path.read_text(encoding="utf-8"))


def _package() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise ValueError("texts need the package tokenizers: pip install 'qtaml-hw[text]'") from error
    return tokenizers


def _spans(tokenizer: Any) -> Encode:
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def encode(text: str) -> tuple[list[int], list[int]]:
        found = tokenizer.encode(text, add_special_tokens=False)
        ends = [0, *(end for _, end in found.offsets)]
        sizes = [len(text[a:b].encode()) for a, b in pairwise(ends)]
        return list(found.ids), sizes

    return encode


def _from_gguf(path: Path) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    from qtaml_hw.workloads.gguf_file import read_gguf

    told = read_gguf(path).metadata
    kind, split = told.get("tokenizer.ggml.model"), told.get("tokenizer.ggml.pre", "default")
    if kind != "gpt2" or split not in SPLITS:
        raise ValueError(
            f"its tokenizer is {kind} with {split}, read here are gpt2 with {', '.join(SPLITS)}; name a "
            "folder with its safetensors and tokenizer.json instead (network.folder)"
        )
    tokens = [str(token) for token in told["tokenizer.ggml.tokens"]]
    merges = [(a, b) for a, _, b in (str(pair).partition(" ") for pair in told["tokenizer.ggml.merges"])]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    digits = [pre_tokenizers.Digits(individual_digits=True)] if SPLITS[split] else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    control = [t for t, kind in zip(tokens, told.get("tokenizer.ggml.token_type", ()), strict=False) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in control])
    return tokenizer
