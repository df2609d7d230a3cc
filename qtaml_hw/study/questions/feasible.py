"""How far a design may go: thinnest oxide, longest refresh, smallest area that still keep enough chips good enough.

Bisection over paired fault maps: every trial is judged on the same chips, whose weak cells are nested over the flip
probability, so that a chip that fails keeps failing further on and the search has one edge to find.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from qtaml_hw.config import Point, Study, StudyError, takes_study
from qtaml_hw.config.reading.fields import value_at
from qtaml_hw.errors import InputError
from qtaml_hw.progress import Progress, silent
from qtaml_hw.records.chips import Yield
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import fewest_to_show
from qtaml_hw.records.measure import measure_named
from qtaml_hw.records.results import Answer
from qtaml_hw.records.summary import PointSummary, summarise
from qtaml_hw.study.design.cells.by_plane import one_cell
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.run.engine import run_points
from qtaml_hw.units import in_si, show

Goal = Literal["t_ox", "refresh", "area"]
GOALS: Final[tuple[Goal, ...]] = ("t_ox", "refresh", "area")


@dataclass(frozen=True)
class Lever:
    """A value to push: its path, its range in SI from the gentle to the harsh end, and when to stop."""

    what: str
    path: str
    dimension: str
    gentle: float
    harsh: float
    resolution: float  # relative in value, or absolute where the scale is linear
    log: bool

    def between(self, a: float, b: float) -> float:
        """The middle of two values on the lever's scale."""
        return math.sqrt(a * b) if self.log else 0.5 * (a + b)

    def close(self, a: float, b: float) -> bool:
        """Whether two values are one as far as the lever cares."""
        return abs(math.log(a / b)) <= self.resolution if self.log else abs(a - b) <= self.resolution


@dataclass(frozen=True)
class Target:
    """A chip is good when it keeps a share ``keep`` of the clean accuracy, a design when ``wanted`` of all chips are.

    What is known of all chips is the lower end of the 95 % interval of their share, from the ``maps`` chips drawn.
    """

    keep: float
    wanted: float
    maps: int


@dataclass(frozen=True, eq=False)
class Feasibility(Answer):
    """One row per goal; ``feasible`` is None, with its ``reason``, for a goal that the study cannot push."""

    target: Target
    rows: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """keep, yield, maps, rows[{goal, feasible, reason | what, shown, value_si, yield, yield_ci95, area_m2, ..}]."""
        target = self.target
        return {"keep": target.keep, "yield": target.wanted, "maps": target.maps, "rows": list(self.rows)}


@takes_study
def feasible(
    study: Study,
    goals: Sequence[str] = GOALS,
    *,
    keep: float = 0.95,
    wanted: float = 0.90,
    maps: int = 40,
    progress: Progress = silent,
) -> Feasibility:
    """How far each of the ``goals`` (t_ox, refresh, area) may be pushed while enough chips stay good enough.

    Raises InputError for an unknown goal, shares outside (0, 1] or fewer than two maps.
    """
    asked = _goals(goals)
    for name, share in (("keep", keep), ("yield", wanted)):
        if not 0.0 < share <= 1.0:
            raise InputError(f"{name} {100 * share:g}% is no share: above 0 %, at most 100 %")
    if maps < 2:
        raise InputError(f"{maps} fault maps tell nothing about a yield; take at least 2")
    target, networks = Target(keep, wanted, maps), Networks(progress)
    fixed = study.with_({"evaluate.maps": {"min": maps, "max": maps}})
    rows = []
    for number, goal in enumerate(asked):
        progress(number, len(asked), goal)
        reason = _no_lever(fixed, goal) or _too_few(target)
        rows.append(
            {"goal": goal, "feasible": None, "reason": reason} if reason else _push(fixed, goal, target, networks)
        )
    return Feasibility(target, tuple(rows))


def _goals(names: Sequence[str]) -> tuple[Goal, ...]:
    """Goals by name, in their own order; all of them when none is named."""
    asked = [name.strip() for name in names if name.strip()]
    for name in asked:
        if name not in GOALS:
            raise InputError(f"{name[:40]!r} is no goal; allowed: {', '.join(GOALS)}")
    return tuple(goal for goal in GOALS if goal in asked) or GOALS


def _no_lever(study: Study, goal: Goal) -> str | None:
    """Why a goal cannot be asked of this study."""
    if goal in ("t_ox", "refresh"):
        one_cell(study, f"the goal {goal}")
    if goal in ("t_ox", "refresh") and study.flips.law == "fixed":
        return "flips.law is fixed: neither oxide nor refresh decides the flips"
    if goal == "t_ox" and study.flips.law in ("curve", "voltage"):
        return f"flips.law is {study.flips.law}: the flips are as measured, whatever the oxide"
    if goal == "refresh" and isinstance(study.refresh.interval_s, tuple):
        return "every row class has an interval of its own: give one refresh.interval to push it"
    if goal == "refresh" and study.refresh.interval_s is None:
        return "the study refreshes nothing: refresh.interval is off"
    if goal == "refresh" and study.flips.law == "poisson":
        return "flips.law is poisson: a refresh keeps the flips it reads, whatever its interval"
    if goal == "area" and (not study.protection.row.spends or study.protection.planes is not None):
        return "area is pushed through the budget of protected bits: give a policy with a budget"
    if goal == "area" and set(study.protection.menu) == {"ideal"}:
        return "ideal protection takes no area: give a menu of codes that can be built"
    return None


