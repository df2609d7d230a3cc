"""Modules of ``transformers`` built from a folder's configuration and filled with what its files hold, all as data.

Sizes are what a file says: a module is first built without memory, and tensors are known to fit before it takes any.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging import CRITICAL
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from qtaml_hw.workloads.reading import readable

SHOWN: Final = 4  # problems of a message


@contextmanager
def quietly() -> Iterator[None]:
    """``transformers`` shows no bars and reports while it loads for us: what matters of them is an error of ours."""
    from transformers.utils import logging

    says: Any = logging
    bars, level = says.is_progress_bar_enabled(), says.get_verbosity()
    try:
        says.disable_progress_bar()
        says.set_verbosity(CRITICAL)
        yield
    finally:
        says.set_verbosity(level)
        if bars:
            says.enable_progress_bar()


def refuse_unfit(problems: Sequence[str]) -> None:
    """Raises ValueError, one line, for tensors that are not those of the network that is asked for."""
    if problems:
        more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise ValueError("its tensors do not fit: " + "; ".join(problems[:SHOWN]) + more)


def check_folder(place: Path) -> None:
    """Raises ValueError for a folder that cannot be read as data alone."""
    config = place / "config.json"
    with readable(config, "config.json"):
        told = json.loads(config.read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise ValueError("it holds no mapping")
    if "auto_map" in told:
        raise ValueError(f"{place}: its config.json names code of its own (auto_map), which is never run")
    if not list(place.glob("*.safetensors")):
        raise ValueError(f"{place}: it holds no .safetensors; pickled weights (.bin, .pt) are never read")


def configured(place: Path, tensors: int) -> Any:
    """What config.json of a folder says to ``transformers``, for a network of so many tensors.

    Raises InputError, one line, for what says nothing, and for more layers than there are tensors.
    """
    import transformers

    with readable(place / "config.json", "config.json"):
        found: Any = transformers.AutoConfig.from_pretrained(str(place), local_files_only=True, trust_remote_code=False)
        layers = found.get_text_config().num_hidden_layers
        if not 1 <= layers <= tensors:
            raise ValueError(f"num_hidden_layers is {layers}, and there are {tensors} tensors")
    return found


def put(model: nn.Module, name: str, values: torch.Tensor) -> None:
    """Make ``values`` the parameter of that dotted name."""
    path, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(path), leaf, nn.Parameter(values))


def work_out_buffers(model: nn.Module, config: Any) -> None:
    """Buffers that no file holds, worked out anew from a configuration: frequencies of the rotary positions."""
    for path, layer in list(model.named_modules()):
        if any(b.is_meta for b in layer.buffers(recurse=False)):
            parent, _, leaf = path.rpartition(".")
            setattr(model.get_submodule(parent), leaf, type(layer)(config))
