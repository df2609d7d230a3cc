"""Identity: equal for equal physics however it is written, different for every value that changes a result."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.config import parse_study

BASE = "cell: {t_ox: 1.5 nm}\nprotection: {policy: tac, budget: {bits: 5 %}}\nevaluate: {images: 100}\n"


def _identity(text: str) -> str:
    return parse_study(text).identity()


@pytest.mark.parametrize(
    "text",
    [
        "study: another name\n# a comment\n" + BASE,
        "evaluate: {images: 100}\nprotection: {budget: {bits: 5 %}, policy: tac}\ncell: {t_ox: 1.5 nm}\n",
        BASE.replace("1.5 nm", "0.0015 um"),
        BASE.replace("1.5 nm", "15 Å"),
        BASE.replace("5 %", "0.05"),
        BASE.replace("1.5 nm", "1.5 nm, preset: gain-cell-65nm, temperature: 358.15 K, kind: gain_cell"),
        BASE + "refresh: {interval: 10000 ns}\nscrub: off\n",
        BASE + "sweep: {grid: {cell.t_ox: [1.6 nm]}}\n",
        BASE.replace("100}", "100, maps: {min: 3, max: 4, ci95_halfwidth: 2 %}}"),
        BASE.replace("100}", "100, yield_at: [95 %, 98 %]}"),
    ],
)
def test_it_does_not_depend_on_how_a_study_is_written(text: str) -> None:
    assert _identity(text) == _identity(BASE)


@pytest.mark.parametrize(
    "change",
    [
        {"cell.t_ox": "1.501 nm"},
        {"cell.temperature": "86 degC"},
        {"cell.preset": "gain-cell-65nm-pmos"},
        {"flips.law": "poisson"},
        {"array.banks": 16},
        {"refresh": "off", "evaluate.at": "2 ms"},
        {"refresh.ecc_aware": True},
        {"scrub": "1 ms"},
        {"weights.scale": "per_channel"},
        {"protection.policy": "uniform"},
        {"protection.budget.bits": "6 %"},
        {"protection.budget.parity": "5 %"},
        {"protection.menu": ["secded-72-64"]},
        {"protection.correction": "none"},
        {"network": "digits-vgg"},
        {"accelerator.rows": 64},
        {"evaluate.seed": 1},
        {"evaluate.images": 99},
        {"evaluate.at": ["1 ms", "2 ms"]},
    ],
)
def test_it_depends_on_every_value_behind_a_result(change: dict[str, object]) -> None:
    base = parse_study(BASE)
    assert base.with_(change).identity() != base.identity()


def test_who_edits_resolved_values_changes_no_study() -> None:
    study = parse_study("study: a\ncell: {preset: gain-cell-65nm}\nnetwork: {name: digits-lenet}\n")
    before, other = study.identity(), study.with_({"evaluate.seed": 3})
    told = other.identity()
    for one in (study, other):
        values = one.resolved()
        values["cell"].clear()
        values["network"]["name"] = "another"
    assert (study.identity(), other.identity()) == (before, told)


def test_what_a_policy_or_law_does_not_use_does_not_count() -> None:
    free = parse_study("protection: {policy: none, budget: {bits: 5 %}}")
    assert free.with_({"protection.budget.bits": "9 %", "protection.group": "word"}).identity() == free.identity()


def test_it_is_stable_between_processes_and_versions() -> None:
    resolved = parse_study(BASE).resolved()
    assert json.loads(json.dumps(resolved)) == resolved
    assert "label" not in resolved
    assert "maps" not in resolved["evaluate"]
    assert resolved["cell"]["t_ox_m"] == 1.5e-9
    assert "preset" not in resolved["cell"]


@given(st.floats(0.9, 4.0))
def test_units_are_spelling(thickness_nm: float) -> None:
    base = parse_study("study: a")
    written = (f"{thickness_nm:.9f} nm", f"{thickness_nm * 10:.8f} Å", f"{thickness_nm / 1000:.12f} um")
    assert len({base.with_({"cell.t_ox": text}).identity() for text in written}) == 1
