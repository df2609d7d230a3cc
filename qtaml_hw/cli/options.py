"""What all commands share: their options, and where data and messages go."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="study file (YAML)", show_default=False)]
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


def print_json(value: Any) -> None:
    """Data, on stdout."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def say(text: str) -> None:
    """A message, on stderr."""
    typer.echo(text, err=True)


def default_folder(name: str) -> Path:
    """runs/<study>, with what a file system might not like replaced."""
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-") or "study"
    return Path("runs") / safe[:80]


def command_line() -> str:
    """What the user typed, for the report."""
    import shlex

    return "qtaml-hw " + shlex.join(sys.argv[1:])
