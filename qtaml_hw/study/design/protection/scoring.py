"""What TAC holds every group and plane to be worth under the score that a study names, and what finding out costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from qtaml_hw import tac
from qtaml_hw.accelerator.served import serving
from qtaml_hw.arrays import Float32, Float64, Int64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.study.design.networks.calibration import Calibration
from qtaml_hw.tac.worth.response import MeasureName
from qtaml_hw.tac.worth.sensitivity import PROBES, OutputName
from qtaml_hw.weights import StoredImage

PlanOf = Callable[[tac.DamageModel], ProtectionPlan]
MEASURES: Final[dict[str, MeasureName]] = {"logits": "squared", "softmax": "divergence"}
OUTPUT_OF: Final[dict[str, OutputName]] = {"fisher": "fisher"}  # scores that say themselves what they pull back from
DRAWS: Final = tac.Draws()
NOISY_PROBES: Final = PROBES // DRAWS.draws  # each noisy network is another average, so that fewer probes do


def first_order(study: Study) -> bool:
    """Whether the damage is that of the logits' Jacobian, in whose units distortions are reported."""
    return study.protection.score == "jacobian" and study.protection.output == "logits"


def score_cost(study: Study, image: StoredImage) -> str:
    """Passes over the calibration inputs that the score takes."""
    probe, layers = tac.Probe(), len(image.tensors)
    noisy = DRAWS.draws * DRAWS.rounds
    return {
        "magnitude": "none",
        "peak": "none",
        "activation": "1 forward",
        "measured": f"1 forward, {PROBES} backward; {layers * probe.maps * (probe.deepest + 1)} forward under flips",
        "second_order": f"1 forward, {PROBES} backward; {noisy} forward, {noisy * NOISY_PROBES} backward under flips",
    }.get(study.protection.score, f"1 forward, {PROBES} backward")


def scored_damage(
    study: Study,
    image: StoredImage,
    calibration: Calibration,
    channel: FlipChannel,
    starts: Int64,
    plan_of: PlanOf,
) -> tac.DamageModel:
    """The damage model by the study's score, for groups from ``starts`` [G + 1]; ``plan_of`` spends the budget on one.

    Raises ValueError without calibration inputs.
    """
    protection = study.protection
    output = OUTPUT_OF.get(protection.score, protection.output)
    if protection.score in OUTPUT_OF or protection.score == "jacobian":
        return calibration.damage_at(image, starts, output)
    if protection.score == "measured":
        probe = tac.Probe(measure=MEASURES[protection.output], seed=study.evaluate.seed)
        response = tac.measured_response(image, calibration.outputs, channel, probe)
        return tac.refined_damage(calibration.damage_at(image, starts), image.tensor_starts, response, channel)
    if protection.score == "second_order":
        worth = tac.refine(
            image,
            calibration.worth(image, output),
            noisy_energy(calibration, output),
            lambda worth: plan_of(tac.damage_model(image, worth, starts)),
            channel,
            tac.Draws(DRAWS.draws, DRAWS.rounds, study.evaluate.seed),
        )
        return tac.damage_model(image, worth, starts)
    if calibration.inputs is None:
        raise ValueError(f"the score {protection.score} needs unlabelled calibration inputs")
    seen = tac.Calibration(image, calibration.served.module, calibration.inputs, PROBES)
    return tac.damage_model(image, tac.importance(protection.score, seen), starts)


def noisy_energy(calibration: Calibration, output: OutputName) -> Callable[[Mapping[str, Float32]], Float64]:
    """Jacobian energies with given weights in the network; every call draws probes of its own."""
    names, inputs, calls = list(calibration.names), calibration.inputs, iter(range(1, 1 << 30))
    if inputs is None:
        raise ValueError("the score second_order needs unlabelled calibration inputs")

    def energy_at(weights: Mapping[str, Float32]) -> Float64:
        with serving(calibration.served.module, weights) as module:
            energies = tac.jacobian_energy(module, names, inputs, probes=NOISY_PROBES, seed=next(calls), output=output)
        return energies.values

    return energy_at
