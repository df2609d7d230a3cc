"""Which tensors of a network live in the weight memory: every parameter by kind, and a rule that picks among them.

A weight is what a forward pass multiplies activations with as a matrix (``accelerator.layers.multiplied`` watches one),
and what torch's own matrix layers keep for that; where no pass can be watched, also ``weight`` of a layer of a user's
own that has two axes or more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal

from torch import nn

from qtaml_hw.errors import nearest

Kind = Literal["weight", "bias", "norm", "embedding", "other"]
_NORMS: tuple[type[nn.Module], ...] = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
    *([nn.RMSNorm] if hasattr(nn, "RMSNorm") else []),  # torch 2.4 and newer
)
_MATRICES: Final[dict[type[nn.Module], str]] = {
    nn.modules.conv._ConvNd: "convolution",
    nn.Linear: "linear layer",
    nn.Bilinear: "bilinear layer",
    nn.MultiheadAttention: "attention",
    nn.RNNBase: "recurrent layer",
    nn.RNNCellBase: "recurrent layer",
}
"""torch's own layers that multiply with their parameters, all but the biases."""


BUFFER: Final = "operand of a matrix product, but a buffer: make it a parameter to have it stored"


@dataclass(frozen=True)
class StoreRule:
    """What is stored: weights, which are what matrix products multiply with, and the kinds that are switched on.

    include: only names that match one of these patterns (``*``, ``?``, ``[ab]``); exclude: none that match one.
    others: parameters that enter no matrix product, such as class tokens.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    biases: bool = False
    norms: bool = False
    embeddings: bool = False
    others: bool = False

    @property
    def kinds(self) -> dict[Kind, str]:
        """Stored kinds, and the switch of each that is not: kind -> "" or the switch's name."""
        switches: dict[Kind, str] = {"bias": "biases", "norm": "norms", "embedding": "embeddings", "other": "others"}
        return {"weight": "", **{kind: "" if getattr(self, name) else name for kind, name in switches.items()}}


@dataclass(frozen=True)
class TensorEntry:
    """One parameter of a network: its name, kind, shape, whether it lives in the weight memory, and why."""

    name: str
    kind: Kind
    shape: tuple[int, ...]
    values: int
    stored: bool
    why: str = ""


@dataclass(frozen=True)
class _Found:
    """The kind of a parameter, and what it is in words."""

    kind: Kind
    what: str


_Parameter = tuple[str, _Found, nn.Parameter]


def inventory(
    module: nn.Module, rule: StoreRule | None = None, multiplied: Collection[str] | None = None
) -> tuple[TensorEntry, ...]:
    """Every parameter in network order with whether ``rule`` stores it; a parameter that is used twice is named once.
    Without values it is stored nowhere. Buffers that are multiplied with come last, and are never stored.

    multiplied: names of what a forward pass multiplies with; None where none was watched.
    Raises ValueError with every pattern that no parameter matches, or that matches only kinds not switched on.
    """
    rule = StoreRule() if rule is None else rule
    every = list(_parameters(module, multiplied))
    empty = {name for name, _, p in every if not p.numel()}
    stored = picked({name: found.kind for name, found, _ in every}, rule) - empty
    buffers = [(name, b) for name, b in module.named_buffers() if multiplied is not None and name in multiplied]
    return (
        *(
            TensorEntry(name, found.kind, tuple(p.shape), p.numel(), name in stored, _why(name, found, rule))
            for name, found, p in _unique(every, stored)
        ),
        *(TensorEntry(name, "weight", tuple(b.shape), b.numel(), False, BUFFER) for name, b in buffers),
    )


