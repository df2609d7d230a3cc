"""One point evaluated in this process: its records, or the record of why there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from qtaml_hw.config import Point, Study
from qtaml_hw.config.outside import functions
from qtaml_hw.errors import StoreError
from qtaml_hw.records.fields import F
from qtaml_hw.records.record import Record
from qtaml_hw.records.sequential import Looks
from qtaml_hw.study.design.design import Begun, DesignPoint, prepare
from qtaml_hw.study.design.looking import looked
from qtaml_hw.study.design.networks.hardened import trained_files
from qtaml_hw.study.design.networks.identity import Digests, Stamps, identity_of, stamps
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.design.networks.outside import outside_files
from qtaml_hw.study.run.task import Emit, Task, failure, place

Draw = Callable[[int], Record]
"""The record of a fault map, by its index."""


IN_FLIGHT_BYTES: Final = 1 << 28  # of outputs that wait on a GPU


@dataclass(frozen=True, eq=False)
class PreparedPoint:
    """A point's design, ready for any fault map, and what its records share: where in a sweep they belong, the design.

    ``ahead`` : whether maps that are needed for certain are begun before the one that is asked for is waited for.
    ``looks`` : maps are judged on some of the test images, one map at a time.
    """

    design: DesignPoint
    facts: Mapping[str, Any]
    ahead: bool = False
    looks: Looks | None = None
    _begun: dict[int, Begun] = field(default_factory=dict, init=False, repr=False)

    def record(self, map_index: int) -> Record:
        """Evaluate one fault map; checked before it is returned."""
        if self.looks is not None:
            return self._mine(looked(self.design, map_index, self.looks))
        certain = self.design.study.evaluate.maps.min if self.ahead else 0
        for index in range(map_index, max(certain, map_index + 1)):
            if index > map_index and sum(begun.bytes for begun in self._begun.values()) >= IN_FLIGHT_BYTES:
                break
            if index not in self._begun:
                self._begun[index] = self.design.begin(index)
        return self._mine(self.design.finish(self._begun.pop(map_index)))

    def _mine(self, of_design: Record) -> Record:
        return Record.of_map(self.facts, of_design.own)


def prepare_point(point: Point, number: int, networks: Networks, looks: Looks | None = None) -> PreparedPoint:
    """The design of a point, and where it stands in its sweep; ``looks`` : how its maps are judged.

    Raises InputError (a ValueError with a reason a user can act on).
    """
    design = prepare(point.study, networks)
    named = {} if looks is None else {F.identity: looks.name(design.identity)}
    facts = Record(place(point, number), design.facts, named).own
    return PreparedPoint(design, facts, design.network.device.type != "cpu", looks)


def evaluate(task: Task, networks: Networks, emit: Emit) -> list[Record]:
    """All records of a point, made in this process; new ones go to ``emit`` as they are made (see ``recorded``)."""
    return recorded(task, lambda: prepare_point(task.point, task.number, networks, task.looks).record, emit)


def recorded(task: Task, begin: Callable[[], Draw], emit: Emit) -> list[Record]:
    """All records of a point whose maps are drawn, one after another, by what ``begin`` gives.

    Any failure of the point becomes its record, so that the other points go on; StoreError alone is raised.
    """
    try:
        draw, series = begin(), task.series()
        while (index := series.next_map()) is not None:
            series.done[index] = draw(index)
            emit(series.done[index])
        return series.records
    except StoreError:
        raise
    except Exception as error:  # whatever goes wrong in one point is recorded, and must not cost the others
        record = failure(task, error)
        emit(record)
        return [record]


def identify(study: Study, digests: Digests, networks: Networks) -> str:
    """The identity of a study's result; loads its network where nothing trustworthy is known of it.

    A network that cannot be loaded has no digest: its points fail, under the identity of the study alone.
    """
    digest = digests.find(study)
    if digest is None:
        try:
            own = stamps(outside_files(study).values())
            digest = networks.load(study).network.digest
            known = _known(study, own)
        except Exception:  # whatever it is, it is met again, and recorded, where the point is evaluated
            return study.identity()[:32]
        digests.keep(study, digest, known)
    return identity_of(study, digest)


def _known(study: Study, own: Stamps) -> Stamps | None:
    """All files that a study's network and data are read from; None for a user's own code, which can be anything."""
    if any(functions(study)):
        return None
    trained = trained_files(study)
    if study.network.name is not None and not trained:
        return None  # a cache that cannot be written: the network is trained again each time
    return own | stamps(trained)
