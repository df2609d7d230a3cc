"""The bench: closed forms are those of a record, places are changes of the study, measured points those of a run."""

from __future__ import annotations

import pytest

import qtaml_hw as q
from qtaml_hw.config import parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.explore.bench import Bench, Curve, bench
from qtaml_hw.explore.controls import Controls

STUDY = """
study: on the bench
cell: {t_ox: 1.8 nm, temperature: 85 degC}
refresh: 10 us
protection: {policy: tac, menu: [secded-39-32], budget: {parity: 5 %}, correction: none}
network: digits-lenet
evaluate: {at: [1 ms], images: 40, maps: {min: 3, max: 3}}
"""


@pytest.fixture(scope="module")
def made() -> Bench:
    return bench(parse_study(STUDY))


def figure(known: dict[str, object], title: str) -> dict[str, str]:
    (row,) = [r for r in known["figures"] if r["title"] == title]  # type: ignore[attr-defined]
    return row  # type: ignore[no-any-return]


def test_closed_forms_are_those_of_the_record(made: Bench) -> None:
    places = {"cell.t_ox": 1.9, "refresh.interval": 20.0}
    known = made.known(places)
    moved = parse_study(STUDY).with_({"cell.t_ox": "1.9 nm", "refresh.interval": "20 us"})
    result = q.run(moved)
    assert known["error"] is None
    assert known["set"] == ["cell.t_ox=1.9 nm", "refresh.interval=20 us"]
    assert known["area_mm2"] == pytest.approx(1e6 * result.area_m2, rel=1e-9)
    assert known["energy_uj"] == pytest.approx(1e6 * result.energy_per_inference_j, rel=1e-9)
    assert float(figure(known, "p(1→0), p(0→1)")["value"].split(",")[0]) == pytest.approx(result.p10, rel=5e-3)
    residual = q.ecc.code("secded-39-32").residual(result.p01, result.p10)
    shown = float(figure(known, "Residual p of protected bits")["value"])
    assert shown == pytest.approx(0.5 * (residual.p01 + residual.p10), rel=5e-3)
    share = 100 * result.refresh_energy_j / result.energy_per_inference_j
    assert float(figure(known, "Refresh share of the energy")["value"]) == pytest.approx(share, abs=0.06)


def test_a_measured_point_is_that_of_a_run_and_the_text_makes_it(made: Bench) -> None:
    places = {"cell.t_ox": 1.85, "protection.menu": "secded-72-64", "protection.planes": 2}
    point = made.measure(places)
    again = parse_study(made.text(places), name="saved")
    assert again.identity() == made.at(places).identity()
    result = q.run(again)
    assert (point["score"], point["maps"]) == (100 * result.accuracy.mean, 3)
    assert (point["low"], point["high"]) == tuple(100 * end for end in result.accuracy.ci95)
    assert made.measured[-1] is point
    assert (again.protection.policy, again.protection.planes) == ("uniform", 2)


def test_a_place_that_cannot_be_says_why(made: Bench) -> None:
    busy = made.known({"refresh.interval": 0.001})
    assert "refresh takes" in str(busy["error"])
    assert busy["figures"] == []
    for places, message in (
        ({"cell.oxide": 1.0}, "no control"),
        ({"cell.t_ox": "1.8 nm"}, "no number"),
        ({"cell.t_ox": True}, "no number"),
        ({"protection.menu": "../../x.json"}, "none of the codes"),
        ({"protection.menu": "repeat-3", "protection.planes": 9}, "planes from 0 to 8"),
    ):
        with pytest.raises(InputError, match=message):
            made.at(places)


def test_the_score_is_read_off_the_networks_own_curve(made: Bench) -> None:
    made.learn()
    quantised = q.run(parse_study(STUDY)).quantised_accuracy
    near, far = made.known({"cell.t_ox": 2.6}), made.known({"cell.t_ox": 1.2})
    assert float(figure(near, "Predicted score")["value"]) == pytest.approx(100 * quantised, abs=1.5)
    assert float(figure(far, "Predicted score")["value"]) < 60
    curve = made._curve
    assert curve is not None
    assert list(curve.score) == sorted(curve.score, reverse=True)


def test_the_curve_is_linear_in_the_logarithm_between_its_rungs() -> None:
    curve = Curve((1.0, 100.0), (0.9, 0.5), (0.8, 0.4), (0.95, 0.6))
    assert curve.at(10.0) == pytest.approx((0.7, 0.6, 0.775))
    assert curve.at(1e-9) == (0.9, 0.8, 0.95)
    assert curve.at(1e9) == (0.5, 0.4, 0.6)


def test_controls_are_those_that_the_cell_has() -> None:
    sram = parse_study("study: s\ncell: {kind: sram6t}\nnetwork: digits-mlp\n")
    assert [s.path for s in Controls.of(sram).sliders] == ["cell.t_ox", "cell.v_dd", "cell.temperature"]
    gain = Controls.of(parse_study(STUDY))
    assert [(s.path, s.unit, s.value) for s in gain.sliders] == [
        ("cell.t_ox", "nm", 1.8),
        ("cell.v_dd", "V", 1.0),
        ("cell.temperature", "degC", 85.0),
        ("refresh.interval", "us", 10.0),
    ]
    assert gain.changes({s.path: s.value for s in gain.sliders}) == {}
    assert gain.planes == 8
    assert {"secded-39-32", "ideal"} <= set(gain.codes)


def test_the_notebook_view_moves_and_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipywidgets", reason="ipywidgets are not installed")
    view = q.explore(parse_study(STUDY))
    (left, figures), measured = view.children[0].children, view.children[1]
    before = figures.value
    left.children[0].value = 1.95
    assert figures.value != before
    assert "Predicted score" in figures.value
    left.children[-1].click()
    assert view.bench.measured[0]["label"] == "t_ox 1.95 nm"
    assert "t_ox 1.95 nm" in measured.value
    monkeypatch.setitem(__import__("sys").modules, "ipywidgets", None)
    with pytest.raises(InputError, match=r"qtaml-hw\[notebook\]"):
        q.explore(parse_study(STUDY))
