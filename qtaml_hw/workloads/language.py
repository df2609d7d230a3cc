"""Causal language models through ``transformers``: from a Hugging Face folder of safetensors, or a GGUF file.

Folders may hold packed weights (``packed_network``).  Everything is read as data and offline: no code of a folder is
run, no pickle is opened.  A model says the logits of the next token at every token of a window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from qtaml_hw.weights.image import StoredTensor
from qtaml_hw.workloads.built import check_folder, configured, quietly, refuse_unfit
from qtaml_hw.workloads.cache import state_digest
from qtaml_hw.workloads.load import LoadedNetwork
from qtaml_hw.workloads.packed import quantisation_of
from qtaml_hw.workloads.reading import readable
from qtaml_hw.workloads.shards import open_shards

LIKELY: Final = 2  # times the values of a folder's files that its configuration may ask for, until names are compared
AS_DATA: Final[dict[str, Any]] = {
    "local_files_only": True,
    "trust_remote_code": False,
    "use_safetensors": True,
    "dtype": torch.float32,
    "attn_implementation": "eager",  # products of attention that can be watched and priced
}


class NextToken(nn.Module):
    """Token numbers [N, T] -> logits of the next token [N, T, vocabulary]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits; no cache is kept."""
        out: torch.Tensor = self.model(input_ids=tokens, use_cache=False).logits
        return out


def load_language_model(place: str | Path, *, tokens: int = 128) -> LoadedNetwork:
    """The causal language model of a folder or a .gguf file, for windows of ``tokens`` tokens.

    Raises ValueError, one line that names the place: files that are missing or damaged, a folder with code or pickles
    alone, an architecture that is not read, windows longer than it takes, or without the package ``transformers``.
    """
    where = Path(place)
    try:
        with quietly():
            model, codes = _read(where)
    except ImportError as error:
        raise ValueError("language models need transformers: pip install 'qtaml-hw[transformers]'") from error
    config: Any = model.config
    positions = getattr(config, "max_position_embeddings", tokens)
    if tokens > positions:
        raise ValueError(f"{where}: it takes at most {positions} tokens, {tokens} are asked for")
    module = NextToken(model).eval()
    own = _everywhere(module, {f"model.{name}": tensor for name, tensor in codes.items()})
    vocabulary = int(config.get_text_config().vocab_size)
    return LoadedNetwork(where.name, module, state_digest(module.state_dict()), (tokens,), vocabulary, None, own)


def _read(where: Path) -> tuple[Any, Mapping[str, StoredTensor]]:
    """The model, and the codes that the place holds of its parameters; each reader is loaded when it is needed."""
    if where.suffix == ".gguf":
        from qtaml_hw.workloads.gguf_network import gguf_model

        return gguf_model(where)
    check_folder(where)
    if quantisation_of(where):
        from qtaml_hw.workloads.packed_network import packed_model

        return packed_model(where)
    return _folder_model(where), {}


def _folder_model(folder: Path) -> Any:
    """The model of a folder whose tensors are no codes.

    Raises InputError, one line with files, tensors and shapes, for what contradicts its config.json.
    """
    import transformers

    kind: Any = transformers.AutoModelForCausalLM
    with readable(folder, "language model"), torch.random.fork_rng(devices=[]):
        held = {slot.name: slot for shard in open_shards(folder) for slot in shard.slots}
        config = configured(folder, len(held))
        with torch.device("meta"):  # sizes are what a file says: no memory before they are known to be likely
            asked = sum(p.numel() for p in kind.from_config(config).parameters())
        if asked > LIKELY * (there := sum(slot.values for slot in held.values())):
            raise ValueError(f"config.json asks for {asked:,} parameters, its files hold {there:,} values")
        model, told = kind.from_pretrained(
            str(folder), **AS_DATA, output_loading_info=True, ignore_mismatched_sizes=True
        )

        def at(name: str) -> str:
            return f"{held[name].file.name}: {name}" if name in held else name

        unlike = sorted((name, tuple(own), tuple(wanted)) for name, own, wanted in told["mismatched_keys"])
        refuse_unfit(
            [f"{at(name)} is {own}, config.json makes it {wanted}" for name, own, wanted in unlike]
            + [f"there is no {name}" for name in sorted(told["missing_keys"])]  # which would be random numbers
            + [f"{at(name)} has no place in the network" for name in sorted(told["unexpected_keys"])]
        )
        return model


def _everywhere(module: nn.Module, codes: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """The codes by every name of a parameter: embeddings and the last layer are often one."""
    named = dict(module.named_parameters(remove_duplicate=False))
    of = {id(named[name]): tensor for name, tensor in codes.items()}
    return {name: replace(of[id(p)], name=name) for name, p in named.items() if id(p) in of}
