"""Squared gradients of single inputs: what every weight's own gradient is for one input, squared, summed over inputs.

A layer's gradient for one input is a product of what it read and what is pulled back to its output: delta x^T for a
linear layer, delta unfold(x)^T for a convolution (Goodfellow, arXiv:1510.01799).  So a batch costs about one and a half
ordinary backward passes, and signs of different inputs never interfere.  Which weights the layers explain is tested,
not assumed: on the first inputs their gradients are held against autograd's, input by input.  All others (weights that
are also used elsewhere, recurrent layers, layers whose rows are no inputs) are taken one input at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional

from qtaml_hw._freed import give_back
from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.tac.worth.recomputed import recomputed

Seed = Callable[[torch.Tensor], torch.Tensor]
Take = Callable[[int, slice, torch.Tensor], None]
"""Of a weight its place, and sums of squared gradients in some of the passes, [some, weights]."""
_CHECKED = 3  # inputs on which a layer's gradients are held against autograd's
_TOLERANCE = 1e-3  # of a tensor's largest gradient: float32 sums in another order
_AT_ONCE = 1 << 24  # gradients of single inputs that are held at once, 64 MB
_MOST_INPUTS = 32  # at once
_MOST_OUTPUTS = 1 << 22  # outputs, and what is pulled back from them, that are held at once, 16 MB each


@dataclass(frozen=True)
class _Use:
    """One call of a layer: for how many inputs, what it read [N, ...], and where gradients arrive at its output."""

    layer: Any
    inputs: int
    read: torch.Tensor
    edge: GradientEdge


class _Uses:
    """Calls of the layers that own given weights, recorded while it is open; by the weight's identity."""

    def __init__(self, module: nn.Module, weights: Sequence[nn.Parameter]) -> None:
        self._wanted, self._inputs = {id(w) for w in weights}, 0
        self.calls: dict[int, list[_Use]] = {}
        self._layers = [layer for layer in module.modules() if self._explains(layer)]

    def _explains(self, layer: nn.Module) -> bool:
        return type(layer) in _RULES and id(layer.weight) in self._wanted

    def _record(self, layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if inputs and output.requires_grad:
            use = _Use(layer, self._inputs, inputs[0].detach(), get_gradient_edge(output))
            self.calls.setdefault(id(layer.weight), []).append(use)

    @contextmanager
    def recording(self, inputs: int) -> Iterator[None]:
        """Forget the last calls and record those of the block, in which so many inputs are passed through."""
        self.calls, self._inputs = {}, inputs
        hooks = [layer.register_forward_hook(self._record) for layer in self._layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


@dataclass(frozen=True)
class _Rule:
    """How a layer's gradient for one input is a product of two matrices.

    ``read`` : what a call read [N, ...] as [N, groups, in, steps]; ``back`` : what is pulled back to its output as
    [N, groups, out, steps].  The gradient is back read^T, summed over groups' own steps.
    """

    read: Callable[[_Use], torch.Tensor]
    back: Callable[[_Use, torch.Tensor], torch.Tensor]


def _rows(x: torch.Tensor, count: int) -> torch.Tensor:
    return x.reshape(count, 1, -1, x.shape[-1]).transpose(2, 3)


def _patches(use: _Use) -> torch.Tensor:
    layer, x = use.layer, use.read
    sides, steps, apart = layer.kernel_size, layer.stride, layer.dilation
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = functional.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    if len(sides) == 1:  # of one dimension: of two, one of them one high
        x, sides, steps, apart = x[:, :, None], (1, *sides), (1, *steps), (1, *apart)
    patches = functional.unfold(x, sides, dilation=apart, stride=steps)
    return patches.reshape(patches.shape[0], layer.groups, -1, patches.shape[2])


_LINEAR = _Rule(lambda use: _rows(use.read, use.inputs), lambda use, delta: _rows(delta, use.inputs))
_CONVOLUTION = _Rule(_patches, lambda use, delta: delta.reshape(use.inputs, use.layer.groups, -1, delta[0, 0].numel()))
_RULES: dict[type[nn.Module], _Rule] = {nn.Linear: _LINEAR, nn.Conv1d: _CONVOLUTION, nn.Conv2d: _CONVOLUTION}


def _joined(parts: list[torch.Tensor], dim: int) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _read(uses: Sequence[_Use]) -> torch.Tensor:
    """What all calls of a weight read, [N, groups, in, steps]; calls add steps."""
    return _joined([_RULES[type(u.layer)].read(u) for u in uses], 3)


def _back(uses: Sequence[_Use], deltas: Sequence[torch.Tensor]) -> torch.Tensor:
    """What is pulled back to all calls of a weight, [N, groups, out, steps]."""
    return _joined([_RULES[type(u.layer)].back(u, d) for u, d in zip(uses, deltas, strict=True)], 3)


def _squares(uses: Sequence[_Use], passes: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
    """Gradients of a weight for every input, squared and summed over inputs, [passes, weights]."""
    read = _read(uses)
    back = _joined([_back(uses, deltas) for deltas in passes], 2)  # [N, groups, passes x out, steps]
    count, groups, rows, steps = back.shape
    if steps == 1:
        one, two = back[..., 0].square(), read[..., 0].square()
        total = one.permute(1, 2, 0) @ two.transpose(0, 1)
    else:
        total = read.new_zeros(groups, rows, read.shape[2])
        some = max(1, _AT_ONCE // total.numel())
        for start in range(0, count, some):
            total += (back[start : start + some] @ read[start : start + some].transpose(2, 3)).square_().sum(0)
    number = len(passes)
    return total.reshape(groups, number, -1).transpose(0, 1).reshape(number, -1)


class Moves(Protocol):
    """Numbers that each move several weights of a tensor together.

    ``owner`` int64 [weights]: which number moves a weight; ``step`` [weights]: by how much per unit of it.
    ``pairs``: whether products of two numbers' gradients are asked for, or their squares alone.
    """

    @property
    def of(self) -> str: ...
    @property
    def numbers(self) -> int: ...
    @property
    def owner(self) -> Int64: ...
    @property
    def step(self) -> Float64: ...
    @property
    def pairs(self) -> bool: ...


@dataclass(frozen=True)
class Along:
    """Numbers that move the weights at a place together, in a direction."""

    place: int
    direction: Moves

    def nothing(self) -> torch.Tensor:
        """Where squares, or products, are added up."""
        return torch.zeros((self.direction.numbers,) * (2 if self.direction.pairs else 1), dtype=torch.float64)

    def squares(self, gradients: torch.Tensor) -> torch.Tensor:
        """Squared gradients of the numbers, float64 [numbers], or the products of every two [numbers, numbers].

        Summed over inputs; from gradients of weights [N, weights].
        """
        step, owner = torch.from_numpy(self.direction.step.astype(np.float32)), torch.from_numpy(self.direction.owner)
        moved = gradients.new_zeros(len(gradients), self.direction.numbers)
        moved.index_add_(1, owner.to(gradients.device), gradients * step.to(gradients))
        found = moved.to("cpu", torch.float64)
        return found.T @ found if self.direction.pairs else found.square().sum(0)


class SquaredGradients:
    """Squared gradients of single inputs for a module's named weights; ``transform`` makes what is pulled back from.

    ``alone``: positions of the weights that are taken one input at a time.  ``together``: sums over all inputs and
    passes so far of what ``Along.squares`` gives for each of ``along``.  ``at_once``: inputs whose outputs fit the
    memory together.
    """

    def __init__(
        self,
        module: nn.Module,
        weights: Sequence[nn.Parameter],
        inputs: torch.Tensor,
        transform: Callable[[torch.Tensor], torch.Tensor],
        along: Sequence[Along] = (),
    ) -> None:
        self.module, self.weights, self.transform, self.along = module, list(weights), transform, along
        self.together = [one.nothing() for one in along]
        self._uses = _Uses(module, self.weights)
        with torch.no_grad():
            each = self.transform(module(inputs[:1])).numel()
        self.at_once = max(1, min(_MOST_INPUTS, _MOST_OUTPUTS // max(each, 1)))
        self.alone = self._unexplained(inputs[:_CHECKED]) if self.at_once > 1 else ()

    def _forward(self, inputs: torch.Tensor) -> torch.Tensor:
        with self._uses.recording(inputs.shape[0]):
            return self.transform(self.module(inputs))

    def _pulled(self, y: torch.Tensor, seed: torch.Tensor, places: Sequence[int]) -> dict[int, list[torch.Tensor]]:
        """What arrives at every call of the weights at ``places``; those that the output does not see lack."""
        calls = [(place, use) for place in places for use in self._uses.calls[id(self.weights[place])]]
        edges = [use.edge for _, use in calls]
        found = torch.autograd.grad(y, edges, seed, retain_graph=True, allow_unused=True)
        pulled: dict[int, list[torch.Tensor]] = {}
        for (place, use), delta in zip(calls, found, strict=True):
            pulled.setdefault(place, []).append(_nothing(use) if delta is None else delta)
        return pulled

    def _called(self) -> list[int]:
        return [i for i, w in enumerate(self.weights) if self._uses.calls.get(id(w))]

    def _unexplained(self, few: torch.Tensor) -> tuple[int, ...]:
        y, uses = self._forward(few), self._uses.calls
        called = self._called()
        seed = torch.where(y.isneginf(), 0.0, torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).to(y))
        pulled = self._pulled(y, seed, called) if called else {}
        off, most = dict[int, float](), dict[int, float]()
        for i in range(y.shape[0]):

            def see(p: int, own: torch.Tensor, one: int = i) -> None:
                error = _error(uses[id(self.weights[p])], pulled[p], one, own) if p in pulled else math.inf
                off[p], most[p] = max(off.get(p, 0.0), error), max(most.get(p, 0.0), float(own.abs().max()))

            only = torch.zeros_like(seed)
            only[i] = seed[i]
            _each_gradient(y, self.weights, only, see)
        return tuple(p for p in sorted(off) if not off[p] <= _TOLERANCE * most[p])

    def of(self, inputs: torch.Tensor, seeds: Seed, passes: int, take: Take | None) -> None:
        """Hands on, of every weight that the output sees, sums over inputs of squared gradients in passes.

        Tensor by tensor, as all of them take a multiple of the network's own memory; ``take`` is None where only those
        that move together count.  ``seeds`` draws what is pulled back from the outputs [N, ...].
        """
        if self.at_once == 1:
            return self._of_one(inputs, seeds, passes, take)
        y, every = self._forward(inputs), slice(0, passes)
        drawn = [_seed(y, seeds) for _ in range(passes)]
        places = [i for i in self._called() if i not in self.alone]
        if places:
            pulled, calls = [self._pulled(y, seed, places) for seed in drawn], self._uses.calls
            for place in places:
                if any(one.place == place for one in self.along):
                    self._add_along(place, calls[id(self.weights[place])], [one[place] for one in pulled])
                if take is not None:
                    take(place, every, _squares(calls[id(self.weights[place])], [one[place] for one in pulled]))
        if self.alone:
            sums = {place: torch.zeros(passes, self.weights[place].numel()).to(y) for place in self.alone}
            self._add_alone(inputs, drawn, sums)
            if take is not None:
                for place, found in sums.items():
                    take(place, every, found)
        return None

    def _of_one(self, inputs: torch.Tensor, seeds: Seed, passes: int, take: Take | None) -> None:
        """The same of a single input: the gradients are autograd's own, each squared as soon as it is found."""
        with recomputed(self.module):
            y = self.transform(self.module(inputs))
        for number in range(passes):

            def see(place: int, own: torch.Tensor, number: int = number) -> None:
                row = own.reshape(1, -1)
                self._add(place, row)
                if take is not None:
                    take(place, slice(number, number + 1), row.square())

            give_back()
            _each_gradient(y, self.weights, _seed(y, seeds), see, keep=number + 1 < passes)
        del y
        give_back()

    def _add_along(self, place: int, uses: Sequence[_Use], passes: Sequence[Sequence[torch.Tensor]]) -> None:
        """Gradients of single inputs themselves, some at a time, where several weights move together."""
        read, some = _read(uses).transpose(2, 3), max(1, _AT_ONCE // self.weights[place].numel())
        for deltas in passes:
            back = _back(uses, deltas)
            for start in range(0, len(back), some):
                self._add(place, (back[start : start + some] @ read[start : start + some]).flatten(1))

    def _add(self, place: int, gradients: torch.Tensor) -> None:
        for one, total in zip(self.along, self.together, strict=True):
            if one.place == place:
                total += one.squares(gradients)

    def _add_alone(self, inputs: torch.Tensor, drawn: Sequence[torch.Tensor], sums: dict[int, torch.Tensor]) -> None:
        """The weights that no layer explains, one input at a time."""
        wanted = [self.weights[place] for place in self.alone]
        for i in range(inputs.shape[0]):
            y = self.transform(self.module(inputs[i : i + 1]))
            for number, seed in enumerate(drawn):
                found = torch.autograd.grad(y, wanted, seed[i : i + 1], retain_graph=True, allow_unused=True)
                for place, gradient in zip(self.alone, found, strict=True):
                    if gradient is not None:
                        sums[place][number] += gradient.reshape(-1).square()
                        self._add(place, gradient.reshape(1, -1))


def _each_gradient(
    y: torch.Tensor,
    weights: Sequence[nn.Parameter],
    seed: torch.Tensor,
    see: Callable[[int, torch.Tensor], None],
    keep: bool = True,
) -> None:
    """Shows every weight's place and gradient as it is found, and keeps none: all take as much memory as the weights.

    ``keep``: more is pulled back from these outputs.  Gradients that the parameters hold are theirs again afterwards.
    """
    kept, places = [w.grad for w in weights], dict[int, list[int]]()
    for place, w in enumerate(weights):
        places.setdefault(id(w), []).append(place)

    def found(w: torch.Tensor) -> None:
        own, w.grad = w.grad, None
        if own is not None:
            for place in places[id(w)]:
                see(place, own)

    first: list[Any] = [weights[mine[0]] for mine in places.values()]
    handles = [w.register_post_accumulate_grad_hook(found) for w in first]
    try:
        for w in weights:
            w.grad = None
        torch.autograd.backward(y, seed, retain_graph=keep, inputs=list(weights))
    finally:
        for handle in handles:
            handle.remove()
        for w, own in zip(weights, kept, strict=True):
            w.grad = own


def _seed(y: torch.Tensor, seeds: Seed) -> torch.Tensor:
    """What is drawn to be pulled back; nothing from a class that is ruled out, which moves nowhere."""
    return seeds(y).masked_fill_(y.isneginf(), 0.0)


def _nothing(use: _Use) -> torch.Tensor:
    shape = use.edge.node._input_metadata[use.edge.output_nr].shape
    return torch.zeros(tuple(int(n) for n in shape)).to(use.read)


def _error(uses: Sequence[_Use], deltas: Sequence[torch.Tensor], one: int, own: torch.Tensor) -> float:
    """How far a layer's gradient of one input is from autograd's; infinite where it is none of that shape."""
    try:
        back, read = _back(uses, deltas), _read(uses)
        found = (back[one] @ read[one].transpose(1, 2)).flatten()
    except (RuntimeError, IndexError):  # shapes that the layer's rule does not know
        return math.inf
    error = float((found - own.flatten()).abs().max()) if found.numel() == own.numel() else math.inf
    return math.inf if math.isnan(error) else error
