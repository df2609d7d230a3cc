"""What a result says of itself at a prompt: a dozen lines with units, escaped HTML, names that can be completed."""

from __future__ import annotations

import pytest

from qtaml_hw.records.fields import F
from qtaml_hw.records.results import Result, SweepResult
from qtaml_hw.records.summary import PointSummary, summarise
from qtaml_hw.records.text import touching
from tests.report import synthetic

POLICIES = ["none", "tac"]


def summaries(**over: object) -> tuple[PointSummary, ...]:
    return tuple(summarise(synthetic.sweep({"protection.policy": POLICIES}, maps=3, **over)))


def test_a_result_is_a_dozen_lines_with_units_and_bands() -> None:
    shown = repr(Result(summaries(warnings=["w"])[1]))
    assert len(shown.splitlines()) <= 12
    assert max(map(len, shown.splitlines())) <= 100
    for words in (
        "95 % interval",
        "3 maps of 500 images",
        "mm², band 1.",
        "µJ, band",
        "ns",
        "tac, 5.0 %",
        "1, see .warn",
    ):
        assert words in shown


def test_a_point_that_failed_shows_why() -> None:
    (failed,) = summarise([synthetic.failure(0, {}, "the array is too small")])
    assert "the array is too small" in repr(Result(failed))
    assert "failed" in repr(SweepResult((failed,)))


def test_a_sweep_is_a_table_of_its_first_points() -> None:
    many = tuple(summarise(synthetic.sweep({"flips.p": [i / 1000 for i in range(25)]}, maps=2)))
    lines = repr(SweepResult(many)).splitlines()
    assert len(lines) == 1 + 1 + 20 + 1
    assert lines[0] == "Sweep of 25 points"
    assert lines[-1].strip() == "and 5 more"
    first = many[3].accuracy
    assert f"{100 * first.mean:.1f}" in lines[5]


def test_html_is_a_table_and_labels_stay_text() -> None:
    page = Result(summaries(label="<b>x</b>")[0])._repr_html_()
    assert page.startswith("<table>")
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert SweepResult(summaries(label="<b>x</b>"))._repr_html_().count("<tr>") == 3


def test_fields_are_completed_and_mistyped_ones_suggested() -> None:
    result = Result(summaries()[0])
    assert {F.area_m2, F.flips_raw, "accuracy", "as_dict"} <= set(dir(result))
    with pytest.raises(AttributeError, match="no 'area_mm2'; did you mean 'area_m2'"):
        _ = result.area_mm2


def test_a_warning_is_said_once_with_the_points_it_touches() -> None:
    records = synthetic.sweep({"protection.policy": POLICIES}, maps=8)
    for r in records:
        r[F.warnings] = ["everywhere", *(["here"] if r[F.policy] == "tac" else [])]
    found = SweepResult(tuple(summarise(records))).warnings
    assert found == {"everywhere": POLICIES, "here": ["tac"]}
    assert touching("here", found["here"], 2) == "here (1 of 2 points: “tac”)"
    assert touching("everywhere", POLICIES, 2) == "everywhere (all 2 points)"
    assert touching("w", list("abcdefg"), 9) == "w (7 of 9 points: “a”, “b”, “c”, “d” and 3 more)"
