"""The command line: each command is a few lines over the scripting face.

stdout carries data, stderr progress and messages.  Exit codes: 0 ok, 2 bad input, 3 some points failed and are
recorded, 130 interrupted with finished work kept.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from qtaml_hw.cli.models import add_model_commands
from qtaml_hw.cli.options import (
    FileArgument,
    JsonOption,
    OutOption,
    QuietOption,
    SetOption,
    command_line,
    default_folder,
    print_json,
    say,
)
from qtaml_hw.cli.plans import add_plan_commands
from qtaml_hw.cli.studies import UncertaintyOption, add_commands, show_tornado
from qtaml_hw.config import StudyError

EXIT_BAD_INPUT, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 2, 3, 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="What a leaking weight memory does to a neural-network accelerator, and what protecting it costs.",
)


@app.command()
def validate(file: FileArgument, overrides: SetOption, as_json: JsonOption = False) -> None:
    """Check a study file: all errors at once, or the effective values with their sources."""
    from qtaml_hw import config
    from qtaml_hw.config.outside import missing

    try:
        study = config.load_study(file, overrides)
        points = study.points()
        if absent := missing(study):
            raise StudyError(absent)
        if any(point.study.array.capacity_bits is not None for point in points):
            from qtaml_hw.study.design.array import check_arrays

            check_arrays(points)
    except StudyError as error:
        if not as_json:
            raise
        print_json({"ok": False, "errors": [p.as_dict() for p in error.errors], "points": 0})
        raise typer.Exit(EXIT_BAD_INPUT) from error
    if as_json:
        print_json({"ok": True, "errors": [], "points": len(points)})
        return
    from qtaml_hw.report.console import show
    from qtaml_hw.report.terminal import effective_table

    show(effective_table(study.provenance))
    typer.echo(f"{file}: ok, {len(points)} point{'s' * (len(points) != 1)}")


@app.command()
def run(
    file: FileArgument,
    overrides: SetOption,
    out: OutOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Evaluate one design point: accuracy over fault maps, cost, and a report."""
    import qtaml_hw as q
    from qtaml_hw.progress import terminal_progress

    study = q.load(file, overrides)
    if len(study.points()) > 1:
        say("note: run evaluates the base point; the file's sweep section is for `qtaml-hw sweep`")
    with terminal_progress(quiet) as progress:
        result = q.run(study, store=out or default_folder(study.label), progress=progress, command=command_line())
    if as_json:
        print_json(result.as_dict())
    else:
        from qtaml_hw.report import run_table
        from qtaml_hw.report.console import show

        show(run_table(result.summary))
    say(f"report: {result.report}")


@app.command()
def sweep(
    file: FileArgument,
    overrides: SetOption,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="worker processes")] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster", metavar="ADDRESS|KIND", help="a Dask scheduler's tcp://..., or local|slurm|lsf|sge|pbs"
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the cluster's job script, run nothing")] = False,
    out: OutOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Evaluate all points of a study; stop it at any time, the same command continues."""
    import qtaml_hw as q
    from qtaml_hw.progress import terminal_progress

    study = q.load(file, overrides)
    if dry_run:
        from qtaml_hw.study.run.jobqueue import job_script

        typer.echo(job_script(cluster or "none", jobs))
        return
    with terminal_progress(quiet) as progress:
        store = out or default_folder(study.label)
        result = q.sweep(study, jobs=jobs, store=store, cluster=cluster, progress=progress, command=command_line())
    if as_json:
        print_json(result.as_dict())
    else:
        from qtaml_hw.report import sweep_table
        from qtaml_hw.report.console import show

        show(sweep_table(result.summaries))
    for failure in result.failures:
        say(f"failed: {failure}")
    say(f"report: {result.report}")
    if result.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


@app.command()
def current(
    t_ox: Annotated[str, typer.Option("--t-ox", help="oxide thickness, e.g. 1.5nm")],
    voltage: Annotated[str, typer.Option("--voltage", help="gate voltage, e.g. 1V")],
    temperature: Annotated[str, typer.Option("--temperature", help="e.g. 25degC")] = "25 degC",
    stack: Annotated[str, typer.Option("--stack", help="gate stack")] = "sio2",
    method: Annotated[
        Literal["closed_form", "tsu_esaki"], typer.Option("--method", help="calibrated, or supply times transmission")
    ] = "closed_form",
    as_json: JsonOption = False,
) -> None:
    """Gate current density of an oxide."""
    import qtaml_hw as q

    density = q.gate_current(t_ox, voltage, temperature, stack=stack, method=method)
    if as_json:
        print_json(density)
    else:
        j = density["j_a_per_m2"]
        typer.echo(f"J = {j:.4g} A/m2 = {1e-4 * j:.4g} A/cm2   ({density['method']}; modelled)")
        typer.echo(f"transmission at the band edge: {density['transmission']:.4g}")
    for warning in density["warnings"]:
        say(f"warning: {warning}")


@app.command()
def retention(file: FileArgument, overrides: SetOption, as_json: JsonOption = False) -> None:
    """Retention quantiles of the study's cell, and its flip probabilities against the refresh interval."""
    import qtaml_hw as q

    found = q.retention(q.load(file, overrides))
    if as_json:
        print_json(found.as_dict())
    else:
        from qtaml_hw.report import retention_table
        from qtaml_hw.report.console import show

        show(retention_table(found.as_dict()))
    for warning in found.warnings:
        say(f"warning: {warning}")


