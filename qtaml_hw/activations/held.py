"""A forward pass whose values go through a buffer: written as codes, struck by faults, decoded, read back.

Values that layers read are written where the network's tensor lies, so that whatever reads it later (a shortcut beside
a block) reads what the buffer gives too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qtaml_hw._jit import direct
from qtaml_hw.activations import _kernels
from qtaml_hw.activations.attention import (
    SIDES,
    Attending,
    Side,
    Stretches,
    heads_first_to_tokens,
    own_heads,
    projections,
    whole,
)
from qtaml_hw.activations.faults import Counts, ValueFaults
from qtaml_hw.activations.numbers import Numbers
from qtaml_hw.activations.taps import Tap
from qtaml_hw.activations.words import Guard
from qtaml_hw.arrays import Float32
from qtaml_hw.faults import compile_notice
from qtaml_hw.weights.effective import evaluating

Forward = Callable[..., Any]
Through = Callable[[torch.Tensor], None]
Reading = Callable[[torch.Tensor], Stretches]


@dataclass(frozen=True, eq=False)
class Kept:
    """A value in its buffer: its numbers, calibrated scales [1, G] where it has them, and what happens to its cells.

    ``faults`` : None while nothing flips; ``guards`` : its ECC words.
    """

    tap: Tap
    numbers: Numbers
    scale: Float32 | None = None
    faults: ValueFaults | None = None
    guards: tuple[Guard, ...] = ()

    def rounding(self) -> Through:
        """Values [N, ...] to what they are read as without a flip, in place."""
        tap, numbers, scale = self.tap, self.numbers, self.scale
        other = _here(lambda x: numbers.round(x.numpy(), tap, scale))
        if scale is None:
            return other
        rest = *numbers.grid(tap.shape, tap), scale, numbers.top
        round_at = direct(_kernels.round_at, 0, 0, *rest)
        return self._compiled(round_at, other, *rest)

    def striking(self, counts: Counts, seen: Callable[[], int]) -> Through:
        """The same with their flips, which are counted; ``seen`` inputs went before."""
        numbers, tap, faults = self.numbers, self.tap, self.faults
        other = _here(lambda x: self._strike(x.numpy(), seen(), counts))
        found = faults.in_place if faults is not None else None
        if self.scale is None or self.guards or found is None:
            return other
        kernel, own = found
        rest = numbers.grid(tap.shape, tap), (self.scale, numbers.top), numbers.tables, own, counts.struck
        counts.wrong = counts.struck  # nothing is corrected
        with compile_notice(kernel):
            strike_at = direct(kernel, 0, 0, 0, *rest)
        return self._compiled(lambda address, n: strike_at(address, n, seen(), *rest), other)

    def _compiled(self, call: Callable[..., None], other: Through, *rest: Any) -> Through:
        """One call of a kernel where values lie as they were traced: all else costs more than small layers do."""
        values, kind = self.tap.values, torch.float32

        def through(x: torch.Tensor) -> None:
            if x.dtype is kind and x.is_cpu and x.is_contiguous() and x.stride()[0] == values:
                call(x.data_ptr(), x.numel() // values, *rest)
            else:
                other(x)

        return through

    def _strike(self, x: Float32, first: int, counts: Counts) -> None:
        """Values of the inputs from ``first`` on, code by code."""
        codes, scale = self.numbers.encode(x, self.tap, self.scale)
        self.read(codes, scale, x, first, counts)

    def read(self, codes: NDArray[Any], scale: Float32, x: Float32, first: int, counts: Counts) -> None:
        """What codes [N, M] that were written are read as, into x [N, ...]."""
        numbers, tap, faults = self.numbers, self.tap, self.faults
        assert faults is not None
        held = codes.copy()
        faults.strike(held, first)
        _kernels.count_planes(held, codes, counts.struck)
        for one in self.guards:
            one.read(codes, held, faults, first, counts, numbers.form.zero_code)
        if counts.wrong is not counts.struck:
            _kernels.count_planes(held, codes, counts.wrong)
        numbers.decode(held, scale, tap, x)


@dataclass(eq=False)
class Held:
    """The values of a network in their buffers, for passes over inputs that are counted from 0 on.

    ``counts`` : of the values that flips reach, by name, over the passes of the last block.
    """

    kept: Sequence[Kept]
    counts: dict[str, Counts] = field(default_factory=dict, init=False)
    _first: int = field(default=0, init=False)
    _calls: dict[str, int] = field(default_factory=dict, init=False)

    @contextmanager
    def hooked(self, module: nn.Module) -> Iterator[None]:
        """Passes of the module in the block read its values back as the buffers give them; counts begin anew.

        The layers' own ``forward`` is wrapped: a hook of torch costs each of them two microseconds a call.
        """
        self._first = 0
        self.counts = {one.tap.name: Counts.none(one.numbers.form.planes) for one in self.kept if one.faults}
        modules = dict(module.named_modules())
        places: dict[str, dict[tuple[Side, int], Kept]] = {}
        for one in self.kept:
            places.setdefault(one.tap.module, {})[one.tap.side, one.tap.call] = one
        with ExitStack() as stack:
            for path, here in places.items():
                self._wrap(stack, modules[path], path, here)
            inner = module.forward
            stack.enter_context(standing_in(module, self._counted(inner)))
            yield

    def _counted(self, inner: Forward) -> Forward:
        """A pass whose inputs come after those of the passes before it."""
        calls = self._calls

        def forward(*args: Any, **named: Any) -> Any:
            calls.clear()
            out = inner(*args, **named)
            self._first += len(args[0])
            return out

        return forward

    def _wrap(self, stack: ExitStack, layer: nn.Module, path: str, here: dict[tuple[Side, int], Kept]) -> None:
        read = {call: self.through(one) for (side, call), one in here.items() if side == "input"}
        fused = projections(layer) is not None and any(side in SIDES for side, _ in here)
        by_hook = ("output",) if fused else ("output", *SIDES)
        answered = {call: self.through(one) for (side, call), one in here.items() if side in by_hook}
        calls, inner = self._calls, layer.forward

        def forward(*args: Any, **named: Any) -> Any:
            call = calls.get(path, 0)
            calls[path] = call + 1
            if call in read:
                read[call](args[0])
            out = inner(*args, **named)
            if call in answered:
                out = out.clone(memory_format=torch.contiguous_format)
                answered[call](out)
            return out

        stack.enter_context(standing_in(layer, forward))
        if fused:
            attended = {at: self._reading(one) for at, one in here.items()}
            mode = Attending(lambda side, x: self._attended(attended.get((side, calls[path] - 1)), side, layer, x))
            stack.enter_context(mode.inside(layer))

    def _attended(self, reading: Reading | None, side: Side, layer: nn.Module, x: torch.Tensor) -> Stretches:
        """Keys or values [N, heads, tokens, width] as attention reads them."""
        if reading is None:
            return whole(side, x)
        times = own_heads(layer, side, x)
        stored = heads_first_to_tokens(x[:, ::times]).clone(memory_format=torch.contiguous_format)

        def by_heads(make: Callable[[], torch.Tensor]) -> torch.Tensor:
            heads = make().reshape(x.shape[0], x.shape[2], -1, x.shape[3]).transpose(1, 2)
            return heads.repeat_interleave(times, dim=1) if times > 1 else heads

        return [(end, partial(by_heads, make)) for end, make in reading(stored)]

    def _reading(self, one: Kept) -> Reading:
        """What attention reads of keys or values [N, tokens, width], by the tokens that read."""
        if one.faults is not None and one.tap.grows and one.faults.grows:
            return lambda stored: grown(one, stored, self._first, self.counts[one.tap.name])
        through = self.through(one)

        def read(stored: torch.Tensor) -> Stretches:
            through(stored)
            return whole(one.tap.side, stored)

        return read

    def through(self, one: Kept) -> Through:
        """What changes a value in place on its way through its buffer."""
        if one.faults is None:
            return one.rounding()
        return one.striking(self.counts[one.tap.name], lambda: self._first)


def grown(kept: Kept, x: torch.Tensor, first: int, counts: Counts) -> Stretches:
    """Keys or values [N, tokens, width] of the inputs from ``first`` on, as every token finds those up to its own.

    They are written once; what a token reads changes where bits flip that the one before it read right.  Counted is
    what the last token finds.
    """
    assert kept.faults is not None
    plain = np.array(x.detach().to("cpu", torch.float32).numpy(), order="C")
    codes, scale = kept.numbers.encode(plain, kept.tap, kept.scale)
    faults = kept.faults.drawn(first, *codes.shape)
    steps = range(x.shape[1]) if any(one.by_step is not None for one in kept.guards) else faults.changes.tolist()

    def read(step: int, last: bool) -> torch.Tensor:
        then = replace(kept, faults=faults.at(step), guards=tuple(one.at(step) for one in kept.guards))
        out = np.empty_like(plain)
        then.read(codes, scale, out, first, counts if last else Counts.none(kept.numbers.form.planes))
        return torch.from_numpy(out).to(x.device, x.dtype)

    ends = [*steps[1:], None]
    return [(end, partial(read, step, end is None)) for step, end in zip(steps, ends, strict=True)]


def _here(act: Through) -> Through:
    """The same on contiguous float32 values in the processor's memory, wherever and as whatever they are."""

    def acted(x: torch.Tensor) -> None:
        plain = x.detach().to("cpu", torch.float32).contiguous()
        act(plain)
        if plain.data_ptr() != x.data_ptr():
            x.copy_(plain)

    return acted


