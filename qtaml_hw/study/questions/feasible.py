"""How far a design may go: thinnest oxide, longest refresh, smallest area that still keep enough chips good enough.

Bisection over paired fault maps: every trial is judged on the same chips, whose weak cells are nested over the flip
probability, so that a chip that fails keeps failing further on and the search has one edge to find.  A trial ends when
the chips that remain cannot make it good.  Where verdicts are told early, the value that is answered is measured whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from qtaml_hw.config import Point, Study, StudyError, takes_study
from qtaml_hw.config.reading.fields import value_at
from qtaml_hw.errors import InputError
from qtaml_hw.progress import Progress, silent
from qtaml_hw.records.fields import F
from qtaml_hw.records.measure import measure_named
from qtaml_hw.records.record import Record
from qtaml_hw.records.results import Answer
from qtaml_hw.records.sequential import images_judged
from qtaml_hw.records.summary import summarise
from qtaml_hw.study.design.cells.by_plane import one_cell
from qtaml_hw.study.design.looking import check_looks
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.questions.criterion import Criterion
from qtaml_hw.study.questions.early import Early
from qtaml_hw.study.run.session import Session, session
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


@dataclass(frozen=True, eq=False)
class Feasibility(Answer):
    """One row per goal; ``feasible`` is None, with its ``reason``, for a goal that the study cannot push."""

    told: Criterion
    rows: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """keep, yield, maps, early, rows[{goal, feasible, reason | what, shown, value_si, yield, area_m2, ..}]."""
        return {**self.told.as_dict(), "rows": list(self.rows)}


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

    A chip is good when it keeps a share ``keep`` of the clean accuracy, a design when ``wanted`` of all chips are, by
    the lower end of the exact interval of their share from ``maps`` chips.  Where ``evaluate.verdicts`` is early,
    chips on the way are judged on as many images as tell them (``Early``); what is answered stands on all of them.

    Raises InputError for an unknown goal, shares outside (0, 1] or fewer than two maps; StudyError for early verdicts
    of a metric that counts no images.
    """
    asked = _goals(goals)
    for name, share in (("keep", keep), ("yield", wanted)):
        if not 0.0 < share <= 1.0:
            raise InputError(f"{name} {100 * share:g}% is no share: above 0 %, at most 100 %")
    if maps < 2:
        raise InputError(f"{maps} fault maps tell nothing about a yield; take at least 2")
    networks, whole = Networks(progress), Criterion(keep, wanted, maps, at_end=True)
    early = study.evaluate.verdicts == "early"
    told = Early(keep, wanted, maps, at_end=True) if early else whole
    fixed = study.with_({"evaluate.maps": {"min": maps, "max": maps}})
    if early:
        check_looks(fixed, networks)
    rows = []
    with session(None, networks) as measuring:
        for number, goal in enumerate(asked):
            progress(number, len(asked), goal)
            reason = _no_lever(fixed, goal) or _too_few(told)
            if reason:
                rows.append({"goal": goal, "feasible": None, "reason": reason})
            else:
                rows.append(_push(goal, Trials(fixed, _lever(fixed, goal), whole, told, measuring, progress)))
    return Feasibility(told, tuple(rows))


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


def _too_few(told: Criterion) -> str | None:
    """Why no design can be shown to be good on so few chips."""
    wanted, fewest = f"a yield of {100 * (told.wanted or 0.0):g} %", told.fewest(told.keep, told.wanted)
    if fewest is None:
        return f"no number of fault maps can show {wanted}"
    return f"{told.maps} fault maps cannot show {wanted}: take at least {fewest}" if told.maps < fewest else None


def _lever(study: Study, goal: Goal) -> Lever:
    if goal == "t_ox":
        now = float(study.cell.t_ox_m)
        return Lever("thinnest oxide", "cell.t_ox", "length", max(2.0 * now, 3e-9), 0.5e-9, 0.01e-9, False)
    if goal == "refresh":
        last = study.evaluate.at_s[-1]
        now = float(value_at(study, "refresh.interval"))
        return Lever("longest refresh interval", "refresh.interval", "time", min(now, last) / 30, last, 0.03, True)
    return Lever("smallest area", "protection.budget", "fraction", 1.0, 0.0, 0.005, False)


