"""Accuracy over two axes: a map in colours, with its numbers while there is room for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from qtaml_hw.records.fields import F
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.measure import heading_of
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.figures.accuracy import MOST_PANELS, finite, interval_cells, maps_words
from qtaml_hw.report.layout import CASE, lay_out, short, shown_value, title, varying
from qtaml_hw.report.material import Material

MOST_ROWS: Final = 24  # of cells that are as high as a line of text
MOST_COLUMNS: Final = 20  # of cells that are as wide as a number
NAMED: Final = 8  # ticks of an axis with more cells than these


def accuracy_map(material: Material) -> Drawing | None:
    """Accuracy over two numeric axes, numbers in cells; a panel for every case or policy, and whatever else varies."""
    layout = lay_out(material.points)
    axes = varying(material.points)
    second = next((p for p, v in axes.items() if layout.x and p != layout.x.path and all(map(is_number, v))), None)
    if layout.x is None or second is None or min(len(axes[second]), len(axes[layout.x.path])) < 3:
        return None
    others = [p for p in axes if p not in (layout.x.path, second)]
    maps: dict[tuple[str, ...], dict[tuple[float, float], PointSummary]] = {}
    for s in material.points:
        key = tuple(shown_value(s, p) for p in others)
        maps.setdefault(key, {})[float(s.facts[F.axes_si][second]), layout.x.at(s)] = s
    xs = sorted({layout.x.at(s) for s in material.points})
    ys = sorted({(float(s.facts[F.axes_si][second]), shown_value(s, second)) for s in material.points})
    drawn = list(maps.items())[:MOST_PANELS]
    heading, read = heading_of(s.facts for s in material.points)

    def value(s: PointSummary) -> float:
        return finite(read.value(s.accuracy.mean))

    seen = [one for one in map(value, material.points) if not math.isnan(one)] or [0.0]
    span = (min(seen), max(seen)) if read.logarithmic else (0.0, 100.0)
    roomy, form = len(ys) <= MOST_ROWS and len(xs) <= MOST_COLUMNS, ".3g" if read.logarithmic else ".0f"
    figure, panels = style.canvas((1.0 + 0.34 * min(len(ys), MOST_ROWS)) * len(drawn) + 0.3, len(drawn))
    for ax, (key, table) in zip(panels, drawn, strict=True):
        grid = [[value(table[y, x]) if (y, x) in table else math.nan for x in xs] for y, _ in ys]
        image = cells(ax, grid, "cividis", span, form if roomy else "")
        if not roomy:
            figure.colorbar(image, ax=ax, label=style.words(f"{heading} ({read.unit})" if read.unit else heading))
        across, up = _named(len(xs), MOST_COLUMNS), _named(len(ys), MOST_ROWS)
        ax.set_xticks(across, style.tick_labels([xs[i] for i in across]))
        ax.set_yticks(up, [style.words(ys[i][1], 16) for i in up])
        ax.set_ylabel(style.words(title(second)))
        ax.set_title(style.words(_case(others, key), 60))
    panels[-1].set_xlabel(layout.x.title)
    unit = f" in {read.unit}" if read.unit else ""
    more = f" The first {len(drawn)} of {len(maps)} are drawn; the CSV has all." if len(maps) > len(drawn) else ""
    caption = f"Mean {heading.lower()}{unit}; {maps_words(material.points)}. Intervals are in the table below.{more}"
    columns = (*others, second, layout.x.path, "accuracy_mean", "accuracy_ci95_low", "accuracy_ci95_high", "maps")
    rows = [
        (*key, y, s.facts[F.axes_si][layout.x.path], *interval_cells(s.accuracy))
        for key, table in maps.items()
        for (y, _), s in sorted(table.items(), key=lambda entry: entry[0])
    ]
    return Drawing(
        "accuracy_map", f"{heading} over {short(layout.x.path)} and {short(second)}", caption, figure, columns, rows
    )


def _case(paths: Sequence[str], values: Sequence[str]) -> str:
    """``tac 8 %`` of a case, ``policy tac`` of anything else."""
    return ", ".join(v if p == CASE else f"{short(p)} {v}" for p, v in zip(paths, values, strict=True))


def _named(count: int, most: int) -> range:
    """Which cells of an axis have a tick: all while they are few, else the first and others at equal steps."""
    return range(0, count, 1 if count <= most else -(-count // NAMED))


def cells(ax: Axes, grid: Sequence[Sequence[float]], colors: str, span: tuple[float, float], form: str) -> AxesImage:
    """A heat map with its numbers in the cells (no colour bar to read off); without them where ``form`` is empty."""
    image = ax.imshow(grid, cmap=colors, vmin=span[0], vmax=span[1], aspect="auto")
    for row, values in enumerate(grid if form else ()):
        for column, value in enumerate(values):
            if not math.isnan(value):
                red, green, blue, _ = np.atleast_2d(image.cmap(image.norm(np.array([value]))))[0]
                light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
                color = style.FIXED_INK if light else "#fefefe"
                ax.text(column, row, format(value, form), ha="center", va="center", color=color, fontsize=8.5)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return image
