"""The whole chain on a real network: limits that are known exactly, invariants, and costs that add up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import qtaml_hw as q
from qtaml_hw.config import Point, Study
from qtaml_hw.faults import flip_bits
from qtaml_hw.records.fields import F
from qtaml_hw.records.record import Record
from qtaml_hw.study.design.design import DesignPoint, prepare
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.questions.retention import retention
from qtaml_hw.study.run.engine import run_points
from qtaml_hw.tac import value_statistics
from qtaml_hw.weights import WeightFormat
from qtaml_hw.workloads import load_data
from tests import studies

FIXED = {"flips.law": "fixed", "flips.p": 0.02}


def point(study: Study, networks: Networks, **changes: Any) -> DesignPoint:
    changed = study.with_({path.replace("__", "."): value for path, value in changes.items()}) if changes else study
    return prepare(changed, networks)


def test_without_flips_the_result_is_the_quantised_network_exactly(small: Study, networks: Networks) -> None:
    design = point(small, networks, flips__law="fixed", flips__p=0.0)
    record = design.record(0)
    assert record["flips_raw"] == record["flips_residual"] == 0
    assert record[F.score] == record[F.quantised_score]
    timeline = design.chip.run(design.cell.model, seed=1, map_index=0)
    for read, stored in zip(timeline.read_out[-1], design.image.codes(), strict=True):
        assert np.array_equal(read, stored)


@pytest.mark.parametrize("scale", ["per_tensor", "per_channel"])
@pytest.mark.parametrize("encoding", ["twos_complement", "offset_binary"])
def test_every_format_serves_the_network(small: Study, networks: Networks, scale: str, encoding: str) -> None:
    design = point(small, networks, flips__law="fixed", flips__p=0.0, weights__scale=scale, weights__encoding=encoding)
    assert abs(design.facts[F.quantised_score] - design.facts[F.clean_score]) <= 0.02


def test_the_memory_delivers_the_probability_that_was_asked_for(small: Study, networks: Networks) -> None:
    design = point(small, networks, flips__law="fixed", flips__p=0.02)
    bits, flips = design.facts["stored_bits"], [design.record(i)["flips_raw"] for i in range(3)]
    assert abs(sum(flips) - 3 * 0.02 * bits) < 5 * np.sqrt(3 * bits * 0.02 * 0.98)


def test_the_retention_law_flips_the_cells_that_the_population_says(small: Study, networks: Networks) -> None:
    design = point(small, networks)
    ones = sum(int(np.unpackbits(codes).sum()) for codes in design.image.codes())
    p = design.facts["p10"]
    assert p == pytest.approx(0.145, rel=0.02)
    flips = design.record(0)["flips_raw"]
    assert abs(flips - p * ones) < 5 * np.sqrt(ones * p * (1 - p))


def test_thinner_oxide_flips_a_superset_and_loses_more(small: Study, networks: Networks) -> None:
    lost = None
    for t_ox in ("1.9 nm", "1.8 nm", "1.7 nm"):
        design = point(small, networks, cell__t_ox=t_ox)
        timeline = design.chip.run(design.cell.model, seed=7, map_index=3)
        now = [r ^ s for r, s in zip(timeline.read_out[-1], design.image.codes(), strict=True)]
        assert lost is None or all(not np.any(before & ~after) for before, after in zip(lost, now, strict=True))
        lost = now


def test_poisson_accumulates_through_refresh_and_retention_does_not(small: Study, networks: Networks) -> None:
    at = ["20 us", "1 ms"]
    counts = {}
    for law in ("retention", "poisson"):
        design = point(small, networks, flips__law=law, evaluate__at=at, cell__t_ox="2.0 nm")
        counts[law] = design.chip.run(design.cell.model, seed=1, map_index=0).flips_raw.tolist()
    assert counts["retention"][0] == counts["retention"][1]
    assert counts["poisson"][1] > 2 * counts["poisson"][0] > 0


@pytest.mark.parametrize("menu", ["ideal", "secded-72-64", "secded-39-32"])
def test_protected_planes_help_at_small_p(small: Study, networks: Networks, menu: str) -> None:
    changes = {"flips__law": "fixed", "flips__p": 0.003, "protection__policy": "uniform", "protection__planes": 3}
    bare = point(small, networks, flips__law="fixed", flips__p=0.003)
    guarded = point(small, networks, **changes, protection__menu=[menu])
    before = sum(bare.record(i)[F.score] for i in range(4))
    after = sum(guarded.record(i)[F.score] for i in range(4))
    assert after > before
    assert guarded.facts["protected_bits_fraction"] == 3 / 8
    parity = {"ideal": 0.0, "secded-72-64": 8 / 64, "secded-39-32": 7 / 32}[menu] * 3 / 8
    assert guarded.facts["parity_bits_fraction"] == pytest.approx(parity, rel=0.02)
    assert guarded.facts["area_m2"] >= bare.facts["area_m2"]
    assert (guarded.facts["parity_area_m2"] > 0) == (menu != "ideal")


def test_a_code_beyond_its_break_even_is_called_out(small: Study, networks: Networks) -> None:
    changes = {"protection__policy": "uniform", "protection__planes": 2, "protection__menu": ["secded-72-64"]}
    design = point(small, networks, flips__law="fixed", flips__p=0.1, **changes)
    assert any("secded-72-64 leaves more errors" in w for w in design.facts["warnings"])
    assert design.record(0)["words_uncorrectable"] > 0


def test_tac_spends_its_budget_and_predicts_no_worse_than_uniform(small: Study, networks: Networks) -> None:
    found = {}
    for policy in ("uniform", "tac", "magnitude", "random", "oracle"):
        changes = {"protection.policy": policy, "protection.budget": {"bits": "20 %"}, **FIXED}
        found[policy] = prepare(small.with_(changes), networks).facts
        assert 0.0 < found[policy]["protected_bits_fraction"] <= 0.2
    assert found["tac"]["predicted_distortion"] <= min(f["predicted_distortion"] for f in found.values())
    assert found["tac"]["lower_bound"] <= found["tac"]["predicted_distortion"]


def test_energy_and_area_add_up(small: Study, networks: Networks) -> None:
    coded = {"protection__policy": "uniform", "protection__planes": 2, "protection__menu": ["secded-72-64"]}
    facts = point(small, networks, scrub__interval="1 ms", **coded).facts
    parts = ("mac", "weight_read", "codec", "refresh", "scrub", "leakage", "storage", "backing")
    assert facts["energy_per_inference_j"] == pytest.approx(sum(facts[f"{p}_energy_j"] for p in parts))
    areas = sum(facts[f"{p}_area_m2"] for p in ("array", "parity", "codec", "storage"))
    assert facts["area_m2"] == pytest.approx(areas)
    assert facts["energy_low_j"] <= facts["energy_per_inference_j"] <= facts["energy_high_j"]
    assert facts["area_low_m2"] <= facts["area_m2"] <= facts["area_high_m2"]


def test_records_are_plain_json_and_checked(small: Study, networks: Networks) -> None:
    record = point(small, networks).record(0)
    assert json.loads(json.dumps(dict(record), allow_nan=False)) == record
    with pytest.raises(ArithmeticError, match=r"score = 1\.5 cannot be; expected a share from 0 to 1"):
        Record(record, {F.score: 1.5}).check()
    with pytest.raises(ArithmeticError, match=r"flips_raw = .* expected 0 to stored_bits"):
        Record(record, {F.flips_raw: record[F.stored_bits] + 1}).check()
    with pytest.raises(ArithmeticError, match="images is missing"):
        Record({name: value for name, value in record.items() if name != F.images}).check()
    with pytest.raises(TypeError, match=r"'area_mm2' is no field of a record; did you mean 'area_m2'\?"):
        Record(record, {"area_mm2": 1.0})


def test_the_identity_follows_physics_not_labels(small: Study, networks: Networks) -> None:
    base = point(small, networks).identity
    assert point(small.with_({"study": "another name"}), networks).identity == base
    assert point(small, networks, cell__t_ox="0.0018 um").identity == base
    assert point(small, networks, cell__t_ox="1.81 nm").identity != base
    assert point(small, networks, evaluate__seed=1).identity != base


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


def test_a_users_module_is_corrupted_and_restored(small: Study, networks: Networks) -> None:
    module = networks.load(small).network.served.module
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


def test_rho_star_compares_both_policies_at_the_plans_own_distortion(small: Study, networks: Networks) -> None:
    found = {}
    for policy in ("uniform", "tac"):
        changes = {"protection.policy": policy, "protection.budget": {"bits": "25 %"}, **FIXED}
        found[policy] = prepare(small.with_(changes), networks).facts
    assert found["uniform"]["rho_star"] > 1.0
    assert found["tac"]["rho_star"] > 1.0
    hurting = {"protection.policy": "uniform", "protection.planes": 2, "protection.menu": ["secded-72-64"]}
    facts = prepare(small.with_({**hurting, **FIXED, "flips.p": 0.1}), networks).facts
    assert facts["rho_star"] is None


@pytest.mark.parametrize("ecc_aware", [True, False])
def test_the_record_charges_what_the_simulated_memory_spent(small: Study, networks: Networks, ecc_aware: bool) -> None:
    coded = {"protection__policy": "uniform", "protection__planes": 2, "protection__menu": ["bch-63-45"]}
    coded |= {"refresh__ecc_aware": ecc_aware, "scrub__interval": "100 us"}
    design = point(small, networks, **coded)
    spent = design.chip.run(design.cell.model, seed=1, map_index=0).energy_j  # 1 ms: one inference period
    facts = design.facts
    first_write = sum(r.words for r in design.chip.regions) * design.chip.costs.encode_j["bch-63-45"]
    assert facts["refresh_energy_j"] == pytest.approx(spent["refresh"], rel=1e-6)
    assert facts["scrub_energy_j"] == pytest.approx(spent["scrub"], rel=1e-6)
    assert facts["leakage_energy_j"] == pytest.approx(spent["leakage"], rel=1e-6)
    codec = spent["decode"] + spent["encode"] - first_write + spent["codec_leakage"]
    assert spent["codec_leakage"] > 0.0
    assert facts["codec_energy_j"] == pytest.approx(codec, rel=1e-3)


def test_entries_without_a_code_are_not_free(small: Study, networks: Networks) -> None:
    base = point(small, networks).facts
    change = {"protection__policy": "uniform", "protection__planes": 2}
    robust = point(small, networks, **change, protection__menu=["robust-cell"]).facts
    faster = point(small, networks, **change, protection__menu=["refresh-2x"]).facts
    assert robust["array_area_m2"] == pytest.approx(base["array_area_m2"] * (1 + 0.5 * 2 / 8))
    # 31 rows a bank: 8 of them, whole rows for a quarter of the bits, are refreshed twice as often, with 23 of the rest
    assert faster["refresh_energy_j"] == pytest.approx(base["refresh_energy_j"] * (23 + 2 * 8) / 31)
    assert faster["bank_busy_fraction"] > base["bank_busy_fraction"]
    with pytest.raises(q.InputError, match="refresh-2x changes nothing under the law poisson"):
        point(small, networks, **change, protection__menu=["refresh-2x"], flips__law="poisson")


def test_dies_differ_only_when_their_spread_is_stated(small: Study, networks: Networks) -> None:
    alike = point(small, networks)
    assert alike.cell.of_chip(1, 0) is alike.cell.of_chip(1, 5)
    spread = point(small, networks, cell__sigma_t_ox_die="3 %")
    flips = {spread.record(i)["flips_raw"] for i in range(4)}
    assert max(flips) > 1.5 * min(flips)
    assert spread.record(2)["flips_raw"] == spread.record(2)["flips_raw"]


def test_the_p_of_a_lot_is_the_mean_over_its_chips(small: Study, networks: Networks) -> None:
    design = point(small, networks, cell__t_ox="1.85 nm", cell__sigma_t_ox_die="1.33 %")
    ones = sum(int(np.unpackbits(codes).sum()) for codes in design.image.codes())
    shares = np.array([design.cell.live(design.chip, 7, chip).flips_data[-1] / ones for chip in range(60)])
    assert abs(shares.mean() - design.facts["p10"]) < 4.0 * shares.std() / np.sqrt(shares.size)
    assert design.facts["p10"] > 1.2 * point(small, networks, cell__t_ox="1.85 nm").facts["p10"]
    chips = [design.cell.channel_of_chip(7, chip).p10[0] for chip in range(60)]
    assert shares == pytest.approx(chips, rel=0.2, abs=3e-4)


def test_a_code_leaves_more_of_a_lot_than_of_its_mean(small: Study, networks: Networks) -> None:
    change = {"protection__policy": "uniform", "protection__planes": 8, "protection__menu": ["secded-72-64"]}
    design = point(small, networks, cell__t_ox="1.9 nm", cell__sigma_t_ox_die="1.33 %", **change)
    ones = sum(int(np.unpackbits(codes).sum()) for codes in design.image.codes())
    left = [design.cell.live(design.chip, 7, chip).flips_read[-1] / ones for chip in range(60)]
    channel = design.cell.channel
    predicted = float(design.protection.plan.residual(channel)[1].mean())
    of_the_mean = float(design.protection.plan.residual(replace(channel, dies=()))[1].mean())
    assert abs(np.mean(left) - predicted) < 4.0 * np.std(left) / np.sqrt(len(left))
    assert predicted > 1.8 * of_the_mean


def test_an_abstract_rate_is_called_abstract_and_needs_one_time(networks: Networks) -> None:
    study = studies.study(cell="{kind: sram6t, accelerated_flip_rate: 30 Hz}", flips="{law: poisson}")
    design = prepare(study, networks)
    assert design.facts["p10"] == pytest.approx(-np.expm1(-0.03), rel=1e-6)
    assert any("ABSTRACT" in w for w in design.facts["warnings"])
    with pytest.raises(q.InputError, match="evaluated at one time"):
        prepare(study.with_({"evaluate.at": ["1 ms", "2 ms"]}), networks)


def test_ten_million_weights_drift_and_spread_as_the_closed_form_says() -> None:
    rng = np.random.default_rng(11)
    form = WeightFormat()
    codes = form.encode(np.clip(np.rint(rng.normal(0.0, 32.0, 10_000_000)), -127, 127).astype(np.int64))
    p01, p10 = 0.02, 0.1
    read = flip_bits(codes, p01, p10, seed=5, map_index=1)
    expected = value_statistics(form, np.full(8, p01), np.full(8, p10))
    change = form.decode_table[read] - form.decode_table[codes]
    drift, variance = (expected.mean - form.decode_table)[codes], expected.variance[codes]
    noise = change - drift
    assert abs(noise.mean()) < 5 * np.sqrt(variance.mean() / codes.size)
    spread = noise**2 - variance
    assert abs(spread.mean()) < 5 * spread.std() / np.sqrt(codes.size)


def test_a_study_on_a_users_npz_file_is_stored(small: Study, tmp_path: Path) -> None:
    digits = load_data("digits")
    np.savez(tmp_path / "own.npz", x=digits.test_x[:, 0], y=digits.test_y)
    study = small.with_({"data.npz": str(tmp_path / "own.npz"), "data.calibration": 64})
    result = q.run(study, store=tmp_path / "out")
    assert result.data.endswith("own.npz")
    assert result.clean_accuracy > 0.9
    assert result.maps == 2
    assert any("Pelgrom" in source for source in result.sources)


def test_a_sweep_becomes_a_frame_with_one_row_per_point(small: Study) -> None:
    study = small.with_({"sweep.grid": {"cell.t_ox": ["1.8 nm", "2.0 nm"]}})
    result = q.sweep(study)
    frame = result.to_pandas()
    assert frame["t_ox_m"].tolist() == pytest.approx([1.8e-9, 2.0e-9])
    assert frame["accuracy_mean"].tolist() == [r.accuracy.mean for r in result.results]
    assert frame["accuracy_mean"][1] > frame["accuracy_mean"][0]


def test_a_sweep_becomes_an_array_over_its_axes_and_cases(small: Study) -> None:
    pytest.importorskip("xarray", reason="xarray is not installed: pip install 'qtaml-hw[frames]'")
    sweep = {
        "sweep.grid": {"cell.t_ox": ["1.8 nm", "2.0 nm"]},
        "sweep.cases": [{"label": "none"}, {"label": "hot", "cell.temperature": "105 degC"}],
    }
    result = q.sweep(small.with_(sweep))
    found = result.to_xarray()
    assert dict(found.sizes) == {"cell.t_ox": 2, "case": 2}
    for one in result.results:
        facts = one.summary.facts
        place = {"cell.t_ox": facts["t_ox_m"], "case": facts["case"]}
        assert float(found["score_mean"].sel(place)) == one.score.mean
        assert float(found["p10"].sel(place)) == facts["p10"]
    assert "maps" not in found
