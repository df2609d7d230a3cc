"""Commands for the first five minutes: a study to change, and the quickstart run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from qtaml_hw.cli.options import Commands, JsonOption, OutOption, QuietOption, answer_lines, say
from qtaml_hw.cli.studies import JobsOption, sweep


def init(
    name: Annotated[Path, typer.Argument(metavar="[NAME]", help="the new study file")] = Path("study.yaml"),
    like: Annotated[
        str, typer.Option("--from", metavar="STUDY", help="a shipped study to start from, e.g. quickstart")
    ] = "first",
    as_json: JsonOption = False,
) -> None:
    """Write a commented study file to change, and the schema that editors check it by."""
    from qtaml_hw.config.shipped import write_first_study

    files = [str(path) for path in write_first_study(name, like)]
    answer_lines({"files": files}, as_json, files)
    if not as_json:
        say(f"next: qtaml-hw validate {files[0]}, then qtaml-hw run {files[0]}")


def demo(jobs: JobsOption = 1, out: OutOption = None, as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Run the quickstart: how thin may the oxide be, and what does protection that can be built cost?"""
    from qtaml_hw.config.shipped import shipped

    sweep(shipped()["quickstart"], [], jobs, None, False, out, as_json, quiet)


COMMANDS: Final[Commands] = {"init": init, "demo": demo}
