"""The study's choice of bits per weight: what its policies plan with when they choose the codes too."""

from __future__ import annotations

from typing import Final

import numpy as np

from qtaml_hw import tac
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study
from qtaml_hw.study.design.networks.calibration import Calibration
from qtaml_hw.tac.prediction.agreement import soft_agreement
from qtaml_hw.weights import StoredImage

DRAWS: Final = 4  # of flips, for every plan that outputs are compared for


def joint_problem(
    study: Study, image: StoredImage, calibration: Calibration, channel: FlipChannel, menu: tac.Menu, bits: float
) -> tac.JointProblem:
    """The widths of an image's tensors under a budget of bits in all.

    Raises ValueError without calibration inputs, or for a number format whose planes cannot be chosen.
    """
    source, credit = calibration.uncoded(image)
    table = tac.WidthTable(image, source.weights, calibration.importance, channel, menu)
    return tac.JointProblem(table, bits, source, credit, study.protection.policy)


def agreement(planned: tac.Planned, calibration: Calibration, channel: FlipChannel, seed: int) -> float:
    """Soft agreement with the network as trained on the calibration inputs, mean over drawn flips."""
    assert planned.image is not None
    rng = np.random.default_rng(seed)
    decoder = tac.ProtectedImage(planned.image, planned.plan, channel).decoder("planes")
    clean = calibration.outputs({})
    drawn = (tac.drawn_codes(planned.image, planned.plan, channel, rng) for _ in range(DRAWS))
    return float(np.mean([soft_agreement(clean, calibration.outputs(decoder.decode(codes))) for codes in drawn]))
