"""A figure with its caption and its numbers, and its way to PNG, SVG and CSV."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.text import number, plain
from qtaml_hw.report import style

_FORMULA_STARTS: Final = ("=", "+", "-", "@")


@dataclass(frozen=True, eq=False)
class Drawing:
    """``columns`` carry units in their names (``accuracy_mean``, ``t_ox_m``); ``rows`` are what the figure shows."""

    name: str
    title: str
    caption: str
    figure: Figure
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]

    def csv_bytes(self) -> bytes:
        """All numbers at full precision; text that a spreadsheet would run as a formula is quoted."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([[_cell(v) for v in row] for row in self.rows])
        return out.getvalue().encode()

    def shown_rows(self, most: int) -> list[list[str]]:
        """The first rows as text, for the page."""
        return [[number(v, 4) if is_number(v) else _dash(v) for v in row] for row in self.rows[:most]]

    def png_bytes(self) -> bytes:
        """The figure on white paper."""
        return self._save("png", dpi=style.DPI, metadata={"Software": None})

    def svg_bytes(self) -> bytes:
        """The figure on white paper; text stays text."""
        return self._save("svg", metadata={"Date": None, "Creator": None})

    def _save(self, kind: str, **options: Any) -> bytes:
        out = io.BytesIO()
        with mpl.rc_context({**style.RC, "svg.hashsalt": self.name}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a label in a script the font lacks
            self.figure.savefig(out, format=kind, **options)
        return out.getvalue()


def inline_svg(svg: bytes, name: str, label: str) -> str:
    """The SVG as a part of an HTML page: no prolog, ids of its own, colours as CSS variables, a label for readers.

    ``label`` must be escaped by the caller.
    """
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    for color in style.DARK:
        text = re.sub(rf"(?<=: ){color}\b", f"var(--c{color[1:]})", text)
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{label}" ', text, count=1)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        shown = plain(value)
        return f"'{shown}" if shown.startswith(_FORMULA_STARTS) else shown
    return "" if value is None else value


def _dash(value: Any) -> str:
    return number(None) if value is None else plain(value, 80)
