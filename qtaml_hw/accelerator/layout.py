"""Which tensors of a pass on a processor lie channels last, where that changes no bit of an answer.

oneDNN sums a convolution with its channels first in blocks of 16 input channels (8 without AVX-512), and with its
channels last in one go: where there is one block, or one place of the kernel, the order is the same, and channels last
are up to three times as fast.  Whether it is, is tried on the machine itself, on numbers without zeros.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import torch
from torch import fx, nn
from torch.nn import functional

from qtaml_hw.accelerator.fused import Folded

_SEED: Final = 20
_BY_ELEMENT: Final = (nn.BatchNorm2d, nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Identity, nn.Dropout, nn.MaxPool2d)
_FUNCTIONS: Final = (
    functional.relu, torch.relu, operator.add, torch.add, operator.getitem, functional.pad,
    functional.max_pool2d, torch.max_pool2d, functional.relu6, functional.hardtanh,
)  # fmt: skip
"""What gives the same numbers for channels first and last: no sums over several values."""


def laid(node: fx.Node, run: Callable[..., Any] | None, network: nn.Module, last: Callable[[nn.Conv2d], bool]) -> Any:
    """An operator whose arguments lie channels last where ``last`` says so of its convolution, and first for sums."""
    if run is None or isinstance(run, Folded):
        return run
    layer = network.get_submodule(str(node.target)) if node.op == "call_module" else None
    if type(layer) is nn.Conv2d and last(layer):
        return lambda x: run(x.contiguous(memory_format=torch.channels_last))
    if type(layer) in _BY_ELEMENT or (node.op == "call_function" and node.target in _FUNCTIONS):
        return run
    return lambda *args, **named: run(*map(_first, args), **{name: _first(value) for name, value in named.items()})


def same_last(layer: nn.Conv2d, shape: torch.Size | None) -> bool:
    """Whether a convolution of inputs [N, C, H, W] on the processor gives the same bits with its channels last."""
    weight = layer.weight
    if shape is None or layer.padding_mode != "zeros" or weight.dtype != torch.float32 or weight.device.type != "cpu":
        return False
    how = (layer.stride, layer.padding, layer.dilation, layer.groups)
    return _same(tuple(shape), tuple(weight.shape), layer.bias is not None, how)


@cache
def _same(shape: tuple[int, ...], kernel: tuple[int, ...], biased: bool, how: tuple[Any, ...]) -> bool:
    own = torch.Generator().manual_seed(_SEED)
    x, weight, bias = (torch.rand(size, generator=own) - 0.5 for size in (shape, kernel, kernel[:1]))
    with torch.inference_mode():
        first, last = (
            functional.conv2d(x.contiguous(memory_format=f), weight, bias if biased else None, *how)
            for f in (torch.contiguous_format, torch.channels_last)
        )
    return torch.equal(first, last)


def _first(value: Any) -> Any:
    """A tensor that lies channels last with its channels first; anything else as it is."""
    if not isinstance(value, torch.Tensor) or value.ndim != 4 or value.is_contiguous():
        return value
    return value.contiguous() if value.is_contiguous(memory_format=torch.channels_last) else value
