"""Steps before storage and training in words: what each did to predictions and to the accuracy without flips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtaml_hw.records.summary import PointSummary
from qtaml_hw.report.text import is_number, number, percent, plain

_NUMBERS = (
    "predicted_distortion_before",
    "predicted_distortion_after",
    "quantised_accuracy_before",
    "quantised_accuracy_after",
)
_FEW = 4


def valid_effects(value: Any) -> bool:
    """Whether a record's ``transform_effects`` is what :func:`step_sentences` reads."""
    return isinstance(value, list) and all(
        isinstance(effect, dict)
        and isinstance(effect.get("step"), str)
        and all(is_number(effect.get(n)) for n in _NUMBERS)
        for effect in value
    )


def step_sentences(points: Sequence[PointSummary]) -> tuple[str, ...]:
    """One sentence per different list of steps, at most four; none without steps."""
    found: dict[str, str] = {}
    for point in points:
        effects = point.facts.get("transform_effects")
        if effects:
            steps = ", then ".join(_step(effect) for effect in effects)
            found.setdefault(str([effect["step"] for effect in effects]), f"Before storage: {steps}.")
    return tuple(list(found.values())[:_FEW])


def _step(effect: Mapping[str, Any]) -> str:
    before, after = (effect[name] for name in _NUMBERS[:2])
    left, right = (effect[name] for name in _NUMBERS[2:])
    same = "unchanged" if left == right else f"{percent(left)} % to {percent(right)} %"
    return (
        f"{plain(effect['step'], 40)} (predicted distortion with nothing protected {number(before)} to {number(after)}"
        f", accuracy without flips {same})"
    )
