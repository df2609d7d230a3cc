"""Channels in the order of their sensitivity, so that sensitive weights share words.

Channels may change places as long as whoever uses them follows: the order costs nothing, neither metadata nor gates.
Free places are the channels between two layers; the order inside a filter, the inputs and the outputs of the network
stay.  After the permutation the input channels of a layer run from the most sensitive to the least, and with them the
32-weight words of every filter; so do whole filters.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qtaml_hw.weights.transforms_graph import LAYERS, Chain, chains, taken_weights


def sensitivity_order(module: nn.Module, importance: Mapping[str, NDArray[np.float64]]) -> nn.Module:
    """A copy whose inner channels run from the most sensitive to the least.

    ``importance``: worth of every stored weight by parameter name, in the parameter's shape (Jacobian energies).  A
    channel is worth what the weights that make it and those that use it are worth together.

    Raises ValueError when no channel can change its place.
    """
    changed = copy.deepcopy(module).eval()
    found = [chain for chain in chains(changed, through_depthwise=True) if _movable(changed, chain)]
    if not found:
        raise ValueError("sensitivity_order finds no channels that can change places between two layers")
    worth = {name: torch.from_numpy(np.array(values)) for name, values in importance.items()}
    with torch.no_grad():
        for chain in found:
            order = torch.argsort(_worth(changed, chain, worth), descending=True, stable=True)
            _permute(changed, chain, order, worth)
    return changed


def _movable(module: nn.Module, chain: Chain) -> bool:
    return isinstance(module.get_submodule(chain.maker), LAYERS)


def _worth(module: nn.Module, chain: Chain, worth: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Worth of every channel, [channels]."""
    layers = [module.get_submodule(path) for path in chain.users]
    taken = sum(
        _taken(worth[f"{path}.weight"], layer, chain.block).sum(1)
        for path, layer in zip(chain.users, layers, strict=True)
        if f"{path}.weight" in worth
    )
    made = module.get_parameter(f"{chain.maker}.weight").shape[0]
    total = torch.zeros(made, dtype=torch.float64) + taken
    for path in (chain.maker, *chain.between):
        values = worth.get(f"{path}.weight")
        if values is not None:
            total = total + values.reshape(values.shape[0], -1).sum(1)
    return total


def _taken(values: torch.Tensor, layer: nn.Module, block: int) -> torch.Tensor:
    """Values of a layer's weights by the channel that they take in, [channels, ...]."""
    if isinstance(layer, nn.Linear) and block > 1:
        values = values.view(values.shape[0], -1, block)
    return values.transpose(0, 1).reshape(values.shape[1], -1)


def _permute(module: nn.Module, chain: Chain, order: torch.Tensor, worth: Mapping[str, torch.Tensor]) -> None:
    """Channels in the new order where they are made, where they pass, and where they are used; their worth alike."""
    for path in (chain.maker, *chain.between):
        part = module.get_submodule(path)
        own = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
        for name, tensor in own:
            if tensor.ndim > 0:
                tensor.data.copy_(tensor.data[order].clone())
            if f"{path}.{name}" in worth:
                worth[f"{path}.{name}"].copy_(worth[f"{path}.{name}"][order].clone())
    for path in chain.users:
        layer = module.get_submodule(path)
        taken = taken_weights(layer, chain.block)
        taken.copy_(taken[order].clone())
        if f"{path}.weight" in worth:
            view = worth[f"{path}.weight"]
            view = view.view(view.shape[0], -1, chain.block) if chain.block > 1 else view
            moved = view.transpose(0, 1)
            moved.copy_(moved[order].clone())
