"""What the tensors of a file are taken for, by type, shape, name and neighbours: no forward pass tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import numpy as np

from qtaml_hw.weights.inventory import Kind
from qtaml_hw.workloads.shards import FLOATS, Slot

TABLES: Final = ("*embed*", "*embd*", "*_emb", "emb", "wte", "wpe", "shared", "relative_attention_bias", "rel_pos*")
"""Names, without ``.weight``, of tables that are looked up: GPT-2, LLaMA, BERT, T5, RWKV, SAM, GGUF."""
HEADS: Final = ("embed_out",)  # GPT-NeoX calls its output layer so


@dataclass(frozen=True)
class Told:
    """The kind of a tensor, and what it was told by."""

    kind: Kind
    what: str


def told(slot: Slot, names: Collection[str]) -> Told:
    """What a tensor is taken for; ``names``: of all tensors of the model.  Reads it where it may be a mask."""
    return next(found for test, found in _RULES if test(slot, names))


def rows_of(slot: Slot) -> int:
    """Output channels of a tensor, those of every expert apart: what ``per_channel`` gives a scale each."""
    return slot.shape[0] * slot.shape[1] if _experts(slot, ()) else slot.shape[0]


def _part(name: str) -> str:
    """The last part of a name that is not ``weight``: what its layer is called."""
    return name.removesuffix(".weight").rpartition(".")[2]


def _mask(slot: Slot, _: Collection[str]) -> bool:
    """One value up to the diagonal and another above it."""
    side = slot.shape[-1]
    if side < 2 or slot.shape[-2] != side or slot.values != side * side:
        return False
    first = slot.read(0, side)
    if first[0] == first[1] or not (first[1:] == first[1]).all():
        return False
    steps = np.arange(side)
    return all(
        np.array_equal(slot.read(row * side, side), np.where(steps <= row, first[0], first[1])) for row in range(side)
    )


def _table(slot: Slot, names: Collection[str]) -> bool:
    return looked_up(slot.name, slot.shape, names)


def looked_up(name: str, shape: tuple[int, ...], names: Collection[str]) -> bool:
    """Whether a tensor is a table, by its name: two axes, and no bias beside it."""
    part = _part(name)
    inner = part if not part.isdigit() else _part(name.removesuffix(".weight").removesuffix(f".{part}"))
    table = any(fnmatchcase(inner, pattern) for pattern in TABLES) and inner not in HEADS
    return len(shape) == 2 and table and f"{name.removesuffix('.weight')}.bias" not in names


def _experts(slot: Slot, _: Collection[str]) -> bool:
    return len(slot.shape) == 3 and "expert" in slot.name


_RULES: Final[tuple[tuple[Callable[[Slot, Collection[str]], bool], Told], ...]] = (
    (lambda s, _: s.dtype not in FLOATS, Told("other", "of a type that holds no weights")),
    (lambda s, _: not s.values, Told("other", "without values")),
    (lambda s, _: len(s.shape) < 2, Told("bias", "vector")),
    (_mask, Told("other", "causal mask")),
    (lambda s, _: s.shape[0] == 1 and not s.name.endswith(".weight"), Told("other", "token, or positions of one")),
    (_table, Told("embedding", "table that is looked up, by its name")),
    (lambda s, _: re.search("bias(_table)?$", s.name) is not None, Told("bias", "bias by its name")),
    (_experts, Told("weight", "matrix of every expert")),
    (lambda s, _: len(s.shape) > 2, Told("weight", "kernel")),
    (lambda s, _: True, Told("weight", "matrix")),
)
"""The first that applies."""
