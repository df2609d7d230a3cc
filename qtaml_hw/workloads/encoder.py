"""Text encoders from a local Hugging Face folder in plain PyTorch: no network access, nothing executed from it.

BERT (Devlin et al. 2018, arXiv:1810.04805), post-norm, learned absolute positions; pooled to one embedding per text and
normalised, as sentence-transformers does (Reimers and Gurevych 2019, arXiv:1908.10084).  Parameters have the names of
the folder's model.safetensors.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from qtaml_hw.workloads.cache import State, state_digest
from qtaml_hw.workloads.factory import fill
from qtaml_hw.workloads.load import LoadedNetwork
from qtaml_hw.workloads.reading import readable
from qtaml_hw.workloads.sentence_modules import check_modules

Pooling = Literal["mean", "cls"]
ACTIVATIONS = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}  # -> approximation of torch's gelu
_UNUSED = ("pooler.", "cls.", "embeddings.position_ids")  # heads of pre-training, and a constant


@dataclass(frozen=True)
class BertSizes:
    """What config.json says of a BERT encoder."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    hidden: int
    positions: int
    segments: int
    pad_token: int
    epsilon: float
    activation: str


class _Embeddings(nn.Module):
    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(sizes.vocabulary, sizes.width)
        self.position_embeddings = nn.Embedding(sizes.positions, sizes.width)
        self.token_type_embeddings = nn.Embedding(sizes.segments, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=sizes.epsilon)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.word_embeddings(tokens) + self.position_embeddings(places)
        out: torch.Tensor = self.LayerNorm(x + self.token_type_embeddings(torch.zeros_like(tokens)))
        return out


class _SelfAttention(nn.Module):
    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.query = nn.Linear(sizes.width, sizes.width)
        self.key = nn.Linear(sizes.width, sizes.width)
        self.value = nn.Linear(sizes.width, sizes.width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        q, k, v = (f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask
        mixed: torch.Tensor = torch.softmax(scores, dim=-1) @ v
        return mixed.transpose(1, 2).flatten(2)


class _Dense(nn.Module):
    """A linear layer, and a norm over its sum with the residual."""

    def __init__(self, before: int, after: int, epsilon: float) -> None:
        super().__init__()
        self.dense = nn.Linear(before, after)
        self.LayerNorm = nn.LayerNorm(after, eps=epsilon)

    def forward(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.LayerNorm(self.dense(x) + residual)
        return out


class _Attention(nn.Module):
    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.self = _SelfAttention(sizes)
        self.output = _Dense(sizes.width, sizes.width, sizes.epsilon)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.output(self.self(x, mask), x)
        return out


class _Intermediate(nn.Module):
    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.dense = nn.Linear(sizes.width, sizes.hidden)
        self.approximate = ACTIVATIONS.get(sizes.activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.dense(x)
        return functional.relu(y) if self.approximate is None else functional.gelu(y, approximate=self.approximate)


class _Layer(nn.Module):
    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.attention = _Attention(sizes)
        self.intermediate = _Intermediate(sizes)
        self.output = _Dense(sizes.hidden, sizes.width, sizes.epsilon)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        attended = self.attention(x, mask)
        out: torch.Tensor = self.output(self.intermediate(attended), attended)
        return out


class _Layers(nn.Module):
    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(sizes) for _ in range(sizes.layers))


class BertEncoder(nn.Module):
    """Token numbers [N, T] (padded) -> normalised embeddings [N, width]."""

    def __init__(self, sizes: BertSizes, pooling: Pooling = "mean") -> None:
        super().__init__()
        self.pad_token, self.pooling = sizes.pad_token, pooling
        self.embeddings = _Embeddings(sizes)
        self.encoder = _Layers(sizes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        there = (tokens != self.pad_token).to(self.embeddings.word_embeddings.weight.dtype)
        mask = (1.0 - there[:, None, None, :]) * torch.finfo(there.dtype).min
        x = self.embeddings(tokens)
        for layer in self.encoder.layer:
            x = layer(x, mask)
        if self.pooling == "cls":
            return functional.normalize(x[:, 0], dim=-1)
        pooled = (x * there[..., None]).sum(1) / there.sum(1, keepdim=True).clamp(min=1.0)
        return functional.normalize(pooled, dim=-1)


def load_encoder(folder: str | Path, *, tokens: int = 64, pooling: Pooling = "mean") -> LoadedNetwork:
    """The encoder of a folder with config.json and model.safetensors, for texts of ``tokens`` token numbers.

    Raises ValueError for files that are missing, damaged or of another kind of network, with all that does not fit, and
    for a folder that pools in another way or has modules behind the encoder.
    """
    place = Path(folder)
    sizes = _sizes(place / "config.json")
    check_modules(place, pooling)
    if tokens > sizes.positions:
        raise ValueError(f"{place}: the encoder takes at most {sizes.positions} tokens, {tokens} are asked for")
    path = place / "model.safetensors"
    with readable(path, "safetensors file"):
        found = load_file(path)
    with torch.device("meta"):  # sizes are what a file says: no memory before its tensors are known to fit
        module = BertEncoder(sizes, pooling)
    fill(module, _of_encoder(found), str(path))
    digest = state_digest(module.state_dict())
    return LoadedNetwork(place.name, module.eval(), digest, (tokens,), sizes.width, None)


def _of_encoder(found: State) -> State:
    """The encoder's own tensors, without the prefix that a model with a head puts before them."""
    bare = {name.removeprefix("bert."): tensor for name, tensor in found.items()}
    return {name: tensor for name, tensor in bare.items() if not name.startswith(_UNUSED)}


def _sizes(path: Path) -> BertSizes:
    with readable(path, "config.json"):
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise ValueError("it holds no mapping")
        return _sizes_of(told)


def _sizes_of(told: dict[str, Any]) -> BertSizes:
    wanted: dict[str, tuple[Any, ...]] = {
        "model_type": ("bert",),
        "position_embedding_type": ("absolute",),
        "hidden_act": (*ACTIVATIONS, "relu"),
    }
    defaults = {"position_embedding_type": "absolute", "hidden_act": "gelu"}
    problems = [
        f"{key} is {told.get(key, defaults.get(key))!r}, read here are {', '.join(allowed)}"
        for key, allowed in wanted.items()
        if told.get(key, defaults.get(key)) not in allowed
    ]
    numbers = {
        "vocab_size": 10_000_000,
        "hidden_size": 65_536,
        "num_hidden_layers": 1_000,
        "num_attention_heads": 1_024,
        "intermediate_size": 1_000_000,
        "max_position_embeddings": 1_000_000,
    }
    problems += [
        f"{key} is {told.get(key)!r}, a whole number from 1 to {most} is needed"
        for key, most in numbers.items()
        if type(told.get(key)) is not int or not 1 <= told[key] <= most
    ]
    if problems:
        raise ValueError("; ".join(problems))
    if told["hidden_size"] % told["num_attention_heads"]:
        raise ValueError(f"{told['num_attention_heads']} heads do not divide a width of {told['hidden_size']}")
    vocabulary, width, layers, heads, hidden, positions = (int(told[key]) for key in numbers)
    return BertSizes(
        vocabulary=vocabulary,
        width=width,
        layers=layers,
        heads=heads,
        hidden=hidden,
        positions=positions,
        segments=int(told.get("type_vocab_size", 2)),
        pad_token=int(told.get("pad_token_id") or 0),
        epsilon=float(told.get("layer_norm_eps", 1e-12)),
        activation=told.get("hidden_act", "gelu"),
    )
