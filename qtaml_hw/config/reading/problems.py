"""What is wrong with a study, all of it at once: ``file:line:column path: message``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Problem:
    """One mistake and where it is. ``line`` and ``column`` start at 1; 0 where no text is involved (a script)."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        text = f"{place} {self.path}: {self.message}" if self.path else f"{place} {self.message}"
        return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)

    def in_file(self, name: str) -> Problem:
        """The same; a problem of a value that nobody wrote is one of the file as a whole."""
        return self if self.file else replace(self, file=name)

    def as_dict(self) -> dict[str, str | int]:
        """Plain values under the field names, for ``--json``."""
        return asdict(self)


MOST_PROBLEMS = 100


class StudyError(ValueError):
    """A study that cannot be used. ``errors`` holds every problem once, in file order; ``str()`` is a line for each.

    Behind the first 100 one says how many more there are.
    """

    def __init__(self, errors: Iterable[Problem]) -> None:
        found = sorted(set(errors), key=lambda one: (one.line, one.column, one.path, one.message))
        if len(found) > MOST_PROBLEMS + 1:
            more = f"and {len(found) - MOST_PROBLEMS} more problems like these"
            found = [*found[:MOST_PROBLEMS], Problem(found[0].file, 0, 0, "", more)]
        self.errors = tuple(found)
        super().__init__("\n".join(str(problem) for problem in self.errors))

    def __reduce__(self) -> tuple[type[StudyError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.errors,)
