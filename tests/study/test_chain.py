"""The whole chain on a real network: limits that are known exactly, invariants, and costs that add up."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

import qtaml_hw as q
from qtaml_hw.config import Point, Study
from qtaml_hw.study.engine import run_points
from qtaml_hw.study.point import DesignPoint, check, prepare
from qtaml_hw.study.questions import retention
from qtaml_hw.study.subject import Workshop

FIXED = {"flips.law": "fixed", "flips.p": 0.02}


def point(study: Study, workshop: Workshop, **changes: Any) -> DesignPoint:
    changed = study.with_({path.replace("__", "."): value for path, value in changes.items()}) if changes else study
    return prepare(Point("point", {}, changed), 0, workshop)


def test_without_flips_the_result_is_the_quantised_network_exactly(small: Study, workshop: Workshop) -> None:
    design = point(small, workshop, flips__law="fixed", flips__p=0.0)
    record = design.record(0)
    assert record["flips_raw"] == record["flips_residual"] == 0
    assert record["accuracy"] == record["quantised_accuracy"]
    timeline = design.chip.run(design.cell.model, seed=1, map_index=0)
    for read, stored in zip(timeline.read_out[-1], design.subject.image.codes(), strict=True):
        assert np.array_equal(read, stored)


@pytest.mark.parametrize("scale", ["per_tensor", "per_channel"])
@pytest.mark.parametrize("encoding", ["twos_complement", "offset_binary"])
def test_every_format_serves_the_network(small: Study, workshop: Workshop, scale: str, encoding: str) -> None:
    design = point(small, workshop, flips__law="fixed", flips__p=0.0, weights__scale=scale, weights__encoding=encoding)
    assert abs(design.facts["quantised_accuracy"] - design.facts["clean_accuracy"]) <= 0.02


def test_the_memory_delivers_the_probability_that_was_asked_for(small: Study, workshop: Workshop) -> None:
    design = point(small, workshop, flips__law="fixed", flips__p=0.02)
    bits, flips = design.facts["stored_bits"], [design.record(i)["flips_raw"] for i in range(3)]
    assert abs(sum(flips) - 3 * 0.02 * bits) < 5 * np.sqrt(3 * bits * 0.02 * 0.98)


def test_the_retention_law_flips_the_cells_that_the_population_says(small: Study, workshop: Workshop) -> None:
    design = point(small, workshop)
    ones = sum(int(np.unpackbits(codes).sum()) for codes in design.subject.image.codes())
    p = design.facts["p10"]
    assert p == pytest.approx(0.145, rel=0.02)
    flips = design.record(0)["flips_raw"]
    assert abs(flips - p * ones) < 5 * np.sqrt(ones * p * (1 - p))


def test_thinner_oxide_flips_a_superset_and_loses_more(small: Study, workshop: Workshop) -> None:
    lost = None
    for t_ox in ("1.9 nm", "1.8 nm", "1.7 nm"):
        design = point(small, workshop, cell__t_ox=t_ox)
        timeline = design.chip.run(design.cell.model, seed=7, map_index=3)
        now = [r ^ s for r, s in zip(timeline.read_out[-1], design.subject.image.codes(), strict=True)]
        assert lost is None or all(not np.any(before & ~after) for before, after in zip(lost, now, strict=True))
        lost = now


def test_poisson_accumulates_through_refresh_and_retention_does_not(small: Study, workshop: Workshop) -> None:
    at = ["20 us", "1 ms"]
    counts = {}
    for law in ("retention", "poisson"):
        design = point(small, workshop, flips__law=law, evaluate__at=at, cell__t_ox="2.0 nm")
        counts[law] = design.chip.run(design.cell.model, seed=1, map_index=0).flips_raw.tolist()
    assert counts["retention"][0] == counts["retention"][1]
    assert counts["poisson"][1] > 2 * counts["poisson"][0] > 0


@pytest.mark.parametrize("menu", ["ideal", "secded-72-64", "secded-39-32"])
def test_protected_planes_help_at_small_p(small: Study, workshop: Workshop, menu: str) -> None:
    changes = {"flips__law": "fixed", "flips__p": 0.003, "protection__policy": "uniform", "protection__planes": 3}
    bare = point(small, workshop, flips__law="fixed", flips__p=0.003)
    guarded = point(small, workshop, **changes, protection__menu=[menu])
    before = sum(bare.record(i)["accuracy"] for i in range(4))
    after = sum(guarded.record(i)["accuracy"] for i in range(4))
    assert after > before
    assert guarded.facts["protected_bits_fraction"] == 3 / 8
    parity = {"ideal": 0.0, "secded-72-64": 8 / 64, "secded-39-32": 7 / 32}[menu] * 3 / 8
    assert guarded.facts["parity_bits_fraction"] == pytest.approx(parity, rel=0.02)
    assert guarded.facts["area_m2"] >= bare.facts["area_m2"]
    assert (guarded.facts["parity_area_m2"] > 0) == (menu != "ideal")


def test_a_code_beyond_its_break_even_is_called_out(small: Study, workshop: Workshop) -> None:
    changes = {"protection__policy": "uniform", "protection__planes": 2, "protection__menu": ["secded-72-64"]}
    design = point(small, workshop, flips__law="fixed", flips__p=0.1, **changes)
    assert any("secded-72-64 leaves more errors" in w for w in design.facts["warnings"])
    assert design.record(0)["words_uncorrectable"] > 0


def test_tac_spends_its_budget_and_predicts_no_worse_than_uniform(small: Study, workshop: Workshop) -> None:
    found = {}
    for policy in ("uniform", "tac", "magnitude", "random", "oracle"):
        changes = {"protection.policy": policy, "protection.budget": {"bits": "20 %"}, **FIXED}
        found[policy] = prepare(Point(policy, {}, small.with_(changes)), 0, workshop).facts
        assert 0.0 < found[policy]["protected_bits_fraction"] <= 0.2
    assert found["tac"]["predicted_distortion"] <= min(f["predicted_distortion"] for f in found.values())
    assert found["tac"]["lower_bound"] <= found["tac"]["predicted_distortion"]


def test_energy_and_area_add_up(small: Study, workshop: Workshop) -> None:
    facts = point(small, workshop, scrub__interval="1 ms").facts
    parts = ("mac", "weight_read", "codec", "refresh", "scrub", "leakage")
    assert facts["energy_per_inference_j"] == pytest.approx(sum(facts[f"{p}_energy_j"] for p in parts))
    areas = sum(facts[f"{p}_area_m2"] for p in ("array", "parity", "codec"))
    assert facts["area_m2"] == pytest.approx(areas)
    assert facts["energy_low_j"] <= facts["energy_per_inference_j"] <= facts["energy_high_j"]
    assert facts["area_low_m2"] <= facts["area_m2"] <= facts["area_high_m2"]


def test_records_are_plain_json_and_checked(small: Study, workshop: Workshop) -> None:
    record = point(small, workshop).record(0)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    with pytest.raises(ArithmeticError, match=r"accuracy = 1\.5 lies outside"):
        check({**record, "accuracy": 1.5})


def test_the_identity_follows_physics_not_labels(small: Study, workshop: Workshop) -> None:
    base = point(small, workshop).identity
    assert point(small.with_({"study": "another name"}), workshop).identity == base
    assert point(small, workshop, cell__t_ox="0.0018 um").identity == base
    assert point(small, workshop, cell__t_ox="1.81 nm").identity != base
    assert point(small, workshop, evaluate__seed=1).identity != base


def test_maps_stop_when_the_interval_is_narrow(small: Study) -> None:
    quiet = small.with_({"flips.law": "fixed", "flips.p": 0.0, "evaluate.maps": {"min": 3, "max": 9}})
    (records,) = run_points([Point("quiet", {}, quiet)], None)
    assert [r["map_index"] for r in records] == [0, 1, 2]


def test_an_array_that_cannot_refresh_in_time_is_a_recorded_failure(small: Study) -> None:
    hopeless = small.with_({"refresh.interval": "20 ns"})
    (records,) = run_points([Point("hopeless", {}, hopeless)], None)
    assert records[0]["map_index"] == -1
    assert "refresh takes" in records[0]["error"]
    assert "banks" in records[0]["error"]


def test_retention_answers_in_closed_form(small: Study) -> None:
    found = retention(small)
    assert found.quantiles_s[0.1] == pytest.approx(9.2e-6, rel=0.1)
    assert found.p01 == 0.0
    assert found.p10 == pytest.approx(0.145, rel=0.02)
    with pytest.raises(q.InputError, match=r"flips\.law is fixed"):
        retention(small.with_(FIXED))


def test_what_if_pairs_the_same_maps(small: Study) -> None:
    found = q.what_if(small, {"cell.t_ox": "1.9 nm"})
    assert found.difference.maps == 2
    pairs = zip(found.after.summary.accuracies, found.before.summary.accuracies, strict=True)
    assert found.difference.mean == pytest.approx(np.mean([a - b for a, b in pairs]))
    assert found.difference.mean > 0
    assert found.as_dict()["difference"]["area_m2"] == pytest.approx(0.0, abs=1e-15)


def test_a_users_module_is_corrupted_and_restored(small: Study, workshop: Workshop) -> None:
    module = workshop.subject(small).served.module
    before = {name: p.clone() for name, p in module.state_dict().items()}
    with q.corrupted(module, small, map_index=3) as faulty:
        changed = [name for name, p in faulty.state_dict().items() if not torch.equal(p, before[name])]
        twice = {name: p.clone() for name, p in faulty.state_dict().items()}
    assert changed
    assert all(name.endswith("weight") for name in changed)
    assert all(torch.equal(p, before[name]) for name, p in module.state_dict().items())
    with q.corrupted(module, small, map_index=3) as faulty:
        assert all(torch.equal(p, twice[name]) for name, p in faulty.state_dict().items())
    with (
        pytest.raises(q.InputError, match="pass calibration"),
        q.corrupted(module, small.with_({"protection.policy": "tac"})),
    ):
        pass
    assert all(torch.equal(p, before[name]) for name, p in module.state_dict().items())


def test_rho_star_compares_both_policies_at_the_plans_own_distortion(small: Study, workshop: Workshop) -> None:
    found = {}
    for policy in ("uniform", "tac"):
        changes = {"protection.policy": policy, "protection.budget": {"bits": "25 %"}, **FIXED}
        found[policy] = prepare(Point(policy, {}, small.with_(changes)), 0, workshop).facts
    assert found["uniform"]["rho_star"] > 1.0
    assert found["tac"]["rho_star"] > 1.0
    hurting = {"protection.policy": "uniform", "protection.planes": 2, "protection.menu": ["secded-72-64"]}
    facts = prepare(Point("hurts", {}, small.with_({**hurting, **FIXED, "flips.p": 0.1})), 0, workshop).facts
    assert facts["rho_star"] is None
