"""A study's patterns and the names of a file: those of its own, or else those that transformers give its tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from glob import escape
from typing import Final

from qtaml_hw.errors import nearest
from qtaml_hw.weights.inventory import StoreRule
from qtaml_hw.workloads.gguf_file import GgufFile
from qtaml_hw.workloads.gguf_network import name_table

HEAD: Final = "output.weight"
TIED: Final = "token_embd.weight"  # the output layer too, where a file has no other
SHOWN: Final = 3  # names of either spelling in a message
USUAL: Final = ("model.embed_tokens", "model.layers", "model.norm", "lm_head")  # of networks with layers as Llama's
Spellings = Mapping[str, Sequence[str]]
"""Other names of every tensor, by that of the file."""


def gguf_spellings(file: GgufFile) -> dict[str, list[str]]:
    """What the ``gguf`` package's table calls the tensors of a file elsewhere; empty without the package.

    A network that a study runs has ``model.`` before all of its names.
    """
    kind = str(file.metadata.get("general.architecture"))
    layers = int(file.metadata.get(f"{kind}.block_count", 0))
    try:
        table = name_table(kind, min(layers, len(file.tensors)))
    except ImportError:
        return {}
    if table is None:
        return {}
    others: dict[str, list[str]] = {}
    for elsewhere, (_, here) in table.mapping.items():
        if elsewhere != here:
            others.setdefault(here, []).append(elsewhere)
    if HEAD not in file.tensors:
        others.setdefault(TIED.rpartition(".")[0], []).extend(others.get(HEAD.rpartition(".")[0], []))
    found = {}
    for name in file.tensors:
        stem, _, last = name.rpartition(".")
        found[name] = [f"{prefix}{other}.{last}" for other in others.get(stem, []) for prefix in ("", "model.")]
    return found


def in_own_names(rule: StoreRule, names: Sequence[str], others: Spellings) -> StoreRule:
    """The rule with the file's own names in the place of patterns that match none of them, but other spellings.

    Raises ValueError with every pattern that matches neither, where there are others.
    """
    nothing: list[str] = []

    def own(pattern: str) -> list[str]:
        if not others or any(fnmatchcase(name, pattern) for name in names):
            return [pattern]
        found = [escape(name) for name in names if any(fnmatchcase(o, pattern) for o in others.get(name, ()))]
        nothing.extend([] if found else [pattern])
        return found

    include, exclude = (tuple(n for p in patterns for n in own(p)) for patterns in (rule.include, rule.exclude))
    if nothing:
        spelled = [other for name in names for other in others.get(name, ())]
        usual = [next((o for o in others[n] if o.startswith(USUAL)), n) for n in names if others.get(n)]
        raise ValueError(
            "store: "
            + "; ".join(f"no tensor matches {pattern!r}{nearest(pattern, [*names, *spelled])}" for pattern in nothing)
            + f" (the file has {_some(names)}; transformers calls them {_some(usual)})"
        )
    return replace(rule, include=include, exclude=exclude)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
