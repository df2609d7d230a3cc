"""One point evaluated in this process: its records, or the record of why there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qtaml_hw.config import Point, Study
from qtaml_hw.config.axes import axes_shown
from qtaml_hw.errors import InputError
from qtaml_hw.records.store import Record, StoreError
from qtaml_hw.study.design.design import prepare, run_maps
from qtaml_hw.study.design.hardened import trained_files
from qtaml_hw.study.design.identity import DigestBook, identity_of
from qtaml_hw.study.design.subject import Workshop

FAILED_MAP = -1
Emit = Callable[[Record], None]


@dataclass(frozen=True, eq=False)
class Task:
    """A point that is not finished: its number in the sweep, its identity, and the records that are there already."""

    number: int
    point: Point
    identity: str
    done: dict[int, Record]


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


def evaluate(task: Task, workshop: Workshop, emit: Emit) -> list[Record]:
    """All records of a point; new ones go to ``emit`` as they are made.

    Any failure of the point becomes its record, so that the other points go on; StoreError alone is raised.
    """
    try:
        return list(run_maps(prepare(task.point, task.number, workshop), task.done, emit))
    except StoreError:
        raise
    except Exception as error:  # whatever goes wrong in one point is recorded, and must not cost the others
        record = failure(task, error)
        emit(record)
        return [record]


def identify(study: Study, book: DigestBook, workshop: Workshop) -> str:
    """The identity of a study's result; loads its network where the book does not know it.

    A network that cannot be loaded has no digest: its points fail, under the identity of the study alone.
    """
    digest = book.find(study)
    if digest is None:
        try:
            digest = workshop.subject(study).digest
        except ValueError:  # met again, and recorded, where the point is evaluated
            return study.identity()[:32]
        book.keep(study, digest, _files(study))
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
