"""ONNX operators that compute value by value, reduce or normalise: what they are in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, Final

import torch
from torch import fx
from torch.nn import functional

from qtaml_hw.workloads.onnx.graph import ANY, Importer, Operator, Row, Table

Made = fx.Node | torch.Tensor


def _elementwise(function: Callable[..., torch.Tensor]) -> Callable[[Importer, Operator], Made]:
    """Of constants alone the result is a constant too."""

    def build(at: Importer, n: Operator) -> Made:
        known = [n.constant(i) for i in range(len(n.inputs))]
        if all(k is not None for k in known):
            result = function(*known)
            at.follow(n.op, result, [k for k in known if k is not None])
            return result
        return n.call(function, *(n.node(i) for i in range(len(n.inputs))))

    return build


def _attribute(function: Callable[..., torch.Tensor], **defaults: Any) -> Callable[[Importer, Operator], Made]:
    """Functions of one value whose attributes are torch's arguments: attribute -> (argument, default)."""

    def build(at: Importer, n: Operator) -> Made:
        return n.of(function, **{arg: n.get(name, value) for name, (arg, value) in defaults.items()})

    return build


def _reduce(function: Callable[..., torch.Tensor]) -> Callable[[Importer, Operator], Made]:
    def build(at: Importer, n: Operator) -> Made:
        axes = n.ints("axes", 1)
        if not axes and n.get("noop_with_empty_axes", 0):
            return n.of(torch.clone)
        if not axes:
            raise n.refuse("over all axes")
        return n.of(function, dim=axes, keepdim=bool(n.get("keepdims", 1)))

    return build


def _softmax(at: Importer, n: Operator) -> Made:
    """Before opset 13 all axes from ``axis`` on are one."""
    if n.version >= 13:
        return n.of(torch.softmax, dim=int(n.get("axis", -1)))
    return n.of(_coerced_softmax, int(n.get("axis", 1)))


def _coerced_softmax(x: torch.Tensor, axis: int) -> torch.Tensor:
    axis += x.ndim if axis < 0 else 0
    flat = x.reshape(x.shape[:axis].numel(), x.shape[axis:].numel())
    return torch.softmax(flat, dim=-1).reshape(x.shape)


def _clip(at: Importer, n: Operator) -> Made:
    """Bounds are attributes in old opsets, inputs in new ones, computed ones among them."""
    limits: list[Any] = []
    for number, name in ((1, "min"), (2, "max")):
        known = n.constant(number)
        if known is not None:
            limits.append(known.item())
        else:
            limits.append(n.node(number) if n.has(number) else n.get(name, None))
    return n.of(_clipped, *limits)


def _clipped(x: torch.Tensor, low: Any, high: Any) -> torch.Tensor:
    """One bound after the other: torch takes numbers or tensors, not one of each."""
    x = x if low is None else torch.clamp(x, min=low)
    return x if high is None else torch.clamp(x, max=high)


