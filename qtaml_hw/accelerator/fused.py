"""A network with fewer operators on a processor: batch norms folded into the convolutions before them.

Answers change in their last digits: by less than ``TOLERANCE`` of the largest, which is looked at before a network is
run so.  A weight that a flip has made huge, infinite or no number may overflow in one order of operations and not in
the other; a fault map with one is run as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import fx, nn

TOLERANCE: Final = 1e-4
_LARGEST: Final = 2.0**40  # of a weight: products with what networks hold beside it are far from 2**128


@dataclass(frozen=True, eq=False)
class Folded:
    """A convolution and a batch norm that alone reads it."""

    conv: nn.Conv2d
    norm: nn.BatchNorm2d

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Of both."""
        return [*self.conv.parameters(), *self.norm.parameters()]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Of inputs [N, C, H, W]."""
        return self.ready()(x)

    def ready(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Both at once, with the weights that they have now."""
        mean, var = self.norm.running_mean, self.norm.running_var
        assert mean is not None
        assert var is not None
        scale = torch.rsqrt(var + self.norm.eps)
        scale = scale if self.norm.weight is None else self.norm.weight * scale
        bias = (-mean if self.conv.bias is None else self.conv.bias - mean) * scale
        bias = bias if self.norm.bias is None else bias + self.norm.bias
        weight = self.conv.weight * scale[:, None, None, None]
        return lambda x: self.conv._conv_forward(x.contiguous(memory_format=torch.channels_last), weight, bias)


def fuse(graph: fx.Graph, network: nn.Module) -> None:
    """Fold every batch norm of a traced network that is the only reader of a convolution.

    Raises ValueError where there is no convolution at all, so that nothing would be gained.
    """
    layers = {node: network.get_submodule(str(node.target)) for node in graph.nodes if node.op == "call_module"}
    if not any(type(layer) is nn.Conv2d for layer in layers.values()):
        raise ValueError("no convolution of images")
    for node, norm in layers.items():
        source: Any = node.args[0] if node.args else None
        conv = layers.get(source)
        if type(conv) is nn.Conv2d and len(source.users) == 1 and _constant(norm):
            with graph.inserting_before(node):
                both = Folded(conv, norm)  # type: ignore[arg-type]
                new = graph.create_node("call_function", both, source.args, source.kwargs, name=f"{node.name}_folded")
            node.replace_all_uses_with(new)
            graph.erase_node(node)
            graph.erase_node(source)


def _constant(norm: nn.Module) -> bool:
    """Whether a layer is a batch norm that looks at no batch."""
    return type(norm) is nn.BatchNorm2d and not norm.training and norm.running_mean is not None


def near(found: torch.Tensor, own: torch.Tensor) -> bool:
    """Whether answers [N, ...] are finite and differ by no more than ``TOLERANCE`` of the largest."""
    if found.shape != own.shape or not own.numel() or not bool(own.isfinite().all()):
        return False
    return float((found - own).abs().max()) <= TOLERANCE * float(own.abs().max())


def ordinary(weights: Iterable[torch.Tensor]) -> bool:
    """Whether every weight is a number that may be multiplied in any order."""
    return all(float(one.abs().max()) <= _LARGEST for one in weights if one.numel())
