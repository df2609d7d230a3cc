"""What the score of a point stands for: accuracy, or the study's other metric."""

from __future__ import annotations

from collections.abc import Iterable

from qtaml_hw.records.summary import PointSummary

ACCURACY = "Accuracy"


def score_name(points: Iterable[PointSummary]) -> str:
    """The metric's title where all points share one, else "Score"."""
    titles = {str(s.facts.get("metric_title", ACCURACY)) for s in points if s.error is None} or {ACCURACY}
    return titles.pop() if len(titles) == 1 else "Score"
