"""ONNX operators with weights, and pooling: what they are in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import fx, nn
from torch.nn import functional

from qtaml_hw.workloads.graph import TurnedLinear
from qtaml_hw.workloads.onnx.graph import Importer, Operator, Row, Table

CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
MAX_POOLS: Final = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
AVERAGE_POOLS: Final = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)


def padding(n: Operator, sides: int) -> list[int]:
    """Rows before and after every axis as torch.pad takes them, last axis first."""
    auto = n.get("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID"):
        raise n.refuse(f"with auto_pad {auto}; export explicit pads")
    pads = [0] * (2 * sides) if auto == "VALID" else list(n.get("pads", [0] * (2 * sides)))
    return [int(p) for axis in reversed(range(sides)) for p in (pads[axis], pads[sides + axis])]


def padded(n: Operator, x: fx.Node, rows: list[int], value: float = 0.0) -> fx.Node:
    """A value with rows around it, where there are any."""
    return n.call(functional.pad, x, rows, value=value) if any(rows) else x


def _conv(at: Importer, n: Operator) -> fx.Node:
    return convolution(n, n.fixed(1), n.constant(2), n.node(0), (1, {}))


def convolution(
    n: Operator, weight: torch.Tensor, bias: torch.Tensor | None, x: fx.Node, how: tuple[int, Mapping[Any, Any]]
) -> fx.Node:
    """A convolution of x; how: the number of the input that is its weight, and other classes of layers than torch's."""
    sides, groups = weight.ndim - 2, int(n.get("group", 1))
    if sides not in (1, 2, 3) or list(n.get("kernel_shape", weight.shape[2:])) != list(weight.shape[2:]):
        raise n.refuse(f"with a weight of shape {tuple(weight.shape)}")
    strides, dilations = (tuple(int(v) for v in n.get(k, [1] * sides)) for k in ("strides", "dilations"))
    kind: Any = CONVOLUTIONS[sides - 1]
    layer = how[1].get(kind, kind)(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),
        stride=strides,
        dilation=dilations,
        groups=groups,
        bias=bias is not None,
        device="meta",
    )
    _fill(n.at, layer, weight, bias)
    return n.layer(layer, n.inputs[how[0]], padded(n, x, padding(n, sides)))


