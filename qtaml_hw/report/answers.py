"""Answers that are drawn beside their numbers: NAME.json and figures/NAME.png|svg|csv in a folder of ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

from qtaml_hw.errors import StoreError
from qtaml_hw.files import claim, write_atomically
from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.figures.design import design
from qtaml_hw.report.figures.layers import layers
from qtaml_hw.report.write import write_figure


def write_design(folder: Path, found: Mapping[str, Any]) -> tuple[Path, ...]:
    """Write ``design.json`` and ``figures/design.png|svg|csv``.

    Raises StoreError when the folder is not ours, or cannot be written.
    """
    return _write(folder, "design", found, design)


def write_layers(folder: Path, found: Mapping[str, Any]) -> tuple[Path, ...]:
    """Write ``layers.json`` and ``figures/layers.png|svg|csv``.

    Raises StoreError when the folder is not ours, or cannot be written.
    """
    return _write(folder, "layers", found, layers)


def _write(
    folder: Path, name: str, found: Mapping[str, Any], draw: Callable[[Mapping[str, Any]], Drawing]
) -> tuple[Path, ...]:
    claim(folder)
    try:
        (folder / "figures").mkdir(exist_ok=True)
        write_atomically(folder / f"{name}.json", json.dumps(dict(found), indent=1, allow_nan=False))
        with mpl.rc_context(style.RC):
            drawing = draw(found)
            style.freeze(drawing.figure)
        return folder / f"{name}.json", *write_figure(folder / "figures", drawing, drawing.svg_bytes())
    except OSError as error:
        raise StoreError(f"cannot write {name} to {folder}: {error.strerror}") from error
