"""TensorFlow Lite files read as data: shapes, codes, scales and options of a graph (extra ``tflite``).

Format: tensorflow/lite/schema/schema.fbs; quantisation: ai.google.dev/edge/litert (int8 weights are symmetric, a scale
per tensor or per output channel).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.workloads.graph import chosen_output

TYPES: Final = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 6: "?", 7: "<i2", 9: "i1"}
"""TensorType of the schema -> NumPy type."""
MOST_PARTS, MOST_INPUTS, MOST_AXES = 20_000, 64, 8  # tensors or operators, inputs of one, axes; MobileNet-v3 has 240


@dataclass(frozen=True, eq=False)
class FileTensor:
    """A tensor: its name, shape, stored values (None: computed by an operator), scales, zero points and their axis."""

    name: str
    shape: tuple[int, ...]
    values: NDArray[Any] | None
    scale: NDArray[np.float32]
    zero: NDArray[np.int64]
    axis: int

    def real(self) -> NDArray[np.float32]:
        """Stored values as real numbers: scale x (code - zero point), or the floats themselves.

        Raises ValueError when there are none.
        """
        if self.values is None:
            raise ValueError(f"tensor {self.name!r} must be a constant of the file")
        if self.values.dtype.kind == "f" or not self.scale.size:
            return self.values.astype(np.float32)
        ones = [1] * len(self.shape)
        if self.scale.size > 1:
            ones[self.axis] = self.scale.size
        levels = self.values.astype(np.float64) - self.zero.reshape(ones if self.zero.size > 1 else -1)
        return (levels * self.scale.reshape(ones).astype(np.float64)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class FileOp:
    """An operator by its name in the schema, its tensors by number (-1: absent), and the schema's table of options."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


@dataclass(frozen=True, eq=False)
class FileGraph:
    """The main subgraph of a file; inputs and output by the numbers of their tensors."""

    tensors: tuple[FileTensor, ...]
    ops: tuple[FileOp, ...]
    inputs: tuple[int, ...]
    output: int


def read_tflite(path: Path, output: str | None = None) -> FileGraph:
    """The graph of a .tflite file.

    output: the one that is judged, of several.  Raises ValueError for a graph without inputs, outputs of which none is
    named, more than a file of its length can hold, and without the package ``tflite``; what reading offsets of a
    damaged buffer raises.
    """
    try:
        import tflite
    except ImportError as error:
        raise ValueError("it needs the package tflite: pip install 'qtaml-hw[tflite]'") from error
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ValueError("it does not begin as one")
    found = _graph(tflite, tflite.Model.GetRootAsModel(content, 0), output)
    stored = sum(tensor.values.size for tensor in found.tensors if tensor.values is not None)
    if stored > len(content):
        raise ValueError(f"its {stored} stored values are more than its {len(content)} bytes")
    return found


def _graph(tflite: ModuleType, model: Any, output: str | None) -> FileGraph:
    graph = model.Subgraphs(0)
    inputs = tuple(int(graph.Inputs(i)) for i in _few(graph.InputsLength(), MOST_INPUTS, "inputs"))
    if not inputs:
        raise ValueError("it has no inputs")
    names = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
    tensors = tuple(_tensor(model, graph.Tensors(i)) for i in _few(graph.TensorsLength(), MOST_PARTS, "tensors"))
    ops = tuple(
        _op(tflite, model, graph.Operators(i), names) for i in _few(graph.OperatorsLength(), MOST_PARTS, "operators")
    )
    last = [int(graph.Outputs(i)) for i in _few(graph.OutputsLength(), MOST_INPUTS, "outputs")]
    if set(last) - set(range(len(tensors))):
        raise ValueError("an output is a tensor that is not there")
    chosen = chosen_output([tensors[i].name for i in last], output)
    judged = next(i for i in last if tensors[i].name == chosen)
    found = FileGraph(tensors, _leading_to(ops, judged), inputs, judged)
    used = {i for op in ops for i in (*op.inputs, *op.outputs)} | {*inputs, judged}
    if used - set(range(-1, len(tensors))):
        raise ValueError("an operator names a tensor that is not there")
    return found


def _leading_to(ops: tuple[FileOp, ...], output: int) -> tuple[FileOp, ...]:
    """The operators that an output needs, in order."""
    used, kept = {output}, []
    for op in reversed(ops):
        if used.intersection(op.outputs):
            kept.append(op)
            used.update(op.inputs[:1] if op.name == "RESHAPE" else op.inputs)  # its result says its shape
    return tuple(reversed(kept))


def _few(count: int, most: int, what: str) -> range:
    """Numbers below a length that a file states.  Raises ValueError when it is more than any real file has."""
    if count > most:
        raise ValueError(f"it has {count} {what}; up to {most} are read")
    return range(count)


def _tensor(model: Any, tensor: Any) -> FileTensor:
    shape = tuple(int(tensor.Shape(i)) for i in _few(tensor.ShapeLength(), MOST_AXES, "axes"))
    name = (tensor.Name() or b"").decode("utf-8", "replace")
    raw = model.Buffers(tensor.Buffer()).DataAsNumpy()
    values = None
    if isinstance(raw, np.ndarray) and raw.size:
        if tensor.Type() not in TYPES:
            raise ValueError(f"tensor {name!r} is of type number {tensor.Type()}, which is not read")
        values = raw.view(TYPES[tensor.Type()]).reshape(shape)
    told = tensor.Quantization()
    scale, zero, axis = np.empty(0, np.float32), np.zeros(1, np.int64), 0
    if told is not None and told.ScaleLength():
        scale = told.ScaleAsNumpy().astype(np.float32, copy=False)
        zero = told.ZeroPointAsNumpy().astype(np.int64, copy=False) if told.ZeroPointLength() else zero
        axis = int(told.QuantizedDimension())
        if scale.size > 1 and (axis >= len(shape) or shape[axis] != scale.size):
            raise ValueError(f"tensor {name!r} of shape {shape} has {scale.size} scales along axis {axis}")
    return FileTensor(name, shape, values, scale, zero, axis)


def _op(tflite: ModuleType, model: Any, op: Any, names: dict[int, str]) -> FileOp:
    code = model.OperatorCodes(op.OpcodeIndex())
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # files before schema 3a have only the latter
    kind = next(
        (n for n, value in vars(tflite.BuiltinOptions).items() if value == op.BuiltinOptionsType() and value), None
    )
    options = None
    if kind is not None and op.BuiltinOptions() is not None:
        options = getattr(tflite, kind)()
        options.Init(op.BuiltinOptions().Bytes, op.BuiltinOptions().Pos)
    inputs = tuple(int(op.Inputs(i)) for i in _few(op.InputsLength(), MOST_INPUTS, "inputs of an operator"))
    outputs = tuple(int(op.Outputs(i)) for i in _few(op.OutputsLength(), MOST_INPUTS, "results of an operator"))
    return FileOp(names.get(number, f"operator {number}"), inputs, outputs, options)
