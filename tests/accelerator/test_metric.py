"""Metrics against closed forms, and what outputs that are not finite count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from qtaml_hw.accelerator.metric import METRICS, Metric, metric
from qtaml_hw.names import METRICS as NAMES
from qtaml_hw.records.measure import MEASURES

rng = np.random.default_rng(1)


def test_names_are_those_of_the_study_file() -> None:
    assert tuple(METRICS) == NAMES
    with pytest.raises(ValueError, match="did you mean 'top5'"):
        metric("top6")


def test_shares_of_right_answers() -> None:
    outputs, labels = rng.normal(size=(200, 12)), rng.integers(0, 12, 200)
    order = np.argsort(-outputs, axis=1)
    assert metric("top1")(outputs, outputs, labels) == np.mean(order[:, 0] == labels)
    assert metric("top5")(outputs, outputs, labels) == np.mean(
        [label in row[:5] for label, row in zip(labels, order, strict=True)]
    )
    assert metric("agreement")(outputs, outputs, labels) == 1.0
    assert metric("agreement")(np.roll(outputs, 1, axis=1), outputs, labels) == 0.0
    broken = outputs.copy()
    broken[:50, 3] = np.nan
    assert metric("agreement")(broken, outputs, labels) == 0.75
    assert metric("top5")(np.full_like(outputs, np.inf), outputs, labels) == 0.0


def test_cosine_is_of_directions_and_never_below_zero() -> None:
    clean = rng.normal(size=(40, 16))
    cosine = metric("embedding_cosine")
    none = np.zeros(40, np.int64)
    assert cosine(3.0 * clean, clean, none) == pytest.approx(1.0)
    assert cosine(-clean, clean, none) == 0.0
    other = rng.normal(size=(40, 16))
    expected = functional.cosine_similarity(torch.from_numpy(other), torch.from_numpy(clean)).mean()
    assert cosine(other, clean, none) == pytest.approx(max(float(expected), 0.0))
    half = clean.copy()
    half[:20] = np.nan
    assert cosine(half, clean, none) == pytest.approx(0.5)


def test_perplexity_is_torchs_cross_entropy() -> None:
    logits, labels = 3.0 * rng.normal(size=(6, 9, 30)), rng.integers(0, 30, (6, 9))
    labels[0, :4] = -100
    score = metric("perplexity")(logits, logits, labels)
    loss = functional.cross_entropy(torch.from_numpy(logits).flatten(0, 1), torch.from_numpy(labels).flatten())
    assert score == pytest.approx(float(torch.exp(-loss)), rel=1e-12)
    assert MEASURES["perplexity"].value(score) == pytest.approx(float(torch.exp(loss)), rel=1e-12)
    assert metric("perplexity")(np.zeros((2, 3, 30)), logits, np.zeros((2, 3), np.int64)) == pytest.approx(1.0 / 30.0)
    assert metric("perplexity")(np.full((2, 3, 30), np.nan), logits, np.zeros((2, 3), np.int64)) == 0.0
    assert MEASURES["perplexity"].value(0.0) == np.inf


def test_labels_must_fit_the_outputs() -> None:
    outputs = rng.normal(size=(4, 4, 6))
    for name in ("top1", "top5", "perplexity"):
        with pytest.raises(ValueError, match=r"labels \(4,\) do not fit outputs \(4, 4, 6\)"):
            metric(name)(outputs, outputs, np.zeros(4, np.int64))


def test_a_users_function_must_stay_within_bounds() -> None:
    mine = Metric("m:f", "f", lambda outputs, clean, labels: float(len(outputs)))
    assert mine(np.zeros((1, 2)), np.zeros((1, 2)), np.zeros(1, np.int64)) == 1.0
    with pytest.raises(ValueError, match=r"from 0 \(worst\) to 1 \(best\), it is 2.0"):
        mine(np.zeros((2, 2)), np.zeros((2, 2)), np.zeros(2, np.int64))


def test_minus_infinity_is_a_score_and_the_least() -> None:
    outputs, labels = rng.normal(size=(300, 12)), rng.integers(0, 10, 300)
    masked = outputs.copy()
    masked[:, 10:] = -np.inf
    low = np.where(np.isneginf(masked), -1e9, masked)
    for name in ("top1", "top5", "agreement", "perplexity"):
        assert metric(name)(masked, masked, labels) == pytest.approx(metric(name)(low, low, labels), rel=1e-12)
    assert 0.05 < metric("top1")(masked, masked, labels) < 0.2
    few = np.full((4, 12), -np.inf)
    few[:, 3] = 1.0
    assert metric("top5")(few, few, np.array([3, 4, 0, 11])) == 0.25  # classes ruled out are no answers
    assert metric("perplexity")(few, few, np.array([3, 4, 3, 3])) == 0.0
    for none in (np.full((4, 12), -np.inf), np.where(few == 1.0, np.inf, few), np.where(few == 1.0, np.nan, few)):
        for name in ("top1", "top5", "agreement", "perplexity", "embedding_cosine"):
            assert metric(name)(none, few, np.array([0, 0, 3, 3])) == 0.0


def test_the_best_score_of_one_answer_to_all_inputs() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 3, 4, 5, 6])
    outputs = np.zeros((10, 8))
    outputs[:6, 4] = outputs[6:, 1] = 1.0

    def same(name: str) -> float:
        ask = metric(name).same_answer
        assert ask is not None
        return ask(outputs, labels)

    constant = np.zeros((10, 8))
    constant[:, 0] = 1.0
    assert same("top1") == metric("top1")(constant, outputs, labels) == 0.3
    assert same("top5") == metric("top5")(-np.arange(8.0) * np.ones((10, 1)), outputs, labels) == 0.8
    assert same("agreement") == 0.6
    assert same("perplexity") == pytest.approx(metric("perplexity")(np.zeros((10, 8)), outputs, labels))
    mean = outputs.mean(axis=0) * np.ones((10, 1))
    assert same("embedding_cosine") == pytest.approx(metric("embedding_cosine")(mean, outputs, labels))
