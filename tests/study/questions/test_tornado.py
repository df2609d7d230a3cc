"""Which input matters: every input moved, uncertainties and who states them, the figure."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from qtaml_hw.config import Study, parse_study
from qtaml_hw.config.reading.presets import cell_preset, cell_presets
from qtaml_hw.errors import InputError, StoreError
from qtaml_hw.report.checks import check_tornado
from qtaml_hw.report.write import write_tornado
from qtaml_hw.study.questions.tornado import tornado
from qtaml_hw.study.questions.uncertainty import inputs, stated
from qtaml_hw.verbs import sweep

FIXED = {"flips.law": "fixed", "flips.p": 0.02}


def test_the_tornado_moves_every_input(small: Study) -> None:
    study = small.with_(FIXED)
    found = tornado(study, measure=True, uncertainties=stated(study, ["flips.p=0.5 %"]))
    rows = {row["path"]: row for row in found["rows"]}
    assert found["rows"][0]["path"] == "flips.p"
    assert rows["flips.p"]["low"]["p10"] == pytest.approx(0.015)
    assert rows["flips.p"]["high"]["p10"] == pytest.approx(0.025)
    low, high = (rows["flips.p"][side]["predicted_distortion"] for side in ("low", "high"))
    assert low < found["base"]["predicted_distortion"] < high
    assert rows["flips.p"]["swing"] == pytest.approx((high - low) / found["base"]["predicted_distortion"])
    assert rows["cell.temperature"]["swing"] == 0.0
    assert rows["cell.temperature"]["low"]["difference"] == 0.0
    assert "cell.t_ox" not in rows  # the law states the flips
    assert rows["cell.temperature"]["high"]["value"] == "95 degC"
    assert rows["flips.p"]["high"]["ci95"][0] <= rows["flips.p"]["high"]["difference"]


def test_what_the_law_does_not_look_at_has_no_uncertainty(small: Study) -> None:
    with pytest.raises(InputError, match=r"cell\.t_ox changes nothing here: the law fixed states the flips"):
        stated(small.with_(FIXED), ["cell.t_ox=3 %"])


@pytest.mark.parametrize("text", ["cell.tox=1nm", "cell.t_ox", "cell.t_ox=1", "cell.t_ox=-1nm", "cell.kind=2", "=", ""])
def test_what_is_no_uncertainty(small: Study, text: str) -> None:
    with pytest.raises(InputError):
        inputs(small, stated(small, [text]))


def test_uncertainties_come_from_the_user_then_the_preset_then_a_tenth(small: Study) -> None:
    steps = {one.path: one for one in inputs(small, stated(small, ["cell.v_ref=3 %", "cell.temperature=5 K"]))}
    assert (steps["cell.v_ref"].step, steps["cell.v_ref"].source) == (pytest.approx(0.015), "stated")
    assert steps["cell.temperature"].step == 5.0
    assert steps["cell.t_ox"].step == pytest.approx(0.04 * 1.8e-9)
    assert steps["cell.t_ox"].source.startswith("gain-cell-65nm: assumed: control of gate oxide")
    assert steps["cell.sigma_t_ox"].step == pytest.approx(0.01)
    assert (steps["cell.gate_area"].step, steps["cell.gate_area"].source) == (pytest.approx(0.00078e-12), "assumed")


def test_every_uncertainty_of_a_preset_is_one_of_its_kind_of_cell() -> None:
    for name in cell_presets():
        preset = cell_preset(name)
        study = parse_study(f"cell: {{kind: {preset.kind}, preset: {name}}}", name=name)
        known = {one.path: one for one in inputs(study, {})}
        assert preset.uncertainties
        for path, (_, why) in preset.uncertainties.items():
            assert known[path].source == f"{name}: {why}"
            assert 0.0 < known[path].step < 0.95 * known[path].value


def test_uncertainties_of_a_preset_of_flips_are_inputs_too() -> None:
    known = {one.path: one for one in inputs(parse_study("cell: {kind: sram6t}\nflips: {preset: sram-28nm-bram}"), {})}
    assert known["flips.v_zero"].step == pytest.approx(0.030)
    assert known["flips.v_zero"].source.startswith("sram-28nm-bram: assumed: from chip to chip")
    assert "cell.t_ox" not in known


def test_the_tornado_is_drawn_and_the_report_shows_it(small: Study, tmp_path: Path) -> None:
    study = small.with_(FIXED)
    found = tornado(study, uncertainties=stated(study, ["flips.p=0.5 %"]))
    written = write_tornado(tmp_path, found)
    assert [path.name for path in written] == ["tornado.json", "tornado.png", "tornado.svg", "tornado.csv"]
    rows = list(csv.DictReader((tmp_path / "figures" / "tornado.csv").open(encoding="utf-8")))
    assert [(row["path"], row["side"]) for row in rows[:2]] == [("flips.p", "low"), ("flips.p", "high")]
    assert [float(row["p10"]) for row in rows[:2]] == pytest.approx([0.015, 0.025])
    result = sweep(study, store=tmp_path)
    assert result.report is not None
    assert "Which input matters" in result.report.read_text(encoding="utf-8")
    assert (tmp_path / "figures" / "tornado.png").is_file()
    still = {**found, "rows": [{**row, "low": found["base"], "high": found["base"]} for row in found["rows"]]}
    with pytest.raises(StoreError, match=r"tornado\.json should hold"):
        check_tornado(still)
    for row in still["rows"]:
        row["low"] = row["high"] = {**found["base"], "value_si": 1.0}
    check_tornado(still)
    assert [path.name for path in write_tornado(tmp_path / "still", still)] == ["tornado.json"]
