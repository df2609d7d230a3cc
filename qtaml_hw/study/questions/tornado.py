"""Which input matters: every numeric physical input moved down and up alone, closed form first, measured on request.

The protection is planned anew for every move, as a designer who knew the moved value would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from qtaml_hw.config import Point, Study, StudyError, takes_study
from qtaml_hw.errors import InputError
from qtaml_hw.progress import Progress, silent
from qtaml_hw.records.fields import F
from qtaml_hw.records.measure import measure_named
from qtaml_hw.records.record import Record
from qtaml_hw.records.results import Answer, paired_difference
from qtaml_hw.study.design.cells.by_plane import one_cell
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.questions.prediction import Prediction, predict
from qtaml_hw.study.questions.uncertainty import Input, inputs, stated
from qtaml_hw.study.run.engine import run_points
from qtaml_hw.units import in_si, show

FIGURES: Final = (F.p01, F.p10, F.predicted_distortion, F.area_m2, F.energy_per_inference_j)


@dataclass(frozen=True)
class Move:
    """One input at one end of its range."""

    path: str
    side: str
    shown: str
    study: Study


@dataclass(frozen=True, eq=False)
class Tornado(Answer):
    """Rows by input, the one that moves the prediction most first, beside the figures of the ``base``."""

    base: dict[str, Any]
    rows: tuple[dict[str, Any], ...]
    measured: bool

    def as_dict(self) -> dict[str, Any]:
        """base{p10, ..}, rows[{path, value, uncertainty_si, swing, low{value, ..}, high{value, ..}}], measured."""
        return {"base": self.base, "rows": list(self.rows), "measured": self.measured}


@takes_study
def tornado(
    study: Study,
    *,
    uncertainties: Mapping[str, float] | Sequence[str] = (),
    measure: bool = False,
    progress: Progress = silent,
) -> Tornado:
    """Every numeric physical input moved down and up alone.

    Every row: path, value, how far it is moved and who says so, and for both ends (``low``, ``high``) the closed-form
    figures, or ``error`` where the study does not allow the value.  ``uncertainties`` : moves in SI by path, or texts
    such as ``cell.t_ox=3 %``, before those of the preset (see ``study.questions.uncertainty``).  ``measure`` adds
    accuracies and their differences to the base, paired over maps.

    Raises InputError for uncertainties that are none, or a study whose base point cannot be.
    """
    steps = dict(uncertainties) if isinstance(uncertainties, Mapping) else stated(study, uncertainties)
    networks = Networks(progress)
    one_cell(study, "a tornado")
    base = predict(study, networks)
    if base.error is not None:
        raise InputError(base.error)
    listed = inputs(study, steps)
    rows, moves = list[dict[str, Any]](), list[tuple[dict[str, Any], Move]]()
    for number, one in enumerate(listed):
        progress(number, len(listed), one.path)
        row = _row(one)
        for side, sign in (("low", -1.0), ("high", 1.0)):
            moved = one.value + sign * one.step
            row[side] = {"value": show(moved, one.dimension, 4), "value_si": moved}
            try:
                move = Move(one.path, side, row[side]["value"], study.with_({one.path: in_si(moved, one.dimension)}))
            except StudyError as error:
                row[side]["error"] = error.errors[0].message
                continue
            row[side] |= _figures(predict(move.study, networks))
            moves.append((row[side], move))
        row["swing"] = _swing(row, base)
        rows.append(row)
    rows.sort(key=lambda r: -r["swing"])
    middle = _figures(base)
    if measure:
        middle["metric"] = study.evaluate.metric
        middle["accuracy_mean"] = _measure(study, [m for m in moves if "error" not in m[0]], networks)
    return Tornado(middle, tuple(rows), measure)


def _row(one: Input) -> dict[str, Any]:
    """What is known of an input before it is moved."""
    return {
        "path": one.path,
        "value": show(one.value, one.dimension, 4),
        "value_si": one.value,
        "uncertainty_si": one.step,
        "uncertainty_source": one.source,
    }


def _figures(seen: Prediction) -> dict[str, Any]:
    return {name: seen.facts[name] for name in FIGURES} if seen.error is None else {"error": seen.error}


def _swing(row: dict[str, Any], base: Prediction) -> float:
    """Largest relative move of the predicted distortion, or of the flip probability where nothing is predicted."""
    key = F.predicted_distortion if base.facts[F.predicted_distortion] else F.p10
    middle = float(base.facts[key] or 0.0)
    ends = [float(row[side][key]) for side in ("low", "high") if row[side].get(key) is not None]
    if len(ends) == 2:
        return abs(ends[1] - ends[0]) / middle if middle else abs(ends[1] - ends[0])
    return max((abs(end - middle) / middle if middle else abs(end - middle) for end in ends), default=0.0)


def _measure(study: Study, moves: list[tuple[dict[str, Any], Move]], networks: Networks) -> float:
    """Mean accuracy of the base; those of every move, on the same fault maps, are written into their rows."""
    points = [Point(study.label, {}, study)]
    points += [Point(f"{m.path}={m.shown}", {m.path: m.shown}, m.study) for _, m in moves]
    base, *others = run_points(points, None, progress=networks.progress or silent, networks=networks)
    mean = _mean(base)
    for (end, _), records in zip(moves, others, strict=True):
        if F.error in records[0]:
            end["error"] = records[0][F.error]
            continue
        ratio = measure_named(study.evaluate.metric).ratio([r[F.score] for r in records], [r[F.score] for r in base])
        end |= {} if ratio is None else {"ratio": ratio.mean}
        change = paired_difference([r[F.score] for r in records], [r[F.score] for r in base])
        end |= {"accuracy_mean": _mean(records), "difference": change.mean, "ci95": list(change.ci95)}
        end["maps"] = change.maps
    return mean


def _mean(records: list[Record]) -> float:
    if F.error in records[0]:
        raise InputError(str(records[0][F.error]))
    return float(sum(r[F.score] for r in records)) / len(records)
