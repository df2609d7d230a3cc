"""How far a design may go: bisection, exact intervals of a share, an edge on the chain."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.config import Study
from qtaml_hw.errors import InputError
from qtaml_hw.progress import silent
from qtaml_hw.study.design.networks.network import Network
from qtaml_hw.study.questions.criterion import Criterion
from qtaml_hw.study.questions.early import Early
from qtaml_hw.study.questions.feasible import Lever, Trials, bisect, feasible

FIXED = {"flips.law": "fixed", "flips.p": 0.02}


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


def test_the_thinnest_oxide_is_an_edge(small: Study) -> None:
    found = feasible(small, ("t_ox", "area"), keep=0.9, wanted=0.5, maps=6)
    oxide, area = found["rows"]
    assert oxide["feasible"] is True
    assert 1.6e-9 < oxide["value_si"] < 2.0e-9
    assert oxide["yield"] > oxide["yield_ci95"][0] >= 0.5
    assert oxide["first_refused"]
    assert area == {"goal": "area", "feasible": None, "reason": area["reason"]}
    assert "give a policy with a budget" in area["reason"]


def test_an_early_edge_is_the_same_from_fewer_images(small: Study) -> None:
    asked = [small.with_({"evaluate.images": 360, "evaluate.verdicts": told}) for told in ("early", "whole")]
    early, whole = (feasible(study, ["t_ox"], keep=0.9, wanted=0.5, maps=8) for study in asked)
    (row,), (same,) = early["rows"], whole["rows"]
    counts = ("image_evaluations", "image_evaluations_of")
    assert {k: v for k, v in row.items() if k not in counts} == {k: v for k, v in same.items() if k not in counts}
    assert row["maps"] * 360 < row["image_evaluations"] < same["image_evaluations"] < same["image_evaluations_of"]
    assert same["image_evaluations_of"] == 8 * 360 * same["trials"]
    assert early["early"] == {"error": 0.025, "chip_error": 0.05}


def test_a_value_that_all_images_refuse_is_not_the_answer(small: Study) -> None:
    """An early verdict that is wrong costs trials: the search goes on from what all maps and images say."""
    whole, told = Criterion(0.9, 0.5, 8, at_end=True), Early(0.9, 0.5, 8, at_end=True)
    lever = Lever("thinnest oxide", "cell.t_ox", "length", 3e-9, 1e-9, 0.05e-9, False)

    class Lenient(Trials):
        def _trial(self, value: float, by: Criterion) -> dict[str, Any]:
            edge = 1.7e-9 if by is told else 2.0e-9
            return {"value_si": value, "shown": str(value), "good": value >= edge}

    trials = Lenient(small, lever, whole, told, None, silent)  # type: ignore[arg-type]
    best, edge = trials.edges() or (0.0, None)
    assert edge is not None
    assert edge < 2.0e-9 <= best
    assert lever.close(best, edge)


def test_a_network_at_chance_has_nothing_to_keep(small: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "at_chance", True)
    (row,) = feasible(small, ["t_ox"], keep=0.9, wanted=0.5, maps=6)["rows"]
    assert (row["feasible"], row["reason"][:32]) == (False, "the clean network is at chance: ")


def test_what_cannot_be_pushed_says_why(small: Study) -> None:
    few = feasible(small, ["t_ox"], maps=20)["rows"][0]
    assert (few["feasible"], few["reason"]) == (None, "20 fault maps cannot show a yield of 90 %: take at least 36")
    assert "no number of fault maps" in feasible(small, ["t_ox"], wanted=1.0)["rows"][0]["reason"]
    rows = feasible(small.with_(FIXED))["rows"]
    assert [row["feasible"] for row in rows] == [None, None, None]
    assert "flips.law is fixed" in rows[0]["reason"]
    for wrong in ({"keep": 0.0}, {"wanted": 1.5}, {"maps": 1}, {"keep": math.nan}):
        with pytest.raises(InputError):
            feasible(small, **wrong)
    with pytest.raises(InputError, match="'oxide' is no goal"):
        feasible(small, ["oxide"])