def _divided(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Whole numbers are divided towards zero."""
    return torch.div(a, b) if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _power(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """In the type of the base."""
    return torch.pow(a, b).to(a.dtype)


def _over_all(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A function of two values for any number of them."""
    return lambda *values: reduce(function, values)


def _hard_sigmoid(x: torch.Tensor, alpha: float, beta: float) -> torch.Tensor:
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


def _mod(at: Importer, n: Operator) -> Made:
    return _elementwise(torch.fmod if n.get("fmod", 0) else torch.remainder)(at, n)


_ARITHMETIC: Final = (6, 7, 13, 14)
_OLD: Final = (6, 13)
_LIMITS: Final = (1, 11, 12, 13, 18, 20)
_REDUCED: Final = ("axes", "keepdims", "noop_with_empty_axes")
MATH: Final[Table] = {
    "Softmax": Row(_softmax, (1, 11, 13), ("axis",)),
    "Clip": Row(_clip, (6, 11, 12, 13), ("min", "max"), inputs=3),
    "ReduceMean": Row(
        _reduce(torch.mean), (1, 11, 13, 18), ("axes", "keepdims", "noop_with_empty_axes"), inputs=2, fixed=(1,)
    ),
    "ReduceSum": Row(
        _reduce(torch.sum), (1, 11, 13), ("axes", "keepdims", "noop_with_empty_axes"), inputs=2, fixed=(1,)
    ),
    "ReduceMax": Row(_reduce(torch.amax), _LIMITS, _REDUCED, inputs=2, fixed=(1,)),
    "ReduceMin": Row(_reduce(torch.amin), _LIMITS, _REDUCED, inputs=2, fixed=(1,)),
    "Add": Row(_elementwise(torch.add), _ARITHMETIC, ("broadcast",), inputs=2),
    "Sub": Row(_elementwise(torch.sub), _ARITHMETIC, ("broadcast",), inputs=2),
    "Mul": Row(_elementwise(torch.mul), _ARITHMETIC, ("broadcast",), inputs=2),
    "Div": Row(_elementwise(_divided), _ARITHMETIC, ("broadcast",), inputs=2),
    "Pow": Row(_elementwise(_power), (1, 7, 12, 13, 15), ("broadcast",), inputs=2),
    "Mod": Row(_mod, (10, 13, 28), ("fmod",), inputs=2),
    "Where": Row(_elementwise(torch.where), (9, 16), inputs=3),
    "Equal": Row(_elementwise(torch.eq), (7, 11, 13, 19), inputs=2),
    "And": Row(_elementwise(torch.logical_and), (7,), inputs=2),
    "Or": Row(_elementwise(torch.logical_or), (7,), inputs=2),
    "Not": Row(_elementwise(torch.logical_not), (1,)),
    "Greater": Row(_elementwise(torch.gt), (7, 9, 13), inputs=2),
    "GreaterOrEqual": Row(_elementwise(torch.ge), (12, 16), inputs=2),
    "Less": Row(_elementwise(torch.lt), (7, 9, 13), inputs=2),
    "LessOrEqual": Row(_elementwise(torch.le), (12, 16), inputs=2),
    "IsNaN": Row(_elementwise(torch.isnan), (9, 13, 20)),
    "Max": Row(_elementwise(_over_all(torch.maximum)), (6, 8, 12, 13), inputs=ANY),
    "Min": Row(_elementwise(_over_all(torch.minimum)), (6, 8, 12, 13), inputs=ANY),
    "Log": Row(_elementwise(torch.log), _OLD),
    "Abs": Row(_elementwise(torch.abs), _OLD),
    "Reciprocal": Row(_elementwise(torch.reciprocal), _OLD),
    "Relu": Row(_elementwise(torch.relu), (6, 13, 14)),
    "Sigmoid": Row(_elementwise(torch.sigmoid), _OLD),
    "Tanh": Row(_elementwise(torch.tanh), _OLD),
    "Erf": Row(_elementwise(torch.erf), (9, 13)),
    "Sqrt": Row(_elementwise(torch.sqrt), _OLD),
    "Exp": Row(_elementwise(torch.exp), _OLD),
    "Neg": Row(_elementwise(torch.neg), _OLD),
    "HardSigmoid": Row(_attribute(_hard_sigmoid, alpha=("alpha", 0.2), beta=("beta", 0.5)), (6, 22), ("alpha", "beta")),
    "HardSwish": Row(_elementwise(functional.hardswish), (14, 22)),
    "LeakyRelu": Row(_attribute(functional.leaky_relu, alpha=("negative_slope", 0.01)), (6, 16), ("alpha",)),
    "Elu": Row(_attribute(functional.elu, alpha=("alpha", 1.0)), (6, 22), ("alpha",)),
    "Gelu": Row(_attribute(functional.gelu, approximate=("approximate", "none")), (20,), ("approximate",)),
}
"""``broadcast`` of old opsets lets the last axes meet, as all later ones do; its ``axis`` is not read."""