def _too_few(target: Target) -> str | None:
    """Why no design can be shown to be good on so few chips."""
    wanted, fewest = f"a yield of {100 * target.wanted:g} %", fewest_to_show(target.wanted)
    if fewest is None:
        return f"no number of fault maps can show {wanted}"
    return f"{target.maps} fault maps cannot show {wanted}: take at least {fewest}" if target.maps < fewest else None


def _lever(study: Study, goal: Goal) -> Lever:
    if goal == "t_ox":
        now = float(study.cell.t_ox_m)
        return Lever("thinnest oxide", "cell.t_ox", "length", max(2.0 * now, 3e-9), 0.5e-9, 0.01e-9, False)
    if goal == "refresh":
        last = study.evaluate.at_s[-1]
        now = float(value_at(study, "refresh.interval"))
        return Lever("longest refresh interval", "refresh.interval", "time", min(now, last) / 30, last, 0.03, True)
    return Lever("smallest area", "protection.budget", "fraction", 1.0, 0.0, 0.005, False)


def _push(study: Study, goal: Goal, target: Target, networks: Networks) -> dict[str, Any]:
    """Bisection between the gentle end, which must do, and the harsh end."""
    lever, trials, progress = _lever(study, goal), list[dict[str, Any]](), networks.progress or silent

    def judge(value: float) -> bool:
        trials.append(_trial(study, lever, value, target, networks))
        progress(len(trials), 0, f"{lever.what}: {trials[-1]['shown']}")
        return bool(trials[-1]["good"])

    edges = bisect(judge, lever)
    row: dict[str, Any] = {"goal": goal, "what": lever.what, "path": lever.path, "trials": len(trials)}
    if edges is None:
        worst, title = trials[0], measure_named(study.evaluate.metric).title.lower()
        why = worst.get("error") or (
            f"{round(worst['yield'] * worst['maps'])} of {worst['maps']} chips keep {target.keep:.3g} of the clean "
            f"{title} at {lever.path} = {worst['shown']}: with 95 % confidence at least "
            f"{worst['yield_ci95'][0]:.0%} of all chips do, {target.wanted:.0%} are asked for"
        )
        return {**row, "feasible": False, "reason": why}
    best, edge = edges
    at = {trial["value_si"]: trial for trial in trials}
    refused = None if edge is None else at[edge]["shown"]
    return {**row, "feasible": True, **{k: v for k, v in at[best].items() if k != "good"}, "first_refused": refused}


def bisect(judge: Callable[[float], bool], lever: Lever) -> tuple[float, float | None] | None:
    """(the harshest value that does, the gentlest that does not): None when even the gentle end does not do."""
    if not judge(lever.gentle):
        return None
    if judge(lever.harsh):
        return lever.harsh, None
    good, bad = lever.gentle, lever.harsh
    while not lever.close(good, bad):
        middle = lever.between(good, bad)
        good, bad = (middle, bad) if judge(middle) else (good, middle)
    return good, bad


def _trial(study: Study, lever: Lever, value: float, target: Target, networks: Networks) -> dict[str, Any]:
    """One value judged on the target's chips; a value that cannot be built is not good, and says why."""
    written = in_si(value, lever.dimension)
    trial: dict[str, Any] = {"value_si": value, "shown": show(value, lever.dimension, 4), "good": False}
    change: Any = {"bits": written} if lever.path == "protection.budget" else written
    try:
        moved = study.with_({lever.path: change})
    except StudyError as error:
        return {**trial, "error": error.errors[0].message}
    point = Point(trial["shown"], {lever.path: written}, moved)
    (summary,) = summarise(run_points([point], None, networks=networks)[0])
    if summary.error is not None:
        return {**trial, "error": summary.error}
    return {**trial, **_figures(summary, target)}


def _figures(summary: PointSummary, target: Target) -> dict[str, Any]:
    chips = Yield.of(summary.accuracies, target.keep, float(summary.facts[F.clean_score]))
    names = (F.area_m2, F.energy_per_inference_j, F.protected_bits_fraction, F.parity_bits_fraction, F.p10, F.p01)
    return {
        "good": chips.ci95[0] >= target.wanted,
        "yield": chips.chips,
        "yield_ci95": list(chips.ci95),
        "accuracy_mean": summary.accuracy.mean,
        "maps": chips.maps,
        **{name: summary.facts[name] for name in names},
    }
