"""What every ONNX operator is in PyTorch, as defined at onnx.ai/onnx/operators for opsets 7 to 25."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from qtaml_hw.workloads.onnx_graph import Build, Importer, Operator

MOST_VALUES: Final = 1 << 24  # of a constant that a file asks for without bringing it


def _padding(n: Operator, sides: int) -> list[int]:
    """Rows before and after every axis as torch.pad takes them, last axis first."""
    auto = n.get("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID"):
        raise ValueError(f"{n.op} {n.name!r}: auto_pad {auto} is not read; export explicit pads")
    pads = list(n.get("pads", [0] * (2 * sides)))
    return [int(p) for axis in reversed(range(sides)) for p in (pads[axis], pads[sides + axis])]


def _padded(n: Operator, x: fx.Node, padding: list[int], value: float = 0.0) -> fx.Node:
    return n.call(functional.pad, x, padding, value=value) if any(padding) else x


def _conv(at: Importer, n: Operator) -> fx.Node:
    weight, bias = n.fixed(1).float(), n.constant(2)
    sides, groups = weight.ndim - 2, int(n.get("group", 1))
    if sides not in (1, 2, 3):
        raise ValueError(f"Conv {n.name!r} has {sides} spatial axes")
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[sides - 1]
    strides, dilations = (tuple(int(v) for v in n.get(k, [1] * sides)) for k in ("strides", "dilations"))
    layer = kind(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),  # type: ignore[arg-type]
        stride=strides,  # type: ignore[arg-type]
        dilation=dilations,  # type: ignore[arg-type]
        groups=groups,
        bias=bias is not None,
    )
    _fill(layer, weight, bias)
    return n.layer(layer, n.inputs[1], _padded(n, n.node(0), _padding(n, sides)))


def _fill(layer: Any, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    if weight.shape != layer.weight.shape:
        raise ValueError(f"a weight of shape {tuple(weight.shape)} does not fit {layer}")
    layer.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.float().reshape(layer.bias.shape), requires_grad=False)


def _gemm(at: Importer, n: Operator) -> fx.Node:
    if n.get("transA", 0) or n.get("alpha", 1.0) != 1.0 or n.get("beta", 1.0) != 1.0:
        raise ValueError(f"Gemm {n.name!r} scales or transposes its input, which is not read")
    weight, bias = n.fixed(1).float(), n.constant(2)
    weight = weight if n.get("transB", 0) else weight.T
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    _fill(layer, weight, None if bias is None else bias.expand(weight.shape[0]).clone())
    return n.layer(layer, n.inputs[1], n.node(0))


def _matmul(at: Importer, n: Operator) -> fx.Node:
    weight = n.constant(1)
    if weight is None or weight.ndim != 2:
        return n.call(torch.matmul, n.node(0), n.node(1))
    layer = nn.Linear(weight.shape[0], weight.shape[1], bias=False)
    _fill(layer, weight.float().T, None)
    return n.layer(layer, n.inputs[1], n.node(0))


def _batch_norm(at: Importer, n: Operator) -> fx.Node:
    """Right after a layer it is a norm of torch's own for that layer's rank, so that it can be folded."""
    scale, shift, mean, variance = (n.fixed(i).float() for i in range(1, 5))
    source = n.node(0)
    before = at.builder.root.get_submodule(str(source.target)) if source.op == "call_module" else None
    norms = {nn.Conv1d: nn.BatchNorm1d, nn.Conv3d: nn.BatchNorm3d, nn.Linear: nn.BatchNorm1d}
    layer = norms.get(type(before), nn.BatchNorm2d)(scale.numel(), eps=float(n.get("epsilon", 1e-5)))
    layer.load_state_dict({"weight": scale, "bias": shift, "running_mean": mean, "running_var": variance}, strict=False)
    if isinstance(before, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
        return n.layer(layer, n.inputs[1], source)
    return n.call(torch.Tensor.view_as, n.layer(layer, n.inputs[1], n.call(_as_image, source)), source)


def _as_image(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(x.shape[0], x.shape[1], -1, 1) if x.ndim != 4 else x


def _layer_norm(at: Importer, n: Operator) -> fx.Node:
    scale, shift = n.fixed(1).float(), n.constant(2)
    if int(n.get("axis", -1)) != -scale.ndim and scale.ndim != 1:
        raise ValueError(f"LayerNormalization {n.name!r} over axis {n.get('axis', -1)} is not read")
    layer = nn.LayerNorm(tuple(scale.shape), eps=float(n.get("epsilon", 1e-5)))
    _fill(layer, scale, torch.zeros_like(scale) if shift is None else shift)
    return n.layer(layer, n.inputs[1], n.node(0))


def _gather(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    table, index, axis = n.constant(0), n.constant(1), int(n.get("axis", 0))
    if table is not None and index is not None:
        return torch.index_select(table, axis, index.reshape(-1).long()).reshape(
            *table.shape[:axis], *index.shape, *table.shape[axis + 1 :]
        )
    if table is not None and table.ndim == 2 and axis == 0 and table.is_floating_point():
        layer = nn.Embedding(*table.shape)
        layer.weight = nn.Parameter(table.float(), requires_grad=False)
        return n.layer(layer, n.inputs[0], n.node(1))
    if index is None or index.numel() != 1:
        raise ValueError(f"Gather {n.name!r} of computed values at computed places is not read")
    return (
        n.call(torch.select, n.node(0), axis, int(index))
        if index.ndim == 0
        else n.call(torch.narrow, n.node(0), axis, int(index), 1)
    )


def _pool(at: Importer, n: Operator) -> fx.Node:
    kernel = [int(v) for v in n.get("kernel_shape", [])]
    if len(kernel) != 2 or n.get("ceil_mode", 0) or any(d != 1 for d in n.get("dilations", [1, 1])):
        raise ValueError(f"{n.op} {n.name!r}: read are two axes without ceil_mode and dilations")
    stride, padding = [int(v) for v in n.get("strides", [1, 1])], _padding(n, 2)
    if n.op == "MaxPool":
        return n.call(functional.max_pool2d, _padded(n, n.node(0), padding, float("-inf")), kernel, stride)
    pooled = n.call(functional.avg_pool2d, _padded(n, n.node(0), padding), kernel, stride)
    if not any(padding) or n.get("count_include_pad", 0):
        return pooled
    return n.call(torch.div, pooled, n.call(_inside, n.node(0), kernel, stride, padding))


def _inside(x: torch.Tensor, kernel: list[int], stride: list[int], padding: list[int]) -> torch.Tensor:
    """Share of every window that lies inside the image."""
    return functional.avg_pool2d(functional.pad(torch.ones_like(x[:1, :1]), padding), kernel, stride)


def _reshape(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    if n.constant(1) is None:
        return n.call(_reshaped_to, n.node(0), n.node(1))
    shape = [int(v) for v in n.fixed(1)]
    known = n.constant(0)
    if known is not None:
        return known.reshape([known.shape[i] if v == 0 else v for i, v in enumerate(shape)])
    return n.call(_reshaped, n.node(0), shape)


def _reshaped(x: torch.Tensor, shape: list[int]) -> torch.Tensor:
    """0 keeps a side.  The batch is whatever it is: a first side of 1 that was exported stands for it."""
    sides = [x.shape[i] if v == 0 else v for i, v in enumerate(shape)]
    if sides[0] == 1:
        sides[0] = x.shape[0]
    return x.reshape(sides)


def _reshaped_to(x: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """To a computed shape; 0 keeps a side."""
    return x.reshape([x.shape[i] if v == 0 else v for i, v in enumerate(shape.tolist())])


def _shape(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    known = n.constant(0)
    return _shape_of(known) if known is not None else n.call(_shape_of, n.node(0))


def _shape_of(x: torch.Tensor) -> torch.Tensor:
    return torch.tensor(x.shape, dtype=torch.int64)


def _constant_of_shape(at: Importer, n: Operator) -> torch.Tensor:
    from onnx import numpy_helper

    value = n.get("value", None)
    fill = np.zeros(1, np.float32) if value is None else numpy_helper.to_array(value)
    sides = [int(v) for v in n.fixed(0)]
    if math.prod(sides) > MOST_VALUES:
        raise ValueError(f"ConstantOfShape {n.name!r} of shape {sides} is not read")
    return torch.from_numpy(np.full(sides, fill.reshape(-1)[0]))


def _reduce(function: Callable[..., torch.Tensor]) -> Callable[[Importer, Operator], fx.Node]:
    def build(at: Importer, n: Operator) -> fx.Node:
        axes = n.ints("axes", 1)
        if axes is None:
            raise ValueError(f"{n.op} {n.name!r} over all axes is not read")
        return n.call(function, n.node(0), dim=axes, keepdim=bool(n.get("keepdims", 1)))

    return build


def _elementwise(function: Callable[..., torch.Tensor]) -> Callable[[Importer, Operator], fx.Node | torch.Tensor]:
    """Of constants alone the result is a constant too."""

    def build(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
        known = [n.constant(i) for i in range(len(n.inputs))]
        if all(k is not None for k in known):
            return function(*known)
        return n.call(function, *(n.node(i) for i in range(len(n.inputs))))

    return build


def _attribute(function: Callable[..., torch.Tensor], **defaults: Any) -> Callable[[Importer, Operator], fx.Node]:
    """Functions of one value whose attributes are torch's arguments: attribute -> (argument, default)."""

    def build(at: Importer, n: Operator) -> fx.Node:
        return n.call(function, n.node(0), **{arg: n.get(name, value) for name, (arg, value) in defaults.items()})

    return build