@dataclass(eq=False)
class Trials:
    """Values of a lever as they are judged: ``told`` on the way, ``whole`` for what is answered."""

    study: Study
    lever: Lever
    whole: Criterion
    told: Criterion
    measuring: Session
    progress: Progress
    found: dict[float, dict[str, Any]] = field(default_factory=dict)
    images: int = 0
    images_of: int = 0

    def judge(self, value: float) -> bool:
        """Whether a value does; asked again, it says the same."""
        if value not in self.found:
            self.found[value] = self._trial(value, self.told)
            self.progress(len(self.found), 0, f"{self.lever.what}: {self.found[value]['shown']}")
        return bool(self.found[value]["good"])

    def edges(self) -> tuple[float, float | None] | None:
        """As ``bisect``, the first of them confirmed: where it is not, the search goes on from there."""
        found = bisect(self.judge, self.lever)
        while found is not None and not self.confirmed(found[0]):
            found = bisect(self.judge, self.lever)
        return found

    def confirmed(self, value: float) -> bool:
        """Whether a value that does is good by all maps and images too."""
        if self.told is not self.whole:
            self.found[value] = self._trial(value, self.whole)
        return bool(self.found[value]["good"])

    def _trial(self, value: float, by: Criterion) -> dict[str, Any]:
        """One value judged on its chips; a value that cannot be built is not good, and says why."""
        lever = self.lever
        written = in_si(value, lever.dimension)
        trial: dict[str, Any] = {"value_si": value, "shown": show(value, lever.dimension, 4), "good": False}
        change: Any = {"bits": written} if lever.path == "protection.budget" else written
        try:
            moved = self.study.with_({lever.path: change})
        except StudyError as error:
            return {**trial, "error": error.errors[0].message}
        point = Point(trial["shown"], {lever.path: written}, moved)
        (records,) = self.measuring.measure([point], by, by.looks)
        if F.error in records[0]:
            return {**trial, "error": records[0][F.error]}
        self.images += images_judged(records)
        self.images_of += (by is self.told) * by.maps * int(records[0][F.images]) * len(records[0][F.score_series])
        return {**trial, **_figures(records, by)}


def _push(goal: Goal, trials: Trials) -> dict[str, Any]:
    """Bisection between the gentle end, which must do, and the harsh end."""
    lever = trials.lever
    edges = trials.edges()
    row: dict[str, Any] = {"goal": goal, "what": lever.what, "path": lever.path, "trials": len(trials.found)}
    row |= {"image_evaluations": trials.images, "image_evaluations_of": trials.images_of}
    if edges is None:
        return {**row, "feasible": False, "reason": _why_not(trials)}
    best, edge = edges
    refused = None if edge is None else trials.found[edge]["shown"]
    kept = {name: value for name, value in trials.found[best].items() if name not in ("good", "at_chance")}
    return {**row, "feasible": True, **kept, "first_refused": refused}


def _why_not(trials: Trials) -> str:
    """Why not even the gentle end does."""
    lever, whole = trials.lever, trials.whole
    worst, title = trials.found[lever.gentle], measure_named(trials.study.evaluate.metric).title.lower()
    if worst.get("at_chance"):
        return f"the clean network is at chance: no share of its {title} is worth keeping"
    return worst.get("error") or (
        f"{round(worst['yield'] * worst['maps'])} of {worst['maps']} chips keep {whole.keep:.3g} of the clean "
        f"{title} at {lever.path} = {worst['shown']}: with 95 % confidence at least "
        f"{worst['yield_ci95'][0]:.0%} of all chips do, {whole.wanted:.0%} are asked for"
    )


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


def _figures(records: Sequence[Record], by: Criterion) -> dict[str, Any]:
    (summary,) = summarise(records)
    chips = by.figures(records)
    names = (F.area_m2, F.energy_per_inference_j, F.protected_bits_fraction, F.parity_bits_fraction, F.p10, F.p01)
    return {
        "good": by.is_good(records),
        "at_chance": bool(records[0].get(F.at_chance)),
        "yield": chips["yield"],
        "yield_ci95": [chips["yield_ci95_low"], chips["yield_ci95_high"]],
        "accuracy_mean": summary.accuracy.mean,
        "maps": len(records),
        **{name: summary.facts[name] for name in names},
    }
