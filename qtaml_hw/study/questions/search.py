"""Designs that nothing beats: all points screened in closed form, the promising ones measured, the exact Pareto set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np

from qtaml_hw.arrays import Bool, Float64
from qtaml_hw.config import Point, Study, takes_study
from qtaml_hw.config.axes import axes_shown
from qtaml_hw.errors import InputError
from qtaml_hw.progress import Progress, silent
from qtaml_hw.records.fields import F
from qtaml_hw.records.results import Answer
from qtaml_hw.records.summary import PointSummary, summarise
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.questions.prediction import Prediction, predict
from qtaml_hw.study.questions.sampling import sampled
from qtaml_hw.study.run.engine import run_points
from qtaml_hw.study.run.task import Workers

Objective = Literal["accuracy", "energy", "area", "latency"]
OBJECTIVES: Final[tuple[Objective, ...]] = get_args(Objective)
_COSTS: Final = {"energy": F.energy_per_inference_j, "area": F.area_m2, "latency": F.read_latency_s}
NEAR: Final = 2.0  # a point is measured unless one with less than half its predicted distortion costs no more


@dataclass(frozen=True, eq=False)
class ParetoSet(Answer):
    """What nothing beats among the points of a sweep.

    ``front`` : measured points that nothing measured beats.  ``near`` : measured points that the intervals of accuracy
    do not tell from it.  ``screened`` : points that prediction and cost already rule out, with what they predict.
    ``unseen`` counts the points that were not looked at.
    """

    objectives: tuple[Objective, ...]
    points: int
    unseen: int
    measured: int
    front: tuple[dict[str, Any], ...]
    near: tuple[dict[str, Any], ...]
    screened: tuple[dict[str, Any], ...]
    failures: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """Every field under its name; rows {label, axes, accuracy_mean, energy_per_inference_j, area_m2, ..}."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


@takes_study
def search(
    study: Study,
    objectives: Sequence[str] = ("accuracy", "energy", "area"),
    *,
    trials: int | None = None,
    jobs: int = 1,
    store: str | Path | None = None,
    progress: Progress = silent,
) -> ParetoSet:
    """The Pareto set of a study's sweep.

    ``trials`` : at most so many points are looked at in closed form, chosen by optuna.

    Raises InputError for unknown objectives, a study without axes, or trials without optuna.
    """
    wanted = _objectives(objectives)
    points = list(study.points())
    if len(points) < 2:
        raise InputError("search looks over the axes of the study's sweep section, and there are none")
    networks = Networks(progress)
    predictions = _predictions(points, wanted, trials, networks)
    seen = list(predictions)
    promising = dict(zip(seen, _promising(list(predictions.values()), wanted), strict=True))
    chosen = [i for i in seen if promising[i]]
    folder = None if store is None else Path(store)
    asked = [points[i] for i in chosen]
    records = run_points(asked, folder, workers=Workers(jobs), progress=progress, networks=networks)
    summaries = {i: summarise(group)[0] for i, group in zip(chosen, records, strict=True)}
    measured = {i: s for i, s in summaries.items() if s.error is None}
    front, near = _sets(measured, wanted)
    failed = ({"label": points[i].label, "error": s.error} for i, s in summaries.items() if s.error is not None)
    return ParetoSet(
        objectives=wanted,
        points=len(points),
        unseen=len(points) - len(seen),
        measured=len(measured),
        front=tuple(_row(points[i], measured[i]) for i in front),
        near=tuple(_row(points[i], measured[i]) for i in near),
        screened=tuple(_predicted(points[i], predictions[i]) for i in seen if not promising[i]),
        failures=tuple(failed),
    )


def _predictions(
    points: Sequence[Point], wanted: Sequence[Objective], trials: int | None, networks: Networks
) -> dict[int, Prediction]:
    """What is known in closed form of all points, or of as many as ``trials`` allows; in the order of the sweep."""
    progress, predictions = networks.progress or silent, dict[int, Prediction]()
    total = len(points) if trials is None else min(trials, len(points))

    def look(number: int) -> tuple[float, ...] | None:
        progress(len(predictions), total, f"closed form: {points[number].label}")
        seen = predictions[number] = predict(points[number].study, networks)
        return _figures(seen, wanted)

    if total < len(points):
        sampled(points, look, total, points[0].study.evaluate.seed)
    else:
        for number in range(len(points)):
            look(number)
    return dict(sorted(predictions.items()))


