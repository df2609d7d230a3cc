"""A forward pass whose values go through a buffer: written as codes, struck by faults, decoded, read back.

Values that layers read are written where the network's tensor lies, so that whatever reads it later (a shortcut beside
a block) reads what the buffer gives too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from qtaml_hw.activations.faults import Counts, ValueFaults
from qtaml_hw.activations.numbers import Numbers
from qtaml_hw.activations.taps import Attending, Side, Tap, heads_first_to_tokens, own_heads
from qtaml_hw.activations.words import Guard
from qtaml_hw.arrays import Float32
from qtaml_hw.weights.effective import evaluating


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

    def through(self, x: Float32, first: int) -> Counts:
        """Values [N, ...] of the inputs from ``first`` on as they are read, in place."""
        numbers, tap = self.numbers, self.tap
        if self.faults is None:
            numbers.round(x, tap, self.scale)
            return Counts()
        codes, scale = numbers.encode(x, tap, self.scale)
        held = codes.copy()
        self.faults.strike(held, first)
        counts = Counts(raw=int(np.bitwise_count(held ^ codes).sum()))
        for one in self.guards:
            counts = counts.plus(one.read(codes, held, numbers.form.zero_code, self.faults, first))
        numbers.decode(held, scale, tap, x)
        return counts._replace(left=int(np.bitwise_count(held ^ codes).sum()))


@dataclass(eq=False)
class Held:
    """The values of a network in their buffers, for passes over inputs that are counted from 0 on."""

    kept: Sequence[Kept]
    counts: dict[str, Counts] = field(default_factory=dict, init=False)
    _first: int = field(default=0, init=False)
    _rows: int = field(default=0, init=False)
    _calls: dict[str, int] = field(default_factory=dict, init=False)

    @contextmanager
    def hooked(self, module: nn.Module) -> Iterator[None]:
        """Passes of the module in the block read its values back as the buffers give them; counts begin anew."""
        self.counts, self._first = {}, 0
        modules = dict(module.named_modules())
        with ExitStack() as stack:
            stack.callback(module.register_forward_pre_hook(self._begin, prepend=True).remove)
            stack.callback(module.register_forward_hook(self._end).remove)
            places: dict[str, dict[tuple[Side, int], Kept]] = {}
            for one in self.kept:
                places.setdefault(one.tap.module, {})[one.tap.side, one.tap.call] = one
            for path, here in places.items():
                self._hook(stack, modules[path], path, here)
            yield

    def _hook(self, stack: ExitStack, layer: nn.Module, path: str, here: dict[tuple[Side, int], Kept]) -> None:
        sides = {side for side, _ in here}
        fused = bool(sides & {"key", "value"}) and hasattr(layer, "k_proj")

        def before(_: nn.Module, args: tuple[Any, ...]) -> None:
            call = self._calls[path] = self._calls.get(path, -1) + 1
            if ("input", call) in here:
                self._write(here["input", call], args[0])

        def after(_: nn.Module, args: tuple[Any, ...], out: torch.Tensor) -> torch.Tensor | None:
            one = next((here[key] for side in sides if (key := (side, self._calls[path])) in here), None)
            if one is None or one.tap.side == "input":
                return None
            new = out.clone(memory_format=torch.contiguous_format)
            self._write(one, new)
            return new

        stack.callback(layer.register_forward_pre_hook(before).remove)
        if fused:
            mode = Attending(lambda side, x: self._attended(here, (side, self._calls[path]), layer, x))
            stack.enter_context(mode.inside(layer))
        elif sides != {"input"}:
            stack.callback(layer.register_forward_hook(after).remove)

    def _attended(
        self, here: dict[tuple[Side, int], Kept], key: tuple[Side, int], layer: nn.Module, x: torch.Tensor
    ) -> torch.Tensor:
        """Keys or values [N, heads, tokens, width] as attention reads them."""
        if key not in here:
            return x
        times = own_heads(layer, x)
        stored = heads_first_to_tokens(x[:, ::times]).clone(memory_format=torch.contiguous_format)
        self._write(here[key], stored)
        heads = stored.reshape(x.shape[0], x.shape[2], -1, x.shape[3]).transpose(1, 2)
        return heads.repeat_interleave(times, dim=1) if times > 1 else heads

    def _write(self, one: Kept, x: torch.Tensor) -> None:
        plain = x.detach().to("cpu", torch.float32).contiguous()
        counts = one.through(plain.numpy(), self._first)
        if plain.data_ptr() != x.data_ptr():
            x.copy_(plain)
        self.counts[one.tap.name] = self.counts.get(one.tap.name, Counts()).plus(counts)

    def _begin(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        self._calls, self._rows = {}, len(args[0])

    def _end(self, *_: object) -> None:
        self._first += self._rows


def calibrate(module: nn.Module, kept: Sequence[Kept], inputs: torch.Tensor, batch: int = 64) -> tuple[Kept, ...]:
    """The same values with scales of the largest magnitude on inputs [N, ...], each seen behind those before it exact.

    Raises ValueError without inputs where a scale has to be calibrated.
    """
    wanted = [one for one in kept if one.numbers.calibrated]
    if wanted and not len(inputs):
        raise ValueError("scales of values are calibrated on unlabelled inputs, and there are none")
    peaks: dict[str, Float32] = {}
    probes = [replace(one, numbers=_Peeking(one.numbers, peaks, one.tap.name)) for one in wanted]  # type: ignore[arg-type]
    if wanted:
        with evaluating(module), torch.inference_mode(), Held(probes).hooked(module):
            for chunk in torch.split(inputs, batch):
                module(chunk)
    found = {name: peak[None] for name, peak in peaks.items()}
    return tuple(
        replace(one, scale=one.numbers.steps(found[one.tap.name])) if one.numbers.calibrated else one for one in kept
    )


@dataclass(frozen=True)
class _Peeking:
    """Numbers that change nothing and note the largest magnitudes."""

    numbers: Numbers
    peaks: dict[str, Float32]
    name: str

    def round(self, x: Float32, tap: Tap, known: Float32 | None) -> None:
        """Note them."""
        found = self.numbers.peaks(x, tap).max(axis=0)
        self.peaks[self.name] = np.maximum(found, self.peaks.get(self.name, found))
