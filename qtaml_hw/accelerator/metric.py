"""What is measured on a network's outputs: a score from 0 to 1 by which chips are compared, and its value in its unit.

For most metrics the two are the same number.  Perplexity has a unit of its own (``records.measure``): its score is
1 / perplexity, the geometric mean of the probability that the network gives to the right token; that of bits per byte
is the same mean per byte of text.

Minus infinity is a score, the least there is: networks give it to classes that they rule out.  NaN and plus infinity
are answers of no class.  A score that the same answer to all inputs reaches too says nothing of a network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.errors import unknown

Outputs = Float64
Labels = Int64
Score = Callable[[Outputs, Outputs, Labels], float]
"""(outputs [N, ...], outputs of the clean network [N, ...], labels [N, ...]) -> score from 0 to 1."""
Right = Callable[[Outputs, Outputs, Labels], NDArray[np.bool_]]
"""Of the same: whether each input is answered right, [N, ...]; the score is the share of those."""

IGNORED = -100  # label of a token that does not count (torch's own ignore_index)


@dataclass(frozen=True)
class Tokens:
    """A metric over windows of tokens.

    kept: from a batch's outputs [N, T, V] and labels to what is kept of each token [N, T]; score: of that, the same of
    the clean network, and labels; same_answer: of the clean network's and labels; per_byte: a mean over bytes of text.
    """

    kept: Callable[[Outputs, Labels], Outputs]
    score: Score
    same_answer: Callable[[Outputs, Labels], float]
    per_byte: bool = False


@dataclass(frozen=True)
class Metric:
    """A metric by name.

    title: as tables and figures show it; score: 0..1, more is better; needs_clean: the clean network's outputs are its
    reference (and its own score is 1), else labels are numbers of outputs; right: where the score is a share of inputs,
    of which; least_outputs: with fewer the score is always the same; same_answer: from
    the clean outputs and labels to the best score that one answer to all inputs has (None: nobody knows); tokens: how
    it is measured of a language model, whose outputs for all windows would fill the memory.
    """

    name: str
    title: str
    score: Score
    needs_clean: bool = False
    right: Right | None = None
    least_outputs: int = 1
    same_answer: Callable[[Outputs, Labels], float] | None = None
    tokens: Tokens | None = None

    @property
    def counts(self) -> bool:
        """Whether the score is a share of inputs."""
        return self.right is not None

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


def _decided(outputs: Outputs) -> NDArray[np.bool_]:
    """Whether outputs [N, ..., C] name a class at all: no NaN and no plus infinity, and not all minus infinity."""
    return np.atleast_1d(np.isfinite(outputs.max(axis=-1)))  # NaN wins in a maximum


def _largest(outputs: Outputs) -> NDArray[np.int64]:
    return np.asarray(np.argmax(np.nan_to_num(outputs, nan=-np.inf), axis=-1), dtype=np.int64)


def right_answers(outputs: Outputs, labels: Labels) -> NDArray[np.bool_]:
    """Whether an input's label has the largest output, [N, ...]; NaN or plus infinity among the outputs are wrong."""
    return np.asarray((_largest(outputs) == labels) & _decided(outputs))


def top1(outputs: Outputs, clean: Outputs, labels: Labels) -> float:
    """Share of inputs whose label has the largest output: the mean of :func:`right_answers`."""
    return float(np.mean(right_answers(outputs, labels)))


def among_five(outputs: Outputs, labels: Labels) -> NDArray[np.bool_]:
    """Whether an input's label is among the five largest outputs; else as :func:`right_answers`."""
    five = np.argsort(-np.nan_to_num(outputs, nan=-np.inf), axis=-1, kind="stable")[..., :5]
    there = np.isfinite(np.take_along_axis(outputs, labels[..., None], axis=-1)[..., 0])
    return np.asarray((five == labels[..., None]).any(axis=-1) & there & _decided(outputs))


def top5(outputs: Outputs, clean: Outputs, labels: Labels) -> float:
    """Share of inputs whose label is among the five largest outputs: the mean of :func:`among_five`."""
    return float(np.mean(among_five(outputs, labels)))


def same_choices(outputs: Outputs, clean: Outputs) -> NDArray[np.bool_]:
    """Whether inputs are decided as the clean network decides them."""
    return np.asarray((_largest(outputs) == _largest(clean)) & _decided(outputs))


def agreement(outputs: Outputs, clean: Outputs, labels: Labels) -> float:
    """Share of inputs that are decided as the clean network decides them; no label is read."""
    return float(np.mean(same_choices(outputs, clean)))


def embedding_cosine(outputs: Outputs, clean: Outputs, labels: Labels) -> float:
    """Mean cosine between an embedding and the clean network's; at least 0, and 0 for embeddings not finite."""
    there = np.isfinite(outputs).all(axis=-1, keepdims=True) & np.isfinite(clean).all(axis=-1, keepdims=True)
    a, b = np.where(there, outputs, 0.0), np.where(there, clean, 0.0)
    size = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    cosine = np.divide((a * b).sum(axis=-1), size, out=np.zeros_like(size), where=size > 0.0)
    return float(np.clip(cosine.mean(), 0.0, 1.0))


