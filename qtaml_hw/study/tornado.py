"""Which input matters: every numeric physical input moved down and up alone, closed form first, measured on request.

The protection is planned anew for every move, as a designer who knew the moved value would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from qtaml_hw.config import Point, Study, StudyError
from qtaml_hw.config.fields import catalogue
from qtaml_hw.study.axes import attribute
from qtaml_hw.study.engine import run_points
from qtaml_hw.study.errors import InputError
from qtaml_hw.study.outlook import Outlook, in_si, outlook
from qtaml_hw.study.progress import Progress, silent
from qtaml_hw.study.results import paired_difference
from qtaml_hw.study.store import Record
from qtaml_hw.study.subject import Workshop
from qtaml_hw.units import parse, show, split

SHARE: Final = 0.10
STEPS: Final = {"temperature": 10.0}  # K: a tenth of an absolute temperature is no tolerance anybody has
SECTIONS: Final = ("cell.", "refresh.", "scrub.", "flips.")
FIGURES: Final = ("p01", "p10", "predicted_distortion", "area_m2", "energy_per_inference_j")


@dataclass(frozen=True)
class Move:
    """One input at one end of its range."""

    path: str
    side: str
    shown: str
    study: Study


def inputs(study: Study, steps: dict[str, float]) -> list[tuple[str, float, float, str]]:
    """(path, value, step, dimension) of every numeric physical input that is not zero, in SI.

    ``steps`` : stated uncertainties in SI by path, in place of 10 % (temperatures: 10 K).
    Raises InputError for an uncertainty of something that is no such input.
    """
    found = []
    for path, spec in catalogue(type(study), study.cell.kind).items():
        if not path.startswith(SECTIONS) or spec.quantity is None:
            continue
        value = attribute(study, path)
        if isinstance(value, int | float) and value != 0.0:
            dimension = spec.quantity.dimension
            step = steps.get(path, STEPS.get(dimension, SHARE * abs(value)))
            found.append((path, float(value), step, dimension))
    unknown = sorted(set(steps) - {path for path, *_ in found})
    if unknown:
        raise InputError(f"{unknown[0]} is no numeric input of this study; there are {', '.join(p for p, *_ in found)}")
    return found


def tornado(
    study: Study,
    *,
    uncertainties: dict[str, float] | None = None,
    measure: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Rows by input, the one that moves the prediction most first; JSON-able.

    Every row: path, value, low and high as written, and for both ends the closed-form figures, or ``error`` where the
    study does not allow the value.  ``measure`` adds accuracies and their differences to the base, paired over maps.
    """
    workshop = Workshop(progress)
    base = outlook(study, study.label, workshop)
    if base.error is not None:
        raise InputError(base.error)
    listed = inputs(study, uncertainties or {})
    rows, moves = list[dict[str, Any]](), list[tuple[dict[str, Any], Move]]()
    for number, (path, value, step, dimension) in enumerate(listed):
        progress(number, len(listed), path)
        row: dict[str, Any] = {"path": path, "value": show(value, dimension, 4), "value_si": value}
        for side, sign in (("low", -1.0), ("high", 1.0)):
            moved = value + sign * step
            row[side] = {"value": show(moved, dimension, 4), "value_si": moved}
            try:
                move = Move(path, side, row[side]["value"], study.with_({path: in_si(moved, dimension)}))
            except StudyError as error:
                row[side]["error"] = error.errors[0].message
                continue
            row[side] |= _figures(outlook(move.study, f"{path}={move.shown}", workshop))
            moves.append((row[side], move))
        row["swing"] = _swing(row, base)
        rows.append(row)
    rows.sort(key=lambda r: -r["swing"])
    found = {"base": _figures(base), "rows": rows, "measured": measure}
    if measure:
        _measure(study, found, [m for m in moves if "error" not in m[0]], workshop)
    return found


def _figures(found: Outlook) -> dict[str, Any]:
    return {name: found.facts[name] for name in FIGURES} if found.error is None else {"error": found.error}


def _swing(row: dict[str, Any], base: Outlook) -> float:
    """Largest relative move of the predicted distortion, or of the flip probability where nothing is predicted."""
    key = "predicted_distortion" if base.facts["predicted_distortion"] else "p10"
    middle = float(base.facts[key] or 0.0)
    ends = [float(row[side][key]) for side in ("low", "high") if row[side].get(key) is not None]
    if len(ends) == 2:
        return abs(ends[1] - ends[0]) / middle if middle else abs(ends[1] - ends[0])
    return max((abs(end - middle) / middle if middle else abs(end - middle) for end in ends), default=0.0)


def _measure(study: Study, found: dict[str, Any], moves: list[tuple[dict[str, Any], Move]], workshop: Workshop) -> None:
    """Accuracies of the base and of every move on the same fault maps, written into their rows."""
    points = [Point(study.label, {}, study)]
    points += [Point(f"{m.path}={m.shown}", {m.path: m.shown}, m.study) for _, m in moves]
    base, *others = run_points(points, None, progress=workshop.progress or silent, workshop=workshop)
    found["base"]["accuracy_mean"] = _mean(base)
    for (end, _), records in zip(moves, others, strict=True):
        if "error" in records[0]:
            end["error"] = records[0]["error"]
            continue
        change = paired_difference([r["accuracy"] for r in records], [r["accuracy"] for r in base])
        end |= {"accuracy_mean": _mean(records), "difference": change.mean, "ci95": list(change.ci95)}
        end["maps"] = change.maps


def _mean(records: list[Record]) -> float:
    if "error" in records[0]:
        raise InputError(str(records[0]["error"]))
    return float(sum(r["accuracy"] for r in records)) / len(records)


def stated(study: Study, texts: list[str]) -> dict[str, float]:
    """Uncertainties in SI by path, from ``cell.t_ox=0.05 nm``.

    Raises InputError for a path without a unit of its own, or a value without one.
    """
    fields, found = catalogue(type(study), study.cell.kind), dict[str, float]()
    for text in texts:
        path, _, value = (part.strip() for part in text.partition("="))
        spec = fields.get(path)
        if spec is None or spec.quantity is None:
            raise InputError(f"{text[:80]!r} states no uncertainty; write PATH=VALUE, such as cell.t_ox=0.05nm")
        try:
            step = parse(value, spec.quantity.dimension) if spec.quantity.dimension != "temperature" else _kelvin(value)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
        if not step > 0.0:
            raise InputError(f"{path}: an uncertainty is above 0, got {value}")
        found[path] = step
    return found


def _kelvin(text: str) -> float:
    """A difference of temperatures: one degC of it is one K."""
    return float(split(text, "temperature")[0])
