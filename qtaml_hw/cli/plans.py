"""Commands about protection plans: what a budget buys, saved to a file; two saved plans side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qtaml_hw.cli.options import FileArgument, JsonOption, QuietOption, SetOption, print_json, say

PlanArgument = Annotated[Path, typer.Argument(metavar="PLAN.json", help="a plan saved by allocate --out")]


def add_plan_commands(app: typer.Typer) -> None:
    """Put these commands beside those of one study."""
    app.command()(allocate)
    app.command(name="plan-diff")(plan_diff)


def allocate(
    file: FileArgument,
    overrides: SetOption,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PLAN.json", help="save the plan, for 'protection: {plan: ..}'")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """The protection plan of a study: which planes of which groups, what that leaves, and how close to the optimum."""
    import qtaml_hw as q
    from qtaml_hw.progress import terminal_progress

    with terminal_progress(quiet) as progress:
        found = q.allocate(q.load(file, overrides), progress=progress)
    if out is not None:
        found.save(out)
    if as_json:
        print_json(found.as_dict())
    else:
        from qtaml_hw.report import allocation_table
        from qtaml_hw.report.console import show

        plan = found.as_dict()
        show(allocation_table(plan["groups"], plan))
        if plan["spent"] is not None:
            least = plan["least_spent"]
            bound = "" if least is None else f"; no plan reaches this distortion for less than {least:.6g}"
            typer.echo(f"spent ({plan['solver']}): {plan['spent']:.6g} {plan['spent_unit']}{bound}")
        if plan["score"] is not None:
            typer.echo(f"score: {plan['score']} ({plan['score_output']}), cost: {plan['score_cost']}")
    if out is not None:
        say(f"plan: {out}")


def plan_diff(before: PlanArgument, after: PlanArgument, as_json: JsonOption = False) -> None:
    """Two saved plans bit by bit: what changed from which entry to which, and both overheads."""
    from qtaml_hw.study.design.plan_files import plan_diff as compared

    found = compared(before, after)
    if as_json:
        print_json(found)
        return
    for change in found["changes"]:
        typer.echo(f"{change['bits']:>12} bits   {change['before']} -> {change['after']}")
    typer.echo("the same" if found["same"] else f"{found['changed_bits_fraction']:.3%} of the stored bits differ")
    for name in ("protected_bits_fraction", "parity_bits_fraction"):
        typer.echo(f"{name}: {found[name][0]:.5f} -> {found[name][1]:.5f}")
