"""The study's steps before storage: the network rewritten, planes inverted, and what records say of each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qtaml_hw import tac
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.study.design.inversion import best_masks
from qtaml_hw.weights import StoredImage
from qtaml_hw.weights.transforms import MODULE_STEPS, Evidence, rewritten
from qtaml_hw.weights.transforms_graph import BATCH_NORMS
from qtaml_hw.weights.transforms_planes import inversion_cost, inverted

if TYPE_CHECKING:
    from qtaml_hw.study.design.subject import Subject

Stored = Callable[[nn.Module], tuple[dict[str, NDArray[np.float32]], StoredImage]]
INVERT = "invert_planes"
_UNTOUCHED = ("clean_score", "clean_correct", "quantised_score", "quantised_correct", "sensitivity", "_clean_outputs")


@dataclass(frozen=True, eq=False)
class Stage:
    """A network before or after a step: its scores without faults, and the damage that flips do, by layer.

    ``output_change``: largest change of an output by the step, relative to the largest output.
    """

    step: str
    clean_score: float
    quantised_score: float
    damage: tac.DamageModel
    output_change: float = 0.0

    def distortion(self, channel: FlipChannel) -> float:
        """Predicted output distortion with nothing protected."""
        return float(self.damage.distortion(channel.p01, channel.p10).sum())


def rewritten_subject(subject: Subject, study: Study, store: Stored) -> Subject:
    """The subject after the study's steps that rewrite the network; ``store`` gives a module's weights and image.

    Raises ValueError when a step finds nothing to do, or needs calibration inputs and has none.
    """
    steps = [step for step in MODULE_STEPS if step in study.weights.transforms]
    steps.sort(key=study.weights.transforms.index)
    if not steps:
        return subject
    inputs = subject.inputs[:0] if subject.calibration is None else subject.calibration
    stages = [_stage("", subject)]
    for step in steps:
        before = subject.served.module
        module = rewritten(before, step, Evidence(inputs, _energies_of(subject)))
        weights, image = store(module)
        subject = replace(subject, served=ServedNetwork(module, subject.served.batch), weights=weights, image=image)
        stages.append(_stage(step, subject, _change(before, module, inputs)))
    return replace(subject, stages=tuple(stages))


def stored_subject(subject: Subject, study: Study, channel: FlipChannel) -> Subject:
    """The subject with planes inverted for these flips, where the study says so; nothing else is computed anew."""
    if INVERT not in study.weights.transforms:
        return subject
    image = inverted(subject.image, best_masks(subject, channel, study.protection.correction))
    other = replace(subject, image=image)
    known = vars(subject)
    vars(other).update({name: known[name] for name in _UNTOUCHED if name in known})
    return other


def refuse_zeroing(image: StoredImage, plan: ProtectionPlan, on_uncorrectable: str | None) -> None:
    """Words that read as zero need one code of zero; inverted planes give every tensor its own.

    Raises ValueError where both are asked for.
    """
    zeroing = [e.name for e in plan.entries if e.zeroes_weight and plan.bits_by_entry().get(e.name)]
    zeroing += ["on_uncorrectable: zero"] if on_uncorrectable == "zero" else []
    if zeroing and any(t.inverted for t in image.tensors):
        raise ValueError(f"{INVERT} and {zeroing[0]} do not go together: a detected word reads as one code of zero")


def transform_facts(study: Study, subject: Subject, channel: FlipChannel) -> dict[str, Any]:
    """Record fields; none without steps. Distortions are predictions with nothing protected, scores fault-free."""
    names = list(study.weights.transforms)
    if not names:
        return {}
    effects = [
        _effect(after.step, (before, after), channel)
        for before, after in zip(subject.stages[:-1], subject.stages[1:], strict=True)
    ]
    facts: dict[str, Any] = {"transforms": names, "transform_metadata_bits": 0, "transform_decode_ge": 0.0}
    if INVERT in names:
        plain = replace(subject, image=_uninverted(subject.image))
        vars(plain).update({k: v for k, v in vars(subject).items() if k in _UNTOUCHED})
        effects.append(_effect(INVERT, (_stage("", plain), _stage(INVERT, subject)), channel))
        bits, gates = inversion_cost(subject.image)
        facts |= {"transform_metadata_bits": bits, "transform_decode_ge": gates}
        facts["inverted_planes"] = {
            t.name: [i for i in range(subject.image.planes) if t.inverted >> i & 1]
            for t in subject.image.tensors
            if t.inverted
        }
    return {**facts, "transform_effects": effects}


def transform_warnings(study: Study, subject: Subject) -> list[str]:
    """What a step left out."""
    norms = any(isinstance(part, BATCH_NORMS) for part in subject.served.module.modules())
    if "equalise" in study.weights.transforms and norms:
        return ["equalise passed over layers with batch norm between them; fold_batch_norm: true includes them"]
    return []


def _effect(step: str, stages: tuple[Stage, Stage], channel: FlipChannel) -> dict[str, Any]:
    before, after = stages
    return {
        "step": step,
        "predicted_distortion_before": before.distortion(channel),
        "predicted_distortion_after": after.distortion(channel),
        "clean_accuracy_before": before.clean_score,
        "clean_accuracy_after": after.clean_score,
        "quantised_accuracy_before": before.quantised_score,
        "quantised_accuracy_after": after.quantised_score,
        "output_change": after.output_change,
    }


def _stage(step: str, subject: Subject, change: float = 0.0) -> Stage:
    return Stage(step, subject.clean_score, subject.quantised_score, subject.damage("layer"), change)


def _uninverted(image: StoredImage) -> StoredImage:
    tensors = (replace(t, codes=t.meant_codes, inverted=0) for t in image.tensors)
    return StoredImage(image.format, tuple(tensors))


def _energies_of(subject: Subject) -> Callable[[nn.Module], Mapping[str, NDArray[np.float64]]]:
    """Jacobian energies of the subject's own module, by parameter."""

    def energies(module: nn.Module) -> Mapping[str, NDArray[np.float64]]:
        starts, values = subject.image.tensor_starts, subject.importance
        return {
            t.name: values[a:b].reshape(t.shape)
            for t, a, b in zip(subject.image.tensors, starts[:-1], starts[1:], strict=True)
        }

    return energies


def _change(before: nn.Module, after: nn.Module, inputs: torch.Tensor) -> float:
    with torch.inference_mode():
        one, two = before(inputs), after(inputs)
    return float((two - one).abs().max() / one.abs().max().clamp_min(1e-30))
