"""A plan costs what it says: what is spent is what the record grows by, and never more than the budget."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qtaml_hw as q
from tests import studies

MENU = ["secded-72-64", "bch-63-45", "dected-79-64"]
GROWTH = {
    "bits": "protected_bits_fraction",
    "parity": "parity_bits_fraction",
    "area_m2": "area_m2",
    "energy_j": "energy_per_inference_j",
}
LIMITED = {"bits": "bits", "parity": "parity", "area": "area_m2", "energy": "energy_j"}
BUDGETS = {
    "bits": ("1 %", "10 %", "60 %"),
    "parity": ("0.3 %", "3 %", "20 %"),
    "area": ("0.001 mm2", "0.02 mm2", "0.2 mm2"),
    "energy": ("1 nJ", "20 nJ", "2 uJ"),
}


def facts(changes: dict[str, Any]) -> dict[str, Any]:
    return studies.design(changes).facts


def grown(changes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
    """The record's facts, and what they grow by over the same study with nothing protected."""
    found = facts(changes)
    bare = facts({k: v for k, v in changes.items() if k.partition(".")[0] != "protection"} | {
        "protection.policy": "none", "protection.correction": changes["protection.correction"]})  # fmt: skip
    return found, {name: found[field] - bare[field] for name, field in GROWTH.items()}


@st.composite
def designs(draw: st.DrawFn) -> dict[str, Any]:
    """Changes that make one protected design of the small study."""
    kind = draw(st.sampled_from(sorted(BUDGETS)))
    placed = draw(st.sampled_from(["row_major", "plane_separated"]))
    return {
        "refresh.ecc_aware": draw(st.booleans()),
        "scrub.interval": draw(st.sampled_from(["off", "1 ms", "200 us"])),
        "accelerator.dataflow": draw(st.sampled_from(["weight_stationary", "output_stationary", "input_stationary"])),
        "array.banks": draw(st.sampled_from([1, 3, 8])),
        "array.word_bits": draw(st.sampled_from([64, 256])),
        "array.placement": placed,
        "array.decoders": draw(st.sampled_from([None, "per_row", "per_bank", 1, 2])),
        "protection.policy": draw(st.sampled_from(["uniform", "magnitude", "random", "tac"])),
        "protection.group": draw(st.sampled_from(["layer", "channel"])),
        "protection.menu": draw(st.sampled_from([MENU[:1], ["shannon", "secded-39-32", "repeat-3"], MENU])),
        "protection.correction": draw(st.sampled_from(["none", "shrink"])),
        "protection.budget": {kind: draw(st.sampled_from(BUDGETS[kind]))},
    }


@settings(max_examples=30, deadline=None)
@given(designs())
def test_what_is_spent_is_what_the_record_grows_by_and_fits_the_budget(changes: dict[str, Any]) -> None:
    found, growth = grown(changes)
    assert found["spent"] == pytest.approx(growth, rel=1e-9, abs=1e-20)
    limited = LIMITED[found["budget_kind"]]
    assert growth[limited] <= found["budget"] * (1 + 1e-9) + 1e-20
    assert (found["parity_bits_fraction"] > 0) == any(growth.values())


TAC = {
    "refresh.interval": "7 us",
    "protection": {"policy": "tac", "menu": MENU, "correction": "none"},
}


@pytest.mark.parametrize(
    ("aware", "budget", "before_grew", "unit", "planes"),
    [  # before: 19.9 nJ and 0.0461 mm2 were said to be spent, whatever refresh did
        (True, {"energy": "20 nJ"}, 2877e-9, "energy_j", 0.05),
        (True, {"area": "0.05 mm2"}, 0.617e-6, "area_m2", 1.0),
        (False, {"energy": "20 nJ"}, 269e-9, "energy_j", 0.9),
        (False, {"area": "0.05 mm2"}, 0.0496e-6, "area_m2", 5.0),
    ],
)
def test_a_tight_budget_is_kept_by_the_whole_record(
    aware: bool, budget: dict[str, str], before_grew: float, unit: str, planes: float
) -> None:
    found, growth = grown({**TAC, "refresh.ecc_aware": aware, "protection.budget": budget,
                           "protection.correction": "none"})  # fmt: skip
    assert found["spent"][unit] == pytest.approx(growth[unit], rel=1e-9)
    assert 0.85 * found["budget"] <= growth[unit] <= found["budget"] <= before_grew * 1.01
    assert 8 * found["protected_bits_fraction"] >= planes


