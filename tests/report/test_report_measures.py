"""A study of perplexity: nothing that is shown of it says accuracy, or per cent of a perplexity."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from qtaml_hw import report
from qtaml_hw.records.compare import compare
from qtaml_hw.records.summary import summarise
from qtaml_hw.study.questions.decision_words import sentence
from tests.report import synthetic

CLEAN = 0.04  # perplexity 25


def _scores(record: dict[str, Any], worse: float) -> dict[str, Any]:
    score = CLEAN / worse / (1.0 + 0.01 * record["map_index"])
    return {"score": score, "score_series": [[at, score] for at, _ in record["score_series"]]}


def of_perplexity(records: list[dict[str, Any]], worse: float = 1.0) -> list[dict[str, Any]]:
    """Records of images, as if the score were 1 / perplexity."""
    return [
        record
        | {"metric": "perplexity", "metric_title": "Perplexity", "clean_score": CLEAN, "quantised_score": CLEAN}
        | _scores(record, worse)
        for record in records
    ]


def text_of(table: Any) -> str:
    console = Console(file=io.StringIO(), width=240)
    console.print(table)
    written = console.file
    assert isinstance(written, io.StringIO)
    return written.getvalue()


ROW = {
    "label": "k = 1",
    "metric": "perplexity",
    "score_mean": 1 / 26.0,
    "score_ci95_low": 1 / 27.0,
    "score_ci95_high": 1 / 25.0,
    "accuracy_mean": 1 / 26.0,
    "accuracy_ci95_low": 1 / 27.0,
    "accuracy_ci95_high": 1 / 25.0,
    "clean_accuracy": 1 / 24.0,
    "target": 0.95 / 24.0,
    "margin": 1 / 27.0 - 0.95 / 24.0,
    "maps": 8,
    "good": 3,
    "yield": 0.375,
    "yield_ci95_low": 0.09,
    "yield_ci95_high": 0.76,
    "energy_per_inference_j": 1e-6,
    "area_m2": 1e-6,
    "stored_bits_per_weight": 4.5,
}
COUNTS = {"screened": 9, "measured": 2, "maps_drawn": 16, "audited": 0, "misjudged": 0, "keep": 0.95, "yield": None}


def test_tables_of_answers_show_perplexities() -> None:
    design = {**COUNTS, "front": [ROW], "nearest": None, "bound": None, "answer": None}
    front = {"front": [ROW], "near": [], "unseen": 0, "points": 2, "measured": 2}
    one = {"name": "q_proj", "weights": 4, "flips": 2.0, "predicted": 1.0, "maps": 8, "score_mean": 1 / 26.0}
    layer = one | {"ci95_low": 1 / 27.0, "ci95_high": 1 / 25.0}
    layers = {"metric": "perplexity", "quantised_accuracy": 1 / 24.0, "together": layer, "layers": [layer]}
    for table in (report.design_table(design), report.front_table(front), report.layers_table(layers)):
        said = text_of(table)
        assert "Perplexity" in said
        assert "26" in said
        assert not re.search("accuracy|%.*26|3.8", said.lower())
    assert "25 to 27" in text_of(report.front_table(front))


@pytest.mark.parametrize("answered", [True, False])
def test_a_decision_speaks_of_perplexity(answered: bool) -> None:
    answer = ROW | {"number": 1, "binds": ROW} if answered else None
    said = sentence({**COUNTS, "front": [ROW], "nearest": ROW, "answer": answer})
    assert "95 % of the clean score, whose perplexity is 24" in said
    assert "at 26 (95 % interval 25 to 27, 8 fault maps), whose upper end is beyond the perplexity of 25.26" in said
    assert "accuracy" not in said
    assert not re.search(r"2\d(\.\d+)? %", said)


def test_stores_of_perplexity_side_by_side_show_the_ratio(tmp_path: Path) -> None:
    axes = {"flips.p": [1e-4]}
    one = synthetic.write(tmp_path / "one", of_perplexity(synthetic.sweep(axes)))
    two = synthetic.write(tmp_path / "two", of_perplexity(synthetic.sweep(axes), worse=1.25))
    said = text_of(report.comparison_table(compare([one, two]).as_dict()))
    assert "Perplexity" in said
    assert "x 1.25 (1.25 to 1.25)" in said
    assert "%)" not in said
    assert "ccuracy" not in said


def test_figures_of_a_perplexity_study_have_its_axis(tmp_path: Path) -> None:
    axes = {"flips.p": [1e-5, 1e-4, 1e-3], "protection.budget.bits": [0.05, 0.1, 0.2]}
    store = synthetic.write(tmp_path / "store", of_perplexity(synthetic.sweep(axes)))
    report.write_report(store)
    page = (store / "report.html").read_text(encoding="utf-8")
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert "Perplexity over" in shown
    assert "Perplexity against" in shown
    for wrong in (
        "Perplexity (%)",
        "Accuracy (%)",
        "Accuracy over",
        "Accuracy against",
        "Accuracy lost",
        "Mean accuracy",
    ):
        assert wrong not in shown, wrong


def test_an_infinite_perplexity_is_inf_and_is_explained() -> None:
    """One of four maps gives a right token no chance: its perplexity is infinite, and so is the mean."""
    records = of_perplexity(synthetic.point(0, {}, 4))
    records[2] |= {"score": 0.0, "score_series": [[1e-3, 0.0]]}
    (point,) = summarise(records)
    assert re.search(r"│?\s*Perplexity\s+inf\s.*inf", text_of(report.run_table(point)))
    assert "inf" in text_of(report.sweep_table([point, point]))
    assert point.warnings[-1] == (
        "inf: perplexity is infinite on 1 of 4 fault maps, which give a right token no chance: so is the mean"
    )
    assert not any("inf:" in told for told in summarise(of_perplexity(synthetic.point(0, {}, 4)))[0].warnings)
    before, after = {"metric_mean": 25.0, "metric": "perplexity"}, {"metric_mean": None, "metric": "perplexity"}
    shown = text_of(report.what_if_table(before, after, {}))
    assert re.search(r"25\s+inf\s+–", shown)
