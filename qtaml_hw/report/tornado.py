"""The answer of ``what-if --tornado`` as files: its numbers and its figure, in a folder that may be a store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

from qtaml_hw.errors import StoreError
from qtaml_hw.files import write_atomically
from qtaml_hw.report import style
from qtaml_hw.report.figures.tornado import tornado
from qtaml_hw.report.material import TORNADO, Material
from qtaml_hw.report.write import write_figure


def write_tornado(folder: Path, found: Mapping[str, Any]) -> tuple[Path, ...]:
    """Write ``tornado.json`` and ``figures/tornado.png|svg|csv``; a report of the folder shows the figure from then on.

    No figure where no input moves anything.

    Raises StoreError when the folder cannot be written.
    """
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        write_atomically(folder / TORNADO, json.dumps(dict(found), indent=1, allow_nan=False))
        with mpl.rc_context(style.RC):
            drawing = tornado(Material((), (), {}, tornado=found))
            if drawing is None:
                return (folder / TORNADO,)
            style.freeze(drawing.figure)
        return folder / TORNADO, *write_figure(folder / "figures", drawing, drawing.svg_bytes())
    except OSError as error:
        raise StoreError(f"cannot write the tornado to {folder}: {error.strerror}") from error
