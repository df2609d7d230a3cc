"""Networks put together from the graph of a model file: what all importers share.

Layers with weights are modules with parameters, all else are calls of torch functions that the importer chose from its
table.  The graph is walked node by node: no source text is made from it, so no name in a file can become code.
"""

from __future__ import annotations

import keyword
import math
import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import fx, nn
from torch.nn import functional

from qtaml_hw.workloads.data import InputPart

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


def chosen_output(names: list[str], wanted: str | None) -> str:
    """The output that is judged.  Raises ValueError where there are several and none is named, or one that is not."""
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted not in names:
        said = "" if wanted is None else f", and {wanted[:60]!r} is none of them"
        raise ValueError(f"it has {len(names)} outputs ({', '.join(names)}){said}: name one (network.output)")
    return wanted


class GraphNetwork(nn.Module):
    """A network of one input that walks its graph; its layers and constants are its own sub-modules and buffers.

    Under ``torch.fx`` every function of the graph stays one node, so that batch norms can be folded.
    """

    def __init__(self) -> None:
        super().__init__()
        self.graph = fx.Graph()

    def forward(self, x: torch.Tensor) -> Any:
        """What the graph makes of a batch; a value is let go after its last use."""
        values: dict[fx.Node, Any] = {}
        uses = {node: len(node.users) for node in self.graph.nodes}
        for node in self.graph.nodes:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
            values[node] = x if node.op == "placeholder" else self._result(node, args, kwargs, x)
            for source in node.all_input_nodes:
                uses[source] -= 1
                if not uses[source]:
                    del values[source]
        return values[node]

    def _result(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any], x: Any) -> Any:
        if node.op == "output":
            return args[0]
        if node.op == "get_attr":
            return getattr(self, str(node.target))
        if node.op == "call_module":
            return getattr(self, str(node.target))(*args)
        assert callable(node.target)  # put there by ``Builder.call``
        if isinstance(x, fx.Proxy):
            return x.tracer.create_proxy("call_function", node.target, args, kwargs)
        return node.target(*args, **kwargs)


class Builder:
    """Nodes of a growing graph by the names that the file gives its values."""

    def __init__(self) -> None:
        self.root = GraphNetwork()
        self.values: dict[Any, fx.Node] = {}
        self.parameters: dict[Any, nn.Parameter] = {}

    def input(self, name: Any) -> fx.Node:
        """The graph's one input."""
        self.values[name] = self.root.graph.placeholder("x")
        return self.values[name]

    def inputs(self, keys: Sequence[Any], parts: Sequence[InputPart], kinds: Sequence[torch.dtype]) -> fx.Node:
        """The samples, and under its key the part of them that each input is, in its type, where there are several."""
        samples, first = self.input(keys[0]), 0
        for key, part, kind in zip(keys, parts, kinds, strict=True) if len(parts) > 1 else ():
            self.values[key] = self.call(_part, samples, first, part.shape, kind)
            first += part.values
        return samples

    def layer(self, name: str, module: nn.Module, *inputs: fx.Node) -> tuple[fx.Node, str]:
        """A module under a name made from the file's; the node of its output, and the name it got."""
        path = self._free(name)
        self.root.add_module(path, module)
        return self.root.graph.call_module(path, inputs), path

    def parameter(self, key: Any, value: Callable[[], torch.Tensor]) -> nn.Parameter:
        """The parameter made of one tensor of the file in one layout, the same at every use: it is stored once.

        key: the tensor and the layout; value: makes it at the first use.
        """
        if key not in self.parameters:
            self.parameters[key] = nn.Parameter(value(), requires_grad=False)
        return self.parameters[key]

    def constant(self, name: str, value: torch.Tensor) -> fx.Node:
        """A value that is part of the network and of no layer."""
        path = self._free(name)
        self.root.register_buffer(path, value)
        return self.root.graph.get_attr(path)

    def call(self, function: Callable[..., Any], /, *inputs: Any, **named: Any) -> fx.Node:
        """A function of torch.  Raises ValueError for names of arguments that are none."""
        odd = [name for name in named if not name.isidentifier() or keyword.iskeyword(name)]
        if odd:
            raise ValueError(f"{odd[0][:60]!r} is no name of an argument")
        return self.root.graph.call_function(function, inputs, named)

    def item(self, node: fx.Node, number: int) -> fx.Node:
        """One of several results."""
        return self.root.graph.call_function(operator.getitem, (node, number))

    def finish(self, output: fx.Node) -> nn.Module:
        """The network, in eval mode, without what leads to no output."""
        graph = self.root.graph
        graph.output(output)
        for node in reversed(graph.nodes):
            if not node.users and node.op not in ("placeholder", "output"):
                graph.erase_node(node)
        used = {str(node.target) for node in graph.nodes}
        for path, _ in [*self.root.named_children(), *self.root.named_buffers(recurse=False)]:
            if path not in used:
                delattr(self.root, path)
        return self.root.eval()

    def _free(self, name: str) -> str:
        clean = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "layer"
        clean = f"_{clean}" if clean[0].isdigit() or keyword.iskeyword(clean) else clean
        number, path = 1, clean
        while hasattr(self.root, path):
            number, path = number + 1, f"{clean}_{number + 1}"
        return path


