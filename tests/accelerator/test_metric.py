"""Metrics against closed forms, and what outputs that are not finite count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from qtaml_hw.accelerator.metric import METRICS, Metric, metric
from qtaml_hw.names import METRICS as NAMES

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
    assert metric("perplexity").value(score) == pytest.approx(float(torch.exp(loss)), rel=1e-12)
    assert metric("perplexity")(np.zeros((2, 3, 30)), logits, np.zeros((2, 3), np.int64)) == pytest.approx(1.0 / 30.0)
    assert metric("perplexity")(np.full((2, 3, 30), np.nan), logits, np.zeros((2, 3), np.int64)) == 0.0
    assert metric("perplexity").value(0.0) == np.inf


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
