"""Text encoders from a local Hugging Face folder through ``transformers``: offline, safetensors alone, no code of it.

Pooled to one embedding per text and normalised, as sentence-transformers does (Reimers and Gurevych 2019,
arXiv:1908.10084).  Parameters have the names of the folder's files, without the prefix of a model with a head.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from qtaml_hw.workloads.built import check_folder, configured
from qtaml_hw.workloads.cache import State, state_digest
from qtaml_hw.workloads.factory import check_fits, fill, output_width
from qtaml_hw.workloads.load import LoadedNetwork
from qtaml_hw.workloads.packed import quantisation_of
from qtaml_hw.workloads.reading import readable
from qtaml_hw.workloads.sentence_modules import check_modules
from qtaml_hw.workloads.shards import files_of

Pooling = Literal["mean", "cls"]


def load_encoder(folder: str | Path, *, tokens: int = 64, pooling: Pooling = "mean") -> LoadedNetwork:
    """The encoder of a folder with config.json and safetensors, for texts of ``tokens`` token numbers (padded).

    Raises ValueError for files that are missing, damaged or of another kind of network, with all that does not fit; a
    folder that is quantised, pools in another way or has modules behind the encoder; and without ``transformers``.
    """
    place = Path(folder)
    check_folder(place)
    check_modules(place, pooling)
    if quantisation_of(place):
        raise ValueError(f"{place}: quantised folders are read as language models (network.folder), not as encoders")
    with readable(place, "folder of safetensors"):
        files = files_of(place)[0]
    found: State = {}
    for file in files:
        with readable(file, "safetensors file"):
            found |= load_file(file)
    module = _built(place, found)
    positions = getattr(module.config, "max_position_embeddings", tokens)
    if tokens > positions:
        raise ValueError(f"{place}: the encoder takes at most {positions} tokens, {tokens} are asked for")
    _embedding(module, pooling)
    width = output_width(place.name, module, (tokens,), torch.int64)
    return LoadedNetwork(place.name, module, state_digest(module.state_dict()), (tokens,), width, None)


def _built(place: Path, found: State) -> Any:
    """The network that the folder's configuration names, in eval mode, with the folder's tensors in it."""
    try:
        import transformers
    except ImportError as error:
        raise ValueError("encoders need transformers: pip install 'qtaml-hw[text]'") from error
    config = configured(place, len(found))
    kind: Any = transformers.AutoModel

    def build() -> Any:
        with readable(place / "config.json", "config.json"), torch.random.fork_rng(devices=[]):
            model = kind.from_config(config, dtype=torch.float32, attn_implementation="eager")
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # of a head; embeddings are pooled below
        return model.eval()

    with torch.device("meta"):
        shell = build()
    own = _of_encoder(shell, found)
    check_fits(shell, own, str(place))
    model = build()
    fill(model, own, str(place))
    return model


def _of_encoder(model: Any, found: State) -> State:
    """The encoder's own tensors, without the prefix that a model with a head puts before them, and without heads."""
    prefix = f"{model.base_model_prefix}."
    bare = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    parts, constants = {name for name, _ in model.named_children()}, {name for name, _ in model.named_buffers()}
    return {n: t for n, t in bare.items() if n.partition(".")[0] in parts - {"pooler"} and n not in constants}


def _embedding(model: nn.Module, pooling: Pooling) -> None:
    """Make a model take token numbers [N, T] alone, and give one normalised embedding of each text [N, width]."""
    pad = int(getattr(model.config, "pad_token_id", None) or 0)

    def asked(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        (tokens,) = args
        return (), {"input_ids": tokens, "attention_mask": (tokens != pad).long()}

    def pooled(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> torch.Tensor:
        x: torch.Tensor = output.last_hidden_state
        if pooling == "cls":
            return functional.normalize(x[:, 0], dim=-1)
        there = kwargs["attention_mask"].to(x.dtype)
        mean = (x * there[..., None]).sum(1) / there.sum(1, keepdim=True).clamp(min=1.0)
        return functional.normalize(mean, dim=-1)

    model.register_forward_pre_hook(asked, with_kwargs=True)
    model.register_forward_hook(pooled, with_kwargs=True)