def test_a_budget_that_buys_nothing_says_what_the_least_costs() -> None:
    found = facts({**TAC, "protection.budget": {"area": "1 um2"}})
    assert found["spent"] == {"bits": 0.0, "parity": 0.0, "area_m2": 0.0, "energy_j": 0.0}
    assert found["codec_area_share"] is None
    (said,) = [w for w in found["warnings"] if "buys no protection at all" in w]
    least = float(said.rpartition("adds ")[2].split()[0])
    single = facts({"refresh.interval": "7 us", "protection": {"policy": "uniform", "menu": MENU[:1],
                    "budget": {"bits": "0.06 %"}, "correction": "none"}})  # fmt: skip
    assert single["protected_bits_fraction"] == pytest.approx(144 / 8 / 31032)
    assert least <= single["spent"]["area_m2"] * 1.01


def test_the_budget_is_kept_under_the_correction_that_is_chosen_afterwards() -> None:
    found = facts({**TAC, "protection.correction": "auto", "protection.budget": {"area": "0.03 mm2"}})
    bare = facts({"refresh.interval": "7 us", "protection": {"policy": "none", "correction": "auto"}})
    assert found["spent"]["area_m2"] == pytest.approx(found["area_m2"] - bare["area_m2"], rel=1e-9)
    assert 0.0 < found["spent"]["area_m2"] <= 0.03e-6


def test_allocate_says_the_same_as_the_record() -> None:
    changes = {**TAC, "protection.budget": {"energy": "20 nJ"}}
    found = q.allocate(studies.study(changes)).as_dict()
    assert found["spent"] == pytest.approx(facts(changes)["spent"])
    assert found["spent"]["energy_j"] <= 20e-9


def test_the_codecs_share_is_said() -> None:
    found = facts({"protection": {"policy": "uniform", "planes": 2, "menu": MENU[:1]}})
    assert found["codec_area_share"] == pytest.approx(found["codec_area_m2"] / found["area_m2"])
    assert found["codec_energy_share"] == pytest.approx(found["codec_energy_j"] / found["energy_per_inference_j"])


def test_corrections_that_buy_nothing_are_named_with_what_they_cost() -> None:
    coded = {"cell.t_ox": "1.95 nm", "protection": {"policy": "uniform", "planes": 3, "menu": MENU[:1]}}
    aware = studies.design({**coded, "refresh.ecc_aware": True, "scrub.interval": "200 us"})
    plain = studies.design(coded)
    said = [w for w in aware.facts["warnings"] if "gives up no accuracy" in w]
    assert [w.partition(" saves")[0] for w in said] == ["refresh.ecc_aware: false", "scrub: off"]
    saved = 1 - studies.design({**coded, "scrub.interval": "200 us"}).facts["area_m2"] / aware.facts["area_m2"]
    assert f"saves {saved:.1%} of the area" in said[0]
    assert saved > 0.1
    assert not any("gives up no accuracy" in w for w in plain.facts["warnings"])
    for index in range(2):  # and it is so: the words that reads decode hold the same weak cells
        assert aware.record(index)["flips_residual"] == plain.record(index)["flips_residual"]
    poisson = facts({**coded, "flips.law": "poisson"})
    assert not any("gives up no accuracy" in w for w in poisson["warnings"])


@pytest.mark.parametrize("budget", [{"area": "0.05 mm2"}, {"energy": "2 uJ"}, {"bits": "100 %"}, {"parity": "200 %"}])
def test_plans_are_kept_within_the_array_that_is_built(budget: dict[str, str]) -> None:
    """All planes by repeat-3 take 745 kbit; 64 KB hold 524 kbit, so the plan stops where the array is full."""
    found = facts({"array.capacity": "64 KB", "protection": {"policy": "tac", "menu": ["repeat-3"], "budget": budget}})
    stored = found["stored_bits"] * (1 + found["parity_bits_fraction"])
    assert found["stored_bits"] < stored <= 64 * 8192
