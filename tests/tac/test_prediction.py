"""Budgets predicted by soft agreement: closed forms of the agreement, and curves whose crossing is known."""

from __future__ import annotations

import numpy as np
import pytest

from qtaml_hw.arrays import Float64
from qtaml_hw.tac.prediction.agreement import certainty, kept_chance, soft_agreement
from qtaml_hw.tac.prediction.budgets import PER_OCTAVE, Predicted, predicted_budgets
from qtaml_hw.tac.prediction.crossing import Ladder


def test_agreement_is_the_clean_networks_chance_of_the_noisy_answer() -> None:
    clean = np.log(np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]]))
    noisy = np.array([[0.0, 1.0, 0.0], [2.0, 1.0, np.nan]])
    np.testing.assert_allclose(certainty(clean), [0.7, 0.5])
    np.testing.assert_allclose(kept_chance(clean, noisy), [0.2, 0.5])
    assert soft_agreement(clean, noisy) == pytest.approx(0.7 / 1.2)
    tokens = np.stack([clean, clean[::-1]])  # [N, tokens, C]
    np.testing.assert_allclose(certainty(tokens), [0.6, 0.6])


def _drawn(wrong: float, clean: Float64, seed: int) -> Float64:
    """Logits of which a stated share of the rows answers something the clean network holds impossible."""
    flipped = np.random.default_rng(seed).permutation(len(clean)) < round(wrong * len(clean))
    return np.where(flipped[:, None], -clean, clean)


def test_the_budget_is_where_the_agreement_is_kept() -> None:
    """A share 0.05 x (0.1 / budget) of the answers is lost: 94, 95, 96 % need 0.0833, 0.1, 0.125 of the bits."""
    clean, ladder = np.tile([30.0, 0.0], (4000, 1)), Ladder(PER_OCTAVE)
    asked = []

    def noisy(rung: int) -> tuple[float, list[Float64]]:
        asked.append(rung)
        share = ladder.share(rung)
        return share, [_drawn(min(0.05 * 0.1 / share, 1.0), clean, draw) for draw in range(4)]

    found = predicted_budgets(clean, noisy)
    assert found is not None
    for keep, budget in ((0.94, 0.1 * 5 / 6), (0.95, 0.1), (0.96, 0.125)):
        assert found[keep].value == pytest.approx(budget, rel=0.01)
        low, high = found[keep].ci95
        assert low < budget < high < 1.3 * low
    assert len(asked) <= 16  # of 79 rungs, four draws each


def test_what_no_budget_keeps_is_not_predicted() -> None:
    clean = np.tile([30.0, 0.0], (200, 1))
    assert predicted_budgets(clean, lambda rung: (2.0**-rung, [_drawn(0.5, clean, 1)])) is None
    partly = predicted_budgets(clean, lambda rung: (2.0 ** (-rung / 6), [_drawn(0.055 + 0.001 * rung, clean, 1)]))
    assert partly is not None
    assert list(partly) == [0.94]


def test_a_ratio_wider_than_a_factor_two_is_said_and_not_numbered() -> None:
    one, two = Predicted(0.2, np.linspace(0.19, 0.21, 100)), Predicted(0.1, np.linspace(0.05, 0.2, 100))
    assert one.over(two).value == pytest.approx(2.0)
    assert one.as_dict()["value"] == 0.2
    found = one.over(two).as_dict()
    assert (found["value"], found["said"]) == (None, "wider than a factor two")
    assert found["ci95"][1] > 2.0 * found["ci95"][0]
