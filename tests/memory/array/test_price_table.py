"""A user's own prices of a bank in place of the fitted laws."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import qtaml_hw as q
from qtaml_hw.cli.app import app
from qtaml_hw.config import Study, StudyError, parse_study
from qtaml_hw.config.reading.price_table import price_table

CSV = """# source: a compiler, TT, 0.9 V, 85 degC
capacity, area, read_energy, write_energy, leakage, access, cycle
1 Mbit, 0.20 mm2, 10 pJ, 12 pJ, 20 uW, 1.0 ns, 1.2 ns
4 Mbit, 0.80 mm2, 20 pJ, 24 pJ, 80 uW, 2.0 ns, 2.4 ns
"""
TEXT = "cell: {preset: sram6t-65nm}\nrefresh: off\nprotection: {policy: none}\narray: {banks: 4, cost: prices.csv}\n"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "prices.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "s.yaml").write_text(TEXT, encoding="utf-8")
    return q.load(tmp_path / "s.yaml")


def test_a_listed_bank_costs_what_is_listed_and_others_lie_between(study: Study) -> None:
    whole = q.price(study, weights=4 * 2**20 // 8).cost.whole
    assert (whole.area_m2, whole.read_energy_j, whole.leakage_w) == pytest.approx((0.2e-6, 10e-12, 20e-6), rel=1e-12)
    assert whole.source.startswith("prices.csv, a compiler, TT, 0.9 V, 85 degC: as stated")
    between = q.price(study, weights=8 * 2**20 // 8).cost.whole
    assert between.area_m2 == pytest.approx(0.4e-6, rel=1e-12)
    assert between.read_energy_j == pytest.approx(10e-12 * 2**0.5, rel=1e-12)


def test_the_band_reaches_to_the_other_source(study: Study) -> None:
    stated = q.price(study, weights=2**19).cost.whole
    fitted = q.price(study.with_({"array.cost": None}), weights=2**19).cost.whole
    for name in ("area_m2", "read_energy_j", "leakage_w"):
        ends = (*fitted.band(name), getattr(stated, name))
        assert stated.band(name) == (min(ends), max(ends))
    assert stated.gate_leakage_w == fitted.gate_leakage_w
    assert "CACTI 7 power laws (presets/cacti7_arrays.json) for gate_leakage_w, refresh_energy_j" in stated.source


def test_yaml_says_the_same(study: Study, tmp_path: Path) -> None:
    rows = [line.split(", ") for line in CSV.splitlines()[1:]]
    banks = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    lines = ["  - {" + ", ".join(f"{name}: {value}" for name, value in bank.items()) + "}" for bank in banks]
    text = "\n".join(["source: a compiler", "banks:", *lines, ""])
    (tmp_path / "prices.yaml").write_text(text, encoding="utf-8")
    one, other = price_table(tmp_path / "prices.csv"), price_table(tmp_path / "prices.yaml")
    assert (one.capacities, dict(one.quantities)) == (other.capacities, dict(other.quantities))


def test_banks_far_outside_are_refused(study: Study) -> None:
    with pytest.raises(q.InputError, match=r"prices\.csv has banks of 1\.04858e\+06 to"):
        q.price(study, weights=2**25)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("capacity, area\n1 Mbit, 1 mm2\n", "says no source"),
        ("# source: x\ncapacity, area\n", "no bank is listed"),
        ("# source: x\ncapacity, area\n1 Mbit, 1\n", "line 3: area: '1' has no unit"),
        ("# source: x\ncapacity, aera\n1 Mbit, 1 mm2\n", "did you mean 'area'"),
        ("# source: x\ncapacity, area\n1 Mbit\n", "line 3: 1 values under a heading of 2"),
        ("# source: x\ncapacity, area\n1 Mbit, 1 mm2\n1 Mbit, 2 mm2\n", "a capacity is listed twice"),
        ("# source: x\ncapacity, area\n1 Mbit, 0 mm2\n", "area must be above 0"),
    ],
)
def test_what_is_no_price_table_is_one_line_at_its_place(study: Study, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(text, encoding="utf-8")
    found = CliRunner().invoke(app, ["validate", str(tmp_path / "s.yaml")])
    assert found.exit_code == 2
    assert said in found.stderr
    assert f"{tmp_path / 's.yaml'}:4" in found.stderr


def test_other_prices_are_another_result_and_two_price_lists_are_refused(study: Study, tmp_path: Path) -> None:
    from qtaml_hw.study.design.networks.identity import identity_of

    before = identity_of(study, "x")
    (tmp_path / "prices.csv").write_text(CSV.replace("10 pJ", "11 pJ"), encoding="utf-8")
    assert identity_of(study, "x") != before
    assert q.price(study, weights=2**19).cost.whole.read_energy_j == pytest.approx(11e-12)
    with pytest.raises(StudyError, match="give one of them"):
        parse_study("array: {cost: a.csv, cacti: b}")
