"""Where a channel is made and where it is used: what lies between decides which rewritings change no output.

A chain leads from the layer that makes a channel to the layers that take it in, through operations that treat every
channel alone.  Where each of them also scales with its input (ReLU, pooling), a channel may be divided at its maker and
multiplied at its users; where they are merely the same for every channel (or hold numbers per channel that move along),
channels may change places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import fx, nn

LAYERS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
BATCH_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_POOLS: Final = tuple(
    getattr(nn, f"{kind}{n}d")
    for kind in ("MaxPool", "AvgPool", "AdaptiveAvgPool", "AdaptiveMaxPool")
    for n in (1, 2, 3)
)
_SCALING: Final = (nn.ReLU, nn.LeakyReLU, nn.Identity, nn.Dropout, nn.Dropout2d, *_POOLS)
_ALIKE: Final = (nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Hardswish, nn.Hardsigmoid, nn.ReLU6, nn.ELU, nn.Softplus)
_SCALING_CALLS: Final = {"relu", "relu_", "leaky_relu", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "dropout"}
_ALIKE_CALLS: Final = {"gelu", "silu", "tanh", "sigmoid", "relu6", "elu", "hardswish"}


@dataclass(frozen=True)
class Chain:
    """A maker of channels, what lies between, and the layers that use them.

    maker: path of a convolution or linear layer, or of a norm whose own scale and shift can take a factor;
    users: paths of layers, all inputs of which come from the maker; between: paths of modules with numbers per channel
    (batch norms, depthwise convolutions); scales: whether every operation between scales with its input; block: inputs
    of a user per channel (a flattened image has several).
    """

    maker: str
    users: tuple[str, ...]
    between: tuple[str, ...]
    scales: bool
    block: int


def depthwise(layer: nn.Module) -> bool:
    """Whether a convolution keeps every channel to itself, one filter each."""
    return (
        isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
        and layer.groups == layer.in_channels == layer.out_channels
        and layer.groups > 1
    )


def traced(module: nn.Module) -> fx.Graph:
    """The module's graph.

    Raises ValueError when torch.fx cannot trace it.
    """
    try:
        return fx.Tracer().trace(module)
    except Exception as error:  # fx raises whatever the user's forward raises on proxies
        raise ValueError(f"torch.fx cannot trace {type(module).__name__} ({error})") from error


def chains(module: nn.Module, through_depthwise: bool = False) -> tuple[Chain, ...]:
    """All chains of a module in the order of its graph.

    ``through_depthwise``: a depthwise convolution is passed on the way; else it ends a chain and begins another.
    A layer that is called more than once is in no chain.  Raises ValueError when torch.fx cannot trace the module.
    """
    graph = traced(module)
    modules = dict(module.named_modules())
    calls: dict[str, int] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            calls[str(node.target)] = calls.get(str(node.target), 0) + 1
    walk = _Walk(modules, calls, through_depthwise)
    return tuple(chain for node in graph.nodes if (chain := walk.from_maker(node)) is not None)


@dataclass(frozen=True)
class _Walk:
    modules: Mapping[str, nn.Module]
    calls: Mapping[str, int]
    through_depthwise: bool

    def module(self, node: fx.Node) -> nn.Module | None:
        """The module that a node calls, if it is called there alone or holds nothing."""
        found = self.modules.get(str(node.target)) if node.op == "call_module" else None
        if found is None or self.calls[str(node.target)] == 1:
            return found
        return None if any(True for _ in found.parameters()) else found

    def from_maker(self, node: fx.Node) -> Chain | None:
        maker = self.module(node)
        if isinstance(maker, LAYERS):
            single = depthwise(maker)
            if (single and self.through_depthwise) or not (single or getattr(maker, "groups", 1) == 1):
                return None
        elif not isinstance(maker, (*BATCH_NORMS, nn.LayerNorm)) or maker.weight is None:
            return None
        image = isinstance(maker, (nn.Conv1d, nn.Conv2d, nn.Conv3d, *BATCH_NORMS))
        between: list[str] = []
        scales, flat = True, False
        while True:
            users = list(node.users)
            taken = [self.module(user) for user in users]
            if users and all(self._takes(layer) for layer in taken):
                block = self._block(maker, taken, flat)
                paths = tuple(str(user.target) for user in users)
                return None if block is None else Chain(str(self._path(maker)), paths, tuple(between), scales, block)
            if len(users) != 1:
                return None
            (node,) = users
            kind = self._passes(node, image)
            if kind is None:
                return None
            scales &= kind in ("scales", "flattens")
            flat |= kind == "flattens"
            if kind == "holds":
                between.append(str(node.target))

    def _path(self, maker: nn.Module | None) -> str:
        return next(path for path, found in self.modules.items() if found is maker)

    def _takes(self, layer: nn.Module | None) -> bool:
        if not isinstance(layer, LAYERS):
            return False
        if depthwise(layer):
            return not self.through_depthwise
        return getattr(layer, "groups", 1) == 1

    def _block(self, maker: nn.Module | None, users: list[nn.Module | None], flat: bool) -> int | None:
        made = _channels_made(maker)
        sizes = {int(u.in_features if isinstance(u, nn.Linear) else u.in_channels) for u in users}  # type: ignore[union-attr, arg-type]
        if len(sizes) != 1 or made is None:
            return None
        (size,) = sizes
        block, rest = divmod(size, made)
        return block if rest == 0 and (flat or block == 1) else None

    def _passes(self, node: fx.Node, image: bool) -> str | None:
        """How an operation treats channels: "scales", "alike", "holds", "flattens", or None."""
        module = self.module(node)
        if node.op == "call_module":
            if isinstance(module, nn.Flatten):
                return "flattens" if image and module.start_dim == 1 else None
            if isinstance(module, BATCH_NORMS) or (self.through_depthwise and depthwise(module or nn.Identity())):
                return "holds"
            kinds = {"scales": _SCALING, "alike": _ALIKE}
            return next((kind for kind, types in kinds.items() if isinstance(module, types)), None)
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        if name == "flatten":
            return "flattens" if image and _argument(node, 1, "start_dim") == 1 else None
        if name == "mean":
            return "scales" if image and _spatial(_argument(node, 1, "dim")) else None
        if name in _SCALING_CALLS:
            return "scales"
        return "alike" if name in _ALIKE_CALLS else None


def _argument(node: fx.Node, place: int, name: str) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name)


def _spatial(axes: Any) -> bool:
    """Whether all of these axes lie behind the channels of an image."""
    listed = axes if isinstance(axes, (tuple, list)) else (axes,)
    return all(isinstance(axis, int) and (axis >= 2 or axis in (-1, -2)) for axis in listed)


def _channels_made(maker: nn.Module | None) -> int | None:
    if isinstance(maker, nn.Linear):
        return maker.out_features
    if isinstance(maker, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return maker.out_channels
    if isinstance(maker, BATCH_NORMS):
        return maker.num_features
    return int(maker.normalized_shape[-1]) if isinstance(maker, nn.LayerNorm) else None


def taken_weights(layer: nn.Module, block: int) -> torch.Tensor:
    """A layer's weights by the channel that they take in, a view [channels, ...] of its parameter."""
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]
    if depthwise(layer):
        return weight
    if isinstance(layer, nn.Linear) and block > 1:
        return weight.view(weight.shape[0], -1, block).transpose(0, 1)
    return weight.transpose(0, 1)
