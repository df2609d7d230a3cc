"""An ONNX graph walked operator by operator: its constants, its inputs, and what every operator is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import fx, nn

from qtaml_hw.weights.image import StoredTensor
from qtaml_hw.workloads.data import InputPart
from qtaml_hw.workloads.graph import Builder, UnknownOpsError, check_named, chosen_output
from qtaml_hw.workloads.load import Shapes
from qtaml_hw.workloads.onnx.codes import Coded, Word

FLOATS: Final = {1: "FLOAT", 10: "FLOAT16", 11: "DOUBLE", 16: "BFLOAT16"}
"""Types of TensorProto that run as float32."""
WHOLE: Final = {6: "INT32", 7: "INT64"}
"""Types that run as int64."""
BOOL: Final = 9
WORDS: Final = {2: Word(8, False), 3: Word(8, True), 21: Word(4, False), 22: Word(4, True)}
"""Types that hold codes: UINT8, INT8, UINT4, INT4."""
EXTERNAL: Final = 1  # DataLocation of TensorProto
ANY: Final = 1 << 12  # inputs, or results, of one operator
MOST_EDGES: Final = 200_000  # inputs of all operators; a transformer of 48 layers has some thousands
SHOWN: Final = 6  # complaints in one message

Build = Callable[["Importer", "Operator"], Any]
"""Makes what an operator computes: a node, a constant when all its inputs are, or a list of them."""


@dataclass(frozen=True)
class Row:
    """What is read of an operator; a file that has anything else of it is refused.

    versions: opsets at which the definitions begin that ``build`` follows (onnx.ai/onnx/operators); attributes: names
    that are read, or have no effect on inference; inputs: how many are read; fixed: those that must be constants.
    """

    build: Build
    versions: tuple[int, ...]
    attributes: tuple[str, ...] = ()
    inputs: int = 1
    fixed: tuple[int, ...] = ()


Table = Mapping[str, Row]


def tensor(entry: Any) -> torch.Tensor:
    """A TensorProto as float32, int64, bool, or the bytes of codes.

    Raises ValueError for other types and other files' data.
    """
    from onnx import TensorProto, numpy_helper

    if entry.data_location == EXTERNAL or entry.external_data:
        raise ValueError(f"the data of {entry.name!r} lie in another file; save it with its data inside")
    if entry.data_type not in (*FLOATS, *WHOLE, *WORDS, BOOL):
        kind = TensorProto.DataType.Name(entry.data_type)
        raise ValueError(f"the constant {entry.name!r} is of type {kind}, which is not read")
    kind = "?" if entry.data_type == BOOL else "<i8" if entry.data_type in WHOLE else "<f4"
    if entry.data_type in WORDS:
        kind = "i1" if WORDS[entry.data_type].signed else "u1"
    return torch.from_numpy(np.array(numpy_helper.to_array(entry).astype(kind)))


class Importer:
    """Values by name: constants of the file as tensors, computed ones as nodes."""

    def __init__(self, model: Any, table: Table, output: str | None = None, shapes: Shapes | None = None) -> None:
        """output: the one that is judged, of several; shapes: of a sample of an input, where the file leaves sides
        open."""
        self.graph, self.table, self.builder = model.graph, table, Builder()
        if model.functions or self.graph.sparse_initializer:
            raise ValueError("it has functions or sparse constants of its own, which are not read")
        self.opset = opset_of(model)
        self.output = chosen_output([entry.name for entry in self.graph.output], output)
        nodes, used = leading_to(self.graph, self.output)
        self.nodes = nodes
        self.constants = {entry.name: tensor(entry) for entry in self.graph.initializer if entry.name in used}
        self.words = {e.name: WORDS[e.data_type] for e in self.graph.initializer if e.data_type in WORDS}
        self.coded: dict[int, Coded] = {}
        self.views: dict[Any, torch.Tensor] = {}
        inputs = [entry for entry in self.graph.input if entry.name not in self.constants]
        self.parts = input_parts(inputs, shapes)
        self.batch = int(inputs[0].type.tensor_type.shape.dim[0].dim_value)
        kinds = {entry.name: entry.type.tensor_type.elem_type for entry in inputs}
        whole = [kinds[part.name] in WHOLE for part in self.parts]
        self.input_type = torch.int64 if all(whole) else torch.float32
        self.types = [torch.int64 if one else torch.float32 for one in whole]

    def network(self) -> nn.Module:
        """The graph as a module.  Raises ValueError with all that is not read of it."""
        unknown = [n.op_type for n in self.nodes if n.op_type not in self.table or n.domain not in ("", "ai.onnx")]
        if unknown:
            raise UnknownOpsError(unknown, self.table)
        operators = [Operator(self, node) for node in self.nodes]
        if sum(len(n.inputs) for n in operators) > MOST_EDGES:
            raise ValueError(f"its operators have more than {MOST_EDGES} inputs in all")
        self.samples = self.builder.inputs([part.name for part in self.parts], self.parts, self.types)
        complaints: list[str] = []
        for n in operators:
            found = n.complaints()
            complaints += found
            if not complaints:
                self._take(n)
        if complaints:
            more = f"; and {len(complaints) - SHOWN} more" if len(complaints) > SHOWN else ""
            raise ValueError(f"not read: {'; '.join(complaints[:SHOWN])}{more}")
        return self.builder.finish(self.value(self.output))

    def codes(self, module: nn.Module) -> dict[str, StoredTensor]:
        """The weights of a network that the file stores as codes, by parameter."""
        keys = {id(p): key for key, p in self.builder.parameters.items()}
        found = {}
        for name, parameter in module.named_parameters():
            view = self.views.get(keys.get(id(parameter)))
            coded = None if view is None else self.coded.get(view.untyped_storage().data_ptr())
            stored = None if coded is None or view is None else coded.stored(name, view)
            if stored is not None:
                found[name] = stored
        return found

    def remember(self, real: torch.Tensor, codes: torch.Tensor, word: Word, *how: torch.Tensor) -> None:
        """A constant is what codes mean; how: scale and zero point, which broadcast against it."""
        self.coded[real.untyped_storage().data_ptr()] = Coded(real, codes.contiguous(), word, *how)

    def follow(self, op: str, result: torch.Tensor, inputs: list[torch.Tensor]) -> None:
        """Codes stay known where a constant is scaled, or its zero point taken off, operator by operator."""
        for value, other in (inputs, reversed(inputs)) if len(inputs) == 2 else ():
            coded = self.coded.get(value.untyped_storage().data_ptr())
            if coded is None or result.shape != value.shape or value.shape != coded.codes.shape:
                continue
            if op == "Mul":
                self.remember(result, coded.codes, coded.word, coded.scale * other, coded.zero)
            elif op == "Sub" and value is inputs[0] and bool((coded.scale == 1.0).all()):
                self.remember(result, coded.codes, coded.word, coded.scale, coded.zero + other)

    def number(self, value: torch.Tensor) -> fx.Node:
        """A constant that the importer computed."""
        return self.builder.constant("number", value)

    def _take(self, n: Operator) -> None:
        found = self.table[n.op].build(self, n)
        outputs = found if isinstance(found, list) else [found]
        for name, value in zip(n.outputs, outputs, strict=False):
            if isinstance(value, torch.Tensor):
                self.constants[name] = value
            else:
                self.builder.values[name] = value

    def value(self, name: str) -> fx.Node:
        """A value as a node; constants become buffers when they are first used so."""
        if name not in self.builder.values:
            if name not in self.constants:
                raise ValueError(f"nothing before it computes {name[:60]!r}, or it is a result that is not read")
            self.builder.values[name] = self.builder.constant(name, self.constants[name])
        return self.builder.values[name]

    def parameter(self, view: torch.Tensor) -> nn.Parameter:
        """The parameter of a constant as an operator looks at it; the same constant in the same layout is one."""
        self.views[_where(view)] = view
        return self.builder.parameter(_where(view), lambda: view.float().clone(memory_format=torch.contiguous_format))

    def stored(self, view: torch.Tensor) -> bool:
        """Whether a constant in this layout is a parameter already."""
        return _where(view) in self.builder.parameters


class Operator:
    """One operator: attributes by name, inputs as nodes or constants."""

    def __init__(self, at: Importer, node: Any) -> None:
        from onnx import defs, helper

        self.at, self.op, self.inputs, self.outputs = at, node.op_type, list(node.input), list(node.output)
        self.name = node.name or node.output[0]
        self.attributes: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        self.schema = defs.get_schema(self.op, at.opset, "")
        self.version = self.schema.since_version

    def complaints(self) -> list[str]:
        """What of this operator is not read, in words."""
        row = self.at.table[self.op]
        named = f"{self.op} {self.name[:60]!r}"
        if self.version not in row.versions:
            return [f"{named} as opset {self.version} defines it"]
        given = [number for number, name in enumerate(self.inputs) if name]
        most = min(row.inputs, self.schema.max_input)
        computed = [i for i in row.fixed if i in given and self.inputs[i] not in self.at.constants]
        return [
            *(
                f"attribute {name[:60]!r} of {named}"
                for name in self.attributes
                if name not in row.attributes or name not in self.schema.attributes
            ),
            *(f"input {number} of {named}" for number in given if number >= most),
            *(f"input {number} of {named}, which is computed" for number in computed),
            *([f"{named} with {len(given)} inputs"] if len(given) < self.schema.min_input else []),
            *([f"{named} with {len(self.outputs)} results"] if len(self.outputs) > ANY else []),
        ]

    def refuse(self, what: str) -> ValueError:
        """The error for something of this operator that is not read."""
        return ValueError(f"not read: {self.op} {self.name[:60]!r} {what}")

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
            raise self.refuse(f"without input {number}")
        return found

    def ints(self, name: str, number: int) -> list[int] | None:
        """Axes, sides and the like: an attribute in old opsets, a constant input in new ones."""
        if name in self.attributes:
            return [int(v) for v in np.atleast_1d(self.attributes[name])]
        return [int(v) for v in self.fixed(number).reshape(-1)] if self.has(number) else None

    def call(self, function: Callable[..., Any], *inputs: Any, **named: Any) -> fx.Node:
        return self.at.builder.call(function, *inputs, **named)

    def of(self, function: Callable[..., Any], *more: Any, **named: Any) -> fx.Node | torch.Tensor:
        """A function of input 0: of a constant the result is one too."""
        known = self.constant(0)
        return self.call(function, self.node(0), *more, **named) if known is None else function(known, *more, **named)

    def layer(self, module: nn.Module, weight: str, x: fx.Node) -> fx.Node:
        """A layer named after its weight, as torch's exporter names weights: ``fc1.weight`` -> ``fc1``."""
        name = weight.removesuffix(".weight").removesuffix("_weight") or self.name
        return self.at.builder.layer(name, module, x)[0]


