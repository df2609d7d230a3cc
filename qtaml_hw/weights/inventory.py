"""Which tensors of a network live in the weight memory: every parameter by kind, and a rule that picks among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal

from torch import nn

from qtaml_hw.errors import nearest

Kind = Literal["weight", "bias", "norm", "embedding", "other"]
_Parameter = tuple[str, Kind, nn.Parameter]
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS: tuple[type[nn.Module], ...] = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
    *([nn.RMSNorm] if hasattr(nn, "RMSNorm") else []),  # torch 2.4 and newer
)
_ATTENTION: Final = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


@dataclass(frozen=True)
class StoreRule:
    """What is stored: weights of convolutions, linear layers and attention, and the kinds that are switched on.

    include: only names that match one of these patterns (``*``, ``?``, ``[ab]``); exclude: none that match one.
    others: parameters that belong to no such layer, such as class tokens.
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
    """One parameter of a network: its name, kind, shape, and whether it lives in the weight memory."""

    name: str
    kind: Kind
    shape: tuple[int, ...]
    values: int
    stored: bool


def inventory(module: nn.Module, rule: StoreRule | None = None) -> tuple[TensorEntry, ...]:
    """Every parameter in network order with whether ``rule`` stores it; a parameter that is used twice is named once.

    Raises ValueError with every pattern that no parameter matches, or that matches only kinds not switched on.
    """
    every = list(_parameters(module))
    stored = picked({name: kind for name, kind, _ in every}, rule)
    return tuple(
        TensorEntry(name, kind, tuple(p.shape), p.numel(), name in stored) for name, kind, p in _unique(every, stored)
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
    wanted = not rule.kinds[kind] and (not rule.include or any(fnmatchcase(name, p) for p in rule.include))
    return wanted and not any(fnmatchcase(name, p) for p in rule.exclude)


def _unique(every: list[_Parameter], stored: set[str]) -> list[_Parameter]:
    """Parameters once each; of a tied pair the name that is stored, else the first."""
    names: dict[int, _Parameter] = {}
    for name, kind, parameter in every:
        known = names.get(id(parameter))
        if known is None or (name in stored and known[0] not in stored):
            names[id(parameter)] = (name, kind, parameter)
    return list(names.values())


def _parameters(module: nn.Module) -> Iterator[_Parameter]:
    for path, layer in module.named_modules():
        prefix = f"{path}." if path else ""
        for name, parameter in layer.named_parameters(recurse=False):
            yield prefix + name, _kind(layer, name), parameter


def _kind(layer: nn.Module, name: str) -> Kind:
    """The kind of a layer's own parameter; a layer of other classes may say it in ``parameter_kinds``."""
    told: dict[str, Kind] | None = getattr(layer, "parameter_kinds", None)
    if told is not None:
        return told[name]
    if isinstance(layer, nn.MultiheadAttention):
        return "weight" if name in _ATTENTION else "bias"
    if isinstance(layer, (*_CONVOLUTIONS, nn.Linear)):
        return "bias" if name == "bias" else "weight"
    if isinstance(layer, _NORMS):
        return "norm"
    return "embedding" if isinstance(layer, nn.Embedding | nn.EmbeddingBag) else "other"


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
