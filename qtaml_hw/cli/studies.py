"""Commands that evaluate one study: checked, at its point, over its sweep, before and after a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

import qtaml_hw as q
from qtaml_hw import report
from qtaml_hw.cli.options import (
    EXIT_BAD_INPUT,
    EXIT_FAULT,
    EXIT_SOME_FAILED,
    Commands,
    FileArgument,
    FilesArgument,
    JsonOption,
    OutOption,
    QuietOption,
    SetOption,
    answer,
    command_line,
    default_folder,
    load,
    print_json,
    say,
    warn_of,
)
from qtaml_hw.files import claim
from qtaml_hw.progress import terminal_progress

JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="worker processes")]
UncertaintyOption = Annotated[
    list[str] | None,
    typer.Option("--uncertainty", metavar="PATH=VALUE", help="tornado: +-VALUE for an input, e.g. cell.t_ox=3%"),
]


def validate(files: FilesArgument, overrides: SetOption, as_json: JsonOption = False) -> None:
    """Check study files: all errors at once, or the effective values (of one file) with their sources."""
    found = [_checked(file, overrides, as_json, alone=len(files) == 1) for file in files]
    if as_json:
        several = {"ok": all(one["ok"] for one in found), "files": found}
        print_json(found[0] if len(found) == 1 else several)
    if not all(one["ok"] for one in found):
        raise typer.Exit(EXIT_BAD_INPUT)


def _checked(file: Path, overrides: list[str], as_json: bool, alone: bool) -> dict[str, Any]:
    """What a study file is found to be; said as it is found, unless it is for JSON."""
    from qtaml_hw.config.outside import code_of, programs_of

    try:
        study = load(file, overrides)
        points = len(q.validate(study))
        code = [{"function": name, "file": str(one.file or "")} for name, one in code_of(study).items()]
        code += [{"function": "array.cacti", "file": str(path)} for path in programs_of(study)]
    except q.StudyError as error:
        if not as_json:
            say(str(error))
        return {"file": str(file), "ok": False, "errors": [p.as_dict() for p in error.errors], "points": 0}
    if not as_json:
        if alone:
            answer({}, False, lambda: report.effective_table(study.provenance))
        for one in code:
            typer.echo(f"runs the code of {one['function']} in {one['file']}")
        typer.echo(f"{file}: ok, {points} point{'s' * (points != 1)}")
    return {"file": str(file), "ok": True, "errors": [], "points": points, "code": code}


def run(
    file: FileArgument,
    overrides: SetOption,
    jobs: JobsOption = 1,
    out: OutOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Evaluate one design point: accuracy over fault maps, cost, and a report."""
    study = load(file, overrides)
    if len(study.points()) > 1:
        say("note: run evaluates the base point; the file's sweep section is for `qtaml-hw sweep`")
    with terminal_progress(quiet) as progress:
        store = out or default_folder(study.label)
        result = q.run(study, jobs=jobs, store=store, progress=progress, command=command_line())
    answer(result.as_dict(), as_json, lambda: report.run_table(result.summary))
    warn_of([result.summary])
    _say_what_is_stored([result.summary.facts])
    _end_with_report(result)


def sweep(
    file: FileArgument,
    overrides: SetOption,
    jobs: JobsOption = 1,
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
    study = load(file, overrides)
    if dry_run:
        from qtaml_hw.study.run.jobqueue import job_script

        typer.echo(job_script(cluster or "none", jobs))
        return
    store = out or default_folder(study.label)
    with terminal_progress(quiet) as progress:
        result = q.sweep(study, jobs=jobs, store=store, cluster=cluster, progress=progress, command=command_line())
    answer(result.as_dict(), as_json, lambda: report.sweep_table(result.summaries))
    warn_of(result.summaries)
    for failure in result.failures:
        say(f"failed: {failure}")
    _say_what_is_stored([s.facts for s in result.summaries])
    _end_with_report(result, EXIT_SOME_FAILED if result.failed else 0)


def _end_with_report(result: q.Result | q.SweepResult, code: int = 0) -> None:
    """Say where the report is, or why there is none; end with a code, where all else went well with that of a fault."""
    say(f"error: {result.report_problem}" if result.report_problem else f"report: {result.report}")
    if code or result.report_problem:
        raise typer.Exit(code or EXIT_FAULT)


def _say_what_is_stored(points: Iterable[Mapping[str, Any]]) -> None:
    """A line for every network of the points."""
    for line in dict.fromkeys(report.stored_line(facts) for facts in points):
        if line:
            say(line)


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
    if not (tornado or overrides):
        raise typer.BadParameter("name at least one change, e.g. --set cell.t_ox=1.6nm")
    study = load(file, overrides if tornado else [])
    folder = out or default_folder(f"{study.label}-what-if")
    if tornado:
        claim(folder)  # before minutes are spent on it
        with terminal_progress(quiet) as progress:
            moved = q.tornado(study, uncertainties=uncertainty or [], measure=measure, progress=progress)
        found = {**moved, "files": [str(path) for path in report.write_tornado(folder, moved)]}
        say(f"written: {', '.join(found['files'])}")
        answer(found, as_json, lambda: report.tornado_table(found))
        return
    with terminal_progress(quiet) as progress:
        changed = q.what_if(study, overrides, store=folder, progress=progress)
    found = changed.as_dict()
    answer(found, as_json, lambda: report.what_if_table(**found))
    warn_of([changed.before.summary, changed.after.summary])
    if changed.after.report_problem:
        _end_with_report(changed.after)


COMMANDS: Final[Commands] = {"validate": validate, "run": run, "sweep": sweep, "what-if": what_if}
