"""Commands that ask: closed forms of a cell and its codes, what is feasible, what nothing beats."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

import qtaml_hw as q
from qtaml_hw import report
from qtaml_hw.cli.options import (
    EXIT_SOME_FAILED,
    Commands,
    FileArgument,
    JsonOption,
    OutOption,
    QuietOption,
    SetOption,
    answer,
    answer_lines,
    default_folder,
    fraction,
    listed,
    load,
    numbers,
    say,
    warn,
)
from qtaml_hw.files import claim, write_atomically
from qtaml_hw.progress import terminal_progress
from qtaml_hw.units import show

_SHARE: Final[dict[str, Any]] = {"parser": fraction, "metavar": "SHARE", "show_default": False}
KeepOption = Annotated[
    float, typer.Option("--keep", help="share of the clean accuracy that a good chip keeps [default: 95%]", **_SHARE)
]
YieldOption = Annotated[
    float, typer.Option("--yield", help="share of chips that must be good [default: 90%]", **_SHARE)
]


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
    gate = q.gate_current(t_ox, voltage, temperature, stack=stack, method=method)
    j = gate.j_a_per_m2
    lines = (
        f"J = {j:.4g} A/m2 = {1e-4 * j:.4g} A/cm2   ({gate.method}; modelled)",
        f"transmission at the band edge: {gate.transmission:.4g}",
        f"{gate.stack}: EOT {show(gate.eot_m, 'length')}, {show(gate.thickness_m, 'length')} thick",
    )
    answer_lines(gate, as_json, lines)
    warn(gate.warnings)


def retention(
    file: FileArgument,
    overrides: SetOption,
    form: Annotated[
        Literal["table", "csv", "nvsim"],
        typer.Option("--format", help="csv: points of a curve; nvsim: lines of a cell file of NVSim and DESTINY"),
    ] = "table",
    share: Annotated[str, typer.Option("--share", help="nvsim: share of cells that may have failed by then")] = "1e-6",
    as_json: JsonOption = False,
) -> None:
    """Retention quantiles of the study's cell, and its flip probabilities against the refresh interval."""
    found = q.retention(load(file, overrides))
    kept = found.as_dict()
    if form != "table":
        typer.echo(found.to_csv() if form == "csv" else found.to_nvsim(fraction(share)), nl=False)
        warn(kept["warnings"])
        return
    answer(kept, as_json, lambda: report.retention_table(kept))
    warn(kept["warnings"])


def ecc_table(
    overrides: SetOption,
    p: Annotated[
        list[str],
        typer.Option("--p", help="raw flip probability; repeat, or commas", default_factory=list, show_default=False),
    ],
    nodes: Annotated[
        list[str],
        typer.Option(
            "--node", help="technology node, e.g. 22nm; repeat for more", default_factory=list, show_default=False
        ),
    ],
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="study file: its raw p is added")] = None,
    codes: Annotated[str, typer.Option("--codes", help="comma-separated menu entries, files of codes included")] = "",
    measure: Annotated[
        bool, typer.Option("--measure", help="draw the study's fault maps for every code, and keep them in --out")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="store that scores are read from [default: none]")
    ] = None,
    as_json: JsonOption = False,
    form: Annotated[
        Literal["table", "csv", "markdown", "latex", "html"], typer.Option("--format", help="how the rows are printed")
    ] = "table",
    quiet: QuietOption = False,
) -> None:
    """The ECC overhead table: residual errors, parity, cells, gates, energy, latency, and the accuracy that is kept."""
    if file is None and overrides:
        raise typer.BadParameter("--set changes a study: give its FILE, before or after it", param_hint="--set")
    study = load(file, overrides) if file is not None else None
    if study is not None:
        say("the study's own raw p comes first: the mean of its p01 and p10, as for balanced bits")
    with terminal_progress(quiet or not measure) as progress:
        asked: dict[str, Any] = {"p": numbers("--p", p) or None, "codes": listed(codes) or None, "nodes": nodes or None}
        rows = q.ecc_table(study, **asked, measure=measure, store=out, progress=progress)
    plain = [row.as_dict() for row in rows]
    if form == "table" or as_json:
        answer({"rows": plain}, as_json, lambda: report.ecc_table(plain))
    elif form == "html":
        typer.echo(report.ecc_page(plain, "ECC overhead" if study is None else f"ECC overhead of {study.label}"))
    else:
        typer.echo(getattr(q.protection, f"to_{form}")(rows))


