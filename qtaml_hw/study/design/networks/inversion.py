"""Which planes of which tensor are stored inverted: what lowers the damage of single flips, where the whole gains.

Damage plane by plane sees neither that flips of one weight partly cancel (in two's complement a lost sign bit adds 128,
the ones below take away) nor that a mean shift of all weights adds up coherently.  So the planes that lower it are only
a candidate.  Another takes, tensor by tensor, what has the least predicted output distortion, noise plus drift, under
the study's correction (docs/theory.md, output distortion).  Which candidate it is, nothing inverted among them, is
measured: by how many unlabelled inputs change their largest output under a few fault maps that no evaluation uses.
"""

from __future__ import annotations

import numpy as np

from qtaml_hw import tac
from qtaml_hw.channel import FlipChannel
from qtaml_hw.names import CorrectionKind
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.study.design.networks.calibration import Calibration
from qtaml_hw.tac.worth.response import MEASURES
from qtaml_hw.weights import StoredImage
from qtaml_hw.weights.transforms_planes import inversion_masks, inverted

DRAWS = 12


def best_masks(image: StoredImage, calibration: Calibration, channel: FlipChannel, correction: str) -> tuple[int, ...]:
    """Per tensor the planes to invert, as a bit mask; ``auto`` is judged with the mean drift taken off (offset),
    what is calibrated without.

    Raises ValueError without calibration inputs.
    """
    instead: dict[str, CorrectionKind] = {"auto": "offset", "calibrate": "none", "per_chip": "none"}
    kind: CorrectionKind = instead.get(correction, correction)  # type: ignore[arg-type]
    damage = calibration.damage(image, "layer")
    by_damage = inversion_masks(damage.zeros, damage.ones, channel.p01, channel.p10)
    every = (1 << image.planes) - 1
    candidates = [(0,) * len(by_damage), by_damage, (every,) * len(by_damage)]
    if np.array_equal(channel.p01, channel.p10):
        return candidates[0]
    scores = [tensor_scores(inverted(image, masks), calibration, channel, kind) for masks in candidates]
    best = np.argmin(np.array(scores), axis=0)
    candidates.append(tuple(int(candidates[choice][i]) for i, choice in enumerate(best)))
    measured = [disagreement(inverted(image, masks), calibration, channel, kind) for masks in candidates]
    return candidates[int(np.argmin(measured))]


def disagreement(image: StoredImage, calibration: Calibration, channel: FlipChannel, kind: CorrectionKind) -> float:
    """Share of unlabelled inputs whose largest output changes under flips with nothing protected."""
    plan = ProtectionPlan.unprotected(image.tensor_starts, image.planes)
    decoder = tac.ProtectedImage(image, plan, channel).decoder(kind)
    reference = calibration.outputs(image.decode())
    shares = []
    for draw in range(DRAWS):
        read = [tac.flipped(t.codes, channel, seed=0, draw=draw, tensor=i) for i, t in enumerate(image.tensors)]
        outputs = calibration.outputs(decoder.decode(read))
        shares.append(MEASURES["disagreement"](reference, np.nan_to_num(outputs)))
    return float(np.mean(shares))


def tensor_scores(
    image: StoredImage, calibration: Calibration, channel: FlipChannel, kind: CorrectionKind
) -> list[float]:
    """Predicted output distortion by each tensor alone: noise left, and the drift through one forward pass."""
    plan = ProtectionPlan.unprotected(image.tensor_starts, image.planes)
    protected, alone = tac.ProtectedImage(image, plan, channel), tac.OneLayer(image, calibration.outputs)
    layers = [protected.layer(i, kind) for i in range(len(image.tensors))]
    return [protected.distortion(i, layer, calibration.importance, alone) for i, layer in enumerate(layers)]
