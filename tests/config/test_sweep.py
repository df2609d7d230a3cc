"""Sweeps: what the axes expand to, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.config import Study, StudyError, parse_study
from qtaml_hw.config.reading.fields import catalogue
from qtaml_hw.config.sweep import axis_values

_FIELDS = catalogue(Study)


def _labels(text: str) -> list[str]:
    return [point.label for point in parse_study(text).points()]


def test_a_study_without_sweep_is_its_own_point() -> None:
    study = parse_study("study: alone")
    (point,) = study.points()
    assert (point.label, point.values, point.study) == ("alone", {}, study)


def test_grid_is_the_product_last_axis_fastest() -> None:
    study = parse_study(
        "sweep: {grid: {cell.t_ox: {from: 1.5 nm, to: 2.0 nm, step: 0.1 nm}, protection.policy: [uniform, tac]}}"
    )
    points = study.points()
    assert [point.label for point in points[:3]] == [
        "t_ox=1.5 nm, policy=uniform",
        "t_ox=1.5 nm, policy=tac",
        "t_ox=1.6 nm, policy=uniform",
    ]
    assert [point.study.cell.t_ox_m for point in points[::2]] == [1.5e-9, 1.6e-9, 1.7e-9, 1.8e-9, 1.9e-9, 2.0e-9]
    assert points[1].values == {"cell.t_ox": "1.5 nm", "protection.policy": "tac"}
    assert points[1].study.provenance["cell.t_ox"].kind == "sweep"
    assert points[0].study.points()[0].study == points[0].study


def test_zip_walks_its_axes_together_and_combines_with_a_grid() -> None:
    assert _labels(
        "sweep:\n  zip: {refresh.interval: [5 us, 10 us], cell.temperature: [105 degC, 85 degC]}\n"
        "  grid: {protection.policy: [none, tac]}"
    ) == [
        "interval=5 us, temperature=105 degC, policy=none",
        "interval=5 us, temperature=105 degC, policy=tac",
        "interval=10 us, temperature=85 degC, policy=none",
        "interval=10 us, temperature=85 degC, policy=tac",
    ]


def test_cases_have_labels_and_their_own_values() -> None:
    study = parse_study(
        "sweep:\n  cases:\n    - {label: hot, cell.temperature: 105 degC}\n    - {label: as is}\n"
        "    - {cell: {kind: edram1t1c}, refresh: 40 us}\n"
        "    - {label: six transistors, cell.kind: sram6t, refresh: off}\n"
    )
    points = study.points()
    assert [point.label for point in points] == [
        "hot",
        "as is",
        "cell={kind: edram1t1c}, refresh=40 us",
        "six transistors",
    ]
    assert [point.study.cell.temperature_k for point in points[:2]] == [378.15, 358.15]
    assert [point.study.cell.kind for point in points[2:]] == ["edram1t1c", "sram6t"]


def test_axes_with_the_same_last_name_are_told_apart() -> None:
    assert _labels("sweep: {grid: {refresh.interval: [5 us], scrub.interval: [1 ms]}}") == [
        "refresh.interval=5 us, scrub.interval=1 ms"
    ]


def test_whole_budgets_menus_and_presets_can_be_swept() -> None:
    study = parse_study(
        "protection: {policy: uniform, planes: 2}\nsweep:\n  grid:\n"
        "    protection.budget: [{bits: 2 %}, {parity: 1 %}]\n"
        "    protection.menu: [[ideal], [secded-72-64, bch-63-45]]\n"
        "    cell.preset: [gain-cell-65nm, edram1t1c-65nm]\n"
    )
    points = study.points()
    assert len(points) == 8
    budgets = [point.study.protection.budget for point in points[::4]]
    assert [budget.kind for budget in budgets if budget] == ["bits", "parity"]
    assert points[2].study.protection.menu == ("secded-72-64", "bch-63-45")
    assert {point.study.cell.kind for point in points} == {"gain_cell", "edram1t1c"}


def test_the_base_takes_a_value_that_only_the_sweep_states() -> None:
    study = parse_study("flips: {law: fixed}\nsweep: {grid: {flips.p: {from: 1e-4, to: 0.1, count: 4, spacing: log}}}")
    assert study.flips.p == 1e-4
    assert [point.study.flips.p for point in study.points()] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1], rel=1e-12)


def test_a_value_that_is_set_is_no_longer_swept() -> None:
    text = "sweep:\n  grid: {cell.t_ox: {from: 1.5 nm, to: 1.7 nm, step: 0.1 nm}, refresh: [5 us, 10 us]}\n"
    study = parse_study(text)
    thin = study.with_({"cell.t_ox": "1.4 nm"})
    assert [point.label for point in thin.points()] == ["refresh=5 us", "refresh=10 us"]
    assert {point.study.cell.t_ox_m for point in thin.points()} == {1.4e-9}
    assert len(parse_study(text, overrides=["refresh.interval=7us"]).points()) == 3
    assert len(parse_study(text, overrides=["sweep.grid.cell.t_ox=[1.5 nm, 1.6 nm]"]).points()) == 4
    assert [point.values for point in parse_study(text, overrides=["sweep=null"]).points()] == [{}]


@pytest.mark.parametrize(
    ("field", "axis", "values"),
    [
        ("cell.t_ox", {"from": "1.5 nm", "to": "1.8 nm", "step": "0.1 nm"}, ["1.5 nm", "1.6 nm", "1.7 nm", "1.8 nm"]),
        ("cell.t_ox", {"from": "2 nm", "to": "1.8 nm", "step": "-0.1 nm"}, ["2 nm", "1.9 nm", "1.8 nm"]),
        ("cell.t_ox", {"from": "0.0015 um", "to": "16 Å", "step": "50 pm"}, ["1500 pm", "1550 pm", "1600 pm"]),
        ("cell.v_dd", {"from": "0.9 V", "to": "1.0 V", "step": "40 mV"}, ["900 mV", "940 mV", "980 mV"]),
        ("cell.temperature", {"from": "25 degC", "to": "105 degC", "count": 3}, ["25 degC", "65 degC", "105 degC"]),
        (
            "refresh.interval",
            {"from": "1 us", "to": "100 us", "count": 3, "spacing": "log"},
            ["1 us", "10 us", "100 us"],
        ),
        ("flips.p", {"from": 0, "to": 0.3, "step": 0.1}, [0, 0.1, 0.2, 0.3]),
        ("flips.p", {"from": "1 %", "to": "3 %", "step": "1 %"}, ["1 %", "2 %", "3 %"]),
        ("protection.planes", {"from": 0, "to": 8, "step": 4}, [0, 4, 8]),
        ("evaluate.seed", {"from": 1, "to": 3, "count": 3}, [1, 2, 3]),
    ],
)
def test_ranges(field: str, axis: dict[str, Any], values: list[Any]) -> None:
    assert axis_values(axis, _FIELDS[field]) == values


@given(first=st.integers(-1000, 1000), step=st.integers(1, 1000), count=st.integers(1, 200), scale=st.integers(0, 6))
def test_a_range_ends_on_its_end(first: int, step: int, count: int, scale: int) -> None:
    unit = 10**scale
    axis = {"from": first / unit, "to": (first + step * (count - 1)) / unit, "step": step / unit}
    values = axis_values(axis, _FIELDS["flips.p"])
    assert len(values) == count
    assert values[-1] == axis["to"]


MISTAKES = {
    "no field": ("grid: {cell.tox: [1 nm]}", "2:10", "names no field; did you mean 'cell.t_ox'"),
    "short name": ("grid: {t_ox: [1 nm]}", "2:10", "did you mean 'cell.t_ox'"),
    "label": ("grid: {study: [a]}", "2:10", "cannot be swept"),
    "sweep itself": ("grid: {sweep.grid: [1]}", "2:10", "cannot be swept"),
    "single value": ("grid: {cell.t_ox: 1.5 nm}", "2:21", "an axis is a list of values, or a range"),
    "empty axis": ("grid: {cell.t_ox: []}", "2:21", "the axis is empty"),
    "bad value": ("grid: {cell.t_ox: [1.5 nm, 1 m]}", "2:30", "at the point 't_ox=1 m': 1 m is outside"),
    "null value": ("grid: {cell.t_ox: [~, 1 m]}", "2:25", "at the point 't_ox=1 m'"),
    "range without end": ("grid: {cell.t_ox: {from: 1 nm, step: 1 nm}}", "2:21", "a range needs from, to"),
    "step and count": (
        "grid: {cell.t_ox: {from: 1 nm, to: 2 nm, step: 1 nm, count: 2}}",
        "2:21",
        "one of step and count",
    ),
    "unknown range key": ("grid: {cell.t_ox: {from: 1 nm, to: 2 nm, steps: 3}}", "2:51", "did you mean 'step'"),
    "step without unit": ("grid: {cell.t_ox: {from: 1 nm, to: 2 nm, step: 0.1}}", "2:50", "step: 0.1 has no unit"),
    "step of nothing": ("grid: {cell.t_ox: {from: 1 nm, to: 2 nm, step: 0 nm}}", "2:50", "does not lead from 1 to 2"),
    "step away": ("grid: {cell.t_ox: {from: 2 nm, to: 1 nm, step: 1 nm}}", "2:50", "does not lead from 2 to 1"),
    "endless step": ("grid: {cell.t_ox: {from: 1 nm, to: 9 nm, step: 1e-9 nm}}", "2:50", "at most 100000"),
    "count of one": ("grid: {cell.t_ox: {from: 1 nm, to: 2 nm, count: 1}}", "2:51", "whole number from 2"),
    "log of nothing": ("grid: {flips.p: {from: 0, to: 1, count: 3, spacing: log}}", "2:55", "above 0"),
    "unknown spacing": ("grid: {flips.p: {from: 0, to: 1, count: 3, spacing: lin}}", "2:55", "allowed: linear, log"),
    "range of words": ("grid: {protection.policy: {from: a, to: b, step: c}}", "2:36", "takes no range"),
    "mixed temperatures": ("grid: {cell.temperature: {from: 25 degC, to: 400 K, step: 5 K}}", "2:28", "in one unit"),
    "zip of two lengths": ("zip: {cell.t_ox: [1 nm], scrub.interval: [1 us, 2 us]}", "2:8", "cell.t_ox has 1"),
    "axis in grid and zip": ("{grid: {cell.t_ox: [1 nm]}, zip: {cell.t_ox: [2 nm]}}", "1:8", "swept twice"),
    "case without field": ("cases: [{label: a, cell.temp: 1}]", "2:22", "did you mean 'cell.temperature'"),
    "cases of one label": ("cases: [{label: a}, {label: a}]", "2:23", "two cases have the label 'a'"),
    "case without label": ("cases: [{}]", "2:11", "a case needs a label"),
    "label of a case": ("cases: [{label: 3, cell.t_ox: 1 nm}]", "2:11", "a case needs a label"),
    "empty label": ("cases: [{label: '', cell.t_ox: 1.8 nm}]", "2:11", "a case needs a label"),
    "case as text": ("cases: [a]", "2:11", "expected a mapping"),
    "cases as mapping": ("cases: {a: 1}", "2:10", "expected a list"),
    "grid as list": ("grid: [1]", "2:9", "expected a mapping"),
    "unknown part": ("grids: {}", "2:3", "did you mean 'grid'"),
    "too many points": (
        "grid: {evaluate.seed: {from: 1, to: 1000, step: 1}, evaluate.images: {from: 1, to: 1000, step: 1}}",
        "1:8",
        "1000000 points; at most 100000",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_sweep_has_its_place(name: str) -> None:
    sweep, place, needle = MISTAKES[name]
    text = f"sweep: {sweep}" if sweep.startswith("{") else f"sweep:\n  {sweep}"
    with pytest.raises(StudyError) as caught:
        parse_study(text, name="f")
    assert needle in str(caught.value)
    if name not in ("axis in grid and zip", "too many points"):
        assert str(caught.value).startswith(f"f:{place} "), str(caught.value)


def test_every_bad_point_is_named() -> None:
    with pytest.raises(StudyError) as caught:
        parse_study("sweep:\n  grid:\n    cell.t_ox: [1 nm, 1 m]\n    protection.policy: [none, tax]\n")
    assert [(problem.line, problem.column, problem.message.split("'")[1]) for problem in caught.value.errors] == [
        (3, 23, "t_ox=1 m, policy=none"),
        (3, 23, "t_ox=1 m, policy=tax"),
        (4, 31, "t_ox=1 m, policy=tax"),
        (4, 31, "t_ox=1 nm, policy=tax"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cell.t_ox: {from: 1.5 nm, to: 2.0 nm, step: 1e-9999 nm}", "too small a number"),
        ("cell.t_ox: {from: 1.5 nm, to: 2.0 nm, step: 1e-90 nm}", "steps; an axis has at most 100000 values"),
        (
            "cell.t_ox: {from: 1.5 nm, to: 2.0 nm, count: 100000}, evaluate.seed: [1, 2], "
            + ", ".join(f"evaluate.maps.m{i}: [1]" for i in range(3)),
            "200000 points; at most 100000",
        ),
    ],
)
def test_an_axis_without_end_is_refused_by_its_count(text: str, expected: str) -> None:
    with pytest.raises(StudyError, match=expected):
        parse_study(f"flips: {{law: fixed}}\nsweep: {{grid: {{{text}}}}}\n")


def test_points_are_counted_before_values_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qtaml_hw.config.sweep.Source.change", None)  # what writes a value: never called
    wide = "{from: 1, to: 90000, count: 90000}"
    with pytest.raises(StudyError, match=r"8100000000 points; at most"):
        parse_study(f"sweep: {{grid: {{evaluate.seed: {wide}, evaluate.images: {wide}, evaluate.maps.min: {wide}}}}}\n")


@pytest.mark.parametrize(
    "text", ['study: "a\\ud800"', '"\\udfff": 1', 'sweep: {cases: [{label: "\\ud800", cell.t_ox: 1 nm}]}']
)
def test_half_a_letter_is_refused_where_it_stands(text: str) -> None:
    with pytest.raises(StudyError, match=r"study:1:\d+ .*U\+D[89F]\w+ is half a letter"):
        parse_study(text)


def test_no_memory_is_larger_than_memories_are() -> None:
    with pytest.raises(StudyError, match=r"array.capacity.*at most"):
        parse_study("array: {capacity: 1e18 MB}\n")


def test_points_share_the_sections_in_which_they_do_not_differ() -> None:
    study = parse_study("sweep: {grid: {cell.t_ox: [1.7 nm, 1.8 nm], protection.policy: [uniform, none]}}\n")
    a, b, c, _ = (point.study for point in study.points())
    assert a.cell is b.cell
    assert a.cell is not c.cell
    assert b.refresh is c.refresh is study.refresh
    assert (c.protection.policy, c.cell.t_ox_m) == ("uniform", 1.8e-9)
    assert c == study.with_({"cell.t_ox": "1.8 nm", "protection.policy": "uniform", "sweep": None})
