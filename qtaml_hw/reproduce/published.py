"""Published designs, theirs beside ours: the points that claims need are run, and every claim gets its verdict."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from qtaml_hw import report
from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.config import Point, load_study
from qtaml_hw.config.shipped import shipped
from qtaml_hw.errors import InputError, StoreError, unknown
from qtaml_hw.files import claim as claim_folder
from qtaml_hw.files import write_atomically
from qtaml_hw.progress import Progress
from qtaml_hw.records.interval import t_interval
from qtaml_hw.records.summary import PointSummary, summarise
from qtaml_hw.reproduce.claimed import ARITHMETIC, Claim, Ours, arithmetic, claims, row_of
from qtaml_hw.reproduce.result import ReproductionResult
from qtaml_hw.study.run.engine import run_points

KEEP: Final = 0.95  # of the clean accuracy: what is meant by an error rate that is borne
QUICK: Final = ("evaluate.images=100", "evaluate.maps={min: 4, max: 4}")
_DRAWS: Final = 400
Found = Sequence[tuple[Point, PointSummary]]


def published_result(
    names: Sequence[str], quick: bool, overrides: Sequence[str], out: Path | None, progress: Progress
) -> ReproductionResult:
    """Every claim of the designs ``names`` (none: all) beside what their studies give; ``out``: records and a page.

    Raises InputError for an unknown design or a point that cannot be evaluated, StoreError for a folder not of ours.
    """
    known = shipped("published")
    for name in names:
        if name not in known:
            raise InputError(unknown("published design", name, known))
    if out is not None:
        claim_folder(out)
    asked = [one for one in claims() if not names or one.design in names]
    rows = []
    for design in dict.fromkeys(one.design for one in asked):
        mine = [one for one in asked if one.design == design]
        study = load_study(known[design], [*(QUICK if quick else ()), *overrides])
        store = None if out is None else out / design
        found = _run([p for p in study.points() if any(_needs(one, p) for one in mine)], store, progress)
        rows += [row_of(one, _ours(one, found)) for one in mine]
    count = Counter(row.verdict.partition(":")[0] for row in rows)
    notes = (
        "; ".join(f"{number} {word}" for word, number in count.items()),
        "a number holds within 10 % or within its interval, and is of the same order within a factor of 2; an order "
        "holds where every paired interval does; an error rate is borne while 95 % of the clean accuracy is kept",
        "arithmetic stands on the numbers of the source; accuracies are measured on the study's own small network",
    )
    result = ReproductionResult("published", tuple(rows), notes)
    if out is not None:
        _write_page(out / "published.html", result)
    return result


def _run(points: list[Point], store: Path | None, progress: Progress) -> Found:
    if not points:
        return []
    made = []
    for point, records in zip(points, run_points(points, store, progress=progress, failures=False), strict=True):
        (summary,) = summarise(records, point.study.evaluate.yield_at)
        if summary.error is not None:
            raise InputError(f"{point.label}: {summary.error}")
        made.append((point, summary))
    return made


def _needs(claim: Claim, point: Point) -> bool:
    """Whether the claim looks at the point."""
    if not claim.measure or claim.measure in ARITHMETIC or (claim.cases and point.case not in claim.cases):
        return False
    return all(float(point.values[path]) == value for path, value in (claim.at or {}).items())


def _ours(claim: Claim, found: Found) -> Ours | None:
    if claim.missing:
        return None
    if claim.measure in ARITHMETIC:
        return arithmetic(claim)
    needed = [(point, summary) for point, summary in found if _needs(claim, point)]
    return MEASURES[claim.measure](claim, needed)


def _by_case(claim: Claim, needed: Found) -> list[PointSummary]:
    """One summary a case, in the claim's order; the only one where it names no case."""
    if not claim.cases:
        return [summary for _, summary in needed]
    return [next(summary for point, summary in needed if point.case == case) for case in claim.cases]


def _loss(claim: Claim, needed: Found) -> Ours:
    """Points of accuracy below the clean network's."""
    (summary,) = _by_case(claim, needed)
    clean = float(summary.facts["clean_score"])
    low, high = summary.accuracy.ci95
    return Ours(100.0 * (clean - summary.accuracy.mean), (100.0 * (clean - high), 100.0 * (clean - low)))


def _gain(claim: Claim, needed: Found) -> Ours:
    """Points between the first case and the second, paired over fault maps."""
    first, second = _by_case(claim, needed)
    step = t_interval([100.0 * (a - b) for a, b in zip(first.accuracies, second.accuracies, strict=True)])
    return Ours(step.mean, step.ci95)


def _order(claim: Claim, needed: Found) -> Ours:
    """Every case against the next, paired over fault maps."""
    cases = _by_case(claim, needed)
    steps = []
    for better, worse in itertools.pairwise(cases):
        step = t_interval([a - b for a, b in zip(better.accuracies, worse.accuracies, strict=True)], (-1.0, 1.0))
        steps.append((step.mean, step.low, step.high))
    said = " > ".join(
        f"{case} {100 * s.accuracy.mean:.1f} %"
        for case, s in sorted(zip(claim.cases, cases, strict=True), key=lambda pair: -pair[1].accuracy.mean)
    )
    least = min(steps)
    return Ours(said, (100.0 * least[1], 100.0 * least[2]), tuple(steps))