def picked(kinds: Mapping[str, Kind], rule: StoreRule | None = None) -> set[str]:
    """The names, of parameters by kind, that ``rule`` stores.

    Raises ValueError with every pattern that no name matches, or that matches only kinds not switched on.
    """
    rule = StoreRule() if rule is None else rule
    problems = [_unmatched(pattern, list(kinds)) for pattern in (*rule.include, *rule.exclude)]
    problems += [_switched_off(pattern, kinds, rule) for pattern in rule.include]
    if any(problems):
        raise ValueError("store: " + "; ".join(p for p in problems if p))
    return {name for name, kind in kinds.items() if _stored(name, kind, rule)}


def _stored(name: str, kind: Kind, rule: StoreRule) -> bool:
    return not rule.kinds[kind] and not _left_out(name, rule)


def _left_out(name: str, rule: StoreRule) -> str:
    """Which list of patterns keeps a name out of the memory: include, exclude or none."""
    if rule.include and not any(fnmatchcase(name, p) for p in rule.include):
        return "include"
    return "exclude" if any(fnmatchcase(name, p) for p in rule.exclude) else ""


def _why(name: str, found: _Found, rule: StoreRule) -> str:
    """What a parameter is, and the switch or pattern that keeps it out of the memory."""
    if rule.kinds[found.kind]:
        return f"{found.what}; network.store.{rule.kinds[found.kind]} is off"
    pattern = _left_out(name, rule)
    return f"{found.what}; left out by network.store.{pattern}" if pattern else found.what


def _unique(every: list[_Parameter], stored: set[str]) -> list[_Parameter]:
    """Parameters once each; of a tied pair the name that is stored, else the first."""
    names: dict[int, _Parameter] = {}
    for name, found, parameter in every:
        known = names.get(id(parameter))
        if known is None or (name in stored and known[0] not in stored):
            names[id(parameter)] = (name, found, parameter)
    return list(names.values())


def _parameters(module: nn.Module, multiplied: Collection[str] | None) -> Iterator[_Parameter]:
    operands = {id(p) for name, p in module.named_parameters(remove_duplicate=False) if name in (multiplied or ())}
    for path, layer in module.named_modules():
        prefix = f"{path}." if path else ""
        for name, parameter in layer.named_parameters(recurse=False):
            found = _found(layer, name, parameter, watched=multiplied is not None)
            if found.kind != "weight" and id(parameter) in operands:
                found = _Found("weight", "operand of a matrix product")
            yield prefix + name, found, parameter


def _found(layer: nn.Module, name: str, parameter: nn.Parameter, watched: bool) -> _Found:
    """What a layer's own parameter is; a layer of other classes may say its kind in ``parameter_kinds``."""
    told: dict[str, Kind] | None = getattr(layer, "parameter_kinds", None)
    if told is not None:
        return _Found(told[name], f"{told[name]} in the model file")
    what = next((what for kind, what in _MATRICES.items() if isinstance(layer, kind)), None)
    if what is not None:
        return _Found("bias", f"bias of a {what}") if "bias" in name else _Found("weight", what)
    if isinstance(layer, _NORMS):
        return _Found("norm", "scale or shift of a norm")
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        return _Found("embedding", "table that is looked up")
    if watched:
        return _Found("other", "in no matrix product")
    if name.startswith("weight") and parameter.ndim > 1 and not type(layer).__module__.startswith("torch.nn."):
        return _Found("weight", f"weight of {type(layer).__name__} by its name; no forward pass was watched")
    return _Found("other", f"parameter of {type(layer).__name__}; no forward pass was watched")


def _unmatched(pattern: str, names: list[str]) -> str:
    if any(fnmatchcase(name, pattern) for name in names):
        return ""
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"no parameter matches {pattern!r} (there are: {shown}){nearest(pattern, names)}"


def _switched_off(pattern: str, kinds: Mapping[str, Kind], rule: StoreRule) -> str:
    """A pattern that picks only tensors of kinds that are not stored would silently do nothing."""
    switches = {rule.kinds[kind] for name, kind in kinds.items() if fnmatchcase(name, pattern)}
    if not switches or "" in switches:
        return ""
    return f"{pattern!r} matches only {', '.join(sorted(switches))}, which are not stored: switch them on"