def _part(x: torch.Tensor, first: int, shape: tuple[int, ...], kind: torch.dtype) -> torch.Tensor:
    """One input out of the samples that hold all of them."""
    return x[:, first : first + math.prod(shape)].reshape(-1, *shape).to(kind)


def sample_shape(parts: Sequence[InputPart]) -> tuple[int, ...]:
    """Of a sample: of the one input, or of all of them one after the other."""
    return parts[0].shape if len(parts) == 1 else (sum(part.values for part in parts),)


def check_named(there: Collection[str], shapes: Mapping[str, Any]) -> None:
    """Raises ValueError for inputs of a file that get no data, and data for inputs that are not there."""
    odd = sorted(set(there) ^ shapes.keys())
    if odd:
        told = ", ".join(there) or "none"
        raise ValueError(f"its inputs are {told}; {', '.join(odd)} is not named on both sides (data.npz.inputs)")


def mirrored(x: torch.Tensor, pads: list[int]) -> torch.Tensor:
    """Rows before every axis, then after every axis, that mirror what is inside; the edge itself is not repeated."""
    for axis, (before, after) in enumerate(zip(pads[: x.ndim], pads[x.ndim :], strict=True)):
        if before or after:
            last = x.shape[axis] - 1
            places = torch.arange(-before, last + 1 + after, device=x.device).abs()
            x = torch.index_select(x, axis, last - (last - places).abs())
    return x


class TurnedLinear(nn.Module):
    """A linear layer whose weight lies as [in, out]: it is also another layer's weight, which lies so."""

    parameter_kinds: Final = {"weight": "weight", "bias": "bias"}

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] to [..., out]."""
        return functional.linear(x, self.weight.T, self.bias)


class StoredConv(nn.Module):
    """A convolution whose weight lies as TensorFlow Lite stores it: [out, height, width, in], for NCHW inputs.

    padding: rows above, below, columns left, right.
    """

    parameter_kinds: Final = {"weight": "weight", "bias": "bias"}

    def __init__(
        self,
        weight: nn.Parameter,
        bias: nn.Parameter | None,
        *,
        stride: tuple[int, int],
        dilation: tuple[int, int],
        padding: tuple[int, int, int, int],
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias
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

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None, side: tuple[int, int], **how: Any) -> None:
        super().__init__(weight, bias, **how)
        self.side = side

    def kernel(self) -> torch.Tensor:
        """The weight as torch's convolution takes it: [channels, 1, height, width]."""
        return self.weight.reshape(*self.side, -1).permute(2, 0, 1).unsqueeze(1)
