"""Predicted beside measured budgets on a tiny network, and the figures of how well a prediction does."""

from __future__ import annotations

import numpy as np
import pytest

from qtaml_hw.reproduce.paper import SEED, Effort, search_on
from qtaml_hw.reproduce.paths import TAC_LAYER, UNIFORM, PlanPath
from qtaml_hw.reproduce.prediction import Pair, predicted_for, qualities, quality, within
from qtaml_hw.reproduce.trial import AccuracyStore
from qtaml_hw.study.design.networks.network import StoredNetwork
from qtaml_hw.tac import DrawnFlips

SMALL = Effort(images=120, maps=4, per_octave=3, other_p=())


def test_the_prediction_sees_no_label_and_meets_the_measurement(sure: StoredNetwork) -> None:
    search = search_on(sure, 0.1, SMALL, AccuracyStore())
    flips = DrawnFlips(sure.image, search.trial.channel, SEED)
    for policy in (UNIFORM, TAC_LAYER):
        path = PlanPath(sure, search.trial.channel, policy)
        measured, predicted = search.overheads(path), predicted_for(path, flips)
        assert measured is not None
        assert predicted is not None
        assert [p.value for p in predicted.values()] == sorted(p.value for p in predicted.values())
        assert 0.5 < predicted[0.95].value / measured.value < 2.0


def _pair(name: str, policy: str, measured: float, predicted: float) -> Pair:
    spans = (measured, 0.9 * measured, 1.1 * measured, predicted, 0.9 * predicted, 1.1 * predicted)
    return Pair(name, 0.1, policy, *spans, 0.2 / measured, 0.2 / predicted, 0.0, 9.0, 0.2 / measured)


def test_quality_is_rank_and_relative_error() -> None:
    found = quality([0.1, 0.22, 0.3, 0.4], [0.1, 0.2, 0.4, 0.3])
    assert found.spearman == pytest.approx(0.8)
    assert found.median == pytest.approx((0.1 + 0.25) / 2.0)
    assert (found.largest, found.count) == (pytest.approx(1 / 3), 4)


def test_pairs_without_a_need_are_left_out() -> None:
    pairs = []
    for i, name in enumerate("abcd"):
        pairs += [_pair(name, UNIFORM.title, 0.2, 0.2), _pair(name, TAC_LAYER.title, 0.1 + 0.01 * i, 0.11 + 0.01 * i)]
    pairs.append(_pair("e", TAC_LAYER.title, 1e-4, 0.5))
    found = qualities(pairs)
    assert found["budgets"].count == 8
    assert found[f"ratios, {TAC_LAYER.title}"].spearman == pytest.approx(1.0)
    assert found[f"rho*, {TAC_LAYER.title}"].median == 0.0
    inside, of = within(pairs)
    assert (inside, of) == (8, 8)
    errors = [0.01 / (0.11 + 0.01 * i) for i in range(4)]
    assert found[f"ratios, {TAC_LAYER.title}"].median == pytest.approx(np.median(errors))
