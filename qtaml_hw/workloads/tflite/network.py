"""TensorFlow Lite networks as the memory holds them: the file's own int8 codes and scales, run in float.

Weights of convolutions, depthwise convolutions and fully connected layers keep the file's codes in the file's order;
they are dequantised to run; activations and biases stay in float (their quantisation is not modelled).  Inputs are NCHW
and real numbers, not codes, whatever the file says; of several a sample holds all, flat, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from qtaml_hw.weights.given import given_integers
from qtaml_hw.weights.image import StoredTensor
from qtaml_hw.weights.scales import ScaleLayout
from qtaml_hw.workloads.data import InputPart
from qtaml_hw.workloads.graph import (
    ACTIVATIONS,
    Builder,
    StoredConv,
    StoredDepthwise,
    UnknownOpsError,
    check_named,
    mirrored,
    sample_shape,
)
from qtaml_hw.workloads.load import ReadGraph, Shapes
from qtaml_hw.workloads.tflite.file import FileGraph, FileOp, FileTensor, read_tflite

NHWC_AXIS: Final = {0: 0, 1: 2, 2: 3, 3: 1}  # axis of a stored image -> axis of ours
FUSED: Final = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH")  # ActivationFunctionType of the schema
SAME: Final = 0  # Padding of the schema; 1 is VALID


def read_tflite_network(path: Path, output: str | None = None, shapes: Shapes | None = None) -> ReadGraph:
    """The network of a .tflite file, with its codes.

    shapes: of one sample of every input by name, in the order in which a sample holds several.  Raises ValueError for
    a file that cannot be read, all operators that are not read at once, weights that are neither float nor 8-bit codes,
    and several inputs that are not named.
    """
    graph = read_tflite(path, output)
    missing = [op.name for op in graph.ops if op.name not in OPS]
    if missing:
        raise UnknownOpsError(missing, OPS)
    importer = _Importer(graph, shapes)
    module = importer.network()
    kept = dict(module.named_parameters())
    codes = {name: code for name, code in importer.codes.items() if name in kept}
    parts = importer.parts if len(importer.parts) > 1 else ()
    return ReadGraph(module, sample_shape(importer.parts), codes=codes, parts=parts)


def _parts(graph: FileGraph, shapes: Shapes | None) -> dict[int, InputPart]:
    """What one sample of every input is, by the number of its tensor, in the order of ``shapes`` or of the file.

    Raises ValueError for inputs that are not there, get none, or get samples of another shape.
    """
    numbers = {graph.tensors[i].name: i for i in graph.inputs}
    own = {name: _ours(graph.tensors[i].shape)[1:] for name, i in numbers.items()}
    names = list(own)
    if isinstance(shapes, Mapping):
        names = list(shapes)
        check_named(numbers, shapes)
        wrong = [f"{name} is {own[name]}, samples of it are {s}" for name, s in shapes.items() if own[name] != s]
        if wrong:
            raise ValueError(f"its inputs have other shapes: {'; '.join(wrong)}")
    elif len(own) != len(graph.inputs) or (len(own) > 1 and shapes is not None):
        told = ", ".join(numbers)
        raise ValueError(f"it has {len(graph.inputs)} inputs ({told}): say what each gets (data.npz.inputs)")
    return {numbers[name]: InputPart(name, own[name]) for name in names}


def _ours(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else shape


class _Importer:
    """Walks the operators in file order; one method of each kind of operator."""

    def __init__(self, graph: FileGraph, shapes: Shapes | None) -> None:
        self.file, self.builder = graph, Builder()
        self._parts = _parts(graph, shapes)
        self.parts = tuple(self._parts.values())
        self.codes: dict[str, StoredTensor] = {}

    def network(self) -> nn.Module:
        values = self.builder.values
        self.builder.inputs(tuple(self._parts), self.parts, [torch.float32] * len(self.parts))
        for op in self.file.ops:
            values[op.outputs[0]] = OPS[op.name](self, op)
        return self.builder.finish(values[self.file.output])

    def tensor(self, op: FileOp, number: int) -> FileTensor | None:
        """An input's entry in the file; None where it is left out."""
        there = number < len(op.inputs) and op.inputs[number] >= 0
        return self.file.tensors[op.inputs[number]] if there else None

    def constant(self, op: FileOp, number: int) -> FileTensor:
        found = self.tensor(op, number)
        if found is None or found.values is None:
            raise ValueError(f"{op.name} needs input {number} as a constant of the file")
        return found

    def node(self, op: FileOp, number: int, rank: int = 0) -> fx.Node:
        """An input as a node, in our order of axes: computed before, or a constant.

        rank: of the result when axes are missing in front: [C] beside an image is one value per channel.
        """
        index = op.inputs[number]
        if index in self.builder.values:
            if rank == 4 != len(self.file.tensors[index].shape):
                raise ValueError(f"{op.name} of an image and computed values of fewer axes is not read")
            return self.builder.values[index]
        if (index, rank) not in self.builder.values:
            value = torch.from_numpy(self.file.tensors[index].real().copy())
            value = value.reshape(*[1] * (rank - value.ndim), *value.shape)
            value = value.permute(0, 3, 1, 2).contiguous() if value.ndim == 4 else value
            self.builder.values[index, rank] = self.builder.constant(self.file.tensors[index].name, value)
        return self.builder.values[index, rank]

    def rank(self, op: FileOp) -> int:
        return len(self.file.tensors[op.inputs[0]].shape)

    def activated(self, node: fx.Node, number: int) -> fx.Node:
        if not 0 <= number < len(FUSED):
            raise ValueError(f"fused activation number {number} is not read")
        return node if number == 0 else self.builder.call(ACTIVATIONS[FUSED[number]], node)

    def store(self, path: str, tensor: FileTensor, axis: int) -> None:
        """Remember the codes of a weight that is now the parameter ``path.weight``."""
        values = tensor.values
        assert values is not None  # weights are constants: checked before
        if values.dtype.kind == "f":
            return
        if values.dtype not in (np.int8, np.uint8) or not tensor.scale.size:
            raise ValueError(f"the weight {tensor.name!r} is {values.dtype}; read are floats, and int8 or uint8 codes")
        name, parameter = f"{path}.weight", getattr(self.builder.root, path).weight
        kind = "per_tensor" if tensor.scale.size == 1 else ("per_channel", "per_input_channel")[axis]
        zero = np.broadcast_to(tensor.zero, tensor.scale.shape).astype(np.float32) if tensor.zero.any() else None
        shape, layout = tuple(parameter.shape), ScaleLayout.of(kind)
        self.codes[name] = given_integers(name, shape, values, tensor.scale, layout, zero=zero)

    def weight(self, op: FileOp) -> nn.Parameter:
        """Input 1 as the file stores it; an operator that uses it again gets the same parameter."""
        found = self.constant(op, 1)
        return self.builder.parameter(op.inputs[1], lambda: torch.from_numpy(found.real().copy()))

    def bias(self, op: FileOp) -> nn.Parameter | None:
        found = self.tensor(op, 2)
        if found is None:
            return None
        return self.builder.parameter((op.inputs[2], "bias"), lambda: torch.from_numpy(found.real().copy()))

    def same(self, op: FileOp, kernel: tuple[int, int], stride: tuple[int, int], how: int) -> tuple[int, int, int, int]:
        """Rows above and below, columns left and right; TensorFlow puts the odd one below and right."""
        if how != SAME:
            return (0, 0, 0, 0)
        sides = self.file.tensors[op.inputs[0]].shape[1:3]
        padding = []
        for side, reach, step in zip(sides, kernel, stride, strict=True):
            total = max((-(-side // step) - 1) * step + reach - side, 0)
            padding += [total // 2, total - total // 2]
        return (padding[0], padding[1], padding[2], padding[3])


def _conv(at: _Importer, op: FileOp) -> fx.Node:
    weight, o = at.constant(op, 1), op.options
    stride, dilation = (o.StrideH(), o.StrideW()), (o.DilationHFactor(), o.DilationWFactor())
    height, width = ((side - 1) * step + 1 for side, step in zip(weight.shape[1:3], dilation, strict=True))
    how = {"stride": stride, "dilation": dilation, "padding": at.same(op, (height, width), stride, o.Padding())}
    channels = at.file.tensors[op.inputs[0]].shape[3]
    module: StoredConv
    if op.name == "CONV_2D":
        module, axis = StoredConv(at.weight(op), at.bias(op), groups=channels // weight.shape[3], **how), 0
    else:
        flat = torch.from_numpy(weight.real().reshape(-1, weight.shape[3]).copy())
        kernel = at.builder.parameter((op.inputs[1], "depthwise"), lambda: flat)
        side = (weight.shape[1], weight.shape[2])
        module, axis = StoredDepthwise(kernel, at.bias(op), side, groups=channels, **how), 1
    if weight.scale.size > 1 and weight.axis != (0 if axis == 0 else 3):
        raise ValueError(f"the weight {weight.name!r} has its scales along axis {weight.axis}")
    node, path = at.builder.layer(weight.name, module, at.node(op, 0))
    at.store(path, weight, axis)
    return at.activated(node, o.FusedActivationFunction())


def _fully_connected(at: _Importer, op: FileOp) -> fx.Node:
    weight, bias = at.constant(op, 1), at.bias(op)
    if op.options.WeightsFormat() != 0 or len(weight.shape) != 2:
        raise ValueError(f"the weight {weight.name!r} is not stored as [out, in]")
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = at.weight(op)
    if bias is not None:
        layer.bias = bias
    x = _as_stored(at, at.node(op, 0), at.rank(op))
    keep = bool(op.options.KeepNumDims())
    x = x if keep else at.builder.call(torch.reshape, x, (-1, weight.shape[1]))
    node, path = at.builder.layer(weight.name, layer, x)
    at.store(path, weight, 0)
    node = at.builder.call(torch.permute, node, (0, 3, 1, 2)) if keep and at.rank(op) == 4 else node
    return at.activated(node, op.options.FusedActivationFunction())


def _as_stored(at: _Importer, x: fx.Node, rank: int) -> fx.Node:
    """Images in the order of axes that the file counts in."""
    return at.builder.call(torch.permute, x, (0, 2, 3, 1)) if rank == 4 else x


def _pool(at: _Importer, op: FileOp) -> fx.Node:
    o = op.options
    kernel, stride = (o.FilterHeight(), o.FilterWidth()), (o.StrideH(), o.StrideW())
    top, bottom, left, right = at.same(op, kernel, stride, o.Padding())
    maximum = op.name == "MAX_POOL_2D"
    pooled = at.builder.call(_pooled, at.node(op, 0), kernel, stride, (left, right, top, bottom), maximum)
    return at.activated(pooled, o.FusedActivationFunction())


def _pooled(
    x: torch.Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, ...], maximum: bool
) -> torch.Tensor:
    """Pooling as TensorFlow pads: what is outside never counts."""
    if maximum:
        return functional.max_pool2d(functional.pad(x, padding, value=float("-inf")), kernel, stride)
    inside = functional.pad(torch.ones_like(x[:1, :1]), padding)
    share = functional.avg_pool2d(inside, kernel, stride)
    return functional.avg_pool2d(functional.pad(x, padding), kernel, stride) / share


def _mean(at: _Importer, op: FileOp) -> fx.Node:
    rank = at.rank(op)
    axes = [int(a) % rank for a in np.atleast_1d(np.asarray(at.constant(op, 1).values)).reshape(-1)]
    keep = bool(op.options.KeepDims())
    if rank == 4 and not keep and sorted(axes) != [1, 2]:
        raise ValueError(f"MEAN over axes {axes} of images is not read; over height and width it is")
    ours = [NHWC_AXIS[a] if rank == 4 else a for a in axes]
    return at.builder.call(torch.mean, at.node(op, 0), dim=ours, keepdim=keep)


def _two(function: Callable[..., torch.Tensor]) -> Callable[[_Importer, FileOp], fx.Node]:
    def build(at: _Importer, op: FileOp) -> fx.Node:
        rank = len(at.file.tensors[op.outputs[0]].shape)
        found = at.builder.call(function, at.node(op, 0, rank), at.node(op, 1, rank))
        return at.activated(found, op.options.FusedActivationFunction() if op.options is not None else 0)

    return build


def _compared(function: Callable[..., torch.Tensor]) -> Callable[[_Importer, FileOp], fx.Node]:
    def build(at: _Importer, op: FileOp) -> fx.Node:
        rank = len(at.file.tensors[op.outputs[0]].shape)
        return at.builder.call(function, at.node(op, 0, rank), at.node(op, 1, rank))

    return build


def _one(function: Callable[..., torch.Tensor], **named: Any) -> Callable[[_Importer, FileOp], fx.Node]:
    return lambda at, op: at.builder.call(function, at.node(op, 0), **named)


def _same(at: _Importer, op: FileOp) -> fx.Node:
    return at.node(op, 0)


def _reshape(at: _Importer, op: FileOp) -> fx.Node:
    """The batch stays first; what images become is counted in the file's order of axes."""
    shape = at.file.tensors[op.outputs[0]].shape
    x = at.builder.call(torch.reshape, _as_stored(at, at.node(op, 0), at.rank(op)), (-1, *shape[1:]))
    return at.builder.call(torch.permute, x, (0, 3, 1, 2)) if len(shape) == 4 else x


def _in_file_order(function: Callable[..., Any]) -> Callable[[_Importer, FileOp], fx.Node]:
    """Operators that name axes: ``function(at, op)`` gives what is called on the value in the file's order of axes."""

    def build(at: _Importer, op: FileOp) -> fx.Node:
        target, *more = function(at, op)
        found = at.builder.call(target, _as_stored(at, at.node(op, 0), at.rank(op)), *more)
        image = len(at.file.tensors[op.outputs[0]].shape) == 4
        return at.builder.call(torch.permute, found, (0, 3, 1, 2)) if image else found

    return build


def _pack(at: _Importer, op: FileOp) -> fx.Node:
    rank = at.rank(op)
    parts = [_as_stored(at, at.node(op, i), rank) for i in range(len(op.inputs))]
    found = at.builder.call(torch.stack, parts, op.options.Axis())
    return at.builder.call(torch.permute, found, (0, 3, 1, 2)) if rank == 3 else found


def _ints(at: _Importer, op: FileOp, number: int) -> list[int]:
    return [int(v) for v in np.asarray(at.constant(op, number).values).reshape(-1)]


def _reduced(function: Callable[..., torch.Tensor]) -> Callable[[_Importer, FileOp], fx.Node]:
    return _in_file_order(lambda at, op: (function, _ints(at, op, 1), bool(op.options.KeepDims())))


def _mirror_pad(at: _Importer, op: FileOp) -> tuple[Any, ...]:
    if op.options.Mode() != 0:
        raise ValueError("MIRROR_PAD that repeats the edge is not read")
    rows = _ints(at, op, 1)
    return mirrored, rows[::2] + rows[1::2]


def _strided_slice(at: _Importer, op: FileOp) -> tuple[Any, ...]:
    o = op.options
    if o.EllipsisMask() or o.NewAxisMask():
        raise ValueError("STRIDED_SLICE with an ellipsis or new axes is not read")
    bounds = zip(*(_ints(at, op, i) for i in (1, 2, 3)), strict=True)
    rows, dropped = [], []
    for axis, (start, end, step) in enumerate(bounds):
        if step < 1:
            raise ValueError("STRIDED_SLICE that walks backwards is not read")
        first, last = (mask >> axis & 1 for mask in (o.BeginMask(), o.EndMask()))
        single = o.ShrinkAxisMask() >> axis & 1
        dropped += [axis] * single
        stop = (start + 1 or None) if single else None if last else end
        rows.append((None if first else start, stop, step))
    return _sliced, rows, dropped


def _sliced(x: torch.Tensor, rows: list[tuple[int | None, int | None, int]], dropped: list[int]) -> torch.Tensor:
    """Rows of (start, end, step) for every axis; those of ``dropped`` axes are one value, without the axis."""
    return x[tuple(slice(*row) for row in rows)].squeeze(tuple(dropped))


def _three(at: _Importer, op: FileOp) -> fx.Node:
    rank = len(at.file.tensors[op.outputs[0]].shape)
    return at.builder.call(_chosen, *(at.node(op, i, rank) for i in range(3)))


def _chosen(condition: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.where(condition.bool(), a, b)


def _softmax(at: _Importer, op: FileOp) -> fx.Node:
    scaled = at.builder.call(torch.mul, at.node(op, 0), float(op.options.Beta()))
    return at.builder.call(torch.softmax, scaled, dim=1 if at.rank(op) == 4 else -1)


def _pad(at: _Importer, op: FileOp) -> fx.Node:
    rows = np.asarray(at.constant(op, 1).values).reshape(-1, 2).tolist()
    rows = [rows[0], rows[3], rows[1], rows[2]] if len(rows) == 4 else rows
    return at.builder.call(functional.pad, at.node(op, 0), [int(n) for row in reversed(rows) for n in row])


def _concatenation(at: _Importer, op: FileOp) -> fx.Node:
    rank = at.rank(op)
    axis = op.options.Axis() % rank
    nodes = [at.node(op, i) for i in range(len(op.inputs))]
    joined = at.builder.call(torch.cat, nodes, dim=NHWC_AXIS[axis] if rank == 4 else axis)
    return at.activated(joined, op.options.FusedActivationFunction())


OPS: Final[dict[str, Callable[[_Importer, FileOp], fx.Node]]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _conv,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "ADD": _two(torch.add),
    "SUB": _two(torch.sub),
    "MUL": _two(torch.mul),
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
    "PAD": _pad,
    "CONCATENATION": _concatenation,
    "RELU": _one(torch.relu),
    "RELU6": _one(functional.relu6),
    "LOGISTIC": _one(torch.sigmoid),
    "NEG": _one(torch.neg),
    "SQRT": _one(torch.sqrt),
    "SQUARE": _one(torch.square),
    "LOG": _one(torch.log),
    "DIV": _two(torch.div),
    "EQUAL": _compared(torch.eq),
    "SELECT_V2": _three,
    "SUM": _reduced(torch.sum),
    "REDUCE_MAX": _reduced(torch.amax),
    "REDUCE_MIN": _reduced(torch.amin),
    "TRANSPOSE": _in_file_order(lambda at, op: (torch.permute, _ints(at, op, 1))),
    "EXPAND_DIMS": _in_file_order(lambda at, op: (torch.unsqueeze, _ints(at, op, 1)[0])),
    "PACK": _pack,
    "MIRROR_PAD": _in_file_order(_mirror_pad),
    "STRIDED_SLICE": _in_file_order(_strided_slice),
    "TANH": _one(torch.tanh),
    "QUANTIZE": _same,
    "DEQUANTIZE": _same,
}
"""Operators of MLPerf Tiny, of audio models and their kin, by their names in the schema."""
