"""How far noisy outputs keep the answers of clean ones, by the clean network's own certainty: no labels."""

from __future__ import annotations

import numpy as np

from qtaml_hw.arrays import Float64


def soft_agreement(clean: Float64, noisy: Float64) -> float:
    """Expected accuracy kept if labels were drawn from the clean network's softmax: 1 where every answer stays.

    ``clean`` and ``noisy`` are logits [N, C] or [N, ..., C].  Answers of which the clean network is not sure count
    little, unlike a plain share of answers that stay (ours).
    """
    shifted = clean - clean.max(axis=-1, keepdims=True)
    chance = np.exp(shifted)
    chance /= chance.sum(axis=-1, keepdims=True)
    answered = np.take_along_axis(chance, np.argmax(np.nan_to_num(noisy), axis=-1)[..., None], axis=-1)
    return float(answered.mean() / chance.max(axis=-1).mean())
