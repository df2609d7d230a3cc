"""Steps before storage and training in words: what each did to predictions and to the accuracy without flips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtaml_hw.records.fields import F
from qtaml_hw.records.kinds import STEP_NUMBERS
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.report.text import number, percent, plain

_FEW = 4


def step_sentences(points: Sequence[PointSummary]) -> tuple[str, ...]:
    """One sentence per different list of steps, at most four; none without steps."""
    found: dict[str, str] = {}
    for point in points:
        effects = point.facts.get(F.transform_effects)
        if effects:
            steps = ", then ".join(_step(effect) for effect in effects)
            found.setdefault(str([effect["step"] for effect in effects]), f"Before storage: {steps}.")
    return tuple(list(found.values())[:_FEW])


def _step(effect: Mapping[str, Any]) -> str:
    before, after = (effect[name] for name in STEP_NUMBERS[:2])
    left, right = (effect[name] for name in STEP_NUMBERS[2:])
    same = "unchanged" if left == right else f"{percent(left)} % to {percent(right)} %"
    return (
        f"{plain(effect['step'], 40)} (predicted distortion with nothing protected {number(before)} to {number(after)}"
        f", accuracy without flips {same})"
    )
