"""Shares that may be above one are written with their per cent sign there."""

from __future__ import annotations

import pytest

from qtaml_hw.config import StudyError, parse_study

POLICY = "protection: {{policy: tac, menu: [repeat-3], budget: {{parity: {0}}}}}\n"


@pytest.mark.parametrize(("text", "value"), [("0.5", 0.5), ("1", 1.0), ("10 %", 0.1), ("200 %", 2.0)])
def test_shares_of_check_bits(text: str, value: float) -> None:
    budget = parse_study(POLICY.format(text)).protection.budget
    assert budget is not None
    assert budget.value == value


@pytest.mark.parametrize("text", ["10", "2", "1.5"])
def test_a_share_above_one_needs_its_sign(text: str) -> None:
    with pytest.raises(StudyError, match=f"{text} without a unit would be {100 * float(text):g} %"):
        parse_study(POLICY.format(text))
