"""Steps before storage in a study: named in the file, told in the records, neutral without flips."""

from __future__ import annotations

from pathlib import Path

import pytest

from qtaml_hw import names
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study, StudyError, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.records.results import Result
from qtaml_hw.study.design.cells.cell import view_cell
from qtaml_hw.study.design.networks.inversion import best_masks, disagreement, tensor_scores
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.design.networks.transforms import INVERT
from qtaml_hw.study.questions.allocation import allocate
from qtaml_hw.verbs import run, sweep
from qtaml_hw.weights.transforms import MODULE_STEPS
from qtaml_hw.weights.transforms_planes import inverted

REST = """
cell: {t_ox: 1.8 nm, temperature: 85 degC}
evaluate: {at: [1 ms], images: 100, maps: {min: 2, max: 2}}
hardening: {method: noise, amplitude: 0.01, epochs: 12}
"""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> pytest.MonkeyPatch:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QTAML_HW_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield patch


def study(
    weights: str, flips: str = "{law: fixed, p: 5 %, direction: 1to0}", rest: str = "protection: {policy: none}"
) -> Study:
    return parse_study(f"{REST}weights: {weights}\nflips: {flips}\n{rest}\n", name="steps.yaml")


def test_the_names_are_those_of_the_code() -> None:
    assert (*MODULE_STEPS, INVERT) == names.TRANSFORMS


def test_every_step_is_told_and_neutral_without_flips() -> None:
    text = "{transforms: [equalise, activation_scale, sensitivity_order, invert_planes], encoding: gray}"
    facts = run(study(text)).as_dict()
    effects = {effect["step"]: effect for effect in facts["transform_effects"]}
    assert list(effects) == facts["transforms"] == list(names.TRANSFORMS)
    for effect in effects.values():
        assert effect["output_change"] < 1e-4
        assert abs(effect["clean_accuracy_after"] - effect["clean_accuracy_before"]) <= 0.01
    inverted = effects["invert_planes"]
    assert inverted["predicted_distortion_after"] < inverted["predicted_distortion_before"]
    assert inverted["quantised_accuracy_after"] == inverted["quantised_accuracy_before"]
    order = effects["sensitivity_order"]
    assert order["predicted_distortion_after"] == pytest.approx(order["predicted_distortion_before"], rel=0.25)
    assert facts["transform_metadata_bits"] == 5 * 8
    assert facts["transform_decode_ge"] == pytest.approx(16.0)
    assert set(facts["inverted_planes"]) <= {layer["name"] for layer in facts["layers"]}


def test_without_steps_nothing_is_said_and_the_identity_is_as_before() -> None:
    assert "transform_effects" not in run(study("{}")).as_dict()
    assert study("{}").identity() == study("{transforms: []}").identity()
    one, two = study("{transforms: equalise}"), study("{transforms: [activation_scale, equalise]}")
    other = study("{transforms: [equalise, activation_scale]}")
    assert len({study("{}").identity(), one.identity(), two.identity(), other.identity()}) == 4


def damage(found: Result) -> float:
    return float(found.as_dict()["predicted_distortion"])


def test_inverted_planes_lower_what_is_predicted_and_the_plan_sees_them() -> None:
    rest = "protection: {policy: tac, group: word, budget: {bits: 5 %}, correction: auto}"
    plain, inverted = (
        study(f"{{encoding: gray, transforms: [{steps}]}}", rest=rest) for steps in ("", "invert_planes")
    )
    assert damage(run(inverted)) < damage(run(plain))
    assert allocate(inverted).protection.predicted_distortion == pytest.approx(damage(run(inverted)))


def test_symmetric_flips_leave_every_plane_as_it_is() -> None:
    steps, plain = (
        run(study(text, "{law: fixed, p: 2 %}")).as_dict() for text in ("{transforms: [invert_planes]}", "{}")
    )
    assert steps["inverted_planes"] == {}
    assert steps["accuracy_mean"] == plain["accuracy_mean"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{transforms: [equalize]}", "did you mean 'equalise'"),
        ("{transforms: [equalise, equalise]}", "listed twice"),
        ("{transforms: 3}", "transforms"),
    ],
)
def test_bad_names_are_refused(text: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        study(text)
    assert message in str(caught.value)


def test_what_does_not_go_together_is_said() -> None:
    rest = "protection: {policy: uniform, planes: 2, menu: [parity-zero], correction: none}"
    with pytest.raises(InputError, match="invert_planes and parity-zero"):
        run(study("{encoding: gray, transforms: invert_planes}", rest=rest))


def test_batch_norm_must_be_folded_first(tmp_path: Path) -> None:
    (tmp_path / "norm_nets.py").write_text(
        "import torch\n"
        "def build(alone):\n"
        "    tail = [torch.nn.Tanh()] if alone else []\n"
        "    return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),\n"
        "        torch.nn.Conv2d(4, 4, 3), *tail, torch.nn.Flatten(), torch.nn.Linear(64, 10))\n"
    )
    head = f"{REST.split('hardening')[0]}flips: {{law: fixed, p: 2 %}}\n"

    def own(alone: str, fold: str) -> Study:
        text = f"network: {{factory: 'norm_nets:build', arguments: {{alone: {alone}}}}}\n"
        text += f"weights: {{transforms: [equalise], fold_batch_norm: {fold}}}\n"
        return parse_study(head + text, name="n.yaml", folder=tmp_path)

    with pytest.raises(InputError, match="fold_batch_norm: true"):
        run(own("true", "false"))
    assert any("equalise passed over" in text for text in run(own("false", "false")).warnings)
    folded = run(own("true", "true"))
    assert folded.as_dict()["transform_effects"][0]["output_change"] < 1e-4
    assert not any("equalise" in text for text in folded.warnings)


def test_inversion_is_kept_only_where_it_measurably_helps_the_outputs() -> None:
    networks, flips = Networks(), "{law: fixed, p: 5 %, direction: 1to0}"
    for encoding in ("twos_complement", "sign_magnitude", "gray"):
        asked = study(f"{{encoding: {encoding}, transforms: invert_planes}}", flips)
        stored = networks.load(asked)
        seen = stored.calibration
        channel = view_cell(asked, 8).channel
        image = inverted(stored.image, best_masks(stored.image, seen, channel, "none"))
        plain, chosen = (disagreement(one, seen, channel, "none") for one in (stored.image, image))
        assert chosen <= plain
        if encoding == "gray":
            assert chosen < 0.95 * plain
            scores = [sum(tensor_scores(one, seen, channel, "none")) for one in (stored.image, image)]
            assert scores[1] < 0.7 * scores[0]
    symmetric = FlipChannel.uniform(0.05, 8)
    assert best_masks(stored.image, seen, symmetric, "auto") == (0,) * len(stored.image.tensors)


def test_a_report_says_what_the_steps_did(tmp_path: Path) -> None:
    grid = "sweep: {grid: {weights.transforms: [[], [equalise, sensitivity_order]]}}"
    found = sweep(study("{}", rest=grid), store=tmp_path / "runs")
    assert found.failed == 0
    assert [r.as_dict().get("transforms", []) for r in found.results] == [[], ["equalise", "sensitivity_order"]]
    page = (tmp_path / "runs" / "report.html").read_text(encoding="utf-8")
    assert "Before storage: equalise (predicted distortion with nothing protected" in page
    assert "then sensitivity_order" in page