def _fill(at: Importer, layer: Any, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    """Constants of the file as the layer's parameters.  Raises ValueError for shapes that do not fit."""
    for name, value in (("weight", weight), ("bias", bias)):
        wanted = getattr(layer, name)
        if value is None or wanted is None:
            continue
        if value.shape != wanted.shape:
            raise ValueError(f"a {name} of shape {tuple(value.shape)} does not fit {layer}")
        setattr(layer, name, at.parameter(value))


def linear(
    at: Importer, weight: torch.Tensor, bias: torch.Tensor | None = None, kind: type[nn.Linear] = nn.Linear
) -> nn.Linear | TurnedLinear:
    """A layer of a weight [out, in]; of one that lies as [in, out] where another layer has it so already."""
    if at.stored(weight.T) and not at.stored(weight):
        return TurnedLinear(at.parameter(weight.T), None if bias is None else at.parameter(bias))
    layer = kind(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    _fill(at, layer, weight, bias)
    return layer


def _gemm(at: Importer, n: Operator) -> fx.Node:
    """alpha x B + beta C; C is the layer's bias where it is one value per output."""
    if n.get("transA", 0):
        raise n.refuse("with transA: rows of its input would no longer be samples")
    alpha, beta, weight, bias = float(n.get("alpha", 1.0)), float(n.get("beta", 1.0)), n.constant(1), n.constant(2)
    if weight is None:
        product = n.call(torch.matmul, n.node(0), n.call(torch.t, n.node(1)) if n.get("transB", 0) else n.node(1))
        bias = None
    elif weight.ndim != 2:
        raise n.refuse(f"with a weight of shape {tuple(weight.shape)}")
    else:
        weight = weight if n.get("transB", 0) else weight.T
        outputs = weight.shape[0]
        per_output = bias is not None and bias.numel() in (1, outputs) and bias.shape[-1:] in ((), (1,), (outputs,))
        bias = bias.reshape(-1).expand(outputs) if bias is not None and per_output and alpha == beta == 1.0 else None
        product = n.layer(linear(at, weight, bias), n.inputs[1], n.node(0))
    product = product if alpha == 1.0 else n.call(torch.mul, product, alpha)
    if not n.has(2) or bias is not None:
        return product
    return n.call(torch.add, product, n.node(2) if beta == 1.0 else n.call(torch.mul, n.node(2), beta))


def _matmul(at: Importer, n: Operator) -> fx.Node:
    weight = n.constant(1)
    if weight is None or weight.ndim != 2:
        return n.call(torch.matmul, n.node(0), n.node(1))
    return n.layer(linear(at, weight.T), n.inputs[1], n.node(0))


def _batch_norm(at: Importer, n: Operator) -> fx.Node:
    """Right after a layer it is a norm of torch's own for that layer's rank, so that it can be folded."""
    training = n.get("training_mode", 0) or not n.get("is_test", n.version > 6) or any(n.outputs[1:])
    if training or n.get("spatial", 1) != 1:
        raise n.refuse("in training mode")
    scale, shift, mean, variance = (n.fixed(i) for i in range(1, 5))
    source = n.node(0)
    before = getattr(at.builder.root, str(source.target)) if source.op == "call_module" else None
    norms = {nn.Conv1d: nn.BatchNorm1d, nn.Conv3d: nn.BatchNorm3d, nn.Linear: nn.BatchNorm1d}
    layer = norms.get(type(before), nn.BatchNorm2d)(scale.numel(), eps=float(n.get("epsilon", 1e-5)))
    layer.load_state_dict({"weight": scale, "bias": shift, "running_mean": mean, "running_var": variance}, strict=False)
    if isinstance(before, (*CONVOLUTIONS, nn.Linear)):
        return n.layer(layer, n.inputs[1], source)
    return n.call(torch.Tensor.view_as, n.layer(layer, n.inputs[1], n.call(_as_image, source)), source)


def _as_image(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(x.shape[0], x.shape[1], -1, 1) if x.ndim != 4 else x


def _layer_norm(at: Importer, n: Operator) -> fx.Node:
    scale, shift, axis = n.fixed(1), n.constant(2), int(n.get("axis", -1))
    if axis != -scale.ndim:
        raise n.refuse(f"over axis {axis} with a scale of shape {tuple(scale.shape)}")
    layer = nn.LayerNorm(tuple(scale.shape), eps=float(n.get("epsilon", 1e-5)), device="meta")
    _fill(at, layer, scale, torch.zeros_like(scale) if shift is None else shift)
    return n.layer(layer, n.inputs[1], n.node(0))


def _gather(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    """Rows of a constant table at computed places are an embedding."""
    table, index, axis = n.constant(0), n.constant(1), int(n.get("axis", 0))
    if table is not None and index is not None:
        return _gathered(table, index, axis)
    if table is not None and table.ndim == 2 and axis == 0 and table.is_floating_point():
        layer = nn.Embedding(table.shape[0], table.shape[1], device="meta")
        layer.weight = at.parameter(table)
        return n.layer(layer, n.inputs[0], n.node(1))
    if index is not None and index.ndim == 0:
        return n.call(torch.select, n.node(0), axis, int(index))
    return n.call(_gathered, n.node(0), n.node(1), axis)


def _gathered(x: torch.Tensor, index: torch.Tensor, axis: int) -> torch.Tensor:
    """Entries of x along an axis at the places of an index of any shape; places below 0 count from the end."""
    axis %= x.ndim
    flat = index.reshape(-1).long()
    found = torch.index_select(x, axis, torch.where(flat < 0, flat + x.shape[axis], flat))
    return found.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def _pool(at: Importer, n: Operator) -> fx.Node:
    kernel = [int(v) for v in n.get("kernel_shape", [])]
    sides = len(kernel)
    stride, dilation = ([int(v) for v in n.get(key, [1] * sides)] for key in ("strides", "dilations"))
    if sides not in (1, 2, 3) or n.get("ceil_mode", 0):
        raise n.refuse("with ceil_mode, or other than one to three axes")
    rows = padding(n, sides)
    if n.op == "MaxPool":
        x = padded(n, n.node(0), rows, -math.inf)
        return n.call(MAX_POOLS[sides - 1], x, kernel, stride, dilation=dilation)
    if any(step != 1 for step in dilation):
        raise n.refuse("with dilations")
    pooled = n.call(AVERAGE_POOLS[sides - 1], padded(n, n.node(0), rows), kernel, stride)
    if not any(rows) or n.get("count_include_pad", 0):
        return pooled
    return n.call(torch.div, pooled, n.call(_inside, n.node(0), kernel, stride, rows))


def _inside(x: torch.Tensor, kernel: list[int], stride: list[int], rows: list[int]) -> torch.Tensor:
    """Share of every window that lies inside the image."""
    return AVERAGE_POOLS[len(kernel) - 1](functional.pad(torch.ones_like(x[:1, :1]), rows), kernel, stride)


def _global_average(x: torch.Tensor) -> torch.Tensor:
    return x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)


def _global_maximum(x: torch.Tensor) -> torch.Tensor:
    return x.amax(dim=tuple(range(2, x.ndim)), keepdim=True)


WINDOW: Final = ("auto_pad", "kernel_shape", "pads", "strides", "dilations")
LAYERS: Final[Table] = {
    "Conv": Row(_conv, (1, 11, 22), (*WINDOW, "group"), inputs=3, fixed=(1, 2)),
    "Gemm": Row(_gemm, (6, 7, 9, 11, 13), ("alpha", "beta", "transA", "transB", "broadcast"), inputs=3),
    "MatMul": Row(_matmul, (1, 9, 13), inputs=2),
    "BatchNormalization": Row(
        _batch_norm,
        (6, 7, 9, 14, 15),
        ("epsilon", "momentum", "spatial", "training_mode", "is_test"),
        inputs=5,
        fixed=(1, 2, 3, 4),
    ),
    "LayerNormalization": Row(_layer_norm, (17,), ("axis", "epsilon", "stash_type"), inputs=3, fixed=(1, 2)),
    "Gather": Row(_gather, (1, 11, 13), ("axis",), inputs=2),
    "MaxPool": Row(_pool, (1, 8, 10, 11, 12, 22), (*WINDOW, "ceil_mode", "storage_order")),
    "AveragePool": Row(_pool, (1, 7, 10, 11, 19, 22), (*WINDOW, "ceil_mode", "count_include_pad")),
    "GlobalAveragePool": Row(lambda at, n: n.call(_global_average, n.node(0)), (1, 22)),
    "GlobalMaxPool": Row(lambda at, n: n.call(_global_maximum, n.node(0)), (1, 22)),
}
"""``momentum``, ``stash_type`` and ``storage_order`` change nothing that is computed here; ``broadcast`` of a Gemm
allows what it does anyhow."""