@app.command(name="ecc-table")
def ecc_table(
    overrides: SetOption,
    p: Annotated[
        list[float],
        typer.Option("--p", help="raw flip probability; repeat for more", default_factory=list, show_default=False),
    ],
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="study file: its raw p is added")] = None,
    codes: Annotated[str, typer.Option("--codes", help="comma-separated code names")] = "",
    as_json: JsonOption = False,
    form: Annotated[
        Literal["table", "csv", "markdown", "latex"], typer.Option("--format", help="how the rows are printed")
    ] = "table",
) -> None:
    """The ECC overhead table: residual errors, parity, gates, area, energy and latency of every code."""
    import qtaml_hw as q

    study = q.load(file, overrides) if file is not None else None
    if study is not None:
        say("the study's own raw p comes first: the mean of its p01 and p10, as for balanced bits")
    rows = q.ecc_table(study, p=p or None, codes=[c.strip() for c in codes.split(",") if c.strip()] or None)
    if as_json:
        print_json({"rows": [row.as_dict() for row in rows]})
    elif form != "table":
        typer.echo(getattr(q.protection, f"to_{form}")(rows))
    else:
        from qtaml_hw.report import ecc_table as table
        from qtaml_hw.report.console import show

        show(table([row.as_dict() for row in rows]))


@app.command(name="what-if")
def what_if(
    file: FileArgument,
    overrides: SetOption,
    out: OutOption = None,
    tornado: Annotated[bool, typer.Option("--tornado", help="move every physical input by +-10 %, one by one")] = False,
    measure: Annotated[bool, typer.Option("--measure", help="tornado: accuracies on fault maps as well")] = False,
    uncertainty: UncertaintyOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Before and after a change, on the same fault maps; or --tornado: which input matters."""
    import qtaml_hw as q
    from qtaml_hw.progress import terminal_progress

    if tornado:
        show_tornado(q.load(file, overrides), uncertainty or [], measure, out, as_json, quiet)
        return
    if not overrides:
        raise typer.BadParameter("name at least one change, e.g. --set cell.t_ox=1.6nm")
    study = q.load(file)
    with terminal_progress(quiet) as progress:
        found = q.what_if(study, overrides, store=out or default_folder(f"{study.label}-what-if"), progress=progress)
    if as_json:
        print_json(found.as_dict())
    else:
        from qtaml_hw.report import what_if_table
        from qtaml_hw.report.console import show

        show(what_if_table(**found.as_dict()))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a store made by run or sweep")],
    as_json: JsonOption = False,
) -> None:
    """HTML report and every figure as PNG, SVG and CSV."""
    import qtaml_hw as q
    from qtaml_hw.records.store import read_store

    files = q.write_report(folder)
    if broken := read_store(folder).complaint:
        say(f"warning: {broken}")
    if as_json:
        print_json({"files": [str(f) for f in files]})
    else:
        for f in files:
            typer.echo(str(f))


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(metavar="NAME", help="theorems, paper, compact, distortion or t0-qat")],
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
    import qtaml_hw as q
    from qtaml_hw.progress import terminal_progress

    with terminal_progress(quiet) as progress:
        found = q.reproduce(name, quick, data, out, progress)
    if as_json:
        print_json(found.as_dict())
        return
    from qtaml_hw.report.console import show
    from qtaml_hw.reproduce.table import result_table

    show(result_table(found))


@app.command()
def schema() -> None:
    """JSON Schema of the study file, for editors."""
    from qtaml_hw import config

    print_json(config.json_schema())


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Versions, cores, device, and whether results and trained networks can be written."""
    from qtaml_hw.cli.doctor import examine

    found = examine()
    if as_json:
        print_json(found)
    else:
        for name, value in found.items():
            typer.echo(f"{name:24} {value}")


def main() -> None:
    """Entry point: bad input is a message and exit code 2, never a traceback."""
    from qtaml_hw.errors import InputError

    try:
        app(standalone_mode=True)
    except (StudyError, InputError) as error:
        say(f"error: {error}" if isinstance(error, InputError) else str(error))
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        say("interrupted; finished maps are kept, run the same command again to continue")
        sys.exit(EXIT_INTERRUPTED)


add_plan_commands(app)
add_model_commands(app)
add_commands(app)
