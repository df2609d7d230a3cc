"""``write_report``: a store folder in, one HTML page and the figures' files out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtaml_hw.errors import StoreError
from qtaml_hw.files import replacing
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.figures import FIGURES, draw
from qtaml_hw.report.material import read_material
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
