"""Where values are handed over: found by watching one forward pass.

``activations`` are the tensors that go from one stored layer to the next: what a stored layer reads, after activation
function, pooling and additions, written once however many layers read it.  What the network is given, and what it
answers, is no such value.  ``kv`` are the keys and values of attention modules (of ``PROJECTIONS``) as
their products of attention read them, after any rotation of positions; as the two projections write them where no such
products are seen.  Any other name is a module, whose output is the value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from qtaml_hw.activations.attention import (
    PROJECTIONS,
    SIDES,
    Side,
    Stretches,
    Watching,
    attentions,
    heads_first_to_tokens,
    own_heads,
    projections,
    whole,
)
from qtaml_hw.errors import nearest
from qtaml_hw.weights.effective import evaluating

ROLES: Final = ("activations", "kv")


@dataclass(frozen=True)
class Tap:
    """One value of a pass: call number ``call`` of a module reads it (``input``), answers it, or attends to it.

    ``shape`` : of one input, tokens before channels for keys and values; ``channels_first`` : whether its first axis is
    the channel (feature maps), else the last one; ``written_after``, ``read_last`` : the stored layers that ran last
    when it was first read, and when it was read for the last time, by path, with ``#2`` in their second call.
    ``grows`` : keys and values that every token reads up to its own, as they are when it comes.
    """

    name: str
    module: str
    call: int
    side: Side
    shape: tuple[int, ...]
    channels_first: bool
    written_after: str
    read_last: str
    grows: bool = False

    @property
    def values(self) -> int:
        """Numbers of one input."""
        return int(torch.Size(self.shape).numel())


def stored_layers(stored: Collection[str]) -> tuple[str, ...]:
    """Paths of the layers that own stored tensors, in their order."""
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in stored))


class _Uses(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """When the memory of a watched tensor was last read."""

    def __init__(self, now: Callable[[], str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now, self.kept, self.last = now, list[torch.Tensor](), dict[int, str]()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def watch(self, x: torch.Tensor) -> int:
        """Its place from now on, which no other tensor gets while this watches."""
        self.kept.append(x)
        place = int(x.untyped_storage().data_ptr())
        self.last.setdefault(place, self.now())
        return place

    def read(self, given: Any) -> None:
        """Whatever is watched among these was read now."""
        for leaf in tree_leaves(given):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage().data_ptr() in self.last:
                self.last[leaf.untyped_storage().data_ptr()] = self.now()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.read((args, kwargs))
        return func(*args, **(kwargs or {}))


@dataclass(eq=False)
class _Trace:
    """What one pass shows: the layers that ran, the tensors that they read, the values among them."""

    calls: dict[str, int] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    known: dict[int, torch.Tensor] = field(default_factory=dict)
    found: list[tuple[Tap, int]] = field(default_factory=list)
    attention: dict[str, Watching] = field(default_factory=dict)

    def now(self) -> str:
        return self.ran[-1] if self.ran else ""

    def add(self, uses: _Uses, place: tuple[str, Side], x: torch.Tensor, name: str, channels_first: bool) -> None:
        path, side = place
        call = self.calls.get(path, 1) - 1
        shown = name if call == 0 else f"{name}#{call + 1}"
        self.known[id(x)] = x
        after = self.ran[-2] if side == "input" and len(self.ran) > 1 else self.now()
        tap = Tap(shown, path, call, side, tuple(x.shape[1:]), channels_first, after, "")
        self.found.append((tap, uses.watch(x)))


def trace(
    module: nn.Module, example: torch.Tensor, contents: Sequence[str], stored: Collection[str]
) -> tuple[Tap, ...]:
    """The values of a network in the order in which they are first read, from a pass of ``example`` [1, ...].

    ``contents`` : ``activations``, ``kv``, or paths of modules; ``stored`` : names of the tensors in the weight memory.
    Raises ValueError for a module that there is not, a role that the network has no value of, or an example that it
    does not take.
    """
    modules = dict(module.named_modules())
    named = [name for name in contents if name not in ROLES]
    for name in named:
        if name not in modules or not name:
            raise ValueError(f"no module {name!r} in the network{nearest(name, [m for m in modules if m])}")
    seen = _Trace()
    uses = _Uses(seen.now)
    with ExitStack() as stack:
        stack.enter_context(evaluating(module))
        stack.enter_context(torch.no_grad())
        layers = stored_layers(stored)
        for path in layers:
            stack.callback(modules[path].register_forward_pre_hook(_reader(seen, uses, path, contents)).remove)
        for path in named:
            stack.callback(modules[path].register_forward_hook(_answer(seen, uses, path, layers)).remove)
        if "kv" in contents:
            for path in attentions(module):
                _watch_attention(stack, (seen, uses), path, modules[path])
        stack.enter_context(uses)
        try:
            uses.read(module(example))  # what it answers is read when all layers have run
        except (RuntimeError, TypeError, IndexError) as error:
            raise ValueError(f"the network does not take an input of shape {tuple(example.shape)} ({error})") from error
    taps = tuple(Tap(**{**vars(tap), "read_last": uses.last[place]}) for tap, place in seen.found)
    sides: dict[str, tuple[Side, ...]] = {"activations": ("input",), "kv": ("key", "value")}
    for role in [name for name in contents if name in ROLES]:
        if not any(tap.side in sides[role] for tap in taps):
            what = {
                "activations": "no tensor goes from one layer with stored weights to another: name modules instead",
                "kv": f"no module of the network has {', or '.join(' and '.join(pair) for pair in PROJECTIONS)}",
            }
            raise ValueError(f"the network has no {role} ({what[role]})")
    return _once(taps, seen.attention)


def _once(taps: tuple[Tap, ...], attention: Mapping[str, Watching]) -> tuple[Tap, ...]:
    """Keys and values as attention reads them where its products are seen, as projections write them elsewhere."""
    sides = Counter(tap.module for tap in taps if tap.side in SIDES and tap.module in attention)
    seen = {path for path, count in sides.items() if count == len(SIDES) and attention[path].known}
    found = []
    for tap in taps:
        owner = tap.module if tap.module in attention else tap.module.rpartition(".")[0]
        if tap.side not in SIDES or (owner in seen) == (tap.module == owner):
            found.append(replace(tap, grows=tap.module in seen and attention[tap.module].causal))
    return tuple(found)


def _reader(seen: _Trace, uses: _Uses, path: str, contents: Sequence[str]) -> Callable[..., None]:
    def hook(layer: nn.Module, args: tuple[Any, ...]) -> None:
        first = not seen.ran
        seen.calls[path] = seen.calls.get(path, 0) + 1
        seen.ran.append(path if seen.calls[path] == 1 else f"{path}#{seen.calls[path]}")
        x = args[0] if args else None
        if "activations" not in contents or first or not isinstance(x, torch.Tensor):
            return
        if x.is_floating_point() and seen.known.get(id(x)) is not x:
            seen.add(uses, (path, "input"), x, path, isinstance(layer, nn.modules.conv._ConvNd))

    return hook


def _answer(seen: _Trace, uses: _Uses, path: str, stored: Collection[str]) -> Callable[..., None]:
    def hook(layer: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        if not isinstance(out, torch.Tensor) or not out.is_floating_point():
            raise ValueError(f"the module {path} does not answer one tensor of numbers")
        if path not in stored:
            seen.calls[path] = seen.calls.get(path, 0) + 1
        seen.add(uses, (path, "output"), out, f"{path}.output", out.ndim >= 4)

    return hook


def _watch_attention(stack: ExitStack, seen: tuple[_Trace, _Uses], path: str, attention: nn.Module) -> None:
    trace, uses = seen

    def read(side: Side, x: torch.Tensor) -> Stretches:
        stored = heads_first_to_tokens(x[:, :: own_heads(attention, side, x)])
        trace.add(uses, (path, side), stored, f"{path}.{side}", False)
        uses.watch(x)
        return whole(side, x)

    mode = trace.attention[path] = Watching(read)
    stack.enter_context(mode.inside(attention))
    for name, side in zip(projections(attention) or (), SIDES, strict=True):
        inner = f"{path}.{name}"

        def hook(layer: nn.Module, args: tuple[Any, ...], out: torch.Tensor, at: str = inner, of: Side = side) -> None:
            trace.add(uses, (at, of), out, f"{path}.{of}", False)

        stack.callback(getattr(attention, name).register_forward_hook(hook).remove)
