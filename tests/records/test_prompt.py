"""Values at a prompt: what they show, that it is escaped, and which name was meant."""

from __future__ import annotations

import copy
import pickle

import pytest

import qtaml_hw as q
from qtaml_hw.config import parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.records.results import Result, WhatIf
from qtaml_hw.records.summary import summarise
from tests.report import synthetic

STUDY = "study: <b>mine</b>\ncell: {t_ox: 1.7 nm}\nnetwork: digits-mlp\nrefresh: 10 us\n"


def test_a_study_shows_what_was_said_of_it() -> None:
    study = parse_study(STUDY, name="mine.yaml").with_({"cell.v_dd": "0.9 V"})
    lines = repr(study).splitlines()
    assert "1.7 nm" in next(line for line in lines if line.split()[0] == "cell.t_ox")
    assert "with_" in next(line for line in lines if line.split()[0] == "cell.v_dd")
    assert not any(line.split()[0] == "evaluate.seed" for line in lines)
    assert "&lt;b&gt;mine" in study._repr_html_()
    assert copy.deepcopy(study) == study == pickle.loads(pickle.dumps(study))


def test_a_what_if_shows_both_sides_and_the_paired_difference() -> None:
    records = synthetic.sweep({"protection.policy": ["none", "tac"]}, maps=4)
    before, after = (Result(s) for s in summarise(records))
    found = WhatIf(before, after)
    shown = repr(found)
    assert "4 maps in pairs" in shown
    assert f"{100 * found.difference.mean:.1f} (" in shown
    area = next(line for line in shown.splitlines() if line.strip().startswith("Area"))
    assert f"{100 * (after.area_m2 / before.area_m2 - 1):+.1f} %" in area
    assert "<table>" in found._repr_html_()


def test_a_retention_shows_its_quantiles() -> None:
    kept = q.retention(parse_study(STUDY))
    shown = repr(kept)
    assert "5 % of cells failed after" in shown
    assert "10 µs" in shown
    assert "<table>" in kept._repr_html_()


def test_a_mistyped_name_is_answered_with_the_one_meant() -> None:
    study = parse_study(STUDY)
    records = synthetic.point(0, {}, 2)
    result = Result(*summarise(records))
    for value, wrong, meant in (
        (study, "celll", "cell"),
        (study.cell, "t_ox", "t_ox_m"),
        (q.retention(study), "quantiles", "quantiles_s"),
        (result, "acuracy", "accuracy"),
        (WhatIf(result, result), "diference", "difference"),
        (q.gate_current("1.5 nm", "1 V"), "j_a_m2", "j_a_per_m2"),
    ):
        with pytest.raises(AttributeError, match=f"did you mean '{meant}'"):
            getattr(value, wrong)


VERBS = (
    *("run", "sweep", "what_if", "retention", "allocate", "feasible", "search", "tensors"),
    *("layers", "export", "design", "price", "topology"),
)
MORE: dict[str, tuple[object, ...]] = {"what_if": ({"cell.t_ox": "1.6 nm"},), "export": ("out",)}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("wrong", ["x.yaml", None, 3, {"cell": 1}])
def test_what_is_no_study_is_one_clear_error(verb: str, wrong: object) -> None:
    more = MORE.get(verb, ())
    with pytest.raises(InputError, match=f"q.{verb} takes a study; got "):
        getattr(q, verb)(wrong, *more)
    if wrong == "x.yaml":
        with pytest.raises(InputError, match=r"q.load\('x.yaml'\) reads one"):
            getattr(q, verb)(wrong, *more)
