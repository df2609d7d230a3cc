"""The GEMMs that a network runs per inference, found by watching one forward pass, and their cost on the array.

A convolution is its im2col GEMM (output pixels x kernel volume x output channels), one per group: a depthwise layer
is many narrow ones. Linear layers and the two products of attention are found wherever they happen, in any module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from qtaml_hw.accelerator.systolic import SystolicCost, systolic_cost
from qtaml_hw.weights.effective import effective, evaluating
from qtaml_hw.weights.scales import Axes


@dataclass(frozen=True)
class LayerCost:
    """One GEMM of a forward pass, run ``repeats`` times.

    name: of the layer, made unique; weight: name of the stored tensor it reads, None for products of activations and
    for tensors that lie elsewhere; kind: conv | depthwise | grouped | transposed | linear | attention;
    (m x k) by (k x n) is one GEMM; gemm: cost of one of them. The properties are totals over the repeats.
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
    stored: Collection[str] | None = None,
) -> tuple[LayerCost, ...]:
    """Every GEMM of one inference, in the order it runs, with its cost on a rows x columns array.

    input_shape: of one sample, without batch, passed as zeros; example: a batch of one instead, for networks that take
    something else than float32; stored: names of the tensors in the weight memory (None: all there are).  The module
    is run once in eval mode and left as it was.
    Raises ValueError if the module does not take the input, runs no GEMM, or the array is not valid.
    """
    systolic_cost(1, 1, 1, rows, columns, dataflow)
    sample = example if example is not None else torch.zeros(1, *input_shape, device=_device(module))
    with effective(module):
        gemms, inside = _watched(module, sample), _stored_under(module, stored)
    if not gemms:
        raise ValueError("the network runs no convolution, linear layer or matrix product")
    seen: dict[str, int] = {}
    out = []
    for g in gemms:
        seen[g.name] = seen.get(g.name, 0) + 1
        name = g.name if seen[g.name] == 1 else f"{g.name}#{seen[g.name]}"
        cost = systolic_cost(g.m, g.k, g.n, rows, columns, dataflow)
        out.append(LayerCost(name, inside.get(g.weight or ""), g.kind, g.m, g.k, g.n, g.repeats, cost))
    return tuple(out)


def multiplied(module: nn.Module, example: torch.Tensor) -> dict[str, Axes | None] | None:
    """The tensors that a pass of ``example`` [1, ...] multiplies with in matrix products, as they are or after steps
    that keep their number of values, by name; None when the pass cannot be watched.

    Each with the axes of its channels where it does not lie as [out, in, ...].
    """
    try:
        with effective(module):
            gemms = _watched(module, example)
    except ValueError:
        return None
    found: dict[str, Axes | None] = {}
    for gemm in gemms:
        if gemm.weight is not None:
            found.setdefault(gemm.weight, gemm.channels)
    return found


def _watched(module: nn.Module, sample: torch.Tensor) -> list[_Gemm]:
    """The products of one pass.  Raises ValueError when the module does not take the sample."""
    told = getattr(module, "products", None)
    if callable(told):  # it runs elsewhere, where no operator is seen
        return [_told(i, p) for i, p in enumerate(told(sample))]
    watch = _Watch(module)
    with ExitStack() as stack:
        stack.enter_context(evaluating(module))
        stack.enter_context(_unfused())
        stack.enter_context(watch.modules())
        stack.enter_context(torch.no_grad())
        stack.enter_context(watch)
        try:
            module(sample)
        except (RuntimeError, TypeError, IndexError, AssertionError) as error:
            shape = tuple(sample.shape)
            raise ValueError(f"the network does not take an input of shape {shape} ({error})") from error
    return watch.gemms


def _told(number: int, product: Any) -> _Gemm:
    """A product as a network says it that runs elsewhere."""
    m, k, n = product.size
    return _Gemm(product.weight or f"matmul{number}", product.weight, product.kind, m, k, n, product.repeats)


def _stored_under(module: nn.Module, stored: Collection[str] | None) -> dict[str, str]:
    """By every name of a stored tensor the one that it is stored under."""
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    chosen = {id(tensor): name for name, tensor in reversed(named) if stored is None or name in stored}
    return {name: chosen[id(tensor)] for name, tensor in named if id(tensor) in chosen}


