"""A store folder in, one HTML page and the figures' files out; and the figure of a tornado alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from qtaml_hw.errors import StoreError
from qtaml_hw.files import claim, replacing, write_atomically
from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.figures import FIGURES, draw
from qtaml_hw.report.figures.tornado import tornado
from qtaml_hw.report.material import TORNADO, Material, read_material
from qtaml_hw.report.page import render

_KINDS = ("png", "svg", "csv")


def write_report(
    folder: Path, *, title: str | None = None, ecc_rows: Sequence[Mapping[str, Any]] | None = None
) -> tuple[Path, ...]:
    """Write ``report.html`` and ``figures/NAME.png|svg|csv`` into a store folder; returns their paths, the page first.

    ``ecc_rows`` : the rows of ``qtaml-hw ecc-table --json``; without them ``ecc_table.json`` in the folder is used if
    it is there.  Every file is replaced whole or not at all; the same records give the same bytes.

    Raises StoreError when the folder holds no record, or cannot be read or written.
    """
    folder = Path(folder)
    found = read_material(folder, ecc_rows)
    drawings = draw(found)
    svgs = {d.name: d.svg_bytes() for d in drawings}
    page = render(found, drawings, svgs, title)
    try:
        figures = folder / "figures"
        figures.mkdir(exist_ok=True)
        written = [path for d in drawings for path in write_figure(figures, d, svgs[d.name])]
        _remove_stale(figures, {d.name for d in drawings})
        return _replace(folder / "report.html", page.encode()), *written
    except OSError as error:
        raise StoreError(f"cannot write the report to {folder}: {error.strerror}; the records are untouched") from error


def write_tornado(folder: Path, found: Mapping[str, Any]) -> tuple[Path, ...]:
    """Write ``tornado.json`` and ``figures/tornado.png|svg|csv``; a report of the folder shows the figure from then on.

    No figure where no input moves anything.

    Raises StoreError when the folder is not ours, or cannot be written.
    """
    claim(folder)
    try:
        (folder / "figures").mkdir(exist_ok=True)
        write_atomically(folder / TORNADO, json.dumps(dict(found), indent=1, allow_nan=False))
        with mpl.rc_context(style.RC):
            drawing = tornado(Material((), (), {}, tornado=found))
            if drawing is None:
                return (folder / TORNADO,)
            style.freeze(drawing.figure)
        return folder / TORNADO, *write_figure(folder / "figures", drawing, drawing.svg_bytes())
    except OSError as error:
        raise StoreError(f"cannot write the tornado to {folder}: {error.strerror}") from error


def write_figure(folder: Path, drawing: Drawing, svg: bytes) -> list[Path]:
    """A figure's three files, each replaced whole or not at all."""
    contents = (drawing.png_bytes(), svg, drawing.csv_bytes())
    return [_replace(folder / f"{drawing.name}.{kind}", data) for kind, data in zip(_KINDS, contents, strict=True)]


def _remove_stale(folder: Path, drawn: set[str]) -> None:
    """Figures of an earlier report that these records no longer support."""
    for name in FIGURES.keys() - drawn:
        for kind in _KINDS:
            (folder / f"{name}.{kind}").unlink(missing_ok=True)


def _replace(path: Path, data: bytes) -> Path:
    with replacing(path) as file:
        file.write(data)
    return path
