"""The GEMMs that a network runs per inference, found by watching one forward pass, and their cost on the array.

A convolution is its im2col GEMM (output pixels x kernel volume x output channels), one per group: a depthwise layer
is many narrow ones. Linear layers and the two products of attention are found wherever they happen, in any module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from qtaml_hw.accelerator.systolic import SystolicCost, systolic_cost


@dataclass(frozen=True)
class LayerCost:
    """One GEMM of a forward pass, run ``repeats`` times.

    name: of the layer, made unique; weight: name of the stored tensor it reads, None for activation x activation;
    kind: conv | depthwise | grouped | transposed | linear | attention; (m x k) by (k x n) is one GEMM;
    gemm: cost of one of them. The properties are totals over the repeats.
    """

    name: str
    weight: str | None
    kind: str
    m: int
    k: int
    n: int
    repeats: int
    gemm: SystolicCost

    @property
    def cycles(self) -> int:
        return self.repeats * self.gemm.cycles

    @property
    def macs(self) -> int:
        return self.repeats * self.gemm.macs

    @property
    def input_reads(self) -> int:
        return self.repeats * self.gemm.input_reads

    @property
    def weight_reads(self) -> int:
        """Reads of the stationary operand; from the weight memory only if ``weight`` is not None."""
        return self.repeats * self.gemm.weight_reads

    @property
    def output_writes(self) -> int:
        return self.repeats * self.gemm.output_writes


@dataclass(frozen=True)
class NetworkCost:
    """Sums over the layers: cycles, macs, SRAM accesses in values; stored_weight_reads from the weight memory alone."""

    cycles: int
    macs: int
    input_reads: int
    weight_reads: int
    stored_weight_reads: int
    output_writes: int

    def latency_s(self, clock_hz: float) -> float:
        """Seconds per inference, layer after layer; ValueError if the clock is not above 0."""
        if not (clock_hz > 0 and math.isfinite(clock_hz)):
            raise ValueError(f"clock_hz must be above 0 and finite, got {clock_hz}")
        return self.cycles / clock_hz


def network_cost(costs: Iterable[LayerCost]) -> NetworkCost:
    """The sums over all layers."""
    layers = tuple(costs)
    return NetworkCost(
        cycles=sum(c.cycles for c in layers),
        macs=sum(c.macs for c in layers),
        input_reads=sum(c.input_reads for c in layers),
        weight_reads=sum(c.weight_reads for c in layers),
        stored_weight_reads=sum(c.weight_reads for c in layers if c.weight is not None),
        output_writes=sum(c.output_writes for c in layers),
    )


def layer_costs(
    module: nn.Module,
    input_shape: tuple[int, ...],
    rows: int,
    columns: int,
    dataflow: str = "ws",
    *,
    example: torch.Tensor | None = None,
) -> tuple[LayerCost, ...]:
    """Every GEMM of one inference, in the order it runs, with its cost on a rows x columns array.

    input_shape: of one sample, without batch, passed as zeros; example: a batch of one instead, for networks that take
    something else than float32. The module is run once in eval mode and left as it was.
    Raises ValueError if the module does not take the input, runs no GEMM, or the array is not valid.
    """
    systolic_cost(1, 1, 1, rows, columns, dataflow)
    sample = example if example is not None else torch.zeros(1, *input_shape, device=_device(module))
    watch = _Watch(module)
    with ExitStack() as stack:
        stack.enter_context(_evaluating(module))
        stack.enter_context(_unfused())
        stack.enter_context(watch.modules())
        stack.enter_context(torch.no_grad())
        stack.enter_context(watch)
        try:
            module(sample)
        except (RuntimeError, TypeError, IndexError, AssertionError) as error:
            shape = tuple(sample.shape)
            raise ValueError(f"the network does not take an input of shape {shape} ({error})") from error
    if not watch.gemms:
        raise ValueError("the network runs no convolution, linear layer or matrix product")
    seen: dict[str, int] = {}
    out = []
    for g in watch.gemms:
        seen[g.name] = seen.get(g.name, 0) + 1
        name = g.name if seen[g.name] == 1 else f"{g.name}#{seen[g.name]}"
        cost = systolic_cost(g.m, g.k, g.n, rows, columns, dataflow)
        out.append(LayerCost(name, g.weight, g.kind, g.m, g.k, g.n, g.repeats, cost))
    return tuple(out)


@dataclass(frozen=True)
class _Gemm:
    name: str
    weight: str | None
    kind: str
    m: int
    k: int
    n: int
    repeats: int


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the GEMMs below autograd, where every module ends in the same few operators."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.gemms: list[_Gemm] = []
        self._module = module
        self._path: list[tuple[str, nn.Module]] = []
        tensors = [*module.named_buffers(), *module.named_parameters()]
        self._names = {t.untyped_storage().data_ptr(): name for name, t in reversed(tensors) if t.ndim >= 2}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """torch's own switch: nothing is compiled here, and loading the compiler would cost two seconds."""
        return False

    @contextmanager
    def modules(self) -> Iterator[None]:
        """Hooks that keep the path of the module being run."""

        def enter(name: str, module: nn.Module) -> Callable[..., None]:
            return lambda *_: self._path.append((name, module))

        def leave(*_: object) -> None:
            self._path.pop()

        with ExitStack() as stack:
            for name, module in self._module.named_modules():
                stack.callback(module.register_forward_pre_hook(enter(name, module)).remove)
                stack.callback(module.register_forward_hook(leave, always_call=True).remove)
            yield

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = str(func.overloadpacket)
        if name in _PRODUCTS:
            a, b = (args[i] for i in _PRODUCTS[name])
            self._product(a, b)
        elif name == "aten.convolution":
            self._convolution(args, out)
        elif name.startswith("aten._scaled_dot_product") and not name.endswith("backward"):
            self._attention(*args[:3])
        elif name == "aten.mkldnn_rnn_layer":
            self._recurrent(*args[:3])
        return out

    def _add(self, kind: str, weight: str | None, size: tuple[int, int, int], repeats: int) -> None:
        where = self._path[-1][0] if self._path else ""
        layer = weight.removesuffix(".weight") if weight is not None else f"{where}.matmul".lstrip(".")
        self.gemms.append(_Gemm(layer, weight, kind, *size, repeats))

    def _weight(self, tensor: torch.Tensor) -> str | None:
        return self._names.get(tensor.untyped_storage().data_ptr())

    def _own_weight(self) -> str | None:
        """The weight of the layer being run, for layers that compute it anew (parametrised or fake-quantised)."""
        name, module = self._path[-1] if self._path else ("", self._module)
        plain = isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
        return f"{name}.weight".lstrip(".") if plain else None

    def _product(self, a: torch.Tensor, b: torch.Tensor) -> None:
        """a [.., m, k] by b [.., k, n]; a weight on the left is the same product transposed."""
        left, right = self._weight(a), self._weight(b)
        if left is not None and right is None:
            a, b, right = b.transpose(-1, -2), a.transpose(-1, -2), left
        right = right or self._own_weight()
        m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
        batch = a.shape[0] if a.ndim == 3 else 1
        if right is not None and batch > 1 and b.stride(0) == 0:
            m, batch = m * batch, 1
        self._add("linear" if right is not None else "attention", right, (m, k, n), batch)

    def _attention(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> None:
        """softmax(q k^T) v over [.., tokens, head width]: two products per head."""
        heads = math.prod(query.shape[:-2])
        queries, width, keys = query.shape[-2], query.shape[-1], key.shape[-2]
        self._add("attention", None, (queries, width, keys), heads)
        self._add("attention", None, (queries, keys, value.shape[-1]), heads)

    def _recurrent(self, sequence: torch.Tensor, from_input: torch.Tensor, from_state: torch.Tensor) -> None:
        """One recurrent layer over [steps, batch, inputs]: all inputs at once, then the state step by step."""
        steps, batch = sequence.shape[:2]
        gates, inputs = from_input.shape
        self._add("linear", self._weight(from_input), (steps * batch, inputs, gates), 1)
        self._add("linear", self._weight(from_state), (batch, from_state.shape[1], gates), steps)

    def _convolution(self, args: tuple[Any, ...], out: torch.Tensor) -> None:
        """aten.convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)."""
        image, weight, transposed, groups = args[0], args[1], args[6], args[8]
        name, kernel = self._weight(weight) or self._own_weight(), math.prod(weight.shape[2:])
        if transposed:
            pixels = image.shape[0] * math.prod(image.shape[2:])
            size = (pixels, weight.shape[0] // groups, weight.shape[1] * kernel)
            self._add("transposed", name, size, groups)
            return
        pixels = out.shape[0] * math.prod(out.shape[2:])
        size = (pixels, weight.shape[1] * kernel, weight.shape[0] // groups)
        kind = "conv" if groups == 1 else "depthwise" if weight.shape[1] == 1 else "grouped"
        self._add(kind, name, size, groups)


_PRODUCTS: Final = {
    "aten.mm": (0, 1),
    "aten.bmm": (0, 1),
    "aten.addmm": (1, 2),
    "aten.baddbmm": (1, 2),
}


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode for the block; every sub-module gets its own mode back."""
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for m, training in modes:
            m.training = training


@contextmanager
def _unfused() -> Iterator[None]:
    """Attention as separate products rather than one fused encoder layer."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _device(module: nn.Module) -> torch.device:
    first = next(module.parameters(), None)
    return first.device if first is not None else torch.device("cpu")
