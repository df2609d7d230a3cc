"""How far noisy outputs keep the answers of clean ones, by the clean network's own certainty: no labels."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from qtaml_hw.arrays import Float64


def certainty(clean: Float64) -> Float64:
    """The clean network's chance of its own answer, [N], from its logits [N, C] or [N, ..., C]."""
    return _per_input(_chances(clean).max(axis=-1))


def kept_chance(clean: Float64, noisy: Float64) -> Float64:
    """The clean network's chance of the noisy network's answer, [N], from logits of one shape as in ``certainty``."""
    answer = np.argmax(np.nan_to_num(noisy), axis=-1)[..., None]
    return _per_input(np.take_along_axis(_chances(clean), answer, axis=-1)[..., 0])


def _chances(clean: Float64) -> Float64:
    chance: Float64 = softmax(clean, axis=-1)
    return chance


def _per_input(chance: Float64) -> Float64:
    mean: Float64 = chance.reshape(len(chance), -1).mean(axis=1)
    return mean


def soft_agreement(clean: Float64, noisy: Float64) -> float:
    """Expected accuracy kept if labels were drawn from the clean network's softmax: 1 where every answer stays.

    ``clean`` and ``noisy`` are logits [N, C] or [N, ..., C].  Answers of which the clean network is not sure count
    little, unlike a plain share of answers that stay (ours).
    """
    return float(kept_chance(clean, noisy).mean() / certainty(clean).mean())
