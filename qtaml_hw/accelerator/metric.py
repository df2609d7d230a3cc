"""What is measured on a network's outputs: a score from 0 to 1 by which chips are compared, and its value in its unit.

For most metrics the two are the same number.  Perplexity has a unit of its own: its score is 1 / perplexity, the
geometric mean of the probability that the network gives to the right token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.errors import unknown

Outputs = Float64
Labels = Int64
Score = Callable[[Outputs, Outputs, Labels], float]
"""(outputs [N, ...], outputs of the clean network [N, ...], labels [N, ...]) -> score from 0 to 1."""

IGNORED = -100  # label of a token that does not count (torch's own ignore_index)


@dataclass(frozen=True)
class Metric:
    """A metric by name.

    title: as tables and figures show it; score: 0..1, more is better; needs_clean: the clean network's outputs are its
    reference (and its own score is 1); counts: the score is a share of inputs; value: from score to the metric's unit.
    """

    name: str
    title: str
    score: Score
    needs_clean: bool = False
    counts: bool = False
    value: Callable[[float], float] = float

    def __call__(self, outputs: Outputs, clean: Outputs, labels: Labels) -> float:
        """The score.

        Raises ValueError when it is no number from 0 to 1 (a user's own function may return anything), and for labels
        that are not one for every row of outputs.
        """
        if not self.needs_clean and labels.shape != outputs.shape[:-1]:
            raise ValueError(f"metric {self.name}: labels {labels.shape} do not fit outputs {outputs.shape}")
        found = float(self.score(outputs, clean, labels))
        if not 0.0 <= found <= 1.0:
            raise ValueError(f"metric {self.name} must be from 0 (worst) to 1 (best), it is {found!r}")
        return found


def _finite(outputs: Outputs) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(outputs).all(axis=-1))


def _largest(outputs: Outputs) -> NDArray[np.int64]:
    return np.asarray(np.argmax(np.nan_to_num(outputs, nan=-np.inf), axis=-1), dtype=np.int64)


def top1(outputs: Outputs, clean: Outputs, labels: Labels) -> float:
    """Share of inputs whose label has the largest output; outputs that are not finite count as wrong."""
    return float(np.mean((_largest(outputs) == labels) & _finite(outputs)))


def top5(outputs: Outputs, clean: Outputs, labels: Labels) -> float:
    """Share of inputs whose label is among the five largest outputs; outputs that are not finite count as wrong."""
    five = np.argsort(-np.nan_to_num(outputs, nan=-np.inf), axis=-1, kind="stable")[..., :5]
    return float(np.mean((five == labels[..., None]).any(axis=-1) & _finite(outputs)))


def agreement(outputs: Outputs, clean: Outputs, labels: Labels) -> float:
    """Share of inputs that are decided as the clean network decides them; no label is read."""
    return float(np.mean((_largest(outputs) == _largest(clean)) & _finite(outputs)))


def embedding_cosine(outputs: Outputs, clean: Outputs, labels: Labels) -> float:
    """Mean cosine between an embedding and the clean network's; at least 0, and 0 for embeddings not finite."""
    there = _finite(outputs)
    a, b = np.where(there[..., None], outputs, 0.0), clean
    size = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    cosine = np.divide((a * b).sum(axis=-1), size, out=np.zeros_like(size), where=size > 0.0)
    return float(np.clip(cosine.mean(), 0.0, 1.0))


def token_probability(outputs: Outputs, clean: Outputs, labels: Labels) -> float:
    """Geometric mean over tokens of the softmax probability of the right one: 1 / perplexity.

    Outputs [N, T, V] or [N, V]; labels [N, T] or [N], those that are -100 do not count.  A token whose outputs are not
    finite has probability 0, and so has the whole set then.
    """
    count = labels != IGNORED
    logits, right = outputs[count], labels[count]
    if not np.isfinite(logits).all():
        return 0.0
    top = logits.max(axis=-1, keepdims=True)
    log_sum = np.log(np.exp(logits - top).sum(axis=-1)) + top[:, 0]
    return float(np.exp(np.mean(logits[np.arange(right.size), right] - log_sum)))


def _perplexity(score: float) -> float:
    return 1.0 / score if score > 0.0 else np.inf


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("top1", "Accuracy", top1, counts=True),
        Metric("top5", "Top-5 accuracy", top5, counts=True),
        Metric("agreement", "Agreement with the clean network", agreement, needs_clean=True, counts=True),
        Metric("embedding_cosine", "Cosine to the clean embedding", embedding_cosine, needs_clean=True),
        Metric("perplexity", "1 / perplexity", token_probability, value=_perplexity),
    )
}


def metric(name: str) -> Metric:
    """The metric of that name.

    Raises ValueError with the names there are.
    """
    if name not in METRICS:
        raise ValueError(unknown("metric", name, METRICS))
    return METRICS[name]
