"""Predicted budgets of a study: their keys, what they are held against, and why there may be none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from qtaml_hw.study.questions.allocation import allocate
from tests import studies

FIXED = {
    "flips.law": "fixed",
    "flips.p": 0.05,
    "protection.policy": "tac",
    "protection.menu": ["ideal"],
    "protection.budget": {"bits": 0.3},
}


def found(changes: dict[str, Any], predict: bool | None = None) -> dict[str, Any]:
    return allocate(studies.study({**FIXED, **changes}), predict=predict).as_dict()


def test_budgets_rise_with_what_they_keep_and_beat_uniform() -> None:
    answer = json.loads(json.dumps(found({}), allow_nan=False))
    predicted = answer["predicted"]
    assert list(predicted) == ["0.94", "0.95", "0.96"]
    assert answer["predicted_hindrance"] is None
    lows, highs = zip(*(p["protected_bits_fraction"]["ci95"] for p in predicted.values()), strict=True)
    assert list(lows) == sorted(lows)
    assert list(highs) == sorted(highs)
    low, high = predicted["0.95"]["protected_bits_fraction"]["ci95"]
    assert 0.05 < low < 0.15 < high < 0.3  # measured on labels: 9.5 to 14.7 % (docs/reproduction.md)
    assert predicted["0.95"]["ratio_to_uniform"]["ci95"][1] > 1.2
    assert answer["predicted_kept"] > 0.97  # with 30 % of the bits


def test_uniform_is_no_better_than_itself() -> None:
    ratio = found({"protection.policy": "uniform"})["predicted"]["0.95"]["ratio_to_uniform"]
    assert (ratio["value"], ratio["ci95"], ratio["said"]) == (1.0, [1.0, 1.0], None)


@pytest.mark.parametrize(
    ("changes", "predict", "why"),
    [
        ({"protection.policy": "none"}, None, "the policy none protects nothing"),
        ({}, False, "not asked for"),
        ({"evaluate.metric": "agreement"}, None, "for the metric top1 only"),
    ],
)
def test_where_nothing_is_predicted_the_keys_say_why(changes: dict[str, Any], predict: bool | None, why: str) -> None:
    answer = found(changes, predict)
    assert answer["predicted"] == {"0.94": None, "0.95": None, "0.96": None}
    assert answer["predicted_kept"] is None
    assert why in answer["predicted_hindrance"]
