"""Errors that pile up between and across scrubs, by a Markov chain and by the real decoder.

A scrub reads every word, corrects it, writes corrected words back and leaves flagged words as they are.  With
memoryless flips every interval brings fresh errors and words are lost one by one; with fixed weak cells the same
cells fail again after every scrub, so nothing piles up in a word that can be corrected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlog1py, xlogy

from qtaml_hw.ecc.code import Code
from qtaml_hw.ecc.residual import check_probability
from qtaml_hw.ecc.weight_distribution import log_comb, miscorrection

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScrubHistory:
    """State after scrub 1 .. N, float64 [N].

    ``bit_error``: mean data bit error.  ``flagged``: share of words that the scrub flagged.  ``silent``: share of words
    that hold wrong data and were not flagged.  ``method``: how it was computed.
    """

    bit_error: Floats
    flagged: Floats
    silent: Floats
    method: str


def _check(intervals: int) -> None:
    if not 1 <= intervals <= 1_000_000:
        raise ValueError(f"the number of scrub intervals must be 1 to 1,000,000, got {intervals}")


def _flip_matrix(n: int, p: float) -> Floats:
    """P(e errors -> e' errors) float64 [n+1, n+1] when each of n bits toggles with probability p."""

    def binomial(m: int, q: float) -> Floats:
        w = np.arange(m + 1)
        law: Floats = np.exp(log_comb(m, w) + xlogy(w, q) + xlog1py(m - w, -q))
        return law

    return np.array([np.convolve(binomial(e, 1.0 - p), binomial(n - e, p)) for e in range(n + 1)])


def scrub_chain(code: Code, p: float, intervals: int) -> ScrubHistory:
    """Memoryless symmetric flips with probability ``p`` per bit and interval: Markov chain on the errors of a word.

    States: 0 .. n errors against the codeword that the word was last close to, which is the right one or, after a
    miscorrection, a wrong one.  A flagged pattern that did not change stays flagged; one that did is taken as a
    random pattern of its weight.
    """
    check_probability(p, "p")
    _check(intervals)
    n, wrong = code.n, miscorrection(code)
    e = np.arange(n + 1)
    same = (1.0 - p) ** n
    changed = _flip_matrix(n, p) - same * np.eye(n + 1)
    fixed = e <= code.t
    missed = np.where(fixed, 0.0, wrong.share)
    state = np.zeros((2, n + 1))  # rows: about the right codeword, about a wrong one
    state[0, 0] = 1.0
    stray_weight = 0.0  # sum over words astray of their codeword's weight
    out = np.zeros((3, intervals))
    for step in range(intervals):
        fresh = state @ changed
        lost = fresh * missed
        stray_weight += float((lost[0] * wrong.codeword_weight).sum())
        kept = np.where(fixed, 0.0, fresh - lost + same * state)
        clean = (fresh * fixed).sum(axis=1) + same * state[:, 0]
        state = kept
        state[0, 0] = clean[0]
        state[1, 0] = clean[1] + lost.sum()
        total = float(state[1].sum())
        shift = stray_weight / total / n if total > 0.0 else 0.0
        errors = (state[0] * e).sum() / n + (state[1] * (shift * (1.0 - e / n) + (1.0 - shift) * e / n)).sum()
        out[:, step] = errors, state[:, 1:].sum(), state[1, 0]
    return ScrubHistory(out[0], out[1], out[2], f"Markov chain on errors per word, {wrong.tag} weights")


def scrub_simulation(
    code: Code,
    p01: float,
    p10: float,
    intervals: int,
    *,
    law: Literal["poisson", "retention"],
    words: int = 20_000,
    seed: int = 0,
) -> ScrubHistory:
    """The same by simulation of random words through the real decoder, for either law and any direction.

    A cell that holds 1 flips in an interval iff its uniform U < p10, one that holds 0 iff U < p01; ``retention``
    cells keep their U for ever, ``poisson`` cells draw a new one every interval.
    """
    check_probability(p01, "p01")
    check_probability(p10, "p10")
    _check(intervals)
    if law not in ("poisson", "retention"):
        raise ValueError(f"flip law {law!r} is unknown; allowed: poisson, retention")
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 2, (words, code.k), dtype=np.uint8)
    raw = code.with_policy("raw")
    stored = raw.encode(data)
    uniform = rng.random(stored.shape)
    out = np.zeros((3, intervals))
    for step in range(intervals):
        if law == "poisson" and step:
            uniform = rng.random(stored.shape)
        stored = stored ^ (uniform < np.where(stored == 1, p10, p01))
        decoded = raw.decode(stored)
        kept = decoded.uncorrectable
        stored = np.where(kept[:, None], stored, raw.encode(decoded.data))
        bad = stored[:, : code.k] != data
        out[:, step] = bad.mean(), kept.mean(), (bad.any(axis=1) & ~kept).mean()
    return ScrubHistory(out[0], out[1], out[2], f"simulation of {words} words, {law} flips")