@dataclass(frozen=True)
class _Gemm:
    name: str
    weight: str | None
    kind: str
    m: int
    k: int
    n: int
    repeats: int
    channels: Axes | None = None


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the GEMMs below autograd, where every module ends in the same few operators."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.gemms: list[_Gemm] = []
        self._module = module
        self._path: list[str] = []
        tensors = dict(reversed([*module.named_buffers(), *module.named_parameters()]))
        self._names = {_place(t): name for name, t in tensors.items() if t.ndim >= 2}
        self._lying = tensors
        self._constants = {_place(t): t for t in tensors.values()}
        """Tensors that no input enters, by where they lie; those that were computed are kept alive by this."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """torch's own switch: nothing is compiled here, and loading the compiler would cost two seconds."""
        return False

    @contextmanager
    def modules(self) -> Iterator[None]:
        """Hooks that keep the path of the module being run."""

        def enter(name: str) -> Callable[..., None]:
            return lambda *_: self._path.append(name)

        def leave(*_: object) -> None:
            self._path.pop()

        with ExitStack() as stack:
            for name, module in self._module.named_modules():
                stack.callback(module.register_forward_pre_hook(enter(name)).remove)
                stack.callback(module.register_forward_hook(leave, always_call=True).remove)
            yield

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = str(func.overloadpacket)
        if name in _PRODUCTS:
            a, b = (args[i] for i in _PRODUCTS[name])
            self._product(a, b if b.ndim > 1 else b.unsqueeze(-1))
        elif name == "aten.convolution":
            self._convolution(args, out)
        elif name == "aten._trilinear":
            self._bilinear(*args[:3])
        elif name.startswith("aten._scaled_dot_product") and not name.endswith("backward"):
            self._attention(*args[:3])
        elif name == "aten.mkldnn_rnn_layer":
            self._recurrent(*args[:3])
        self._follow((args, kwargs), out)
        return out

    def _follow(self, given: Any, out: Any) -> None:
        """What is computed from constants alone is one, and is called like the tensor in it of as many values."""
        inputs = {_place(t): t for t in tree_leaves(given) if isinstance(t, torch.Tensor)}
        constant = inputs.keys() <= self._constants.keys()
        for t in (t for t in tree_leaves(out) if isinstance(t, torch.Tensor)):
            if constant:
                owners = (self._names[p] for p, i in inputs.items() if p in self._names and i.numel() == t.numel())
                owner = next(owners, None)
                self._constants.setdefault(_place(t), t)
                if owner is not None:
                    self._names.setdefault(_place(t), owner)
            else:  # a constant that activations were written into is none any more
                self._constants.pop(_place(t), None)
                self._names.pop(_place(t), None)

    def _add(
        self, kind: str, weight: str | None, size: tuple[int, int, int], repeats: int, channels: Axes | None = None
    ) -> None:
        where = self._path[-1] if self._path else ""
        layer = weight.removesuffix(".weight") if weight is not None else f"{where}.matmul".lstrip(".")
        self.gemms.append(_Gemm(layer, weight, kind, *size, repeats, channels))

    def _weight(self, tensor: torch.Tensor) -> str | None:
        return self._names.get(_place(tensor))

    def _product(self, a: torch.Tensor, b: torch.Tensor) -> None:
        """a [.., m, k] by b [.., k, n]; a weight on the left is the same product transposed."""
        left, right = self._weight(a), self._weight(b)
        if left is not None and right is None:
            a, b, right = b.transpose(-1, -2), a.transpose(-1, -2), left
        m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
        batch = a.shape[0] if a.ndim == 3 else 1
        if right is not None and batch > 1 and b.stride(0) == 0:
            m, batch = m * batch, 1
        kind, channels = ("attention", None) if right is None else ("linear", self._channels(right, b))
        self._add(kind, right, (m, k, n), batch, channels)

    def _channels(self, name: str, operand: torch.Tensor) -> Axes | None:
        """Where a tensor that is multiplied as [.., k, n] has its channels; None where it lies as [n, k].

        Told by its strides, which views keep.
        """
        strides = self._lying[name].stride()
        inner, outer = operand.stride()[-2:]
        if len(strides) > 3 or strides.count(inner) != 1 or strides.count(outer) != 1 or inner == outer:
            return None
        kept = tuple(tuple(axis for axis, stride in enumerate(strides) if stride != other) for other in (inner, outer))
        return None if kept == ((0,), (1,)) else (kept[0], kept[1])

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

    def _bilinear(self, left: torch.Tensor, weight: torch.Tensor, right: torch.Tensor) -> None:
        """x W_o y for every output o: x by all W_o at once, then the results of every sample by its y."""
        (samples, first), (outputs, _, second) = left.shape, weight.shape
        self._add("linear", self._weight(weight), (samples, first, outputs * second), 1)
        self._add("attention", None, (outputs, second, 1), samples)

    def _convolution(self, args: tuple[Any, ...], out: torch.Tensor) -> None:
        """aten.convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)."""
        image, weight, transposed, groups = args[0], args[1], args[6], args[8]
        name, kernel = self._weight(weight), math.prod(weight.shape[2:])
        if transposed:
            pixels = image.shape[0] * math.prod(image.shape[2:])
            size = (pixels, weight.shape[0] // groups, weight.shape[1] * kernel)
            self._add("transposed", name, size, groups, ((1,), (0,)))
            return
        pixels = out.shape[0] * math.prod(out.shape[2:])
        size = (pixels, weight.shape[1] * kernel, weight.shape[0] // groups)
        kind = "conv" if groups == 1 else "depthwise" if weight.shape[1] == 1 else "grouped"
        self._add(kind, name, size, groups)


_PRODUCTS: Final = {
    "aten.mm": (0, 1),
    "aten.bmm": (0, 1),
    "aten.mv": (0, 1),
    "aten.addmm": (1, 2),
    "aten.baddbmm": (1, 2),
}


@contextmanager
def _unfused() -> Iterator[None]:
    """Attention as separate products rather than one fused encoder layer."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _place(tensor: torch.Tensor) -> int:
    """Where a tensor's memory lies: views of one tensor are in one place."""
    return int(tensor.untyped_storage().data_ptr())


def _device(module: nn.Module) -> torch.device:
    first = next(module.parameters(), None)
    return first.device if first is not None else torch.device("cpu")
