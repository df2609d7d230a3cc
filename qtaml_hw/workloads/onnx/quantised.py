"""ONNX operators on codes: what quantised files compute, with the codes that they store.

Codes run as whole numbers in floating point, whose products are summed in double precision: exact below 2^53.  Rounding
passes gradients straight through (Bengio et al., arXiv:1308.3432), so that every policy of protection can be asked.
A range that a file measures at run time (DynamicQuantizeLinear) is that of each sample alone, as in batches of one.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import fx, nn
from torch.nn import functional

from qtaml_hw.workloads.onnx.codes import Word
from qtaml_hw.workloads.onnx.graph import WORDS, Importer, Operator, Row, Table
from qtaml_hw.workloads.onnx.layers import CONVOLUTIONS, WINDOW, convolution, linear

UINT8: Final = 2  # TensorProto.DataType
Made = fx.Node | torch.Tensor


class WholeLinear(nn.Linear):
    """A linear layer of codes: sums in double precision."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] to [..., out]."""
        return functional.linear(x.double(), self.weight.double()).float()


class _Whole:
    def _conv_forward(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        wide = None if bias is None else bias.double()
        found: torch.Tensor = super()._conv_forward(x.double(), weight.double(), wide)  # type: ignore[misc]
        return found.float()


class WholeConv1d(_Whole, nn.Conv1d):
    """A convolution of codes."""


class WholeConv2d(_Whole, nn.Conv2d):
    """A convolution of codes."""


class WholeConv3d(_Whole, nn.Conv3d):
    """A convolution of codes."""


WHOLE: Final = dict(zip(CONVOLUTIONS, (WholeConv1d, WholeConv2d, WholeConv3d), strict=True))


def _along(values: torch.Tensor, x: torch.Tensor, axis: int) -> torch.Tensor:
    """One value for all, one per index of an axis, or values that broadcast as they are."""
    if values.ndim != 1 or values.numel() == 1:
        return values.reshape(()) if values.numel() == 1 and values.ndim <= 1 else values
    sides = [1] * x.ndim
    sides[axis] = values.numel()
    return values.reshape(sides)


def _blocked(values: torch.Tensor, x: torch.Tensor, axis: int, block: int) -> torch.Tensor:
    """Values of blocks of ``block`` neighbours along an axis, one for each neighbour."""
    return values.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis]) if block else _along(values, x, axis)


def _read(x: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None, axis: int, block: int = 0) -> torch.Tensor:
    """scale x (code - zero point)."""
    less = x.float() if zero is None else x.float() - _blocked(zero.float(), x, axis, block)
    return less * _blocked(scale, x, axis, block)


def rounded(x: torch.Tensor) -> torch.Tensor:
    """To the nearest whole number, a tie to the even one; gradients pass as they are."""
    return x + (torch.round(x) - x).detach()


def _written(
    x: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None, axis: int, limits: tuple[int, int], block: int = 0
) -> torch.Tensor:
    """Codes of real numbers."""
    codes = rounded(x / _blocked(scale, x, axis, block))
    codes = codes if zero is None else codes + _blocked(zero.float(), x, axis, block)
    return torch.clamp(codes, *limits)