def _fields(claim: Claim, needed: Found) -> tuple[float, float]:
    first, second = _by_case(claim, needed)
    return sum(_amount(first, f) for f in claim.field), sum(_amount(second, f) for f in claim.field)


def _amount(summary: PointSummary, field: str) -> float:
    """A number of a record; ``buffers.refresh_j`` : of all its buffers together."""
    name, _, own = field.partition(".")
    found = summary.facts[name]
    return sum(float(one[own]) for one in found) if own else float(found)


def _spared(claim: Claim, needed: Found) -> Ours:
    """Per cent of the refresh energy of buffers that its rule spares them."""
    (summary,) = _by_case(claim, needed)
    return Ours(100.0 * (1.0 - _amount(summary, "buffers.refresh_j") / _amount(summary, "buffers.refresh_always_j")))


def _saving(claim: Claim, needed: Found) -> Ours:
    """Per cent that the first case needs less than the second."""
    first, second = _fields(claim, needed)
    return Ours(100.0 * (1.0 - first / second))


def _added(claim: Claim, needed: Found) -> Ours:
    """Per cent that the first case needs more than the second."""
    first, second = _fields(claim, needed)
    return Ours(100.0 * (first / second - 1.0))


def _ratio(claim: Claim, needed: Found) -> Ours:
    """Accuracy of the first case over the second's; the interval by drawing maps again."""
    first, second = (np.array(summary.accuracies) for summary in _by_case(claim, needed))
    drawn = [float(first[m].mean() / max(second[m].mean(), 1e-9)) for m in _resampled(first.size)]
    return Ours(float(first.mean() / max(second.mean(), 1e-9)), _ends(drawn))


def _borne(claim: Claim, needed: Found) -> Ours:
    """Largest flip probability that a case bears, in per cent."""
    value, drawn, note = _crossing(claim.cases[0], claim.axis, needed)
    return Ours(100.0 * value, _ends([100.0 * one for one in drawn]), note=note)


def _tolerated(claim: Claim, needed: Found) -> Ours:
    """Flip probability that the first case bears over the second's."""
    (a, drawn_a, note_a), (b, drawn_b, note_b) = (_crossing(case, claim.axis, needed) for case in claim.cases)
    note = "; ".join(part for part in (note_a, note_b) if part)
    return Ours(a / b, _ends([x / y for x, y in zip(drawn_a, drawn_b, strict=True)]), note=note)


def _crossing(case: str, axis: str, needed: Found) -> tuple[float, list[float], str]:
    """Where a case falls below what is kept: the value, those of drawn maps, and whether the axis ends first."""
    points = sorted(
        ((float(point.values[axis]), s) for point, s in needed if point.case == case), key=lambda pair: pair[0]
    )
    x = np.array([value for value, _ in points])
    kept = np.array([np.array(s.accuracies) / float(s.facts["clean_score"]) for _, s in points])  # [axis, maps]
    value = _cross(x, kept.mean(axis=1))
    note = f"{case} bears more than the axis shows" if value >= x[-1] else ""
    note = f"{case} fails where the axis begins" if value <= x[0] else note
    return value, [_cross(x, kept[:, maps].mean(axis=1)) for maps in _resampled(kept.shape[1])], note


def _cross(x: Float64, kept: Float64) -> float:
    below = np.flatnonzero(kept < KEEP)
    if below.size == 0:
        return float(x[-1])
    first = int(below[0])
    if first == 0:
        return float(x[0])
    share = (kept[first - 1] - KEEP) / (kept[first - 1] - kept[first])
    return float(np.exp(np.log(x[first - 1]) + share * np.log(x[first] / x[first - 1])))


def _resampled(maps: int) -> Int64:
    return np.random.default_rng(2026).integers(0, maps, (_DRAWS, maps))


def _ends(drawn: Sequence[float]) -> tuple[float, float]:
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)


MEASURES: Final[Mapping[str, Callable[[Claim, Found], Ours]]] = {
    "loss": _loss,
    "gain": _gain,
    "order": _order,
    "saving": _saving,
    "spared": _spared,
    "added": _added,
    "ratio": _ratio,
    "borne": _borne,
    "tolerated": _tolerated,
}
"""What is read off the points of a design's study."""


def _write_page(file: Path, result: ReproductionResult) -> None:
    heads = ("Design", "Claim", "Published", "Ours", "95 % CI", "Verdict", "Known from")
    cells = [(*row.place(), *row.figures(), row.as_dict()["known_from"]) for row in result.rows]
    try:
        write_atomically(file, report.table_page("Published designs", heads, cells, result.notes))
    except OSError as error:
        raise StoreError(f"cannot write {file}: {error.strerror}") from error
