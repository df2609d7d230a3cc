"""The cheapest design that is good enough: the front of all designs, its numbers, and the study behind each."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from qtaml_hw.config import Study, StudyError, parse_study
from qtaml_hw.config.designs import design_space
from qtaml_hw.config.written import study_text
from qtaml_hw.errors import InputError
from qtaml_hw.progress import silent
from qtaml_hw.records.fields import F
from qtaml_hw.report.answers import write_design
from qtaml_hw.study.design.screened import Screening
from qtaml_hw.study.questions.candidates import candidates
from qtaml_hw.study.questions.criterion import Criterion
from qtaml_hw.study.questions.design import Decision, design
from qtaml_hw.study.questions.settle import Settling
from qtaml_hw.study.run.session import session
from qtaml_hw.verbs import run
from tests import studies

SPACE = (
    "{refresh: {from: 2 us, to: 32 us, count: 5, spacing: log}, policy: [none, uniform], "
    "code: [secded-72-64, parity-zero], planes: [1, 3]}"
)
MAPS = 36
EVALUATE = "{at: [1 ms], images: 40, maps: {min: 36, max: 36}}"


@pytest.fixture(scope="module")
def spacious() -> Study:
    return studies.study(network="{name: digits-mlp}", evaluate=EVALUATE, space=SPACE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("design") / "store"


@pytest.fixture(scope="module")
def found(spacious: Study, store: Path) -> Decision:
    return design(spacious, 0.9, store=store)


def test_the_front_is_that_of_measuring_every_design(spacious: Study, found: Decision) -> None:
    criterion = Criterion(0.9, None, MAPS)
    every = spacious.with_({"evaluate.maps": {"min": MAPS, "max": MAPS}})
    all_of_them = candidates(design_space(every), Screening(studies.NETWORKS), silent)
    designs = all_of_them.designs(("area", "energy"))
    with session(None, studies.NETWORKS) as measuring:
        records = measuring.measure(all_of_them.points, criterion)
    good = [i for i, maps in enumerate(records) if criterion.is_good(maps)]
    front = Settling(designs, good=good).front
    assert 0 < len(good) < len(all_of_them.points)
    assert [row["area_m2"] for row in found["front"]] == pytest.approx([designs.costs[i, 0] for i in front])
    assert [row["energy_per_inference_j"] for row in found["front"]] == pytest.approx(
        [designs.costs[i, 1] for i in front]
    )
    assert found["measured"] < len(all_of_them.points)


def test_a_design_of_the_front_is_what_running_its_study_gives(found: Decision) -> None:
    row = found["answer"]
    result = run(found.study(row["number"]))
    assert row["identity"] == result.identity
    assert (row["score_mean"], row["score_ci95_low"]) == (result.accuracy.mean, result.accuracy.ci95[0])
    for name in (F.area_m2, F.energy_per_inference_j, F.stored_bits_per_weight, F.p10, F.predicted_distortion):
        assert row[name] == pytest.approx(getattr(result, name))
    assert row["margin"] == pytest.approx(row["score_ci95_low"] - 0.9 * result.clean_accuracy)
    assert row["margin"] >= 0.0


def test_the_answer_is_the_least_product_and_its_sentence_says_what_binds(found: Decision) -> None:
    products = [row["area_m2"] * row["energy_per_inference_j"] for row in found["front"]]
    assert found["answer"]["number"] == products.index(min(products)) + 1
    near = found["answer"]["binds"]
    assert near["score_ci95_low"] < found["answer"]["target"]
    assert near["label"] in found.sentence
    assert found["answer"]["label"] in found.sentence
    assert "above the" in found.sentence


def test_error_free_planes_bound_every_design(found: Decision) -> None:
    bound, answer = found["bound"], found["answer"]
    assert "ideal" in bound["label"] or bound["label"].startswith("none")
    assert bound["area_m2"] * bound["energy_per_inference_j"] <= answer["area_m2"] * answer[
        "energy_per_inference_j"
    ] * (1 + 1e-9)


def test_a_design_is_written_as_a_study_that_is_the_same(found: Decision, spacious: Study) -> None:
    for number, row in enumerate(found["front"], start=1):
        again = parse_study(found.text(number), name="again.yaml")
        assert again.identity() == found.study(number).identity()
        by_set = parse_study(studies.text(network="{name: digits-mlp}", evaluate=EVALUATE), overrides=row["set"])
        assert by_set.identity() == again.identity()
    with pytest.raises(InputError, match=r"the front has \d+ designs; there is no number 99"):
        found.study(99)


def test_a_search_goes_on_from_its_store(spacious: Study, store: Path, found: Decision) -> None:
    def lines() -> int:
        return sum(path.read_text(encoding="utf-8").count("\n") for path in store.glob("*.jsonl"))

    before = lines()
    assert design(spacious, 0.9, store=store)["front"] == found["front"]
    assert lines() == before


def test_a_yield_is_one_of_chips(spacious: Study, store: Path) -> None:
    answer = design(spacious, 0.9, wanted=0.9, over=("refresh",), store=store)["answer"]
    assert answer["good"] == answer["maps"] == MAPS
    assert answer["margin"] == pytest.approx(answer["yield_ci95_low"] - 0.9)


def test_an_early_answer_is_the_same_from_fewer_images(spacious: Study, tmp_path: Path) -> None:
    whole = spacious.with_({"evaluate.images": 360})
    asked = whole.with_({"evaluate.verdicts": "early"})
    assert asked.identity() == whole.identity()
    early = design(asked, 0.9, over=("refresh",), store=tmp_path)
    rows = [*early["front"], *early["measured_designs"]]
    assert early["answer"]["label"] == design(whole, 0.9, over=("refresh",))["answer"]["label"]
    assert early["image_evaluations"] == sum(row["images_judged"] for row in rows)
    assert 6 * early["image_evaluations"] < early["image_evaluations_of"]
    assert early["image_evaluations_of"] == MAPS * 360 * len(rows)
    assert early["early"] == {"error": 0.025, "chip_error": None}
    assert all(row["margin"] >= 0.0 for row in early["front"])
    assert {row["good"] for row in early["front"]} == {None}
    assert design(asked, 0.9, over=("refresh",), store=tmp_path)["front"] == early["front"]
    assert [path.name for path in tmp_path.iterdir()] == ["early"]


def test_an_early_yield_is_one_of_chips(spacious: Study) -> None:
    asked = spacious.with_({"evaluate.images": 360, "evaluate.verdicts": "early"})
    answer = design(asked, 0.9, wanted=0.9, over=("refresh",))["answer"]
    assert answer["good"] == answer["maps"] == 37
    assert 32 * 37 < answer["images_judged"] < 37 * 360 / 2
    assert answer["margin"] == pytest.approx(answer["yield_ci95_low"] - 0.9)
    assert answer["margin"] >= 0.0


def test_nothing_good_says_what_fails_and_what_is_nearest(spacious: Study) -> None:
    harsh = spacious.with_({"cell.temperature": "125 degC"})
    lost = design(harsh.with_({"space": None}), 0.9, over=("banks",))
    assert (lost["answer"], lost["front"], lost["bound"]) == (None, [], None)
    assert lost.sentence.startswith("No design of 4 keeps 90 % of the clean accuracy")
    assert lost["nearest"]["label"] in lost.sentence
    assert lost["nearest"]["margin"] < 0.0


def test_the_figure_holds_every_design_that_was_measured(found: Decision, tmp_path: Path) -> None:
    written = write_design(tmp_path, found)
    assert [path.name for path in written] == ["design.json", "design.png", "design.svg", "design.csv"]
    rows = list(csv.DictReader((tmp_path / "figures" / "design.csv").open(encoding="utf-8")))
    assert len(rows) == len(found["front"]) + len(found["measured_designs"]) + 1
    assert [float(r["area_m2"]) for r in rows if r["what"] == "front"] == [r["area_m2"] for r in found["front"]]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"protection.policy": "uniform", "protection.planes": 2, "protection.menu": ["secded-72-64"]},
        {
            "protection.policy": "tac",
            "protection.budget.parity": "3 %",
            "protection.menu": ["bch-63-45", "parity-zero"],
        },
        {"protection.policy": "tac", "protection.budget.bits": "20 %", "protection.correction": "unbias"},
        {
            "protection.policy": "joint",
            "protection.budget.stored_bits": 8.25,
            "protection.menu": ["secded-72-64"],
            "protection.correction": "auto",
        },
        {"scrub.interval": "1 ms", "array.banks": 16, "cell.sigma_t_ox_die": "1.5 %"},
    ],
    ids=str,
)
def test_what_is_screened_is_what_the_record_says(changes: dict[str, Any]) -> None:
    study = studies.study().with_(changes)
    known, facts = Screening(studies.NETWORKS)(study), studies.design(changes).facts
    for name, value in known.facts.items():
        assert value == pytest.approx(facts[name], rel=1e-12), name
    assert known.distortion == pytest.approx(facts[F.predicted_distortion], rel=1e-12)


def test_static_cells_are_screened_as_they_are_recorded() -> None:
    sram = {"cell": "{kind: sram6t, v_dd: 0.5 V, temperature: 85 degC}", "refresh": "off"}
    known, facts = Screening(studies.NETWORKS)(studies.study(**sram)), studies.design(**sram).facts
    assert facts[F.p10] > 0.0
    assert {name: facts[name] for name in known.facts} == pytest.approx(known.facts, rel=1e-12)


def test_kin_differ_in_their_flips_alone() -> None:
    screening = Screening(studies.NETWORKS)
    guarded = {"protection.policy": "uniform", "protection.planes": 2, "protection.menu": ["secded-72-64"]}
    kin = [screening(studies.study().with_(c)).kin for c in ({}, {"refresh.interval": "5 us"}, {"cell.t_ox": "2 nm"})]
    assert len(set(kin)) == 1
    others = [guarded, {"protection.correction": "unbias"}, {"scrub.interval": "1 ms"}, {"flips.law": "poisson"}]
    assert kin[0] not in {screening(studies.study().with_(change)).kin for change in others}


def test_axes_by_name_by_field_and_by_default() -> None:
    small = studies.study()
    usual = design_space(small)
    assert usual.axes == ("refresh", "banks", "policy", "code", "planes")
    assert len(usual.points) == 13 * 4 * (1 + 8 * 4 + 9 * 4)
    some = design_space(small.with_({"space.cell.t_ox": ["1.7 nm", "1.8 nm"]}), ("t_ox", "code"))
    assert {point.study.cell.t_ox_m for point in some.points} == {1.7e-9, 1.8e-9}
    assert len(some.points) == 2 * (1 + 8 * 4 + 9 * 4)
    with pytest.raises(StudyError, match=r"no axis 'colour'; allowed: t_ox"):
        design_space(small, ("colour",))
    with pytest.raises(InputError, match="list them in the study's space"):
        design_space(small, ("cell.temperature",))


def test_joint_spends_the_bits_of_the_format_and_check_bits() -> None:
    space = design_space(studies.study(space="{policy: joint, code: [secded-72-64], planes: [0, 2]}"))
    assert [point.study.protection.budget.value for point in space.points if point.study.protection.budget] == [
        8.0,
        8.25,
    ]
    assert not space.refused


def test_a_case_that_holds_its_state_is_not_refreshed() -> None:
    cases = "[{label: gain}, {label: sram, cell: {kind: sram6t, preset: sram6t-65nm}}]"
    space = f"{{cases: {cases}, refresh: [2 us, 4 us], policy: none}}"
    found = design_space(studies.study(refresh="4 us", cell="{preset: gain-cell-65nm}", space=space))
    assert [point.label for point in found.points] == [
        "gain, none, interval=2 us",
        "gain, none, interval=4 us",
        "sram, none",
    ]


def test_what_is_set_is_not_searched_and_what_no_study_can_be_is_counted() -> None:
    fixed = parse_study(studies.text(space="{t_ox: [1.7 nm, 1.8 nm], banks: [8, 16]}"), overrides=["array.banks=4"])
    assert {point.study.array.banks for point in design_space(fixed).points} == {4}
    found = design_space(studies.study(space="{array.banks: [8], array.row_bits: [1000, 1024]}"))
    assert len(found.points) == 1
    assert [*found.refused.values()] == [1]


def test_bounds_are_no_designs() -> None:
    with pytest.raises(InputError, match="ideal cannot be built"):
        design_space(studies.study(space="{code: ideal}"))
    space = design_space(
        studies.study({"protection.policy": "tac", "protection.menu": ["ideal"]}, space="{banks: [8]}")
    )
    found = candidates(space, Screening(studies.NETWORKS), silent)
    assert found.points == ()
    assert dict(found.refused) == {"ideal cannot be built": 1}


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("{cell.tox: [1 nm]}", r"space\.cell\.tox: the axis 'cell\.tox' names no field; did you mean 'cell\.t_ox'"),
        ("{refresh: {from: 1 us}}", r"a range needs from, to"),
        ("{banks: []}", r"the axis is empty"),
        ("3", r"space: expected a mapping"),
    ],
)
def test_what_is_no_space(space: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        parse_study(studies.text(space=space))


def test_a_space_is_no_part_of_an_identity() -> None:
    assert studies.study(space=SPACE).identity() == studies.study().identity()
    assert "space" not in study_text(studies.study(space=SPACE))


@pytest.mark.parametrize(
    ("minimise", "said"), [(("weight",), "unknown cost 'weight'"), ((), "one or more"), (("area", "area"), "each once")]
)
def test_what_cannot_be_minimised(minimise: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        design(studies.study(), minimise=minimise)