def _measured(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Codes 0 to 255 of the range of every sample, its scale and its zero point."""
    axes = tuple(range(1, x.ndim))
    low, high = (f(x.detach(), axes, keepdim=True) for f in (torch.amin, torch.amax))
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    scale = (high - low) / 255.0
    scale = torch.where(scale == 0.0, torch.ones_like(scale), scale)
    zero = torch.round(torch.clamp(-low / scale, 0.0, 255.0))
    return torch.clamp(rounded(x / scale) + zero, 0.0, 255.0), scale, zero


def _less(x: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
    return x - (zero.reshape(()) if zero.numel() == 1 else zero)


def _again(x: torch.Tensor, ratio: torch.Tensor, zero: torch.Tensor, limits: tuple[int, int]) -> torch.Tensor:
    return torch.clamp(rounded(x * ratio.reshape(())) + zero.float().reshape(()), *limits)


def _limits(n: Operator, zero: int) -> tuple[int, int]:
    """The least and the largest code: of the type of the zero point, or the one that is named."""
    told = int(n.get("output_dtype", 0)) or UINT8
    if not n.has(zero) and told not in WORDS:
        raise n.refuse(f"to type number {told}")
    word = n.at.words.get(n.inputs[zero]) if n.has(zero) else WORDS[told]
    if word is None:
        raise n.refuse("to a type that is not read")
    return (-(1 << (word.bits - 1)), (1 << (word.bits - 1)) - 1) if word.signed else (0, (1 << word.bits) - 1)


def _quantize(at: Importer, n: Operator) -> Made:
    zero = n.node(2) if n.has(2) else None
    return n.call(
        _written, n.node(0), n.node(1), zero, int(n.get("axis", 1)), _limits(n, 2), int(n.get("block_size", 0))
    )


def _dequantize(at: Importer, n: Operator) -> Made:
    axis, block, codes = int(n.get("axis", 1)), int(n.get("block_size", 0)), n.constant(0)
    if codes is not None:
        return _real(at, n, (0, 1, 2), axis, block)
    return n.call(_read, n.node(0), n.node(1), n.node(2) if n.has(2) else None, axis, block)


def _real(at: Importer, n: Operator, inputs: tuple[int, int | None, int], axis: int, block: int = 0) -> torch.Tensor:
    """What constant codes mean, remembered with them: numbers of the inputs that are codes, scale and zero point."""
    codes, place = n.fixed(inputs[0]), inputs[1]
    scale = torch.ones(()) if place is None else n.fixed(place)
    zero = n.constant(inputs[2])
    real = _read(codes, scale, zero, axis, block)
    level = torch.zeros(()) if zero is None else zero.float()
    word: Word | None = at.words.get(n.inputs[inputs[0]])
    if word is not None:
        at.remember(real, codes, word, _blocked(scale, codes, axis, block), _blocked(level, codes, axis, block))
    return real


def _centred(n: Operator, x: int, zero: int) -> fx.Node:
    return n.call(_less, n.node(x), n.node(zero)) if n.has(zero) else n.node(x)


def _conv_integer(at: Importer, n: Operator) -> fx.Node:
    return convolution(n, _real(at, n, (1, None, 3), 0), None, _centred(n, 0, 2), (1, WHOLE))


def _conv_of_codes(at: Importer, n: Operator) -> fx.Node:
    """x - zero by weights as they are; then the scale of the input over that of the output."""
    weight, bias, scale = _real(at, n, (3, 4, 5), 0), n.constant(8), n.fixed(4)
    if bias is not None:
        bias = bias.float() * scale
    product = convolution(n, weight, bias, _centred(n, 0, 2), (3, WHOLE))
    return n.call(_again, product, at.number(n.fixed(1) / n.fixed(6)), n.node(7), _limits(n, 7))


def _matmul_integer(at: Importer, n: Operator) -> fx.Node:
    x = _centred(n, 0, 2)
    if n.constant(1) is None:
        return n.call(_wide_product, x, _centred(n, 1, 3))
    return n.layer(linear(at, _real(at, n, (1, None, 3), -1).T, kind=WholeLinear), n.inputs[1], x)


def _wide_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.matmul(a.double(), b.double()).float()


def _matmul_of_codes(at: Importer, n: Operator) -> fx.Node:
    if n.constant(3) is None:
        product = n.call(_wide_product, _centred(n, 0, 2), _centred(n, 3, 5))
        ratio = n.fixed(1) * n.fixed(4) / n.fixed(6)
    else:
        weight = _real(at, n, (3, 4, 5), -1)
        product = n.layer(linear(at, weight.T, kind=WholeLinear), n.inputs[3], _centred(n, 0, 2))
        ratio = n.fixed(1) / n.fixed(6)
    return n.call(_again, product, at.number(ratio), n.node(7), _limits(n, 7))


def _dynamic(at: Importer, n: Operator) -> list[fx.Node]:
    found = n.call(_measured, n.node(0))
    at.words[n.outputs[2]] = WORDS[UINT8]
    return [at.builder.item(found, i) for i in range(3)]


_AXIS: Final = ("axis", "saturate", "block_size")
_SINCE: Final = (10, 13, 19, 21, 23, 24, 25)
QUANTISED: Final[Table] = {
    "QuantizeLinear": Row(_quantize, _SINCE, (*_AXIS, "output_dtype"), inputs=3),
    "DequantizeLinear": Row(_dequantize, _SINCE, _AXIS, inputs=3),
    "DynamicQuantizeLinear": Row(_dynamic, (11,)),
    "MatMulInteger": Row(_matmul_integer, (10,), inputs=4, fixed=(3,)),
    "QLinearMatMul": Row(_matmul_of_codes, (10, 21), inputs=8, fixed=(1, 2, 4, 5, 6, 7)),
    "ConvInteger": Row(_conv_integer, (10,), (*WINDOW, "group"), inputs=4, fixed=(1, 3)),
    "QLinearConv": Row(_conv_of_codes, (10,), (*WINDOW, "group"), inputs=9, fixed=tuple(range(1, 9))),
}
