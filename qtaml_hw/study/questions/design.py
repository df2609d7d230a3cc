"""The cheapest design that is good enough: a whole space priced in closed form, measured only where the front lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from qtaml_hw.config import Point, Study, takes_study
from qtaml_hw.config.designs import design_space
from qtaml_hw.config.reading.document import written
from qtaml_hw.config.written import study_text
from qtaml_hw.errors import InputError, unknown
from qtaml_hw.progress import Progress, silent
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import share_interval
from qtaml_hw.records.record import Record
from qtaml_hw.records.results import Answer
from qtaml_hw.records.sequential import images_judged, whole_identity
from qtaml_hw.study.design.looking import check_looks
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.design.screened import Screening
from qtaml_hw.study.questions.candidates import COSTS, Candidates, candidates
from qtaml_hw.study.questions.criterion import Criterion
from qtaml_hw.study.questions.decision_words import sentence
from qtaml_hw.study.questions.early import EARLY, Early
from qtaml_hw.study.questions.settle import Designs, Settling, settle
from qtaml_hw.study.run.session import Session, session

_AHEAD: Final = 2  # designs at a time for every worker: some are refuted after a few maps
_FACTS: Final = (F.area_m2, F.area_low_m2, F.area_high_m2, F.energy_per_inference_j, F.energy_low_j, F.energy_high_j)


@dataclass(frozen=True, eq=False)
class Decision(Answer):
    """The ``answer`` (None: no design is good enough), the ``front`` it is on, and what stands on what.

    ``answer`` : the design of the front with the least product of what is minimised.  ``nearest`` : the best that was
    measured, where there is no answer.  ``bound`` : the cheapest with error-free planes in place of codes, which nobody
    can build.  ``screened`` : designs priced in closed form, ``measured`` : those of them that maps were drawn for.
    """

    answer: dict[str, Any] | None
    front: tuple[dict[str, Any], ...]
    bound: dict[str, Any] | None
    nearest: dict[str, Any] | None
    criterion: Criterion
    minimise: tuple[str, ...]
    counts: dict[str, Any]
    others: tuple[dict[str, Any], ...]
    studies: tuple[Study, ...] = field(repr=False)

    @property
    def sentence(self) -> str:
        """The decision in words."""
        return str(self.as_dict()["sentence"])

    def study(self, number: int = 1) -> Study:
        """The full study of a design of the front, numbered from 1.

        Raises InputError for a number that is none.
        """
        if not 1 <= number <= len(self.studies):
            raise InputError(f"the front has {len(self.studies)} designs; there is no number {number}")
        return self.studies[number - 1]

    def text(self, number: int = 1) -> str:
        """The same as a study file, for the folder that the study came from."""
        return study_text(self.study(number))

    def as_dict(self) -> dict[str, Any]:
        """sentence, answer{label, score_mean, .., set}, front[..], measured_designs[..], bound, nearest, counts, .."""
        found = {
            "answer": self.answer,
            "front": list(self.front),
            "measured_designs": list(self.others),
            "bound": self.bound,
            "nearest": self.nearest,
            "minimise": list(self.minimise),
            **self.criterion.as_dict(),
            **self.counts,
        }
        return {"sentence": sentence(found), **found}


@takes_study
def design(
    study: Study,
    keep: float = 0.95,
    *,
    wanted: float | None = None,
    minimise: Sequence[str] = ("area", "energy"),
    over: Sequence[str] = (),
    jobs: int = 1,
    store: str | Path | None = None,
    progress: Progress = silent,
) -> Decision:
    """The cheapest buildable design of a study's space that keeps a share ``keep`` of the clean score, and its front.

    ``wanted`` : the share of chips that must keep it; without one the mean of all chips does (see ``Criterion``).
    ``over`` : axes, of the study's ``space`` section or with their usual values; without any the section, or what a
    designer of the memory decides.  ``jobs`` : worker processes, with a ``store``; a search that was stopped goes on
    from there.  A verdict stands on ``evaluate.maps.max`` chips where the study states it, and on enough; where
    ``evaluate.verdicts`` is early, on as few images as tell it, with 2.5 % of error at every stop (``Early``).

    Raises InputError for shares or objectives that cannot be; StudyError for axes that are none, and early verdicts of
    a metric that counts no images.
    """
    objectives = _objectives(minimise)
    stated = study.provenance["evaluate.maps.max"].kind != "default"
    asked, early = study.evaluate.maps.max if stated else None, study.evaluate.verdicts == "early"
    whole = Criterion.of(keep, wanted, asked)
    criterion = Early.of(keep, wanted, asked) if early else whole
    fixed = study.with_({"evaluate.maps": {"min": criterion.maps, "max": criterion.maps}})
    spaces = [design_space(fixed, over, bound=bound) for bound in (False, True)]
    networks = Networks(progress)
    screening = Screening(networks)
    folder = None if store is None else Path(store)
    if early:
        check_looks(fixed, networks)
        folder = folder and folder / EARLY  # beside records of whole maps, which reports are made of
    with session(folder, networks, jobs, progress) as measuring:
        found, bound = (
            _Search(candidates(space, screening, progress, bound=ideal), objectives, criterion, measuring, progress)
            for space, ideal in zip(spaces, (False, True), strict=True)
        )
        found.run(found.all.designs(objectives), jobs)
        bound.run(_product(bound.all.designs(objectives)), jobs)
    return found.decision(bound.cheapest, whole.maps)


def _objectives(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in COSTS:
            raise InputError(unknown("cost", name, COSTS))
    if not names or len(set(names)) < len(names):
        raise InputError(f"minimise one or more of {', '.join(COSTS)}, each once")
    return tuple(names)


def _product(designs: Designs) -> Designs:
    """The same designs, judged by the product of their costs alone."""
    return Designs(np.prod(designs.costs, axis=1, keepdims=True), designs.harm, designs.kin, designs.family)


@dataclass(eq=False)
class _Search:
    """A space on its way to its front."""

    all: Candidates
    minimise: tuple[str, ...]
    criterion: Criterion
    measuring: Session
    progress: Progress
    records: dict[int, list[Record]] = field(default_factory=dict)
    settled: Settling = field(init=False)

    def run(self, designs: Designs, jobs: int) -> None:
        """Measure until the front is settled."""
        self.settled = settle(designs, self._judge, 1 if self.measuring.pool is None else _AHEAD * jobs, self._heard)

    def _judge(self, asked: Sequence[int]) -> list[bool | None]:
        points = [self.all.points[one] for one in asked]
        found = self.measuring.measure(points, self.criterion, self.criterion.looks)
        self.records |= dict(zip(asked, found, strict=True))
        return [None if F.error in records[0] else self.criterion.is_good(records) for records in found]

    def _heard(self, settled: Settling) -> None:
        total, left = len(self.all.points), settled.left
        what = f"{len(self.records)} measured, {len(settled.good)} good enough, {left} of {total} open"
        self.progress(total - left, total, what)

    @property
    def cheapest(self) -> dict[str, Any] | None:
        """The row of the good design with the least product of costs."""
        return None if not self.settled.good else self._row(min(self.settled.good, key=self._product))

    def _product(self, one: int) -> float:
        known = self.all.known[one].facts
        return float(np.prod([float(known[COSTS[name]]) for name in self.minimise]))

    def _row(self, one: int) -> dict[str, Any]:
        """A measured design: what a record says where there is one, for costs of corrections chosen layer by layer."""
        point, known, first = self.all.points[one], self.all.known[one], self.records[one][0]
        return {
            "label": point.label,
            **self.criterion.figures(self.records[one]),
            **{name: first.get(name, known.facts.get(name)) for name in (*_FACTS, F.stored_bits_per_weight)},
            **{name: known.facts[name] for name in (F.p01, F.p10)},
            F.predicted_distortion: known.distortion,
            "identity": whole_identity(first[F.identity]),
            "set": [f"{path}={written(value)}" for path, value in point.values.items()],
        }

    def decision(self, bound: Mapping[str, Any] | None, maps: int) -> Decision:
        """What was found, beside the bound; ``maps`` : of a design that is measured whole."""
        front, bad = self.settled.front, [one for one in self.settled.bad if self.records[one]]
        rows = [self._row(one) for one in front]
        best = min(range(len(front)), key=lambda i: self._product(front[i]), default=None)
        answer = None if best is None else {**rows[best], "number": best + 1, "binds": self._binds(front[best], bad)}
        near = max(bad, key=lambda one: self.criterion.figures(self.records[one])["margin"], default=None)
        others = [one for one in (*self.settled.good, *bad) if one not in front]
        return Decision(
            answer=answer,
            front=tuple(rows),
            bound=None if bound is None else dict(bound),
            nearest=None if answer is not None or near is None else self._row(near),
            criterion=self.criterion,
            minimise=self.minimise,
            counts={**self._counts(), **self._images(maps)},
            others=tuple({**self._row(one), "good": one in self.settled.good} for one in others),
            studies=tuple(self.all.points[one].study for one in front),
        )

    def _counts(self) -> dict[str, Any]:
        """What was looked at, and how sure what was not measured is."""
        settled = self.settled
        wrong, audited = len(settled.misjudged), len(settled.audited)
        return {
            "screened": self.all.screened,
            "alike": self.all.alike,
            "refused": dict(self.all.refused),
            "measured": len(self.records),
            "maps_drawn": sum(len(records) for records in self.records.values()),
            "failed": [f"{self.all.points[i].label}: {self.records[i][0][F.error]}" for i in settled.failed],
            "ruled_out": {
                "beaten": int(settled.beaten.sum()),
                "kin": int(settled.hopeless.sum()),
                "predicted": int(settled.unlikely.sum()),
            },
            "audited": audited,
            "misjudged": wrong,
            "misjudged_ci95_high": share_interval(wrong, audited)[1] if audited else None,
        }

    def _images(self, maps: int) -> dict[str, int]:
        """Image evaluations that the verdicts took, and those of so many whole maps of every design measured."""
        told = [records for records in self.records.values() if F.error not in records[0]]
        of = sum(int(records[0][F.images]) * len(records[0][F.score_series]) for records in told)
        return {"image_evaluations": sum(map(images_judged, told)), "image_evaluations_of": maps * of}

    def _binds(self, answer: int, bad: Sequence[int]) -> dict[str, Any] | None:
        """The cheaper design nearest to the answer that is not good enough: fewest axes away, then least harm."""
        cheaper = [one for one in bad if self._product(one) < self._product(answer)]
        if not cheaper:
            return None
        mine = _axes(self.all.points[answer])
        apart = {one: _apart(mine, _axes(self.all.points[one])) for one in cheaper}
        harm = {one: self.all.known[one].distortion or 0.0 for one in cheaper}
        near = min(cheaper, key=lambda one: (len(apart[one]), harm[one]))
        figures = self.criterion.figures(self.records[near])
        changes = {path: _axes(self.all.points[near]).get(path) for path in apart[near]}
        names = ("score_mean", "score_ci95_low", "score_ci95_high", "maps", "yield")
        return {"changes": changes, "label": self.all.points[near].label, **{name: figures[name] for name in names}}


def _axes(point: Point) -> dict[str, str]:
    """Values by axis, those of the protection as one."""
    guard = ", ".join(written(value) for path, value in point.values.items() if path.startswith("protection."))
    others = {path: written(value) for path, value in point.values.items() if not path.startswith("protection.")}
    return {**others, **({"protection": guard} if guard else {})}


def _apart(mine: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    return [path for path in {**mine, **other} if mine.get(path) != other.get(path)]
