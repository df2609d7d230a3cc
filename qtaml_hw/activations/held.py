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

from qtaml_hw.activations.attention import SIDES, Attending, Side, Stretches, heads_first_to_tokens, own_heads, whole
from qtaml_hw.activations.faults import Counts, ValueFaults
from qtaml_hw.activations.numbers import Numbers
from qtaml_hw.activations.taps import Tap
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
        fused = bool(sides & set(SIDES)) and hasattr(layer, "k_proj")

        def before(_: nn.Module, args: tuple[Any, ...]) -> None:
            call = self._calls[path] = self._calls.get(path, -1) + 1
            if ("input", call) in here:
                self.write(here["input", call], args[0])

        def after(_: nn.Module, args: tuple[Any, ...], out: torch.Tensor) -> torch.Tensor | None:
            one = next((here[key] for side in sides if (key := (side, self._calls[path])) in here), None)
            if one is None or one.tap.side == "input":
                return None
            new = out.clone(memory_format=torch.contiguous_format)
            self.write(one, new)
            return new

        stack.callback(layer.register_forward_pre_hook(before).remove)
        if fused:
            mode = Attending(lambda side, x: self._attended(here, (side, self._calls[path]), layer, x))
            stack.enter_context(mode.inside(layer))
        elif sides != {"input"}:
            stack.callback(layer.register_forward_hook(after).remove)

    def _attended(
        self, here: dict[tuple[Side, int], Kept], key: tuple[Side, int], layer: nn.Module, x: torch.Tensor
    ) -> Stretches:
        """Keys or values [N, heads, tokens, width] as attention reads them."""
        if key not in here:
            return whole(key[0], x)
        times = own_heads(layer, x)
        stored = heads_first_to_tokens(x[:, ::times]).clone(memory_format=torch.contiguous_format)
        self.write(here[key], stored)
        heads = stored.reshape(x.shape[0], x.shape[2], -1, x.shape[3]).transpose(1, 2)
        return whole(key[0], heads.repeat_interleave(times, dim=1) if times > 1 else heads)

    def write(self, one: Kept, x: torch.Tensor) -> None:
        """A value on its way through its buffer, in place."""
        plain = x.detach().to("cpu", torch.float32).contiguous()
        counts = one.through(plain.numpy(), self._first)
        if plain.data_ptr() != x.data_ptr():
            x.copy_(plain)
        self.counts[one.tap.name] = self.counts.get(one.tap.name, Counts()).plus(counts)

    def _begin(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        self._calls, self._rows = {}, len(args[0])

    def _end(self, *_: object) -> None:
        self._first += self._rows


class Watched(Held):
    """Passes whose values stay as they are; ``seen`` : the tensors of the last one by name, in reach of autograd."""

    def __init__(self, kept: Sequence[Kept]) -> None:
        super().__init__(kept)
        self.seen: dict[str, torch.Tensor] = {}

    def write(self, one: Kept, x: torch.Tensor) -> None:
        """Note a value."""
        if torch.is_grad_enabled() and not x.requires_grad:
            x.requires_grad_(True)
        self.seen[one.tap.name] = x


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