def _clip(at: Importer, n: Operator) -> fx.Node:
    low, high = (n.get(k, None) if k in n.attributes else n.constant(i) for i, k in ((1, "min"), (2, "max")))
    limits = [None if v is None else float(v) for v in (low, high)]
    return n.call(torch.clamp, n.node(0), *limits)


def _constant(at: Importer, n: Operator) -> torch.Tensor:
    from onnx import numpy_helper

    name, value = next(iter(n.attributes.items()))
    if name == "value":
        return torch.from_numpy(np.array(numpy_helper.to_array(value)))
    if name in ("value_float", "value_floats"):
        return torch.tensor(value, dtype=torch.float32)
    if name in ("value_int", "value_ints"):
        return torch.tensor(value, dtype=torch.int64)
    raise ValueError(f"Constant {n.name!r} with {name} is not read")


def _shape_change(function: Callable[..., torch.Tensor]) -> Callable[[Importer, Operator], fx.Node | torch.Tensor]:
    def build(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
        axes, known = n.ints("axes", 1), n.constant(0)
        if axes is None:
            raise ValueError(f"{n.op} {n.name!r} without axes is not read")
        return function(known, axes) if known is not None else n.call(function, n.node(0), axes)

    return build


def _squeezed(x: torch.Tensor, axes: list[int]) -> torch.Tensor:
    return x.squeeze(tuple(axes))


def _unsqueezed(x: torch.Tensor, axes: list[int]) -> torch.Tensor:
    rank = x.ndim + len(axes)
    for axis in sorted(a % rank for a in axes):
        x = x.unsqueeze(axis)
    return x


def _pad(at: Importer, n: Operator) -> fx.Node:
    pads, value = n.ints("pads", 1) or [], n.constant(2)
    if n.get("mode", "constant") != "constant" or n.has(3):
        raise ValueError(f"Pad {n.name!r}: read is the mode constant over all axes")
    sides = len(pads) // 2
    padding = [p for axis in reversed(range(sides)) for p in (pads[axis], pads[sides + axis])]
    return _padded(n, n.node(0), padding, 0.0 if value is None else float(value))


def _split(at: Importer, n: Operator) -> list[fx.Node]:
    axis, sizes = int(n.get("axis", 0)), n.ints("split", 1)
    if sizes is None:
        parts = n.call(torch.chunk, n.node(0), len(n.outputs), dim=axis)
    else:
        parts = n.call(torch.split, n.node(0), sizes, dim=axis)
    return [at.builder.item(parts, i) for i in range(len(n.outputs))]


def _slice(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    starts, ends = n.ints("starts", 1), n.ints("ends", 2)
    if starts is None or ends is None:
        raise ValueError(f"Slice {n.name!r} has no bounds")
    axes = n.ints("axes", 3) or list(range(len(starts)))
    steps = n.ints("steps", 4) or [1] * len(starts)
    known = n.constant(0)
    if known is not None:
        where = [slice(None)] * known.ndim
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            where[axis] = slice(start, None if step < 0 and end < -known.shape[axis] else end, step)
        return torch.from_numpy(known.numpy()[tuple(where)].copy())
    if any(step < 1 for step in steps):
        raise ValueError(f"Slice {n.name!r} with negative steps is not read")
    return n.call(_sliced, n.node(0), starts, ends, axes, steps)


def _sliced(x: torch.Tensor, starts: list[int], ends: list[int], axes: list[int], steps: list[int]) -> torch.Tensor:
    where = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        where[axis] = slice(start, end, step)
    return x[tuple(where)]


def _cast(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    kinds = {1: torch.float32, 10: torch.float32, 11: torch.float32, 6: torch.int64, 7: torch.int64, 9: torch.bool}
    kind, known = kinds.get(int(n.get("to", 1))), n.constant(0)
    if kind is None:
        raise ValueError(f"Cast {n.name!r} to type number {n.get('to', 1)} is not read")
    return known.to(kind) if known is not None else n.call(torch.Tensor.to, n.node(0), kind)


def _softmax(at: Importer, n: Operator) -> fx.Node:
    return n.call(torch.softmax, n.node(0), dim=int(n.get("axis", -1)))


def _same(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    known = n.constant(0)
    return known if known is not None else n.node(0)


def _transpose(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    order, known = n.get("perm", None), n.constant(0)
    if order is None:
        raise ValueError(f"Transpose {n.name!r} without perm is not read")
    return known.permute(*order) if known is not None else n.call(torch.permute, n.node(0), tuple(order))


def _concat(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    axis, known = int(n.get("axis", 0)), [n.constant(i) for i in range(len(n.inputs))]
    if all(k is not None for k in known):
        return torch.cat([k for k in known if k is not None], dim=axis)
    return n.call(torch.cat, [n.node(i) for i in range(len(n.inputs))], dim=axis)


OPS: Final[dict[str, Build]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Gather": _gather,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": lambda at, n: n.call(torch.mean, n.node(0), dim=(-2, -1), keepdim=True),
    "Flatten": lambda at, n: n.call(torch.flatten, n.node(0), int(n.get("axis", 1))),
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Squeeze": _shape_change(_squeezed),
    "Unsqueeze": _shape_change(_unsqueezed),
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "Pad": _pad,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Shape": _shape,
    "Cast": _cast,
    "Identity": _same,
    "Dropout": _same,
    "Softmax": _softmax,
    "Clip": _clip,
    "Add": _elementwise(torch.add),
    "Sub": _elementwise(torch.sub),
    "Mul": _elementwise(torch.mul),
    "Div": _elementwise(torch.div),
    "Pow": _elementwise(torch.pow),
    "Mod": _elementwise(torch.remainder),
    "Where": _elementwise(torch.where),
    "Equal": _elementwise(torch.eq),
    "Relu": _elementwise(torch.relu),
    "Sigmoid": _elementwise(torch.sigmoid),
    "Tanh": _elementwise(torch.tanh),
    "Erf": _elementwise(torch.erf),
    "Sqrt": _elementwise(torch.sqrt),
    "Exp": _elementwise(torch.exp),
    "Neg": _elementwise(torch.neg),
    "HardSwish": _elementwise(functional.hardswish),
    "LeakyRelu": _attribute(functional.leaky_relu, alpha=("negative_slope", 0.01)),
    "Elu": _attribute(functional.elu, alpha=("alpha", 1.0)),
    "Gelu": _attribute(functional.gelu, approximate=("approximate", "none")),
}
"""Operators of classifiers, multilayer perceptrons and encoders."""