@contextmanager
def standing_in(module: nn.Module, forward: Forward) -> Iterator[None]:
    """Another ``forward`` of a module as long as the block lasts; what stood in before stands there again after it."""
    before = module.__dict__.get("forward")
    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        if before is None:
            del module.__dict__["forward"]
        else:
            module.__dict__["forward"] = before


class Watched(Held):
    """Passes whose values stay as they are; ``seen`` : the tensors of the last one by name, in reach of autograd."""

    def __init__(self, kept: Sequence[Kept]) -> None:
        super().__init__(kept)
        self.seen: dict[str, torch.Tensor] = {}

    def through(self, one: Kept) -> Through:
        """Notes the value."""

        def noted(x: torch.Tensor) -> None:
            if torch.is_grad_enabled() and not x.requires_grad:
                x.requires_grad_(True)
            self.seen[one.tap.name] = x

        return noted


def plain(x: torch.Tensor) -> Float32:
    """A value [N, ...] as numbers of its own."""
    return np.array(x.detach().to("cpu", torch.float32).numpy(), order="C")


def calibrate(module: nn.Module, kept: Sequence[Kept], inputs: torch.Tensor, batch: int = 64) -> tuple[Kept, ...]:
    """The same values with scales of the largest magnitude on inputs [N, ...], all values exact meanwhile.

    Raises ValueError without inputs where a scale has to be calibrated.
    """
    wanted = [one for one in kept if one.numbers.calibrated]
    if not wanted:
        return tuple(kept)
    if not len(inputs):
        raise ValueError("scales of values are calibrated on unlabelled inputs, and there are none")
    watched, peaks = Watched(wanted), dict[str, Float32]()
    with evaluating(module), torch.inference_mode(), watched.hooked(module):
        for chunk in torch.split(inputs, batch):
            module(chunk)
            for one in wanted:
                found = one.numbers.peaks(plain(watched.seen[one.tap.name]), one.tap).max(axis=0)
                peaks[one.tap.name] = np.maximum(found, peaks.get(one.tap.name, found))
    return tuple(
        replace(one, scale=one.numbers.steps(peaks[one.tap.name][None])) if one.tap.name in peaks else one
        for one in kept
    )
