"""Commands over many points: what a store holds, stores side by side, what is feasible, what nothing beats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from qtaml_hw.cli.options import (
    FileArgument,
    JsonOption,
    OutOption,
    QuietOption,
    SetOption,
    default_folder,
    print_json,
    say,
)

if TYPE_CHECKING:
    from qtaml_hw.config import Study

store_app = typer.Typer(no_args_is_help=True, help="Folders of records: what is in them, merged, exported.")
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="a store made by run or sweep")]
FoldersArgument = Annotated[list[Path], typer.Argument(metavar="DIR...", help="stores made by run or sweep")]
UncertaintyOption = Annotated[
    list[str] | None,
    typer.Option("--uncertainty", metavar="PATH=VALUE", help="tornado: +-VALUE for an input, e.g. cell.t_ox=3%"),
]


def add_commands(app: typer.Typer) -> None:
    """Put these commands beside those of one study."""
    app.add_typer(store_app, name="store")
    for command in (compare, feasible, search):
        app.command()(command)


@store_app.command()
def status(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Points and maps that are finished, points that failed, lines that were dropped."""
    from qtaml_hw.records.archive import store_status

    found = store_status(folder).as_dict()
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        typer.echo(f"{name:10} {', '.join(value) if isinstance(value, list) else value}")


@store_app.command()
def merge(
    folders: FoldersArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="store that gets what it lacks")],
    as_json: JsonOption = False,
) -> None:
    """Records of several stores in one; each point and map counts once."""
    from qtaml_hw.records.archive import merge_stores

    found = merge_stores(folders, out)
    if as_json:
        print_json(found)
    else:
        typer.echo(f"{found['out']}: {found['added']} records added, {found['records']} in all")
    if found["differing"]:
        say(f"warning: {found['differing']} records of one point and map disagree; the first one is kept")


@store_app.command()
def export(
    folder: FolderArgument,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="folder for the tables [default: DIR]")
    ] = None,
    form: Annotated[Literal["csv", "parquet"], typer.Option("--format", help="csv or parquet")] = "csv",
    as_json: JsonOption = False,
) -> None:
    """Tables for other tools: one row per point, and one row per fault map."""
    from qtaml_hw.records.archive import export_store

    files = [str(path) for path in export_store(folder, out, form)]
    if as_json:
        print_json({"files": files})
    else:
        typer.echo("\n".join(files))


def compare(folders: FoldersArgument, as_json: JsonOption = False) -> None:
    """Stores side by side, differences to the first one paired over the same fault maps."""
    from qtaml_hw.records.compare import compare as ask

    found = ask(folders)
    if as_json:
        print_json(found)
        return
    from qtaml_hw.report.text import percent

    rows = []
    for row in found["rows"]:
        for folder, cell in zip(found["stores"], row["stores"], strict=True):
            if cell is None:
                rows.append([row["point"], folder, "-", "", "", ""])
                continue
            accuracy = f"{percent(cell['accuracy_ci95_low'])} to {percent(cell['accuracy_ci95_high'])}"
            change = ""
            if "difference_mean" in cell:
                ends = f"{percent(cell['difference_ci95_low'])} to {percent(cell['difference_ci95_high'])}"
                change = f"{percent(cell['difference_mean'])} ({ends})"
            rows.append([row["point"], folder, percent(cell["accuracy_mean"]), accuracy, str(cell["maps"]), change])
    _table(["Point", "Store", "Accuracy (%)", "95 % CI (%)", "Maps", "To the first (%)"], rows)


