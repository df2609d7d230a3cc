"""Modules that are built without memory and filled with what a file holds: sizes are what a file says."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


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