def _where(view: torch.Tensor) -> tuple[Any, ...]:
    return view.untyped_storage().data_ptr(), view.storage_offset(), tuple(view.shape), view.stride()


def opset_of(model: Any) -> int:
    """The opset of the file's operators.  Raises ValueError where it does not say, or a newer one than is known."""
    from onnx import defs

    found = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not found:
        raise ValueError("it does not say which opset its operators are of")
    if not 1 <= found[0] <= defs.onnx_opset_version():
        raise ValueError(f"its opset {found[0]} is not known to the installed onnx ({defs.onnx_opset_version()})")
    return int(found[0])


def leading_to(graph: Any, output: str) -> tuple[list[Any], set[str]]:
    """The operators that an output needs, in order, and the names of all that they read."""
    used, nodes = {output}, []
    for node in reversed(graph.node):
        if used.intersection(node.output):
            nodes.append(node)
            used.update(node.input)
    return nodes[::-1], used


def input_parts(inputs: list[Any], shapes: Shapes | None) -> tuple[InputPart, ...]:
    """What one sample of every input is, in the order of ``shapes`` or of the file.

    Raises ValueError for open sides that no shape fills, inputs that are not there or get none, and other types.
    """
    entries = {entry.name: entry for entry in inputs}
    if isinstance(shapes, Mapping):
        check_named(entries, shapes)
        return tuple(InputPart(name, _sample(entries[name], shape)) for name, shape in shapes.items())
    if not inputs or (len(inputs) > 1 and shapes is not None):
        raise ValueError(f"it has {len(inputs)} inputs ({', '.join(entries)}): say what each gets (data.npz.inputs)")
    only = None if shapes is None or not _fits(inputs[0], shapes) else shapes
    return tuple(InputPart(entry.name, _sample(entry, only)) for entry in inputs)


def _fits(entry: Any, shape: tuple[int, ...]) -> bool:
    sides = [int(side.dim_value) for side in entry.type.tensor_type.shape.dim][1:]
    return len(shape) == len(sides) and all(side in (0, own) for side, own in zip(sides, shape, strict=True))


def _sample(entry: Any, given: tuple[int, ...] | None) -> tuple[int, ...]:
    told, named = entry.type.tensor_type, f"its input {entry.name[:60]!r}"
    if told.elem_type not in (*FLOATS, *WHOLE):
        raise ValueError(f"{named} is of type number {told.elem_type}; read are {_names({**FLOATS, **WHOLE})}")
    sides = [int(side.dim_value) for side in told.shape.dim]
    if not sides:
        raise ValueError(f"{named} is one number without a batch of samples, which is not read")
    if given is not None and not _fits(entry, given):
        raise ValueError(f"{named} has the shape {sides}, samples of it are {given}")
    shape = tuple(sides[1:]) if given is None else given
    if not shape or any(side < 1 for side in shape):
        raise ValueError(f"{named} has the shape {sides}: all sides but the batch must be stated, or given by the data")
    return shape


def _names(kinds: Mapping[int, str]) -> str:
    return ", ".join(kinds.values())
