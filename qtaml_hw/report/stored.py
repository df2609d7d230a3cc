"""How much of a network lives in the memory, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtaml_hw.records.fields import F
from qtaml_hw.records.text import percent


def stored_line(facts: Mapping[str, Any]) -> str:
    """``stored 640 of 19,594 parameters; exact matrix weights 96.3 %`` of a point's facts."""
    exact, stored = facts.get(F.exact_parameters), sum(layer["weights"] for layer in facts.get(F.layers, ()))
    if not stored or not isinstance(exact, Mapping):
        return ""
    matrices = exact.get("weight", 0)
    share = matrices / (matrices + stored)
    whole = stored + sum(exact.values())
    return f"stored {stored:,} of {whole:,} parameters; exact matrix weights {percent(share)} %"
