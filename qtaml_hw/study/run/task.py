"""One point evaluated in this process: its records, or the record of why there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from qtaml_hw.config import Point, Study
from qtaml_hw.config.axes import axes_shown, axes_si
from qtaml_hw.errors import InputError, StoreError
from qtaml_hw.records.interval import narrow_enough
from qtaml_hw.records.store import Record
from qtaml_hw.study.design.design import DesignPoint, prepare
from qtaml_hw.study.design.hardened import trained_files
from qtaml_hw.study.design.identity import Digests, identity_of
from qtaml_hw.study.design.networks import Networks

FAILED_MAP = -1
Emit = Callable[[Record], None]


@dataclass(frozen=True, eq=False)
class Task:
    """A point that is not finished: its number in the sweep, its identity, and the records that are there already."""

    number: int
    point: Point
    identity: str
    done: dict[int, Record]


@dataclass(frozen=True, eq=False)
class PreparedPoint:
    """A point's design, ready for any fault map, and where in a sweep its records belong."""

    design: DesignPoint
    place: Record

    def record(self, map_index: int) -> Record:
        """Evaluate one fault map; checked before it is returned."""
        return {**self.place, **self.design.record(map_index)}


def prepare_point(point: Point, number: int, networks: Networks) -> PreparedPoint:
    """The design of a point, and its label, number and axes.

    Raises InputError (a ValueError with a reason a user can act on).
    """
    place = {"label": point.label, "point": number, "axes": axes_shown(point), "axes_si": axes_si(point)}
    return PreparedPoint(prepare(point.study, networks), place)


def run_maps(point: PreparedPoint, done: dict[int, Record], emit: Emit) -> Iterator[Record]:
    """Records of a point in map order, finished ones reused, until the interval over maps is narrow enough.

    The stopping rule sees maps 0, 1, 2 ... in order, so an interrupted run and a whole one end with the same records.
    """
    maps = point.design.study.evaluate.maps
    accuracies: list[float] = []
    while not narrow_enough(accuracies, maps.min, maps.max, maps.ci95_halfwidth):
        index = len(accuracies)
        record = done.get(index)
        if record is None:
            record = point.record(index)
            emit(record)
        accuracies.append(float(record["accuracy"]))
        yield record


def failure(task: Task, error: Exception) -> Record:
    """The record of a point that could not be evaluated; another run tries it again."""
    return {
        "identity": task.identity,
        "map_index": FAILED_MAP,
        "study": task.point.study.label,
        "label": task.point.label,
        "point": task.number,
        "axes": axes_shown(task.point),
        "error": reason(error),
    }


def reason(error: Exception) -> str:
    """An error in one line; what a user can put right says so itself."""
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def evaluate(task: Task, networks: Networks, emit: Emit) -> list[Record]:
    """All records of a point; new ones go to ``emit`` as they are made.

    Any failure of the point becomes its record, so that the other points go on; StoreError alone is raised.
    """
    try:
        return list(run_maps(prepare_point(task.point, task.number, networks), task.done, emit))
    except StoreError:
        raise
    except Exception as error:  # whatever goes wrong in one point is recorded, and must not cost the others
        record = failure(task, error)
        emit(record)
        return [record]


def identify(study: Study, digests: Digests, networks: Networks) -> str:
    """The identity of a study's result; loads its network where the digests does not know it.

    A network that cannot be loaded has no digest: its points fail, under the identity of the study alone.
    """
    digest = digests.find(study)
    if digest is None:
        try:
            digest = networks.load(study).digest
        except ValueError:  # met again, and recorded, where the point is evaluated
            return study.identity()[:32]
        digests.keep(study, digest, _files(study))
    return identity_of(study, digest)


def _files(study: Study) -> list[Path] | None:
    """Every file that a study's network and data are read from; None for a user's own code, which can be anything."""
    network, data = study.network, study.data
    if network.factory is not None or data.factory is not None:
        return None
    trained = trained_files(study)
    if not trained:
        return None  # a cache that cannot be written: the network is trained again each time
    given = [] if data.idx is None else data.idx.model_dump(exclude_none=True).values()
    own = [] if data.npz is None else [data.npz.path]
    return [*trained, *(study.folder.absolute() / path for path in [*given, *own])]
