"""A network as the operators that it runs, in their order, so that a pass can begin in the middle.

What torch.fx traces: the same operators on the same numbers.  A network that it cannot trace, or whose traced answers
are not its own to the bit, has no steps and is run whole.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import fx, nn
from torch.nn import functional

from qtaml_hw.accelerator import layout
from qtaml_hw.accelerator.fused import Folded, fuse
from qtaml_hw.accelerator.layout import laid

Graph = Literal["fused", "laid", "traced"]
GRAPHS: Final[tuple[Graph, ...]] = ("fused", "laid", "traced")
"""Operators of a network, the fastest first: the same answers nearly, to the bit, to the bit."""

_LARGEST_WINDOW: Final = 4  # of a maximum that is taken slice by slice


@dataclass(frozen=True)
class Cut:
    """A place between two operators where one tensor is all that the rest of the pass reads of what came before.

    after: number of the operator that was run last; value: of the one that gave the tensor; names: of the parameters
    that are read first since the cut before.
    """

    after: int
    value: int
    names: tuple[str, ...]


class Steps(nn.Module):
    """The operators of a network of one input, and its cuts; the last of them is behind its answer.

    ``sample`` [N, ...]: inputs that tell which operators give a tensor, and not several, or a number.  ``graph``: the
    operators as they are traced, or with tensors channels last where no bit changes, or fused (see ``fused``).
    Raises whatever torch.fx or the network's forward raises where it cannot be traced; ValueError for more inputs, and
    where there is nothing to fuse.
    """

    def __init__(self, network: nn.Module, sample: torch.Tensor, graph: Graph = "traced") -> None:
        super().__init__()
        self.network, self.graph = network, graph
        traced = fx.Tracer().trace(network)
        if graph == "fused":
            fuse(traced, network)
        self.nodes = tuple(traced.nodes)
        if sum(node.op == "placeholder" for node in self.nodes) != 1:
            raise ValueError("a network of several inputs")
        number = {node: i for i, node in enumerate(self.nodes)}
        self.last_read = [max((number[user] for user in node.users), default=i) for i, node in enumerate(self.nodes)]
        self.dead = [[self.nodes[i] for i, last in enumerate(self.last_read) if last == j] for j in range(len(number))]
        self.run = [_written_over(node, network) or _operator(node, network) for node in self.nodes]
        with torch.inference_mode():
            shapes = [_shape(known.get(node)) for node, known in self._known(sample.clone(), None, self._ready(None))]
        self.cuts = self._cuts([shape is not None for shape in shapes])
        if graph != "traced":
            self.run = [self._laid(i, shapes, number) for i in range(len(self.nodes))]

    def forward(
        self, values: Iterable[torch.Tensor], begin: Cut | None = None, keep: Cut | None = None
    ) -> tuple[list[Any], list[torch.Tensor]]:
        """Answers to inputs, or of passes that begin with the tensors of a cut; and copies of those of ``keep``.

        Operators may write over the tensors of a cut.
        """
        answers, kept, runs = [], [], self._ready(begin)
        for value in values:
            for i, (node, known) in enumerate(self._known(value, begin, runs), _first(begin)):
                if node.op == "output":
                    answers.append(known[node])
                if keep is not None and i == keep.after:
                    kept.append(known[self.nodes[keep.value]].clone())
        return answers, kept

    def _laid(self, i: int, shapes: Sequence[torch.Size | None], number: Mapping[fx.Node, int]) -> Any:
        """An operator with its arguments laid out."""
        node, read = self.nodes[i], self.nodes[i].all_input_nodes
        shape = shapes[number[read[0]]] if read else None
        return laid(node, self.run[i], self.network, lambda c: self.graph == "fused" or layout.same_last(c, shape))

    def _ready(self, begin: Cut | None) -> list[Any]:
        """The operators from a cut on, folded with the weights that the network has now."""
        return [run.ready() if isinstance(run, Folded) else run for run in self.run[_first(begin) :]]

    def _known(
        self, value: torch.Tensor, begin: Cut | None, runs: Sequence[Any]
    ) -> Iterator[tuple[fx.Node, dict[fx.Node, Any]]]:
        """The operators in their order, each when it was run, and what is known then and read later."""
        first = _first(begin)
        known: dict[fx.Node, Any] = {} if begin is None else {self.nodes[begin.value]: value}
        for node, run, dead in zip(self.nodes[first:], runs, self.dead[first:], strict=True):
            args, named = fx.node.map_arg((node.args, node.kwargs), known.__getitem__)
            if node.op == "output":
                known[node] = args[0]
            else:
                known[node] = value if run is None else run(*args, **named)
            yield node, known
            for gone in dead:
                known.pop(gone, None)

    def _cuts(self, tensors: Sequence[bool]) -> tuple[Cut, ...]:
        """The last place of a single tensor before every operator that reads parameters for the first time.

        ``tensors`` : whether an operator gives one.  A parameter counts by every name that it has.
        """
        names: dict[int, list[str]] = {}
        for name, p in self.network.named_parameters(remove_duplicate=False):
            names.setdefault(id(p), []).append(name)
        found: list[Cut] = []
        read: list[str] = []
        closed, place = 0, None
        for i, node in enumerate(self.nodes):
            new = [name for key in _parameters(node, self.network) for name in names[key] if name not in read]
            if new and place is not None:
                found.append(Cut(*place, tuple(read[closed:])))
                closed, place = len(read), None
            read += dict.fromkeys(new)
            alive = [j for j in range(i + 1) if self.last_read[j] > i]
            if len(alive) == 1 and tensors[alive[0]] and len(read) > closed:
                place = (i, alive[0])
        rest = [name for every in names.values() for name in every if name not in read]  # seen in no operator
        return (*found, Cut(len(self.nodes) - 1, len(self.nodes) - 1, (*read[closed:], *rest)))


def _first(begin: Cut | None) -> int:
    """Number of the operator that is run first."""
    return 0 if begin is None else begin.after + 1


def _shape(value: Any) -> torch.Size | None:
    """Of a tensor."""
    return value.shape if isinstance(value, torch.Tensor) else None


def _parameters(node: fx.Node, network: nn.Module) -> list[int]:
    """Identities of the parameters that an operator reads."""
    if node.op == "call_module":
        return [id(p) for p in network.get_submodule(str(node.target)).parameters()]
    if node.op == "get_attr":
        held = _attribute(network, str(node.target))
        return [id(held)] if isinstance(held, nn.Parameter) else []
    return [id(p) for p in node.target.parameters] if isinstance(node.target, Folded) else []


def _attribute(network: nn.Module, path: str) -> Any:
    above, _, name = path.rpartition(".")
    return getattr(network.get_submodule(above), name)


def _operator(node: fx.Node, network: nn.Module) -> Callable[..., Any] | None:
    """What a node calls with its arguments; None for the input and the output."""
    target: Any = node.target
    if node.op == "call_module":
        layer = network.get_submodule(target)
        return _max_pool(layer) if type(layer) is nn.MaxPool2d else layer
    if node.op == "call_function":
        return max_pool2d if target in (functional.max_pool2d, torch.max_pool2d) else target
    if node.op == "call_method":
        return lambda x, *args, **named: getattr(x, target)(*args, **named)
    return (lambda: _attribute(network, target)) if node.op == "get_attr" else None


_OWN_RESULT: Final = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.Linear)
"""Layers whose result is a tensor of its own, no view of another."""
_ADDS: Final = (operator.add, torch.add)
_RELUS: Final = (functional.relu, torch.relu)


def _spare(given: Any, network: nn.Module) -> bool:
    """Whether an argument is a tensor of its own that nothing else reads, so that a result may be written over it."""
    if not isinstance(given, fx.Node) or len(given.users) != 1:
        return False
    if given.op == "call_module":
        return isinstance(network.get_submodule(str(given.target)), _OWN_RESULT)
    return given.op == "call_function" and (given.target in _ADDS or isinstance(given.target, Folded))


def _written_over(node: fx.Node, network: nn.Module) -> Callable[..., Any] | None:
    """A rectifier or a sum whose result takes the place of an argument; the numbers are the same."""
    if node.kwargs not in ({}, {"inplace": False}):
        return None
    rectifies = node.op == "call_function" and node.target in _RELUS
    if node.op == "call_module":
        rectifies = type(network.get_submodule(str(node.target))) is nn.ReLU
    if rectifies and len(node.args) == 1 and _spare(node.args[0], network):
        return lambda x, **_: torch.relu_(x)
    if node.op == "call_function" and node.target in _ADDS and len(node.args) == 2 and _spare(node.args[0], network):
        return lambda x, y: x.add_(y) if _alike(x, y) else x + y
    return None


def _alike(x: torch.Tensor, y: Any) -> bool:
    return isinstance(y, torch.Tensor) and x.shape == y.shape and x.dtype == y.dtype


def _max_pool(layer: nn.MaxPool2d) -> Callable[[torch.Tensor], Any]:
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    return lambda x: max_pool2d(x, **{name: getattr(layer, name) for name in names})


def max_pool2d(input: torch.Tensor, kernel_size: Any, stride: Any = None, **named: Any) -> Any:
    """torch's own, the same numbers: for small windows without edges the maxima of slices.

    On a processor torch goes through feature maps value by value; slices are several times as fast.
    """
    kernel, step = _pair(kernel_size), _pair(stride or kernel_size)
    if input.ndim != 4 or any(_pair(v) != _PLAIN[k] for k, v in named.items()) or max(kernel) > _LARGEST_WINDOW:
        return functional.max_pool2d(input, kernel_size, stride, **named)
    for axis in (2, 3):
        size = (input.shape[axis] - kernel[axis - 2]) // step[axis - 2] + 1
        if size < 1:
            return functional.max_pool2d(input, kernel_size, stride)  # which says what is wrong
        ends = step[axis - 2] * (size - 1) + 1
        index: list[slice] = [slice(None)] * 4
        parts = []
        for offset in range(kernel[axis - 2]):
            index[axis] = slice(offset, offset + ends, step[axis - 2])
            parts.append(input[tuple(index)])
        for part in parts[1:]:
            parts[0] = torch.maximum(parts[0], part)
        input = parts[0]
    return input


_PLAIN: Final[Mapping[str, tuple[Any, Any]]] = {
    "padding": (0, 0), "dilation": (1, 1), "ceil_mode": (False, False), "return_indices": (False, False),
}  # fmt: skip


def _pair(value: Any) -> tuple[Any, Any]:
    return (value, value) if not isinstance(value, tuple | list) else (value[0], value[-1])
