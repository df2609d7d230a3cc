"""Commands about folders of records: what is in them, merged, exported, reported, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

import qtaml_hw as q
from qtaml_hw import report
from qtaml_hw.cli.options import Commands, FolderArgument, FoldersArgument, JsonOption, answer, answer_lines, warn


def status(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Points and maps that are finished, points that failed, lines that were dropped."""
    from qtaml_hw.records.archive import store_status

    counts = store_status(folder).as_dict()
    shown = {name: ", ".join(value) if isinstance(value, list) else value for name, value in counts.items()}
    answer_lines(counts, as_json, (f"{name:10} {value}" for name, value in shown.items()))


def merge(
    folders: FoldersArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="store that gets what it lacks")],
    as_json: JsonOption = False,
) -> None:
    """Records of several stores in one; each point and map counts once."""
    from qtaml_hw.records.archive import merge_stores

    merged = merge_stores(folders, out)
    answer_lines(merged, as_json, [f"{merged['out']}: {merged['added']} records added, {merged['records']} in all"])
    if merged["differing"]:
        warn([f"{merged['differing']} records of one point and map disagree; the first one is kept"])


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
    answer_lines({"files": files}, as_json, files)


def compare(folders: FoldersArgument, as_json: JsonOption = False) -> None:
    """Stores side by side, differences to the first one paired over the same fault maps."""
    compared = q.compare(folders)
    answer(compared, as_json, lambda: report.comparison_table(compared))


def write_report(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """HTML report and every figure as PNG, SVG and CSV."""
    from qtaml_hw.records.store import read_store

    files = [str(path) for path in q.write_report(folder)]
    if broken := read_store(folder).complaint:
        warn([broken])
    answer_lines({"files": files}, as_json, files)


COMMANDS: Final[Commands] = {"report": write_report, "compare": compare}
STORE_COMMANDS: Final[Commands] = {"status": status, "merge": merge, "export": export}
