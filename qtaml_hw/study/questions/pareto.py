"""Pareto sets: what nothing else beats in every objective at once (all objectives: less is better)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dominated(values: NDArray[np.float64], slack: NDArray[np.float64] | float = 0.0) -> NDArray[np.bool_]:
    """Which rows of ``values`` [points, objectives] another row beats: nowhere worse, somewhere better.

    ``slack`` [objectives] or scalar: what the other row must be better by, at least, in that objective.
    """
    margin = np.broadcast_to(np.asarray(slack, dtype=np.float64), values.shape[1:])
    beaten = np.zeros(len(values), dtype=np.bool_)
    for i, row in enumerate(values):
        beats = (values + margin <= row).all(axis=1) & (values + margin < row).any(axis=1)
        beaten[i] = bool(beats.any())
    return beaten