def log_probabilities(outputs: Outputs, labels: Labels) -> Outputs:
    """Natural logarithm of the softmax probability of every label [N, ...], from outputs [N, ..., V].

    Minus infinity for a token that is ruled out, or among whose outputs are NaN or plus infinity; 0 for label -100.
    """
    count = labels != IGNORED
    logits, right = outputs[count], labels[count]
    top = logits.max(axis=-1, keepdims=True, initial=-np.inf)
    found = np.zeros(labels.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        log_sum = np.log(np.exp(logits - top).sum(axis=-1)) + top[:, 0]
        each = logits[np.arange(right.size), right] - log_sum
    found[count] = np.where(_decided(logits) if right.size else True, each, -np.inf)
    return found


def _of_tokens(logs: Outputs, clean: Outputs, labels: Labels) -> float:
    """Geometric mean over judged tokens of the probability of the right one, from its logarithms."""
    return float(np.exp(np.mean(logs[labels != IGNORED])))


def token_probability(outputs: Outputs, clean: Outputs, labels: Labels) -> float:
    """Geometric mean over tokens of the softmax probability of the right one: 1 / perplexity.

    Outputs [N, T, V] or [N, V]; labels [N, T] or [N], those that are -100 do not count.  A token that is ruled out by
    minus infinity, or among whose outputs are NaN or plus infinity, has probability 0, and so has the whole set then.
    """
    return _of_tokens(log_probabilities(outputs, labels), outputs, labels)


def next_token(outputs: Outputs, labels: Labels) -> Outputs:
    """The token that is chosen at every place [N, T]; -1 where none is."""
    return np.where(_decided(outputs), _largest(outputs), -1).astype(np.float64)


def _same_tokens(chosen: Outputs, clean: Outputs, labels: Labels) -> float:
    """Share of judged tokens at which the clean network's choice is chosen."""
    count = labels != IGNORED
    return float(np.mean((chosen[count] == clean[count]) & (chosen[count] >= 0)))


def _frequencies(clean: Outputs, labels: Labels) -> float:
    """Score of the one distribution that fits all labels best: exp of minus their entropy."""
    share = np.unique(labels[labels != IGNORED], return_counts=True)[1] / np.count_nonzero(labels != IGNORED)
    return float(np.exp(np.sum(share * np.log(share))))


def _most(answers: NDArray[Any], kinds: int = 1) -> float:
    """Share of the most frequent answers."""
    counts = np.unique(answers, return_counts=True)[1]
    return float(np.sort(counts)[-kinds:].sum() / answers.size)


def _mean_direction(clean: Outputs, labels: Labels) -> float:
    """Mean cosine of embeddings to the direction that is nearest to all of them: length of their mean direction."""
    there = np.where(np.isfinite(clean).all(axis=-1, keepdims=True), clean, 0.0)
    size = np.linalg.norm(there, axis=-1, keepdims=True)
    directions = np.divide(there, size, out=np.zeros_like(there), where=size > 0.0)
    return float(np.linalg.norm(directions.reshape(-1, clean.shape[-1]).mean(axis=0)))


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric(
            *("top1", "Accuracy", top1),
            right=lambda outputs, clean, labels: right_answers(outputs, labels),
            least_outputs=2,
            same_answer=lambda clean, labels: _most(labels),
        ),
        Metric(
            *("top5", "Top-5 accuracy", top5),
            right=lambda outputs, clean, labels: among_five(outputs, labels),
            least_outputs=6,
            same_answer=lambda clean, labels: _most(labels, 5),
        ),
        Metric(
            *("agreement", "Agreement with the clean network", agreement),
            needs_clean=True,
            right=lambda outputs, clean, labels: same_choices(outputs, clean),
            least_outputs=2,
            same_answer=lambda clean, labels: _most(_largest(clean)),
            tokens=Tokens(next_token, _same_tokens, lambda clean, labels: _most(clean[labels != IGNORED])),
        ),
        Metric(
            *("embedding_cosine", "Cosine to the clean embedding", embedding_cosine),
            needs_clean=True,
            least_outputs=2,
            same_answer=_mean_direction,
        ),
        Metric(
            *("perplexity", "Perplexity", token_probability),
            least_outputs=2,
            same_answer=lambda clean, labels: 1.0 / clean.shape[-1],
            tokens=Tokens(log_probabilities, _of_tokens, _frequencies),
        ),
        Metric(
            *("bits_per_byte", "Bits per byte", token_probability),
            least_outputs=2,
            tokens=Tokens(log_probabilities, _of_tokens, _frequencies, per_byte=True),
        ),
    )
}


def metric(name: str) -> Metric:
    """The metric of that name.

    Raises ValueError with the names there are.
    """
    if name not in METRICS:
        raise ValueError(unknown("metric", name, METRICS))
    return METRICS[name]
