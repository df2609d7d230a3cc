"""The oracle baseline: every layer's worth measured by corrupting that layer alone, not predicted from gradients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.channel import FlipChannel
from qtaml_hw.faults import MAPS, MapKey, flip
from qtaml_hw.study.design.calibration import Calibration
from qtaml_hw.weights import StoredImage

ORACLE_MAPS = 4


def measured_importance(
    image: StoredImage, calibration: Calibration, channel: FlipChannel, seed: int
) -> NDArray[np.float64]:
    """Importance [weights]: a layer's measured output distortion per unit of its own value noise.

    Each layer is corrupted alone at the channel's probabilities over ``ORACLE_MAPS`` maps; the mean squared change
    of the outputs on the calibration inputs is divided by the sum of squared weight changes that caused it.
    """
    clean = image.decode()
    reference = calibration.outputs(clean)
    importance = np.zeros(image.weights)
    for i, t in enumerate(image.tensors):
        distortion = energy = 0.0
        cells = channel.padded(8 * t.codes.itemsize)
        for index in range(ORACLE_MAPS):
            codes = flip(t.codes, cells.p01, cells.p10, MapKey(seed, MAPS["planning"].number(index), i))
            faulty = t.decode(codes, image.format.decode_table)
            change = calibration.outputs({**clean, t.name: faulty}) - reference
            distortion += float(np.mean(np.sum(np.nan_to_num(change) ** 2, axis=-1)))
            energy += float(np.sum((faulty.astype(np.float64) - clean[t.name]) ** 2))
        start, end = image.tensor_starts[i : i + 2]
        importance[start:end] = distortion / energy if energy > 0.0 else 0.0
    return importance
