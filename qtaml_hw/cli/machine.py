"""Commands about the program itself: published results re-run, the schema of its files, what this machine offers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

import qtaml_hw as q
from qtaml_hw.cli.options import Commands, JsonOption, QuietOption, SetOption, answer, answer_lines, print_json
from qtaml_hw.progress import terminal_progress


def reproduce(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="theorems, paper, compact, distortion, t0-qat, published")
    ],
    designs: Annotated[
        list[str] | None, typer.Argument(metavar="[DESIGN]...", help="published: which designs [default: all]")
    ] = None,
    *,
    overrides: SetOption,
    quick: Annotated[bool, typer.Option("--quick", help="fewer images, maps and settings: minutes")] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="folder of the real networks (compact) or of IDX images (paper)"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="store to resume from and continue [default: none]")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """A published result re-run: theirs beside ours, with a verdict per claim."""
    with terminal_progress(quiet) as progress:
        result = q.reproduce(name, quick, data, out, progress, designs=designs or (), overrides=overrides)
    answer(result.as_dict(), as_json, result.table)


def schema() -> None:
    """JSON Schema of the study file, for editors."""
    print_json(q.config.json_schema())


def doctor(as_json: JsonOption = False) -> None:
    """Versions, cores, device, and whether results and trained networks can be written."""
    from qtaml_hw.cli.doctor import examine

    lines = examine()
    answer_lines(lines, as_json, (f"{name:24} {value}" for name, value in lines.items()))


COMMANDS: Final[Commands] = {"reproduce": reproduce, "schema": schema, "doctor": doctor}
