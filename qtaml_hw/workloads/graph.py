"""Networks put together from the graph of a model file: what all importers share.

The result is a ``torch.fx.GraphModule``: layers with weights are modules with parameters, all else are calls of torch
functions that the importer chose from its table.  Nothing of a file is executed.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import torch
from torch import fx, nn
from torch.nn import functional

ACTIVATIONS: Final[dict[str, Callable[..., torch.Tensor]]] = {
    "RELU": torch.relu,
    "RELU6": functional.relu6,
    "RELU_N1_TO_1": lambda x: torch.clamp(x, -1.0, 1.0),
    "TANH": torch.tanh,
}


class UnknownOpsError(ValueError):
    """A graph uses operators that are not in the importer's table; the message lists all of them."""

    def __init__(self, found: Iterable[str], known: Iterable[str]) -> None:
        super().__init__(
            f"operators that are not read: {', '.join(sorted(set(found)))} (read are: {', '.join(sorted(known))})"
        )


class Builder:
    """Nodes of a growing graph by the names that the file gives its values."""

    def __init__(self) -> None:
        self.root, self.graph = nn.Module(), fx.Graph()
        self.values: dict[Any, fx.Node] = {}

    def input(self, name: Any) -> fx.Node:
        """The graph's one input."""
        self.values[name] = self.graph.placeholder("x")
        return self.values[name]

    def layer(self, name: str, module: nn.Module, *inputs: fx.Node) -> tuple[fx.Node, str]:
        """A module under a name made from the file's; the node of its output, and the name it got."""
        path = self._free(name)
        self.root.add_module(path, module)
        return self.graph.call_module(path, inputs), path

    def constant(self, name: str, value: torch.Tensor) -> fx.Node:
        """A value that is part of the network and of no layer."""
        path = self._free(name)
        self.root.register_buffer(path, value)
        return self.graph.get_attr(path)

    def call(self, function: Callable[..., Any], /, *inputs: Any, **named: Any) -> fx.Node:
        """A function of torch."""
        return self.graph.call_function(function, inputs, named)

    def item(self, node: fx.Node, number: int) -> fx.Node:
        """One of several results."""
        return self.graph.call_function(operator.getitem, (node, number))

    def finish(self, output: fx.Node) -> nn.Module:
        """The network, in eval mode, without what leads to no output."""
        self.graph.output(output)
        module = fx.GraphModule(self.root, self.graph)
        module.graph.eliminate_dead_code()
        module.graph.lint()
        module.recompile()
        return module.eval()

    def _free(self, name: str) -> str:
        clean = re.sub(r"\W+", "_", name).strip("_") or "layer"
        clean = f"_{clean}" if clean[0].isdigit() else clean
        taken = {path for path, _ in self.root.named_children()} | {path for path, _ in self.root.named_buffers()}
        number, path = 1, clean
        while path in taken or hasattr(self.root, path):
            number, path = number + 1, f"{clean}_{number + 1}"
        return path


class StoredConv(nn.Module):
    """A convolution whose weight lies as TensorFlow Lite stores it: [out, height, width, in], for NCHW inputs.

    padding: rows above, below, columns left, right.
    """

    parameter_kinds: Final = {"weight": "weight", "bias": "bias"}

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        stride: tuple[int, int],
        dilation: tuple[int, int],
        padding: tuple[int, int, int, int],
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.stride, self.dilation, self.groups = stride, dilation, groups
        top, bottom, left, right = padding
        self.padding = (left, right, top, bottom)

    def kernel(self) -> torch.Tensor:
        """The weight as torch's convolution takes it: [out, in, height, width]."""
        return self.weight.permute(0, 3, 1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] to [N, out, H', W']."""
        x = functional.pad(x, self.padding) if any(self.padding) else x
        return functional.conv2d(x, self.kernel(), self.bias, self.stride, 0, self.dilation, self.groups)


class StoredDepthwise(StoredConv):
    """A depthwise convolution whose weight lies as TensorFlow Lite stores it: [height x width, channels]."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, side: tuple[int, int], **how: Any) -> None:
        super().__init__(weight, bias, **how)
        self.side = side

    def kernel(self) -> torch.Tensor:
        """The weight as torch's convolution takes it: [channels, 1, height, width]."""
        return self.weight.reshape(*self.side, -1).permute(2, 0, 1).unsqueeze(1)
