"""Trained networks on disk, outside the repository: one safetensors file each, its facts in the file's own header.

One file and one rename make a write atomic: two processes that train the same network at once both finish, the last
one wins, and a reader sees either file whole.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from qtaml_hw.files import replacing

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class TrainingRecord:
    """How a network's weights came to be.

    seed: of initialisation and shuffling; clean_accuracy: share of test images classified rightly in float32, 0..1;
    seconds: wall time of the training (0 if the weights were given); data_digest: sha256 of the data set;
    torch_version: that trained it; cached: read from the cache, not trained now; notes: what a user should know, such
    as a broken cache that was rebuilt.
    """

    seed: int
    clean_accuracy: float
    seconds: float
    data_digest: str
    torch_version: str
    cached: bool = False
    notes: tuple[str, ...] = ()


class BrokenCacheError(Exception):
    """A cache file that cannot be trusted; the message says why."""


def state_digest(state: Mapping[str, torch.Tensor]) -> str:
    """sha256 (hex) over name, type, shape and bytes of every tensor, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def read(path: Path, identity: str) -> tuple[State, TrainingRecord]:
    """Weights and record of a cache file.

    Raises FileNotFoundError if there is none and BrokenCacheError if it is damaged or belongs to something else.
    """
    content = path.read_bytes()
    try:
        state, meta = load(content), _header_metadata(content)
        record = json.loads(meta["record"])
        record["notes"] = tuple(record["notes"])
        found = TrainingRecord(**record)
        if meta["identity"] != identity:
            raise BrokenCacheError("it was trained from another recipe, seed or data set")
        if meta["sha256"] != state_digest(state):
            raise BrokenCacheError("its tensors do not match their sha256")
    except (SafetensorError, ValueError, KeyError, TypeError, struct.error) as error:
        raise BrokenCacheError(f"it is damaged ({type(error).__name__}: {error})") from error
    return state, found


def write(path: Path, identity: str, state: State, record: TrainingRecord) -> None:
    """The file at once or not at all; OSError if the folder cannot be written."""
    meta = {"identity": identity, "sha256": state_digest(state), "record": json.dumps(asdict(record))}
    content = save({name: tensor.detach().contiguous() for name, tensor in state.items()}, metadata=meta)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(content)


def _header_metadata(content: bytes) -> dict[str, str]:
    """The text entries in a safetensors header: 8 bytes of length, then JSON."""
    (length,) = struct.unpack_from("<Q", content)
    meta = json.loads(content[8 : 8 + length])["__metadata__"]
    if not isinstance(meta, dict):
        raise ValueError("the header has no metadata")
    return {str(key): str(value) for key, value in meta.items()}
