"""A point on its way to its records: where it is evaluated, which fault maps it still needs, how it may fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from qtaml_hw.config import Point, Study, StudyError
from qtaml_hw.config.axes import axes_shown, axes_si
from qtaml_hw.config.sections.evaluate import MapsSection
from qtaml_hw.errors import InputError, in_one_line
from qtaml_hw.records.chips import share_changed
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import narrow_enough
from qtaml_hw.records.measure import measure_of
from qtaml_hw.records.record import FAILED_MAP, Record
from qtaml_hw.records.sequential import Looks

Emit = Callable[[Record], None]
Made = TypeVar("Made")
Stop = Callable[[Sequence[Record]], bool]
"""Whether maps drawn so far answer what is asked, before the stopping rule is met; a value that can be pickled."""


@dataclass(frozen=True)
class Workers:
    """Where points are evaluated: ``jobs`` processes of this machine, or a cluster (see ``study.run.cluster``)."""

    jobs: int = 1
    cluster: str | None = None


Of = Callable[[int, list[Record]], Made]
"""What is made of the records of a point, by its number in the sweep."""


@dataclass(eq=False)
class Results(Generic[Made]):
    """What is made of the records of every point that has them all.

    The records themselves are kept by those alone who want them: those of ten thousand points are half a gigabyte, and
    stand in the store already.
    """

    of: Of[Made]
    made: dict[int, Made] = field(default_factory=dict, init=False)

    def add(self, task: Task, records: list[Record]) -> None:
        """A point has all its records."""
        self.made[task.number] = self.of(task.number, records)

    def __len__(self) -> int:
        return len(self.made)


def as_they_are(_: int, records: list[Record]) -> list[Record]:
    """The records themselves."""
    return records


@dataclass(eq=False)
class MapSeries:
    """The fault maps 0, 1, 2 ... of a point until the interval over them is narrow enough: the one stopping rule.

    The rule sees a map only after all maps before it, so that a run that was interrupted, or spread over a cluster,
    ends with the records of a whole one.  ``done`` : records by map index; those behind a gap wait until it is filled.
    ``stop`` : ends it sooner.
    """

    rule: MapsSection
    done: dict[int, Record]
    stop: Stop | None = None
    records: list[Record] = field(default_factory=list, init=False)
    _accuracies: list[float] = field(default_factory=list, init=False, repr=False)
    _flips: int = field(default=0, init=False, repr=False)

    def next_map(self) -> int | None:
        """Index of the map that is needed next; None once ``records`` satisfy the rule."""
        rule = self.rule
        while not self._settled(rule):
            record = self.done.get(len(self.records))
            if record is None:
                return len(self.records)
            self.records.append(record)
            self._accuracies.append(float(record[F.score]))
            self._flips += sum(int(record.get(count, 1)) for count in (F.flips_raw, F.flips_parity))
        return None

    def _settled(self, rule: MapsSection) -> bool:
        changed = share_changed(self.records[0], self._flips) if self.records else 1.0
        width = measure_of(self.records[0]).halfwidth if self.records else None
        if narrow_enough(self._accuracies, rule.min, rule.max, rule.ci95_halfwidth, changed, width):
            return True
        return self.stop is not None and bool(self.records) and self.stop(self.records)


def settled(study: Study, done: dict[int, Record], stop: Stop | None = None) -> list[Record] | None:
    """The maps that satisfy the stopping rule; None while it takes more of them."""
    series = MapSeries(study.evaluate.maps, done, stop)
    return series.records if series.next_map() is None else None


@dataclass(frozen=True, eq=False)
class Task:
    """A point that is not finished: its number in the sweep, its identity, and the records that are there already.

    ``stop`` : what ends it sooner than the study's own rule.  ``looks`` : maps are judged on some of the test images.
    """

    number: int
    point: Point
    identity: str
    done: dict[int, Record] = field(default_factory=dict)
    stop: Stop | None = None
    looks: Looks | None = None

    def series(self) -> MapSeries:
        """The fault maps of the point, from those that are there."""
        return MapSeries(self.point.study.evaluate.maps, dict(self.done), self.stop)


def place(point: Point, number: int) -> dict[str, Any]:
    """Where a point stands in its sweep: fields of a record that are no part of its identity."""
    return {
        F.study: point.study.label,
        F.label: point.label,
        F.case: point.case,
        F.point: number,
        F.axes: axes_shown(point),
        F.axes_si: axes_si(point),
    }


def failure(task: Task, error: Exception) -> Record:
    """The record of a point that could not be evaluated; another run tries it again."""
    facts = place(task.point, task.number)
    return Record({F.identity: task.identity, F.map_index: FAILED_MAP, **facts, F.error: reason(error)})


def reason(error: Exception) -> str:
    """An error in one line; what a user can put right says so itself."""
    return str(error) if isinstance(error, InputError | StudyError) else in_one_line(error)
