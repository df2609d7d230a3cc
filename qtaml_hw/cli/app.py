"""The command line put together: every command by its name, and what an error or an interruption ends with.

stdout carries data, stderr progress and messages.  Exit codes: 0 ok, 2 bad input, 3 some points failed and are
recorded, 130 interrupted with finished work kept; 1 is a fault of the program itself, or of a report alone: then the
points are answered and kept.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

import qtaml_hw
from qtaml_hw.cli import machine, models, plans, questions, start, stores, studies
from qtaml_hw.cli.options import ALLOWED, EXIT_BAD_INPUT, EXIT_FAULT, EXIT_INTERRUPTED, Commands, say
from qtaml_hw.errors import InputError, in_one_line

_INTERRUPTED = "interrupted; finished maps are kept, run the same command again to continue"

COMMANDS: Final[Commands] = {
    **start.COMMANDS,
    **studies.COMMANDS,
    **questions.COMMANDS,
    **plans.COMMANDS,
    **models.COMMANDS,
    **stores.COMMANDS,
    **machine.COMMANDS,
}


class OnDemand(TyperGroup):
    """A group that builds a command when it is asked for: all of them take a tenth of the time of checking a study."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name; None where there is none."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
            alone.command(cmd_name)(COMMANDS[cmd_name])
            self.add_command(typer.main.get_command(alone), cmd_name)
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of the help page."""
        return [*COMMANDS, *(name for name in self.commands if name not in COMMANDS)]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is meant; a name that is none is compared with all."""
        for name in self.list_commands(ctx) if args[0] not in COMMANDS else ():
            self.get_command(ctx, name)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=OnDemand,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="What a leaking weight memory does to a neural-network accelerator, and what protecting it costs.",
)
store_app = typer.Typer(no_args_is_help=True, help="Folders of records: what is in them, merged, exported.")
app.add_typer(store_app, name="store")
for name, command in stores.STORE_COMMANDS.items():
    store_app.command(name)(command)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"qtaml-hw {qtaml_hw.__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and stop")
    ] = False,
    allow_code: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-code",
            metavar="PACKAGE",
            help="let studies run functions of an installed package (those of their own folder they always may)",
        ),
    ] = None,
) -> None:
    """Options that stand before any command."""
    ALLOWED.set(tuple(allow_code or ()))


def main() -> None:
    """Entry point: bad input is a message and exit code 2, never a traceback; so is, with code 1, a fault of ours."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # none has a say here; looking for them takes time
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # where the terminal has no such letter, a question mark
    try:
        app(standalone_mode=True)
    except SystemExit as stop:
        if stop.code == EXIT_INTERRUPTED:  # typer's own answer to Ctrl-C
            say(_INTERRUPTED)
        raise
    except KeyboardInterrupt:
        say(_INTERRUPTED)
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        from qtaml_hw.config import StudyError  # known here already where it was raised; --help checks no study

        if isinstance(error, OSError) and error.filename is not None:  # a file of the user's, wherever it was met
            error = InputError(f"cannot use {error.filename}: {error.strerror}")
        bad_input = isinstance(error, StudyError | InputError)
        if not bad_input and os.environ.get("QTAML_HW_TRACEBACK"):
            raise
        if isinstance(error, StudyError):
            say(str(error))
        else:
            unexpected = "" if bad_input else " (unexpected; with QTAML_HW_TRACEBACK=1 it says where)"
            say(f"error: {error if bad_input else in_one_line(error)}{unexpected}")
        sys.exit(EXIT_BAD_INPUT if bad_input else EXIT_FAULT)