def feasible(
    file: FileArgument,
    overrides: SetOption,
    keep: Annotated[str, typer.Option("--keep", help="share of the clean accuracy that a good chip keeps")] = "95%",
    wanted: Annotated[str, typer.Option("--yield", help="share of chips that must be good")] = "90%",
    over: Annotated[str, typer.Option("--over", help="what to push, of t_ox, refresh, area")] = "t_ox,refresh,area",
    maps: Annotated[int, typer.Option("--maps", min=2, help="fault maps (chips) per trial")] = 20,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Thinnest oxide, longest refresh, smallest area that keep enough chips accurate."""
    import qtaml_hw as q
    from qtaml_hw.progress import terminal_progress
    from qtaml_hw.study.questions.feasible import feasible as ask
    from qtaml_hw.study.questions.feasible import goals

    shares = {"keep": _quantity("--keep", keep, "fraction"), "wanted": _quantity("--yield", wanted, "fraction")}
    study = q.load(file, overrides)
    with terminal_progress(quiet) as progress:
        found = ask(study, goals(over.split(",")), **shares, maps=maps, progress=progress)
    if as_json:
        print_json(found)
        return
    from qtaml_hw.report.text import percent

    rows = []
    for row in found["rows"]:
        if not row["feasible"]:
            rows.append([row["goal"], "no" if row["feasible"] is False else "-", "", "", row["reason"]])
            continue
        low, high = row["yield_ci95"]
        chips = f"{percent(row['yield'])} ({percent(low)} to {percent(high)})"
        edge = "limit of the search" if row["first_refused"] is None else f"{row['first_refused']} fails"
        rows.append([row["what"], row["shown"], chips, f"{1e6 * row['area_m2']:.4g}", edge])
    _table(["Goal", "Value", f"Good chips of {found['maps']} (%)", "Area (mm2)", "Beyond"], rows)


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
    import qtaml_hw as q
    from qtaml_hw.progress import terminal_progress
    from qtaml_hw.study.questions.search import search as ask

    study, names = q.load(file, overrides), [name.strip() for name in objectives.split(",") if name.strip()]
    with terminal_progress(quiet) as progress:
        store = out or default_folder(f"{study.label}-search")
        found = ask(study, names, trials=trials, jobs=jobs, store=store, progress=progress)
    if as_json:
        print_json(found)
    else:
        _table(*_front(found))
    for failure in found["failures"]:
        say(f"failed: {failure['label']}: {failure['error']}")
    if found["failures"]:
        raise typer.Exit(3)


def _front(found: dict[str, Any]) -> tuple[list[str], list[list[str]], str]:
    from qtaml_hw.report.text import percent, scale

    members = [*found["front"], *found["near"]]
    energy = scale([r["energy_per_inference_j"] for r in members], "J")
    area = scale([r["area_m2"] for r in members], "m2")
    rows = []
    for kind in ("front", "near"):
        for r in found[kind]:
            ends = f"{percent(r['accuracy_ci95_low'])} to {percent(r['accuracy_ci95_high'])}"
            costs = [energy.show(r["energy_per_inference_j"]), area.show(r["area_m2"])]
            rows.append([r["label"], "" if kind == "front" else "near", percent(r["accuracy_mean"]), ends, *costs])
    unseen = f", {found['unseen']} never looked at" if found["unseen"] else ""
    caption = f"{found['points']} points{unseen}, {found['measured']} measured; near: within the intervals of the front"
    heads = ["Point", "", "Accuracy (%)", "95 % CI (%)", f"Energy ({energy.unit})", f"Area ({area.unit})"]
    return heads, rows, caption


def show_tornado(
    study: Study, uncertainties: list[str], measure: bool, out: Path | None, as_json: bool, quiet: bool
) -> None:
    """``what-if --tornado``: the table, and its figure in a folder."""
    from qtaml_hw.progress import terminal_progress
    from qtaml_hw.report.tornado import write_tornado
    from qtaml_hw.study.questions.tornado import tornado
    from qtaml_hw.study.questions.uncertainty import stated

    steps = stated(study, uncertainties)
    with terminal_progress(quiet) as progress:
        found = tornado(study, uncertainties=steps, measure=measure, progress=progress)
    files = [str(path) for path in write_tornado(out or default_folder(f"{study.label}-what-if"), found)]
    say(f"written: {', '.join(files)}")
    if as_json:
        print_json({**found, "files": files})
        return
    from qtaml_hw.report.text import number, percent

    rows = []
    for row in found["rows"]:
        for side in ("low", "high"):
            end = row[side]
            figures = [number(end.get(key)) for key in ("p10", "p01", "predicted_distortion")]
            change = f"{percent(end['difference'])}" if "difference" in end else end.get("error", "")[:40]
            rows.append([row["path"].removeprefix("cell.") if side == "low" else "", end["value"], *figures, change])
    base = found["base"]
    caption = f"base: p10 {number(base['p10'])}, predicted distortion {number(base['predicted_distortion'])}"
    _table(["Input", "Value", "p(1->0)", "p(0->1)", "Predicted distortion", "Accuracy change (%)"], rows, caption)


def _quantity(option: str, text: str, dimension: str) -> float:
    from qtaml_hw import units
    from qtaml_hw.errors import InputError

    try:
        return units.parse(text, dimension)
    except ValueError as error:
        raise InputError(f"{option}: {error}") from error


def _table(heads: list[str], rows: list[list[str]], caption: str = "") -> None:
    from qtaml_hw.report.console import show, table

    show(table(heads, rows, caption=caption))
