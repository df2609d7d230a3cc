"""Where a value of a study was written: what only a network can tell of it is said there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from qtaml_hw.config.reading.beside import BUFFERS, Beside
from qtaml_hw.config.reading.document import locate
from qtaml_hw.config.reading.problems import Problem, StudyError
from qtaml_hw.config.study import Study


def problem_at(study: Study, path: str, message: str) -> Problem:
    """What is wrong with a value, at its place in the file; ``buffers.0.contents`` is one of the first buffer."""
    steps = path.split(".")
    if steps[0] == BUFFERS:
        place = Beside.of(study._document).at(*(int(step) if step.isdigit() else step for step in steps[1:]))
    else:
        place = dataclasses.replace(locate(study._layer, tuple(steps)), path=path)
    return dataclasses.replace(place, message=message, file=place.file or study.file)


@contextmanager
def said_at(study: Study, path: str) -> Iterator[None]:
    """Raises StudyError at the place of a value for a ValueError of the block, which has no place yet."""
    try:
        yield
    except StudyError:
        raise
    except ValueError as error:
        raise StudyError([problem_at(study, path, str(error))]) from error
