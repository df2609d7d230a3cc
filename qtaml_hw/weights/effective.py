"""A network's weights as they are multiplied: one parameter each, whatever computes them or shares their memory.

An accelerator holds the product of a parametrisation (mask x weight, g v / |v|, weight / spectral norm), not its
factors; and a tensor that two layers share once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

_HOOKS: Final = {
    WeightNorm: ("name", ("_g", "_v")),
    SpectralNorm: ("name", ("_orig", "_u", "_v")),
    BasePruningMethod: ("_tensor_name", ("_orig", "_mask")),
}
"""Hooks that compute a tensor before every pass: where they keep its name, and what they add to it for its factors."""


@contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """Eval mode for the block; every sub-module gets its own mode back."""
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    try:
        yield module
    finally:
        for layer, training in modes:
            layer.training = training


def make_effective(module: nn.Module) -> nn.Module:
    """The module itself, in which every tensor that a layer computes from others is a parameter of that value.

    Covers parametrisations, weight and spectral norm of either style, and pruning, as they are in evaluation.
    Parameters that are the same piece of memory become one.
    """
    with evaluating(module), torch.no_grad():
        for layer in module.modules():
            for name, value in _computed(layer).items():
                layer._parameters = {name: nn.Parameter(value, value.is_floating_point()), **layer._parameters}
                if isinstance(layer, nn.RNNBase):
                    layer._init_flat_weights()
        for layer, name, shared in _shared(module):
            layer._parameters[name] = shared
    return module


@contextmanager
def effective(module: nn.Module) -> Iterator[nn.Module]:
    """The module with its weights as ``make_effective`` leaves them for the block; then as it was, to the bit."""
    touched = [layer for layer in module.modules() if _is_computed(layer)]
    touched += [layer for layer, _, _ in _shared(module) if layer not in touched]
    kept = [(layer, layer.__class__, dict(layer.__dict__)) for layer in touched]
    try:
        for layer, _, own in kept:
            layer.__dict__.update(
                {key: copy.copy(value) for key, value in own.items() if isinstance(value, dict | list)}
            )
        yield make_effective(module) if kept else module
    finally:
        for layer, kind, own in kept:
            layer.__class__ = kind
            layer.__dict__.clear()
            layer.__dict__.update(own)


def computed_layers(module: nn.Module) -> list[str]:
    """Paths of the layers that compute a tensor from others before every pass."""
    return [path for path, layer in module.named_modules() if _is_computed(layer)]


def _hooks(layer: nn.Module) -> dict[int, tuple[str, tuple[str, ...]]]:
    """Hooks of a layer that compute a tensor: key -> (its name, names of its factors)."""
    found = {}
    for key, hook in layer._forward_pre_hooks.items():
        for kind, (where, endings) in _HOOKS.items():
            if isinstance(hook, kind):
                name = getattr(hook, where)
                found[key] = (name, tuple(name + ending for ending in endings))
    return found


def _is_computed(layer: nn.Module) -> bool:
    return parametrize.is_parametrized(layer) or bool(_hooks(layer))


def _computed(layer: nn.Module) -> dict[str, torch.Tensor]:
    """Values of a layer's computed tensors by name; what computed them is taken off the layer."""
    values: dict[str, torch.Tensor] = {}
    if parametrize.is_parametrized(layer):
        for name in layer.parametrizations:  # type: ignore[union-attr]
            values[name] = getattr(layer, name).detach().clone()
        layer.__class__ = layer.__class__.__bases__[0]  # as torch's own remove_parametrizations does
        del layer._modules["parametrizations"]
    for key, (name, factors) in _hooks(layer).items():
        layer._forward_pre_hooks[key](layer, ())
        values[name] = getattr(layer, name).detach().clone()
        del layer._forward_pre_hooks[key]
        layer.__dict__.pop(name, None)
        for factor in factors:
            layer._parameters.pop(factor, None)
            layer._buffers.pop(factor, None)
    return values


def _shared(module: nn.Module) -> list[tuple[nn.Module, str, nn.Parameter]]:
    """Parameters that are the memory of an earlier one, as objects of their own: (layer, name, the earlier one)."""
    first: dict[tuple[object, ...], nn.Parameter] = {}
    found = []
    for layer in module.modules():
        for name, p in layer.named_parameters(recurse=False, remove_duplicate=False):
            if not p.numel() or p.is_meta:
                continue
            place = (p.device, p.data_ptr(), p.dtype, tuple(p.shape), p.stride())
            earlier = first.setdefault(place, p)
            if earlier is not p:
                found.append((layer, name, earlier))
    return found
