"""What all commands share: their options, where data and messages go, and what they end with."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from qtaml_hw import units
from qtaml_hw._collection import without_collection

if TYPE_CHECKING:  # loaded by the command that needs it: --help checks no study
    from rich.console import RenderableType

    from qtaml_hw.config import Study
    from qtaml_hw.records.summary import PointSummary

EXIT_FAULT, EXIT_BAD_INPUT, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 1, 2, 3, 130
ALLOWED: Final[ContextVar[tuple[str, ...]]] = ContextVar("packages that the user allows for one command", default=())
Commands = Mapping[str, Callable[..., None]]
"""Commands by the name that a user types."""

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="study file (YAML)", show_default=False)]
FilesArgument = Annotated[list[Path], typer.Argument(metavar="FILE...", help="study files (YAML)", show_default=False)]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="override a value, e.g. --set cell.t_ox=1.7nm",
        default_factory=list,
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON instead of tables")]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="folder for records and report [default: runs/<study>]")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="no progress on stderr")]
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="a store made by run or sweep")]
FoldersArgument = Annotated[list[Path], typer.Argument(metavar="DIR...", help="stores made by run or sweep")]


def load(file: Path, overrides: list[str]) -> Study:
    """The study of a file, with the code allowed that the user allows before the command."""
    with without_collection():
        from qtaml_hw.config import load_study

        study = load_study(file, overrides, allow_code=ALLOWED.get())
    gc.freeze()  # what is loaded by now stays until the command ends
    return study


def fraction(text: str) -> float:
    """An option's value that is a share, such as 95%."""
    try:
        return units.parse(text, "fraction")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def listed(text: str) -> list[str]:
    """The names of an option that takes several, separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers(option: str, texts: Sequence[str]) -> list[float]:
    """The numbers of an option that takes several, repeated or separated by commas."""
    found = []
    for text in (part for given in texts for part in listed(given)):
        try:
            found.append(float(text))
        except ValueError as error:
            raise typer.BadParameter(f"{text!r} is no number, as in {option} 0.01", param_hint=option) from error
    return found


def answer(values: Mapping[str, Any], as_json: bool, table: Callable[[], RenderableType]) -> None:
    """An answer on stdout: as JSON, or as the table that is made of it."""
    if as_json:
        print_json(dict(values))
        return
    from qtaml_hw.report.console import show

    show(table())


def answer_lines(values: Mapping[str, Any], as_json: bool, lines: Iterable[str]) -> None:
    """An answer on stdout: as JSON, or in lines of text."""
    if as_json:
        print_json(dict(values))
        return
    for line in lines:
        typer.echo(line)


def warn(warnings: Iterable[str]) -> None:
    """Warnings on stderr, one a line."""
    for warning in warnings:
        say(f"warning: {warning}")


def warn_of(summaries: Sequence[PointSummary]) -> None:
    """What points warn of, each once, with the points that it touches."""
    from qtaml_hw.records.summary import warnings_of
    from qtaml_hw.records.text import touching

    done = [s for s in summaries if s.error is None]
    warn(touching(text, labels, len(done)) for text, labels in warnings_of(done).items())


def print_json(value: Any) -> None:
    """Data, on stdout."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def say(text: str) -> None:
    """A message, on stderr."""
    typer.echo(text, err=True)


def default_folder(name: str) -> Path:
    """runs/<study>, with what a file system might not like replaced."""
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-") or "study"
    return Path("runs") / safe.encode()[:80].decode(errors="ignore")


def command_line() -> str:
    """What the user typed, for the report."""
    import shlex

    return "qtaml-hw " + shlex.join(sys.argv[1:])