def feasible(
    file: FileArgument,
    overrides: SetOption,
    keep: KeepOption = 0.95,
    wanted: YieldOption = 0.90,
    over: Annotated[str, typer.Option("--over", help="what to push, of t_ox, refresh, area")] = "t_ox,refresh,area",
    maps: Annotated[int, typer.Option("--maps", min=2, help="fault maps (chips) per trial")] = 40,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Thinnest oxide, longest refresh, smallest area that keep enough chips accurate."""
    study = load(file, overrides)
    with terminal_progress(quiet) as progress:
        limits = q.feasible(study, listed(over), keep=keep, wanted=wanted, maps=maps, progress=progress)
    answer(limits, as_json, lambda: report.feasible_table(limits))


def search(
    file: FileArgument,
    overrides: SetOption,
    objectives: Annotated[
        str, typer.Option("--objectives", help="two or more of accuracy, energy, area, latency")
    ] = "accuracy,energy,area",
    trials: Annotated[
        int | None,
        typer.Option("--trials", min=2, help="look at so many points at most, chosen by optuna [default: all]"),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="worker processes (with --out)")] = 1,
    out: OutOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """The points of a sweep that nothing beats: screened in closed form, measured near the front."""
    study = load(file, overrides)
    store = out or default_folder(f"{study.label}-search")
    with terminal_progress(quiet) as progress:
        front = q.search(study, listed(objectives), trials=trials, jobs=jobs, store=store, progress=progress)
    answer(front, as_json, lambda: report.front_table(front))
    for failure in front.failures:
        say(f"failed: {failure['label']}: {failure['error']}")
    if front.failures:
        raise typer.Exit(EXIT_SOME_FAILED)


def design(
    file: FileArgument,
    overrides: SetOption,
    keep: Annotated[
        float, typer.Option("--keep", help="share of the clean score to keep [default: 95%]", **_SHARE)
    ] = 0.95,
    wanted: Annotated[
        float | None,
        typer.Option("--yield", help="share of chips that must keep it [default: the mean of all must]", **_SHARE),
    ] = None,
    minimise: Annotated[str, typer.Option("--minimise", help="one or more of area, energy, bits")] = "area,energy",
    over: Annotated[
        str, typer.Option("--over", help="axes, e.g. refresh,code,planes,policy [default: the study's space]")
    ] = "",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="worker processes")] = 1,
    apply: Annotated[
        int | None, typer.Option("--apply", metavar="N", min=1, help="write the study of design N beside FILE")
    ] = None,
    out: OutOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """The cheapest design that is good enough, and its front: a space priced, measured near the front."""
    study = load(file, overrides)
    folder = out or default_folder(f"{study.label}-design")
    claim(folder)
    asked: dict[str, Any] = {"wanted": wanted, "minimise": listed(minimise), "over": listed(over)}
    with terminal_progress(quiet) as progress:
        found = q.design(study, keep, **asked, jobs=jobs, store=folder, progress=progress)
    files = list(report.write_design(folder, found))
    if apply is not None:
        files.append(file.with_name(f"{file.stem}.design-{apply}.yaml"))
        write_atomically(files[-1], found.text(apply))
    if not as_json:
        typer.echo(textwrap.fill(found.sentence, 100))
    answer({**found, "files": [str(path) for path in files]}, as_json, lambda: report.design_table(found))
    if found["maps"] > study.evaluate.maps.max and study.provenance["evaluate.maps.max"].kind != "default":
        short = f"evaluate.maps.max: {study.evaluate.maps.max} fault maps show nothing here, {found['maps']} were drawn"
        warn([f"{short}, which show it of designs that lose next to nothing; with twice as many cheaper ones may pass"])
    if found.answer is not None:
        say(f"as the answer: {' '.join(shlex.join(('--set', one)) for one in found.answer['set'])}")
    say(f"written: {', '.join(str(path) for path in files)}")


def layers(
    file: FileArgument,
    overrides: SetOption,
    out: OutOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Which layer breaks first: flips in one layer at a time, beside the prediction."""
    study = load(file, overrides)
    folder = out or default_folder(f"{study.label}-layers")
    claim(folder)  # before minutes are spent on it
    with terminal_progress(quiet) as progress:
        found = q.layers(study, progress=progress)
    files = [str(path) for path in report.write_layers(folder, found)]
    say(f"written: {', '.join(files)}")
    answer({**found, "files": files}, as_json, lambda: report.layers_table(found))


def explore(
    file: FileArgument,
    overrides: SetOption,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="print the address, open nothing")] = False,
) -> None:
    """A local page with sliders over a study: closed forms follow, fault maps on request. Ctrl-C ends it."""
    from qtaml_hw.explore.bench import bench
    from qtaml_hw.explore.server import Desk, LocalServer

    study = load(file, overrides)
    say("loading the network ...")
    desk = Desk(bench(study))
    with LocalServer(desk, port) as server:
        desk.learn()
        typer.echo(server.url)
        if not no_browser:
            import webbrowser

            webbrowser.open(server.url)
        say("this page answers this machine alone; Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("ended; what was not saved is gone")


COMMANDS: Final[Commands] = {
    "current": current,
    "retention": retention,
    "ecc-table": ecc_table,
    "explore": explore,
    "feasible": feasible,
    "design": design,
    "layers": layers,
    "search": search,
}
