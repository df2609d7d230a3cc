"""An ONNX graph walked operator by operator: its constants, its one input, and what every operator is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import torch
from torch import fx, nn

from qtaml_hw.workloads.graph import Builder

INT64_TYPES: Final = (6, 7)  # int32, int64 of TensorProto: token numbers
Build = Callable[["Importer", "Operator"], Any]
"""Makes what an operator computes: a node, a constant when all its inputs are, or a list of them."""


class Importer:
    """Values by name: constants of the file as tensors, computed ones as nodes."""

    def __init__(self, graph: Any, table: Mapping[str, Build]) -> None:
        from onnx import numpy_helper

        self.graph, self.table, self.builder = graph, table, Builder()
        if any(entry.external_data for entry in graph.initializer):
            raise ValueError("its weights lie in other files; save it with its data inside")
        self.constants: dict[str, torch.Tensor] = {
            entry.name: torch.from_numpy(np.array(numpy_helper.to_array(entry))) for entry in graph.initializer
        }
        inputs = [entry for entry in graph.input if entry.name not in self.constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise ValueError(f"it has {len(inputs)} inputs and {len(graph.output)} outputs, one each is read")
        told = inputs[0].type.tensor_type
        sides = [side.dim_value for side in told.shape.dim]
        if len(sides) < 2 or any(side < 1 for side in sides[1:]):
            raise ValueError(f"its input has the shape {sides}: all sides but the batch must be stated")
        self.input_name, self.input_shape = inputs[0].name, tuple(int(side) for side in sides[1:])
        self.input_type = torch.int64 if told.elem_type in INT64_TYPES else torch.float32

    def network(self) -> nn.Module:
        self.builder.input(self.input_name)
        for node in self.graph.node:
            found = self.table[node.op_type](self, Operator(self, node))
            outputs = found if isinstance(found, list) else [found]
            for name, value in zip(node.output, outputs, strict=False):
                if isinstance(value, torch.Tensor):
                    self.constants[name] = value
                else:
                    self.builder.values[name] = value
        return self.builder.finish(self.value(self.graph.output[0].name))

    def value(self, name: str) -> fx.Node:
        """A value as a node; constants become buffers when they are first used so."""
        if name not in self.builder.values:
            self.builder.values[name] = self.builder.constant(name, self.constants[name])
        return self.builder.values[name]


class Operator:
    """One operator: attributes by name, inputs as nodes or constants."""

    def __init__(self, at: Importer, node: Any) -> None:
        from onnx import helper

        self.at, self.op, self.inputs, self.outputs = at, node.op_type, list(node.input), list(node.output)
        self.name = node.name or node.output[0]
        self.attributes: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def get(self, name: str, default: Any) -> Any:
        found = self.attributes.get(name, default)
        return found.decode() if isinstance(found, bytes) else found

    def has(self, number: int) -> bool:
        return number < len(self.inputs) and self.inputs[number] != ""

    def node(self, number: int) -> fx.Node:
        return self.at.value(self.inputs[number])

    def constant(self, number: int) -> torch.Tensor | None:
        return self.at.constants.get(self.inputs[number]) if self.has(number) else None

    def fixed(self, number: int) -> torch.Tensor:
        """An input that must be a constant of the file."""
        found = self.constant(number)
        if found is None:
            raise ValueError(f"{self.op} {self.name!r} needs input {number} as a constant")
        return found

    def ints(self, name: str, number: int) -> list[int] | None:
        """Axes, sides and the like: an attribute in old opsets, a constant input in new ones."""
        if name in self.attributes:
            return [int(v) for v in np.atleast_1d(self.attributes[name])]
        return [int(v) for v in self.fixed(number).reshape(-1)] if self.has(number) else None

    def call(self, function: Callable[..., Any], *inputs: Any, **named: Any) -> fx.Node:
        return self.at.builder.call(function, *inputs, **named)

    def layer(self, module: nn.Module, weight: str, x: fx.Node) -> fx.Node:
        """A layer named after its weight, as torch's exporter names weights: ``fc1.weight`` -> ``fc1``."""
        name = weight.removesuffix(".weight").removesuffix("_weight") or self.name
        return self.at.builder.layer(name, module, x)[0]
