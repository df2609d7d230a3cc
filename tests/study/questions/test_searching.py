"""Tornado, feasible, search and compare: exact where they are pure, sane where they run the chain."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtaml_hw.config import Study, parse_study
from qtaml_hw.config.reading.presets import cell_preset, cell_presets
from qtaml_hw.errors import InputError, StoreError
from qtaml_hw.records.compare import compare
from qtaml_hw.report.checks import check_tornado
from qtaml_hw.report.tornado import write_tornado
from qtaml_hw.study.questions.feasible import Lever, bisect, feasible, share_interval
from qtaml_hw.study.questions.sampling import sampled
from qtaml_hw.study.questions.search import dominated, search
from qtaml_hw.study.questions.tornado import tornado
from qtaml_hw.study.questions.uncertainty import inputs, stated
from qtaml_hw.verbs import sweep
from tests.study.conftest import TEXT

FIXED = {"flips.law": "fixed", "flips.p": 0.02}
POINTS = st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=12)


@given(rows=POINTS)
def test_the_front_is_what_nothing_beats(rows: list[list[int]]) -> None:
    values: NDArray[np.float64] = np.array(rows, dtype=np.float64)
    plain = [any(all(b <= a for a, b in zip(one, two, strict=True)) and two != one for two in rows) for one in rows]
    assert dominated(values).tolist() == plain
    assert not dominated(values).all()
    assert not (dominated(values, 1.0) & ~dominated(values)).any()


@given(edge=st.floats(0.11, 0.99), log=st.booleans())
def test_bisection_finds_the_edge(edge: float, log: bool) -> None:
    how = Lever("x", "cell.t_ox", "length", 1.0, 0.1, 0.01, log)
    tried: list[float] = []

    def judge(value: float) -> bool:
        tried.append(value)
        return value >= edge

    found = bisect(judge, how)
    assert found is not None
    assert found[1] is not None
    assert found[1] < edge <= found[0]
    assert how.close(*found)
    assert len(tried) <= 12
    assert bisect(lambda value: True, how) == (0.1, None)
    assert bisect(lambda value: False, how) is None


def test_intervals_of_a_share_are_clopper_and_pearsons() -> None:
    assert share_interval(0, 10) == pytest.approx((0.0, 0.3084971), abs=1e-6)
    assert share_interval(10, 10) == pytest.approx((0.6915029, 1.0), abs=1e-6)
    assert share_interval(7, 20) == pytest.approx((0.1539092, 0.5921885), abs=1e-6)


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
    assert rows["cell.t_ox"]["swing"] == 0.0
    assert rows["cell.t_ox"]["low"]["difference"] == 0.0
    assert rows["cell.temperature"]["high"]["value"] == "95 degC"
    assert rows["flips.p"]["high"]["ci95"][0] <= rows["flips.p"]["high"]["difference"]


@pytest.mark.parametrize("text", ["cell.tox=1nm", "cell.t_ox", "cell.t_ox=1", "cell.t_ox=-1nm", "cell.kind=2", "=", ""])
def test_what_is_no_uncertainty(small: Study, text: str) -> None:
    with pytest.raises(InputError):
        inputs(small, stated(small, [text]))


def test_the_thinnest_oxide_is_an_edge(small: Study) -> None:
    found = feasible(small, ("t_ox", "area"), keep=0.9, wanted=0.5, maps=2)
    oxide, area = found["rows"]
    assert oxide["feasible"] is True
    assert 1.6e-9 < oxide["value_si"] < 2.0e-9
    assert oxide["yield"] >= 0.5
    assert oxide["yield_ci95"][0] < oxide["yield"] <= oxide["yield_ci95"][1]
    assert oxide["first_refused"]
    assert area == {"goal": "area", "feasible": None, "reason": area["reason"]}
    assert "give a policy with a budget" in area["reason"]


def test_what_cannot_be_pushed_says_why(small: Study) -> None:
    rows = feasible(small.with_(FIXED))["rows"]
    assert [row["feasible"] for row in rows] == [None, None, None]
    assert "flips.law is fixed" in rows[0]["reason"]
    for wrong in ({"keep": 0.0}, {"wanted": 1.5}, {"maps": 1}, {"keep": math.nan}):
        with pytest.raises(InputError):
            feasible(small, **wrong)
    with pytest.raises(InputError, match="'oxide' is no goal"):
        feasible(small, ["oxide"])


def test_a_search_measures_the_front_and_says_what_it_left_out(tmp_path: Path) -> None:
    axes = "sweep: {grid: {cell.t_ox: [1.7 nm, 1.9 nm], protection.policy: [none, uniform]}}\n"
    menu = "protection: {policy: none, correction: none, menu: [secded-72-64], budget: {bits: 25 %}}"
    text = TEXT.replace("protection: {policy: none, correction: none}", menu)
    study = parse_study(text + axes, name="x")
    found = search(study, ["accuracy", "area"], store=tmp_path)
    assert found["objectives"] == ["accuracy", "area"]
    assert found["points"] == 4 == found["measured"] + len(found["screened"])
    labels = {row["label"] for row in found["front"]}
    assert "t_ox=1.9 nm, policy=none" in labels
    assert all("t_ox=1.7 nm" in row["label"] for row in found["screened"])
    for row in found["front"]:
        assert not any(
            other["accuracy_mean"] >= row["accuracy_mean"] and other["area_m2"] < row["area_m2"]
            for other in found["front"]
        )
    with pytest.raises(InputError, match="'speed' is no objective"):
        search(study, ["accuracy", "speed"])
    with pytest.raises(InputError, match="at least two objectives"):
        search(study, ["area"])
    with pytest.raises(InputError, match="there are none"):
        search(parse_study(TEXT, name="x"))


def test_stores_side_by_side(small: Study, tmp_path: Path) -> None:
    for name, t_ox in (("a", "1.8 nm"), ("b", "1.9 nm")):
        sweep(small.with_({"cell.t_ox": t_ox}), store=tmp_path / name)
    found = compare([tmp_path / "a", tmp_path / "b"])
    (row,) = found["rows"]
    first, second = row["stores"]
    assert second["difference_mean"] == pytest.approx(second["accuracy_mean"] - first["accuracy_mean"])
    assert second["difference_mean"] > 0
    assert "difference_mean" not in first
    with pytest.raises(InputError, match="at least two stores"):
        compare([tmp_path / "a"])


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
            assert 0.0 < known[path].step < 0.6 * known[path].value


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


def test_a_large_space_is_sampled_and_the_front_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed (pip install 'qtaml-hw[search]')")
    oxide, supply = "cell.t_ox: {from: 1.5 nm, to: 2.4 nm, count: 30}", "cell.v_dd: {from: 0.8 V, to: 1.2 V, count: 30}"
    points = list(parse_study(f"{TEXT}sweep: {{grid: {{{oxide}, {supply}}}}}", name="x").points())
    values = {point.label: (-point.study.cell.t_ox_m * 1e9, point.study.cell.v_dd_v) for point in points}
    seen: list[int] = []

    def look(number: int) -> tuple[float, ...] | None:
        seen.append(number)
        return None if number == 7 else values[points[number].label]

    looked = sampled(points, look, 60, seed=1)
    assert len(looked) == 60 == len(seen) == len(set(seen))
    best = max(points[i].study.cell.t_ox_m for i in looked), min(points[i].study.cell.v_dd_v for i in looked)
    assert best == (pytest.approx(2.4e-9), pytest.approx(0.8))
    corner = [-points[i].study.cell.t_ox_m * 1e9 + points[i].study.cell.v_dd_v for i in looked]
    assert np.mean(corner) < np.mean([sum(v) for v in values.values()]) - 0.05
    seen.clear()
    assert sampled(points, look, 60, seed=1) == looked
    assert sampled(points[:4], lambda number: None, 9, seed=1) == [0, 1, 2, 3]
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match="needs optuna"):
        sampled(points, look, 60, seed=1)


def test_a_sampled_search_says_what_it_never_saw(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed (pip install 'qtaml-hw[search]')")
    study = parse_study(TEXT + "sweep: {grid: {cell.t_ox: {from: 1.7 nm, to: 2.0 nm, count: 9}}}", name="x")
    found = search(study, ["accuracy", "energy"], trials=5, store=tmp_path)
    assert found["points"] == 9
    assert found["unseen"] == 4
    assert found["measured"] + len(found["screened"]) == 5
