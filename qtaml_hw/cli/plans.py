"""Commands about protection plans: what a budget buys, saved to a file; two saved plans side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

import qtaml_hw as q
from qtaml_hw import report
from qtaml_hw.cli.options import (
    Commands,
    FileArgument,
    JsonOption,
    QuietOption,
    SetOption,
    answer,
    answer_lines,
    load,
    say,
)
from qtaml_hw.progress import terminal_progress

PlanArgument = Annotated[Path, typer.Argument(metavar="PLAN.json", help="a plan saved by allocate --out")]


def allocate(
    file: FileArgument,
    overrides: SetOption,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PLAN.json", help="save the plan, for 'protection: {plan: ..}'")
    ] = None,
    predict: Annotated[
        bool | None,
        typer.Option(
            "--predict/--no-predict", help="the budgets that will keep accuracy; the default: where that takes seconds"
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """The protection plan of a study: which planes of which groups, what that leaves, and how close to the optimum."""
    with terminal_progress(quiet) as progress:
        plan = q.allocate(load(file, overrides), predict=predict, progress=progress)
    found = plan.as_dict()
    answer(found, as_json, lambda: report.allocation_table(found["groups"], found))
    if out is not None:
        plan.save(out)
        say(f"plan: {out}")


def plan_diff(before: PlanArgument, after: PlanArgument, as_json: JsonOption = False) -> None:
    """Two saved plans bit by bit: what changed from which entry to which, and both overheads."""
    from qtaml_hw.protection import plan_diff as difference

    changes = difference(before, after)
    lines = [f"{change['bits']:>12} bits   {change['before']} -> {change['after']}" for change in changes["changes"]]
    lines.append("the same" if changes["same"] else f"{changes['changed_bits_fraction']:.3%} of the stored bits differ")
    for name in ("protected_bits_fraction", "parity_bits_fraction"):
        lines.append(f"{name}: {changes[name][0]:.5f} -> {changes[name][1]:.5f}")
    answer_lines(changes, as_json, lines)


COMMANDS: Final[Commands] = {"allocate": allocate, "plan-diff": plan_diff}
