"""ONNX operators that move values about or say how many there are: what they are in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import fx

from qtaml_hw.workloads.graph import mirrored
from qtaml_hw.workloads.onnx.graph import ANY, WORDS, Importer, Operator, Row, Table, tensor
from qtaml_hw.workloads.onnx.layers import padded


def _flatten(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    axis = int(n.get("axis", 1))
    return n.of(torch.flatten, 1) if axis == 1 else n.of(_flattened, axis)


def _flattened(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Two axes: those before ``axis`` (counted from the end when below 0), and the rest."""
    axis += x.ndim if axis < 0 else 0
    return x.reshape(x.shape[:axis].numel(), x.shape[axis:].numel())


def _reshape(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    shape, known, keep = n.constant(1), n.constant(0), not n.get("allowzero", 0)
    if shape is None:
        return n.call(_reshaped_to, n.node(0), n.node(1), keep)
    if known is not None:
        return _reshaped_to(known, shape, keep)
    return n.call(_reshaped, n.node(0), shape.tolist(), keep, at.samples, at.batch)


def _reshaped(x: torch.Tensor, shape: list[int], keep: bool, inputs: torch.Tensor, batch: int) -> torch.Tensor:
    """A first side that is the batch the file was exported with stands for the batch there is."""
    sides = _kept(x, shape, keep)
    if batch and sides and sides[0] == batch:
        sides[0] = inputs.shape[0]
    return x.reshape(sides)


def _reshaped_to(x: torch.Tensor, shape: torch.Tensor, keep: bool) -> torch.Tensor:
    return x.reshape(_kept(x, shape.tolist(), keep))


def _kept(x: torch.Tensor, shape: list[int], keep: bool) -> list[int]:
    """Sides of a new shape; 0 keeps the old one, unless it is allowed to mean 0."""
    return [x.shape[i] if v == 0 and keep else v for i, v in enumerate(shape)]


def _transpose(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    order = n.get("perm", None)
    return n.of(_turned) if order is None else n.of(torch.permute, tuple(int(axis) for axis in order))


def _turned(x: torch.Tensor) -> torch.Tensor:
    return x.permute(*reversed(range(x.ndim)))


def _concat(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    axis, known = int(n.attributes["axis"]), [n.constant(i) for i in range(len(n.inputs))]
    if all(k is not None for k in known):
        return torch.cat([k for k in known if k is not None], dim=axis)
    return n.call(torch.cat, [n.node(i) for i in range(len(n.inputs))], dim=axis)


def _split(at: Importer, n: Operator) -> list[fx.Node]:
    axis, sizes, count = int(n.get("axis", 0)), n.ints("split", 1), len(n.outputs)
    if int(n.get("num_outputs", count)) != count or len(sizes or n.outputs) != count:
        raise n.refuse(f"with {count} of its parts")
    if sizes is None:
        parts = n.call(_parted, n.node(0), count, axis, n.version >= 18)
    else:
        parts = n.call(torch.split, n.node(0), sizes, dim=axis)
    return [at.builder.item(parts, i) for i in range(count)]


def _parted(x: torch.Tensor, count: int, axis: int, shorter: bool) -> tuple[torch.Tensor, ...]:
    """Equal parts; the last one may be ``shorter`` from opset 18 on."""
    if x.shape[axis] % count and not shorter:
        raise ValueError(f"{x.shape[axis]} values do not split into {count} equal parts")
    return torch.split(x, -(-x.shape[axis] // count), dim=axis)


def _slice(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    if any(n.has(i) and n.constant(i) is None for i in (1, 2)):
        return n.call(_sliced_to, n.node(0), n.node(1), n.node(2), n.ints("axes", 3), n.ints("steps", 4))
    starts, ends = n.ints("starts", 1), n.ints("ends", 2)
    if starts is None or ends is None:
        raise n.refuse("without bounds")
    return n.of(_sliced, _bounds(starts, ends, n.ints("axes", 3), n.ints("steps", 4)))


def _bounds(
    starts: list[int], ends: list[int], axes: list[int] | None, steps: list[int] | None
) -> list[tuple[int, ...]]:
    return list(zip(axes or range(len(starts)), starts, ends, steps or [1] * len(starts), strict=True))


def _sliced_to(
    x: torch.Tensor, starts: torch.Tensor, ends: torch.Tensor, axes: list[int] | None, steps: list[int] | None
) -> torch.Tensor:
    return _sliced(x, _bounds(starts.tolist(), ends.tolist(), axes, steps))


def _sliced(x: torch.Tensor, rows: list[tuple[int, ...]]) -> torch.Tensor:
    """Rows of (axis, start, end, step); bounds as Python's, a step below 0 walks backwards."""
    for axis, start, end, step in rows:
        size = x.shape[axis]
        if step > 0:
            where: list[Any] = [slice(None)] * x.ndim
            where[axis] = slice(start, end, step)
            x = x[tuple(where)]
        else:
            places = range(size)[slice(start, None if end < -size else end, step)]
            x = torch.index_select(x, axis % x.ndim, torch.tensor(places, dtype=torch.int64, device=x.device))
    return x


def _along(function: Callable[..., torch.Tensor]) -> Callable[[Importer, Operator], fx.Node | torch.Tensor]:
    def build(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
        axes = n.ints("axes", 1)
        if axes is None and n.op == "Squeeze":
            return n.of(_as_number)
        if axes is None:
            raise n.refuse("without axes")
        return n.of(function, axes)

    return build


def _as_number(x: torch.Tensor) -> torch.Tensor:
    """One value without an axis.  Raises ValueError for more axes: which of them is the batch could not be told."""
    if x.ndim > 1:
        raise ValueError("Squeeze of several axes does not say which")
    return x.reshape(()) if x.numel() == 1 else x


def _squeezed(x: torch.Tensor, axes: list[int]) -> torch.Tensor:
    return x.squeeze(tuple(axes))


def _unsqueezed(x: torch.Tensor, axes: list[int]) -> torch.Tensor:
    rank = x.ndim + len(axes)
    for axis in sorted(a % rank for a in axes):
        x = x.unsqueeze(axis)
    return x


def _pad(at: Importer, n: Operator) -> fx.Node:
    if n.get("mode", "constant") == "reflect":
        return n.call(mirrored, n.node(0), n.ints("pads", 1) or [])
    if n.get("mode", "constant") != "constant":
        raise n.refuse(f"with the mode {n.get('mode', '')}")
    pads, value = n.ints("pads", 1) or [], n.constant(2)
    sides = len(pads) // 2
    rows = [p for axis in reversed(range(sides)) for p in (pads[axis], pads[sides + axis])]
    return padded(n, n.node(0), rows, n.get("value", 0.0) if value is None else value.item())


def _expand(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    known, shape = n.constant(0), n.constant(1)
    return n.call(_expanded, n.node(0), n.node(1)) if known is None or shape is None else _expanded(known, shape)


def _expanded(x: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """Sides of one become those of the shape, and the other way round."""
    wanted = shape.tolist()
    rank = max(x.ndim, len(wanted))
    own, other = ([1] * (rank - len(sides)) + list(sides) for sides in (x.shape, wanted))
    return x.expand([a if b == 1 else b for a, b in zip(own, other, strict=True)])


def _range(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    known = [k for k in (n.constant(i) for i in range(3)) if k is not None]
    return _ranged(*known) if len(known) == 3 else n.call(_ranged, *(n.node(i) for i in range(3)))


def _ranged(start: torch.Tensor, end: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    return torch.arange(start.item(), end.item(), step.item(), dtype=start.dtype)


def _gather_nd(at: Importer, n: Operator) -> fx.Node:
    if n.get("batch_dims", 0):
        raise n.refuse("with batch_dims")
    return n.call(_gathered_nd, n.node(0), n.node(1))


def _gathered_nd(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return x[tuple(index.unbind(-1))]


def _constant(at: Importer, n: Operator) -> torch.Tensor:
    if len(n.attributes) != 1:
        raise n.refuse(f"with {len(n.attributes)} values")
    name, value = next(iter(n.attributes.items()))
    if name == "value":
        at.words |= {n.outputs[0]: WORDS[value.data_type]} if value.data_type in WORDS else {}
        return tensor(value)
    return torch.tensor(value, dtype=torch.float32 if "float" in name else torch.int64)


def _constant_of_shape(at: Importer, n: Operator) -> torch.Tensor:
    value = n.get("value", None)
    fill = torch.zeros(1) if value is None else tensor(value).reshape(-1)
    return torch.full([int(v) for v in n.fixed(0)], fill[0].item(), dtype=fill.dtype)


def _shape(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    return n.of(_shape_of, n.get("start", 0), n.get("end", None))


def _shape_of(x: torch.Tensor, start: int, end: int | None) -> torch.Tensor:
    return torch.tensor(x.shape[start:end], dtype=torch.int64)


def _cast(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    kinds = {1: torch.float32, 10: torch.float32, 11: torch.float32, 6: torch.int64, 7: torch.int64, 9: torch.bool}
    kind = kinds.get(int(n.get("to", 0)))
    if kind is None:
        raise n.refuse(f"to type number {n.get('to', 0)}")
    known, word = n.constant(0), at.words.get(n.inputs[0])
    if known is None or word is None or kind is not torch.float32:
        return n.of(torch.Tensor.to, kind)
    real = known.float()
    at.remember(real, known, word, torch.ones(()), torch.zeros(()))
    return real


def _dropout(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    training = n.constant(2)
    if training is not None and bool(training):
        raise n.refuse("in training mode")
    return _same(at, n)


def _same(at: Importer, n: Operator) -> fx.Node | torch.Tensor:
    known = n.constant(0)
    return n.node(0) if known is None else known


_NEW: Final = (21, 23, 24, 25)  # opsets that only add types
SHAPES: Final[Table] = {
    "Flatten": Row(_flatten, (1, 9, 11, 13, *_NEW), ("axis",)),
    "Reshape": Row(_reshape, (5, 13, 14, 19, *_NEW), ("allowzero",), inputs=2),
    "Transpose": Row(_transpose, (1, 13, *_NEW), ("perm",)),
    "Concat": Row(_concat, (4, 11, 13), ("axis",), inputs=ANY),
    "Split": Row(_split, (2, 11, 13, 18), ("axis", "split", "num_outputs"), inputs=2, fixed=(1,)),
    "Slice": Row(_slice, (1, 10, 11, 13), ("axes", "starts", "ends"), inputs=5, fixed=(3, 4)),
    "Squeeze": Row(_along(_squeezed), (1, 11, 13, *_NEW), ("axes",), inputs=2, fixed=(1,)),
    "Unsqueeze": Row(_along(_unsqueezed), (1, 11, 13, *_NEW), ("axes",), inputs=2, fixed=(1,)),
    "Pad": Row(_pad, (2, 11, 13, 18, 19, *_NEW), ("mode", "pads", "value"), inputs=3, fixed=(1, 2)),
    "Constant": Row(
        _constant,
        (1, 9, 11, 12, 13, 19, *_NEW),
        ("value", "value_float", "value_floats", "value_int", "value_ints"),
        inputs=0,
    ),
    "ConstantOfShape": Row(_constant_of_shape, (9, 20, *_NEW), ("value",), fixed=(0,)),
    "Shape": Row(_shape, (1, 13, 15, 19, *_NEW), ("start", "end")),
    "Cast": Row(_cast, (6, 9, 13, 19, *_NEW, 28), ("to", "saturate", "round_mode")),
    "Expand": Row(_expand, (8, 13), inputs=2),
    "Range": Row(_range, (11, 27), inputs=3),
    "GatherND": Row(_gather_nd, (11, 12, 13), ("batch_dims",), inputs=2),
    "Identity": Row(_same, (1, 13, 14, 16, 19, *_NEW)),
    "Dropout": Row(_dropout, (7, 10, 12, 13, 22), ("ratio", "seed"), inputs=3, fixed=(1, 2)),
}
"""``saturate`` and ``round_mode`` are of 8-bit floats, ``ratio`` and ``seed`` of training: they change nothing here."""