def _figures(seen: Prediction, wanted: Sequence[Objective]) -> tuple[float, ...] | None:
    """Logarithms of cost and predicted distortion, less is better; None where a point has none."""
    if seen.error is not None or seen.facts[F.predicted_distortion] is None:
        return None
    keys = [_COSTS.get(objective, F.predicted_distortion) for objective in wanted]
    return tuple(math.log(max(float(seen.facts[key]), 1e-300)) for key in keys)


def _objectives(names: Sequence[str]) -> tuple[Objective, ...]:
    for name in names:
        if name not in OBJECTIVES:
            raise InputError(f"{name[:40]!r} is no objective; allowed: {', '.join(OBJECTIVES)}")
    if len(set(names)) < 2:
        raise InputError("a search trades at least two objectives, such as accuracy,energy")
    return tuple(one for one in OBJECTIVES if one in names)


def _promising(predictions: Sequence[Prediction], wanted: Sequence[Objective]) -> list[bool]:
    """Which points to measure; where distortion is not predicted, or a point cannot be, all that are not ruled out."""
    known = {i: values for i, o in enumerate(predictions) if (values := _figures(o, wanted)) is not None}
    kept = [True] * len(predictions)
    if not known:
        return kept
    slack = np.array([np.log(NEAR) if objective == "accuracy" else 0.0 for objective in wanted])
    for i, beaten in zip(known, dominated(np.array(list(known.values())), slack), strict=True):
        kept[i] = not beaten
    return kept


def dominated(values: Float64, slack: Float64 | float = 0.0) -> Bool:
    """Which rows of ``values`` [points, objectives] another row beats: nowhere worse, somewhere better.

    ``slack`` [objectives] or scalar: what the other row must be better by, at least, in that objective.
    """
    margin = np.broadcast_to(np.asarray(slack, dtype=np.float64), values.shape[1:])
    beaten = np.zeros(len(values), dtype=np.bool_)
    for i, row in enumerate(values):
        beats = (values + margin <= row).all(axis=1) & (values + margin < row).any(axis=1)
        beaten[i] = bool(beats.any())
    return beaten


def _sets(measured: dict[int, PointSummary], wanted: Sequence[Objective]) -> tuple[list[int], list[int]]:
    """The front by means, and what the front's intervals leave open."""
    if not measured:
        return [], []
    numbers = list(measured)
    means = _values(measured, wanted, "mean")
    front = [i for i, beaten in zip(numbers, dominated(means), strict=True) if not beaten]
    near = []
    for position, number in enumerate(numbers):
        if number in front:
            continue
        trial = _values(measured, wanted, "low")
        trial[position] = _values(measured, wanted, "high")[position]
        if not dominated(trial)[position]:
            near.append(number)
    return front, near


def _values(measured: dict[int, PointSummary], wanted: Sequence[Objective], end: str) -> Float64:
    """Objectives to minimise [points, objectives]; accuracy as the error, at its mean or an end of its interval."""
    return np.array(
        [
            [1.0 - getattr(s.accuracy, end) if o == "accuracy" else s.facts[_COSTS[o]] for o in wanted]
            for s in measured.values()
        ],
        dtype=np.float64,
    )


def _row(point: Point, summary: PointSummary) -> dict[str, Any]:
    facts = summary.facts
    names = (F.energy_per_inference_j, F.area_m2, F.read_latency_s, F.protected_bits_fraction, F.parity_bits_fraction)
    return {
        "label": point.label,
        "axes": axes_shown(point),
        "identity": summary.identity,
        "metric": facts.get(F.metric),
        **summary.accuracy.as_dict("score"),
        **summary.accuracy.as_dict("accuracy"),
        **{name: facts[name] for name in (*names, F.predicted_distortion)},
    }


def _predicted(point: Point, seen: Prediction) -> dict[str, Any]:
    names = (F.predicted_distortion, F.energy_per_inference_j, F.area_m2, F.read_latency_s)
    return {"label": point.label, "axes": axes_shown(point), **{name: seen.facts[name] for name in names}}
