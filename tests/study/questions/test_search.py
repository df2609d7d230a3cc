"""What nothing beats: exact where it is pure, sane where it runs the chain."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtaml_hw.config import parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.study.questions.sampling import sampled
from qtaml_hw.study.questions.search import dominated, search
from tests import studies

TEXT = studies.text()

POINTS = st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=12)


@given(rows=POINTS)
def test_the_front_is_what_nothing_beats(rows: list[list[int]]) -> None:
    values: NDArray[np.float64] = np.array(rows, dtype=np.float64)
    plain = [any(all(b <= a for a, b in zip(one, two, strict=True)) and two != one for two in rows) for one in rows]
    assert dominated(values).tolist() == plain
    assert not dominated(values).all()
    assert not (dominated(values, 1.0) & ~dominated(values)).any()


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
