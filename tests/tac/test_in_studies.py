"""What the protection section of a study says, on a LeNet: scores, solver, rows, wanted distortion, saved plans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import qtaml_hw as q
from qtaml_hw.cli.app import app
from qtaml_hw.config import Study, StudyError, parse_study
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.design import DesignPoint, prepare
from qtaml_hw.study.design.networks.loaded import Networks

TEXT = """
study: small
cell: {t_ox: 1.8 nm, temperature: 85 degC}
network: {name: digits-lenet}
protection: {policy: tac, budget: {bits: 10 %}, correction: none}
evaluate: {at: [1 ms], images: 60, maps: {min: 2, max: 2}}
"""


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks()


def point(networks: Networks, changes: dict[str, Any], study: Study | None = None) -> DesignPoint:
    changed = (study or parse_study(TEXT)).with_({f"protection.{k}": v for k, v in changes.items()})
    return prepare(changed, networks)


SCORES = ["jacobian", "fisher", "magnitude", "peak", "activation", "measured", "second_order"]


@pytest.mark.parametrize("score", SCORES)
def test_every_score_makes_a_plan_within_the_budget_and_says_what_it_cost(networks: Networks, score: str) -> None:
    facts = point(networks, {"score": score, "group": "channel"}).facts
    assert 0.08 < facts["protected_bits_fraction"] <= 0.1
    assert facts[F.plan_score] == score
    assert facts["spent"]["bits"] == facts["protected_bits_fraction"]
    assert facts["priced_spent"] == pytest.approx(facts["protected_bits_fraction"] * facts["stored_bits"])
    assert ("flips" in facts[F.plan_score_cost]) == (score in ("measured", "second_order"))
    assert (facts[F.plan_score_cost] == "none") == (score in ("magnitude", "peak"))


def test_outputs_of_a_score_make_different_plans(networks: Networks) -> None:
    plans = [point(networks, {"group": "word", "output": o}).protection.plan for o in ("logits", "softmax")]
    assert plans[0].protected_bits == pytest.approx(plans[1].protected_bits, rel=0.01)
    assert not np.array_equal(plans[0].choice, plans[1].choice)


def test_the_exact_solver_is_no_worse_and_leaves_no_gap(networks: Networks) -> None:
    greedy, exact = (point(networks, {"solver": s}).facts for s in ("greedy", "exact"))
    assert exact["predicted_distortion"] <= greedy["predicted_distortion"]
    assert exact["plan_gap"] == pytest.approx(0.0, abs=1e-5)
    assert exact["protected_bits_fraction"] <= 0.1


def test_a_wanted_distortion_is_reached_at_the_least_cost(networks: Networks) -> None:
    bare = point(networks, {"policy": "none"}).facts["predicted_distortion"]
    for policy, group in (("tac", "layer"), ("tac", "row"), ("uniform", "layer")):
        facts = point(networks, {"policy": policy, "group": group, "budget.distortion": "5 %"}).facts
        assert facts["predicted_distortion"] <= 0.05 * bare * (1 + 1e-9)
        assert (facts["budget_kind"], facts["budget"]) == ("distortion", 0.05)
        if policy == "tac":
            assert facts["least_spent"] <= facts["priced_spent"]
            assert facts["plan_gap"] <= 0.12  # greedy, by layer: six layers are coarse steps
    with pytest.raises(q.InputError, match="the whole menu leaves a distortion of"):
        point(networks, {"menu": ["secded-72-64"], "budget.distortion": "1 %"})


def test_rows_are_those_of_the_memory(networks: Networks) -> None:
    design = point(networks, {"group": "row"})
    plan, image = design.protection.plan, design.image
    assert plan.group_kind == "row"
    share = -(-image.weights // 8)  # eight banks, neighbouring weights in one
    rows = {bank * share + i * 128 for bank in range(8) for i in range(share // 128 + 1) if i * 128 < share}
    assert {int(s) for s in plan.starts} == {s for s in rows if s < image.weights} | {
        int(s) for s in image.tensor_starts
    }
    assert design.facts["side_bits_fraction"] > 0.0
    record = design.record(0)
    assert record["flips_residual"] < point(networks, {"policy": "none"}).record(0)["flips_residual"]
    word = parse_study(TEXT).with_({"array.interleave": "word"})
    with pytest.raises(q.InputError, match=r"group row needs array\.interleave block"):
        point(networks, {"group": "row"}, word)


@pytest.mark.parametrize("kind", ["steps", "table"])
def test_corrections_that_need_a_table_say_so(networks: Networks, kind: str) -> None:
    facts = point(networks, {"correction": kind}).facts
    assert not facts["zero_overhead"]
    assert set(facts["corrections"]) == {kind}
    assert facts["side_bits_fraction"] > point(networks, {}).facts["side_bits_fraction"]


def test_stronger_cells_and_faster_refresh_have_their_price_and_work(networks: Networks) -> None:
    bare = point(networks, {"policy": "none"})
    area = point(networks, {"budget.distortion": "5 %", "budget.paid_in": "area", "menu": ["robust-cell"]})
    spent = area.facts["area_m2"] - bare.facts["area_m2"]
    assert area.facts["spent_unit"] == "m2"
    assert area.facts["spent"]["area_m2"] == pytest.approx(spent, rel=1e-6)
    assert area.facts["priced_spent"] == pytest.approx(spent, rel=0.01)
    energy = point(
        networks, {"budget.distortion": "5 %", "budget.paid_in": "energy", "menu": ["refresh-2x", "refresh-4x"]}
    )
    spent = energy.facts["energy_per_inference_j"] - bare.facts["energy_per_inference_j"]
    assert energy.facts["spent"]["energy_j"] == pytest.approx(spent, rel=1e-6)
    assert energy.facts["priced_spent"] == pytest.approx(spent, rel=0.1)  # rows are whole; side bits are read
    assert any("rows of its own" in w for w in energy.facts["warnings"])
    lost = bare.record(0)["flips_residual"]
    for design in (area, energy):
        assert design.record(0)["flips_residual"] < lost
        assert design.record(0)[F.score] > bare.record(0)[F.score]
    with pytest.raises(q.InputError, match="the energy model has no price for robust-cell"):
        point(networks, {"budget.energy": "1 pJ", "menu": ["robust-cell"]})
    with pytest.raises(q.InputError, match="the area model has no price for refresh-2x"):
        point(networks, {"budget.area": "1 um2", "menu": ["refresh-2x"]})


def test_what_has_no_price_says_which_currency_has_one(networks: Networks) -> None:
    unpriced = {"budget.distortion": "5 %", "budget.paid_in": "energy", "menu": ["robust-cell"]}
    with pytest.raises(q.InputError, match="no price for robust-cell; use paid_in: area or paid_in: bits"):
        point(networks, unpriced)
    with pytest.raises(q.InputError, match=r"price for refresh-2x; use budget: \{energy: ..\} or \{bits: ..\}"):
        point(networks, {"budget.area": "1 um2", "menu": ["refresh-2x"]})


def test_a_plan_is_saved_applied_and_compared(networks: Networks, tmp_path: Path) -> None:
    study = tmp_path / "s.yaml"
    study.write_text(TEXT)
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    run = CliRunner()
    for path, more in ((one, []), (two, ["--set", "protection.budget.bits=20 %"])):
        done = run.invoke(app, ["allocate", str(study), "--out", str(path), "--quiet", "--json", *more])
        assert done.exit_code == 0, done.output
    made = point(networks, {})
    applied = prepare(q.load(study).with_({"protection.plan": str(one)}), networks)
    assert applied.protection.plan == made.protection.plan
    assert applied.record(0)[F.score] == made.record(0)[F.score]
    assert (applied.facts["policy"], applied.facts["plan_policy"]) == ("plan", "tac")
    assert applied.identity != made.identity
    other = prepare(q.load(study).with_({"protection.plan": str(two)}), networks)
    assert other.identity != applied.identity
    found = json.loads(run.invoke(app, ["plan-diff", str(one), str(two), "--json"]).stdout)
    changed = other.protection.plan.protected_bits - made.protection.plan.protected_bits
    assert sum(c["bits"] * (1 if c["after"] == "ideal" else -1) for c in found["changes"]) == changed
    assert run.invoke(app, ["plan-diff", str(one), str(one)]).stdout.startswith("the same")


def test_a_plan_that_does_not_fit_is_refused(networks: Networks, tmp_path: Path) -> None:
    base = parse_study(TEXT)
    with pytest.raises(q.InputError, match="cannot read the plan"):
        prepare(base.with_({"protection.plan": str(tmp_path / "none.json")}), networks)
    broken = tmp_path / "broken.json"
    broken.write_text('{"starts": [0, 3]}')
    with pytest.raises(q.InputError, match="not a protection plan: 'tensor_starts'"):
        prepare(base.with_({"protection.plan": str(broken)}), networks)
    small = q.protection.ProtectionPlan.uniform_msb([0, 10], 8, 1, "ideal")
    q.protection.save_plan(small, tmp_path / "small.json")
    with pytest.raises(q.InputError, match="is for 1 tensors of 10 weights"):
        prepare(base.with_({"protection.plan": str(tmp_path / "small.json")}), networks)


def test_a_plan_is_for_one_number_format(networks: Networks, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    base = parse_study(TEXT)
    made = q.allocate(base)
    made.save(path)
    name = made.image.format.name
    assert json.loads(path.read_text())["format"] == name
    other = base.with_({"protection.plan": str(path), "weights.format": "e4m3"})
    with pytest.raises(q.InputError, match=f"is for weights in {name}; this network stores e4m3"):
        prepare(other, networks)
    q.protection.save_plan(made.plan, path)  # as older files: no format
    assert prepare(other, networks).protection.plan == made.plan


REFUSED = {
    "{policy: tac, score: jacobean}": "did you mean 'jacobian'",
    "{policy: tac, score: fisher, output: softmax}": "output goes with the scores jacobian, measured, second_order",
    "{policy: tac, solver: milp}": "unknown value 'milp'",
    "{policy: tac, budget: {distortion: 120 %}}": "120 % is out of range",
    "{policy: tac, budget: {bits: 5 %, paid_in: area}}": "paid_in says what a distortion is bought with",
    "{policy: plan}": "needs 'plan: FILE.json'",
    "{policy: tac, plan: p.json}": "the policy is tac",
    "{plan: p.json, planes: 2}": "a plan is applied as it is",
    "{policy: tac, group: column}": "unknown value 'column'",
    "{policy: tac, correction: tables}": "did you mean 'table'",
}


@pytest.mark.parametrize("text", REFUSED)
def test_bad_values_are_refused_with_the_reason(text: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse_study(f"protection: {text}")
    assert REFUSED[text] in str(caught.value)


def test_what_changes_nothing_is_no_part_of_the_identity() -> None:
    base = parse_study(TEXT)
    same = {"protection.score": "jacobian", "protection.output": "logits", "protection.solver": "auto"}
    assert base.with_(same).identity() == base.identity()
    assert base.with_({"protection.score": "fisher"}).identity() != base.identity()
    uniform = base.with_({"protection.policy": "uniform"})
    assert uniform.with_({"protection.score": "fisher", "protection.solver": "exact"}).identity() == uniform.identity()
    assert base.with_({"protection.plan": "a.json"}).protection.policy == "plan"
    assert base.with_({"protection.plan": "a.json"}).with_({"protection.policy": "tac"}).protection.plan is None
