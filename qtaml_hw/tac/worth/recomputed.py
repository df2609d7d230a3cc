"""A pass whose graph is small: of layers that may run again only what enters each is kept, the rest is computed anew.

Gradients go back through one layer at a time, which is run again for it (Chen et al., arXiv:1604.06174): the same
numbers to the bit.  Which layers may, their authors say: they write to no input and keep nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from torch import nn
from torch.utils.checkpoint import checkpoint

MARK: Final = "gradient_checkpointing"  # of a class: layers of transformers (GradientCheckpointingLayer) have it


@contextmanager
def recomputed(module: nn.Module) -> Iterator[None]:
    """Passes begun in the block run the module's layers that may once more whenever gradients ask for them."""
    layers = [layer for layer in module.modules() if hasattr(type(layer), MARK) and "forward" not in vars(layer)]
    try:
        for layer in layers:
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)
