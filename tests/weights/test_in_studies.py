"""Formats from the study file to the record: whole points run, bad combinations are refused, identities stay."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import qtaml_hw
from qtaml_hw.config import Study, StudyError
from qtaml_hw.errors import InputError
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.design import DesignPoint
from tests import studies

UNPROTECTED = "{policy: none, correction: none}"
STATED = {"flips": "{law: fixed, p: 0.01}", "refresh": "off", "evaluate": "{images: 120, maps: {min: 2, max: 2}}"}


def study(weights: str, protection: str = UNPROTECTED) -> Study:
    return studies.study(**STATED, weights=weights, protection=protection)


def point(weights: str, protection: str = UNPROTECTED) -> DesignPoint:
    return studies.design(**STATED, weights=weights, protection=protection)


RUNS = {  # weights: name, bits per weight with its scales, least accuracy without flips, menu
    "{format: int4, encoding: gray, scale: group-32, rounding: mse_clip}": ("int4/gray", 4.5, 0.90, "ideal"),
    "{format: int16, encoding: sign_magnitude, scale: per_channel}": (
        "int16/sign_magnitude",
        16.27,
        0.95,
        "parity-zero",
    ),
    "{format: int3, encoding: offset_binary, scale: per_input_channel, rounding: learned}": (
        "int3/offset_binary",
        3.36,
        0.75,
        "parity-zero",
    ),
    "{format: int4, encoding: sign_magnitude, scale: per_channel, rounding: gptq}": (
        "int4/sign_magnitude",
        4.27,
        0.90,
        "ideal",
    ),
    "{format: e4m3, scale: per_channel, specials: zero}": ("e4m3/zero", 8.27, 0.90, "ideal"),
    "{format: bfloat16}": ("bfloat16", 16.0, 0.95, "secded-72-64"),
    "{format: power4, power: 1.5, scale: group-128}": ("power4^1.5/twos_complement", 4.17, 0.90, "ideal"),
    "{format: binary, scale: per_channel, rounding: learned}": ("binary", 1.27, 0.1, "ideal"),
}


@pytest.mark.parametrize("weights", RUNS)
def test_every_kind_of_format_runs_through_plan_memory_and_network(weights: str) -> None:
    name, bits, accuracy, menu = RUNS[weights]
    design = point(weights, f"{{policy: tac, menu: [{menu}], budget: {{bits: 25 %}}}}")
    facts, record = design.facts, design.record(0)
    assert facts["weights_format"] == name
    assert facts["storage_bits_per_weight"] == pytest.approx(bits, rel=0.01)
    assert facts["metadata_bits_fraction"] == pytest.approx(
        facts["storage_bits_per_weight"] / design.image.planes - 1.0
    )
    assert facts[F.quantised_score] >= accuracy
    assert facts["predicted_distortion"] > 0.0
    assert facts["decode_ge"] >= 0.0
    assert record["flips_residual"] > 0
    assert 0.0 < record[F.score] <= 1.0


def test_protected_exponents_save_a_float_that_a_flip_destroys() -> None:
    accuracy = {
        policy: point("{format: bfloat16}", f"{{policy: {policy}, budget: {{bits: 25 %}}, correction: none}}").record(
            0
        )[F.score]
        for policy in ("none", "uniform", "tac")
    }
    assert accuracy["none"] < 0.3
    assert accuracy["tac"] > 0.9
    assert accuracy["tac"] >= accuracy["uniform"]


def test_wide_codes_use_the_planes_they_have() -> None:
    design = point("{format: int16}", "{policy: uniform, planes: 11, correction: none}")
    assert design.facts["protected_bits_fraction"] == pytest.approx(11 / 16)
    assert design.protection.plan.choice[:, 5:].all()


REFUSED = {
    "{format: int9}": "unknown format 'int9'",
    "{format: e4m3, encoding: gray}": "encoding is for int2, int3",
    "{format: int8, power: 1.5}": "power is for power4",
    "{format: int8, specials: zero}": "specials is for e2m1",
    "{format: power8, power: 9}": "9 is out of range",
    "{format: bfloat16, scale: per_channel}": "bfloat16 has its own exponent and no scale",
    "{format: float16, rounding: mse_clip}": "no scale to clip",
    "{scale: group-0}": "'group-0' is no group; write group-N",
    "{rounding: up}": "mse_clip",
}


@pytest.mark.parametrize("weights", REFUSED)
def test_what_does_not_fit_is_refused_with_the_reason(weights: str) -> None:
    with pytest.raises(StudyError) as caught:
        study(weights)
    assert REFUSED[weights] in str(caught.value)


def test_defaults_leave_no_trace_and_formats_have_identities_of_their_own() -> None:
    plain = study("{format: int8}")
    assert plain.identity() == study("{rounding: nearest, power: 2.0, specials: saturate}").identity()
    assert set(plain.resolved()["weights"]) == {"format", "encoding", "scale", "fold_batch_norm"}
    others = [
        "{format: int7}",
        "{rounding: mse_clip}",
        "{scale: group-64}",
        "{format: power8}",
        "{format: power8, power: 3}",
        "{format: e4m3}",
        "{format: e4m3, specials: zero}",
    ]
    assert len({study(w).identity() for w in ["{}", *others]}) == len(others) + 1


def test_a_users_own_model_needs_inputs_to_learn_from() -> None:
    asked = study("{format: int4, scale: per_channel, rounding: learned}")
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(InputError, match="learned rounding needs unlabelled inputs"), qtaml_hw.corrupted(model, asked):
        pass
    with qtaml_hw.corrupted(model, asked, calibration=torch.randn(16, 1, 8, 8)) as faulty:
        assert torch.isfinite(faulty(torch.randn(2, 1, 8, 8))).all()


def test_stated_rules_run_through_plan_memory_and_network() -> None:
    design = point("{invert_planes: {planes: [0, 1, 2, 3, 4, 5, 6]}, in_place: {planes: [7], into: [0]}}")
    record = {**design.facts, **design.record(0)}
    assert record["weights_format"] == "int8/twos_complement+copy-7-into-0+invert-0123456-if-0"
    assert record["quantised_score"] >= 0.95
    assert record["score"] > point("{}").record(0)["score"]  # a flipped sign ends at zero, one percent of all
    assert record["parity_bits_fraction"] == 0.0
    assert point("{scale: {step: 2^-6}}").facts["storage_bits_per_weight"] == 8.0
    bounded, plain = (point(f"{{format: bfloat16{more}}}").record(0) for more in (", bound: {at: 2.0}", ""))
    assert bounded["score"] > plain["score"] + 0.3


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("{in_place: {planes: [7], into: [7]}}", "plane 7 is guarded and gives way"),
        ("{in_place: {planes: [7, 6], into: [0, 1, 2]}}", "take 2 planes or 4"),
        ("{in_place: {check: parity, planes: [7, 6, 5], into: [0, 1]}}", "2 runs of equal length"),
        ("{in_place: {check: parity, planes: [7], into: [0], reads: or}}", "single copies"),
        ("{format: int4, in_place: {planes: [7], into: [0]}}", "it may name 0 to 3"),
        ("{invert_planes: {planes: [7]}}", "it may name 0 to 6"),
        ("{invert_planes: {planes: [0]}, transforms: [invert_planes]}", "not both"),
        ("{format: uint8, in_place: {planes: [7], into: [0]}}", "formats with a sign plane"),
        ("{scale: q2.6}", "not int8"),
        ("{scale: q1}", "is no step"),
        ("{scale: {step: -1}}", "is no step"),
        ("{scale: q1.6, rounding: mse_clip}", "mse_clip searches the step"),
        ("{bound: {at: 2.0}}", "bound is for float16 and bfloat16"),
        ("{format: binary, invert_planes: {planes: [0]}}", "formats with a sign plane"),
    ],
)
def test_rules_that_do_not_fit_the_format_are_refused(weights: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        study(weights)
