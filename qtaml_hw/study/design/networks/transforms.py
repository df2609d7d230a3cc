"""The study's steps before storage: the network rewritten, planes inverted, and what records say of each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from qtaml_hw.accelerator.layers import multiplied
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.arrays import Float64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study
from qtaml_hw.study.design.networks.calibration import Calibration
from qtaml_hw.study.design.networks.image import image_of
from qtaml_hw.study.design.networks.inversion import best_masks
from qtaml_hw.study.design.networks.network import Stage, StoredNetwork
from qtaml_hw.weights import StoredImage
from qtaml_hw.weights.transforms import MODULE_STEPS, Evidence, rewritten
from qtaml_hw.weights.transforms_graph import BATCH_NORMS
from qtaml_hw.weights.transforms_planes import inversion_cost, inverted

INVERT = "invert_planes"


def rewritten_network(stored: StoredNetwork, study: Study) -> StoredNetwork:
    """The network after the study's steps that rewrite it, stored anew after each.

    Raises ValueError when a step finds nothing to do, or needs calibration inputs and has none.
    """
    steps = [step for step in MODULE_STEPS if step in study.weights.transforms]
    steps.sort(key=study.weights.transforms.index)
    stages = [stored.stage("")] if steps else []
    for step in steps:
        network, calibration = stored.network, stored.calibration
        inputs = network.inputs[:0] if calibration.inputs is None else calibration.inputs
        before = network.served.module
        module = rewritten(before, step, Evidence(inputs, _energies_of(stored)))
        channels = multiplied(module, network.inputs[:1])
        weights, image = image_of(module, stored.image.names, study, calibration.inputs, channels)
        served = ServedNetwork(module, network.served.batch)
        network, calibration = replace(network, served=served, weights=weights), replace(calibration, served=served)
        stored = StoredNetwork(network, image, calibration)
        stages.append(stored.stage(step, _change(before, module, inputs)))
    return replace(stored, stages=tuple(stages))


def stored_image(image: StoredImage, calibration: Calibration, study: Study, channel: FlipChannel) -> StoredImage:
    """The image with planes inverted for these flips, where the study says so.

    Raises ValueError without calibration inputs.
    """
    if INVERT not in study.weights.transforms:
        return image
    return inverted(image, best_masks(image, calibration, channel, study.protection.correction))


def storage_of_steps(study: Study, image: StoredImage) -> tuple[int, float]:
    """What undoing the steps takes when weights are read: bits beside the image, gates of one weight's decoder."""
    return inversion_cost(image) if INVERT in study.weights.transforms else (0, 0.0)


@dataclass(frozen=True, eq=False)
class Transforms:
    """The steps that weights went through before storage, and what they ask of the memory and of every decoder."""

    steps: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    metadata_bits: int = 0
    decode_ge: float = 0.0
    inverted_planes: Mapping[str, list[int]] | None = None

    @classmethod
    def of(cls, study: Study, stored: StoredNetwork, image: StoredImage) -> Transforms:
        """What was done to a network so far, and to its image as it is written."""
        steps = tuple(study.weights.transforms)
        if INVERT not in steps:
            return cls(steps, stored.stages)
        stages = stored.stages or (stored.stage(""),)
        damage = stored.calibration.damage(image, "layer")
        last = replace(stages[-1], step=INVERT, damage=damage, output_change=0.0)
        planes = {t.name: [i for i in range(image.planes) if t.inverted >> i & 1] for t in image.tensors if t.inverted}
        return cls(steps, (*stages, last), *storage_of_steps(study, image), planes)

    def facts(self, channel: FlipChannel) -> dict[str, Any]:
        """Record fields, none without steps; distortions are predictions with nothing protected, scores fault-free."""
        if not self.steps:
            return {}
        facts: dict[str, Any] = {
            "transforms": list(self.steps),
            "transform_metadata_bits": self.metadata_bits,
            "transform_decode_ge": self.decode_ge,
        }
        if self.inverted_planes is not None:
            facts["inverted_planes"] = dict(self.inverted_planes)
        return {**facts, "transform_effects": [_effect(*stages, channel) for stages in pairwise(self.stages)]}


def transform_warnings(study: Study, module: nn.Module) -> list[str]:
    """What a step left out."""
    norms = any(isinstance(part, BATCH_NORMS) for part in module.modules())
    if "equalise" in study.weights.transforms and norms:
        return ["equalise passed over layers with batch norm between them; fold_batch_norm: true includes them"]
    return []


def _effect(before: Stage, after: Stage, channel: FlipChannel) -> dict[str, Any]:
    return {
        "step": after.step,
        "predicted_distortion_before": before.distortion(channel),
        "predicted_distortion_after": after.distortion(channel),
        "clean_accuracy_before": before.clean_score,
        "clean_accuracy_after": after.clean_score,
        "quantised_accuracy_before": before.quantised_score,
        "quantised_accuracy_after": after.quantised_score,
        "output_change": after.output_change,
    }


def _energies_of(stored: StoredNetwork) -> Callable[[nn.Module], Mapping[str, Float64]]:
    """Jacobian energies of the network's own module, by parameter."""

    def energies(module: nn.Module) -> Mapping[str, Float64]:
        tensors, values = stored.image.weight_tensors, stored.calibration.importance
        ends = np.cumsum([t.weights for t in tensors])
        return {t.name: values[b - t.weights : b].reshape(t.shape) for t, b in zip(tensors, ends, strict=True)}

    return energies


def _change(before: nn.Module, after: nn.Module, inputs: torch.Tensor) -> float:
    with torch.inference_mode():
        one, two = before(inputs), after(inputs)
    return float((two - one).abs().max() / one.abs().max().clamp_min(1e-30))
