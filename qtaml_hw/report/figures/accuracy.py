"""Accuracy: against the swept axis, point by point, over two axes, over simulated time, and chip by chip."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from matplotlib.axes import Axes

from qtaml_hw.records.chips import KEEP, Yield
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import Interval
from qtaml_hw.records.measure import Measure, heading_of, measure_of
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import percent, scale
from qtaml_hw.report import style
from qtaml_hw.report.columns import score_name
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.layout import (
    MOST_LINES,
    Axis,
    Layout,
    Line,
    Panel,
    focus,
    lay_out,
    short,
)
from qtaml_hw.report.material import Material

MOST_PANELS: Final = 6
MOST_POINTS: Final = 40
_REPLICATES: Final = "Bars: 95 % intervals over fault maps"


def accuracy(material: Material) -> Drawing | None:
    """Accuracy against the numeric axis, a line per case or policy."""
    layout = lay_out(material.points)
    if layout.x is None:
        return None
    panels = layout.panels[:MOST_PANELS]
    figure, axes = style.canvas(3.4 + 2.3 * (len(panels) - 1), len(panels))
    looks = style.looks(_names(layout))
    for ax, panel in zip(axes, panels, strict=True):
        _lines(ax, panel, layout.x, looks)
        ax.set_ylabel(score_label(material.points))
        if panel.title:
            ax.set_title(style.words(panel.title, 60))
    axes[-1].set_xlabel(layout.x.title)
    style.legend(figure, axes)
    caption = f"{_REPLICATES} ({maps_words(material.points)}); hollow marks: one map, no interval.{_cut(layout)}"
    return Drawing(
        "accuracy", f"{score_name(material.points)} against {short(layout.x.path)}", caption, figure, *_table(layout)
    )


def _names(layout: Layout) -> list[str]:
    return list(dict.fromkeys(line.name for panel in layout.panels for line in panel.lines))


def _lines(ax: Axes, panel: Panel, axis: Axis, looks: dict[str, style.Look]) -> None:
    for line in panel.lines[:MOST_LINES]:
        x = [axis.at(s) for s in line.points]
        found = [s.accuracy for s in line.points]
        _interval_line(ax, x, found, looks[line.name], line.name, measure_of(line.points[0].facts))
    reference_lines(ax, [s for line in panel.lines for s in line.points])
    limits(ax)
    style.value_axis(ax, [axis.at(s) for line in panel.lines for s in line.points], axis.log)


def score_label(points: Iterable[PointSummary]) -> str:
    """The metric and its unit, as an axis is called."""
    title, read = heading_of(s.facts for s in points)
    return f"{title}{read.per}"


def finite(value: float) -> float:
    """A value that can be drawn: nothing of infinity."""
    return value if math.isfinite(value) else math.nan


def _interval_line(
    ax: Axes, x: Sequence[float], found: Sequence[Interval], look: style.Look, name: str, read: Measure
) -> None:
    means = [finite(read.value(i.mean)) for i in found]
    ends = [
        sorted((read.value(i.low), read.value(i.high))) if i.maps > 1 else [m, m]
        for i, m in zip(found, means, strict=True)
    ]
    below = [finite(m - end[0]) for m, end in zip(means, ends, strict=True)]
    above = [finite(end[1] - m) for m, end in zip(means, ends, strict=True)]
    single = all(i.maps == 1 for i in found)
    ax.errorbar(
        x,
        means,
        yerr=[below, above],
        color=look.color,
        marker=look.marker,
        markerfacecolor=style.PAPER if single else look.color,
        elinewidth=1.2,
        label=style.words(name),
        zorder=3,
    )


def reference_lines(ax: Axes, points: Sequence[PointSummary], along: str = "y") -> None:
    """Clean and quantised accuracy, and the 95 %-of-clean target, where all points agree on them."""
    draw = ax.axhline if along == "y" else ax.axvline
    read = heading_of(s.facts for s in points)[1]
    if read.logarithmic:
        (ax.set_yscale if along == "y" else ax.set_xscale)("log")
    clean = {s.facts[F.clean_score] for s in points}
    quantised = {s.facts[F.quantised_score] for s in points}
    if len(quantised) == 1:
        value = quantised.pop()
        label = f"quantised {read.show(value)}{read.suffix}"
        draw(read.value(value), color=style.MUTED, lw=1.3, ls=(0, (4, 2)), label=label, zorder=2)
    if len(clean) == 1:
        value = clean.pop()
        draw(read.value(value), color=style.INK, lw=1.1, label=f"clean {read.show(value)}{read.suffix}", zorder=1)
        target = f"{percent(KEEP, 0)} % of clean"
        draw(read.value(KEEP * value), color=style.MUTED, lw=1.2, ls=(0, (1, 1.5)), label=target, zorder=1)


def limits(ax: Axes, along: str = "y") -> None:
    """At least two points of accuracy in view, never beyond 0 .. 101 %."""
    if (ax.get_yscale() if along == "y" else ax.get_xscale()) == "log":
        return
    low, high = ax.get_ylim() if along == "y" else ax.get_xlim()
    span = max(high - low, 2.0)
    middle = 0.5 * (low + high)
    found = (max(middle - 0.5 * span, -1.0), min(middle + 0.5 * span, 101.0))
    if along == "y":
        ax.set_ylim(*found)
    else:
        ax.set_xlim(*found)


def maps_words(points: Sequence[PointSummary]) -> str:
    """``16 maps of 500 images``, or the ranges."""
    maps = sorted({len(s.accuracies) for s in points})
    unit = "tokens" if all(s.facts.get(F.tokens) for s in points) else "images"
    judged = sorted({int(s.facts[unit]) for s in points})
    return f"{_range(maps)} map{'' if maps == [1] else 's'} of {_range(judged)} {unit} each"


def _range(values: Sequence[int]) -> str:
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"


def _cut(layout: Layout) -> str:
    more = len(layout.panels) - MOST_PANELS
    lines = max(len(p.lines) for p in layout.panels) - MOST_LINES
    said = f" The first {MOST_PANELS} of {len(layout.panels)} panels are drawn; the CSV has all." if more > 0 else ""
    return said + (f" The first {MOST_LINES} lines of each panel are drawn; the CSV has all." if lines > 0 else "")


def _table(layout: Layout) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Columns and rows of everything a layout holds, SI on the axis."""
    path = layout.x.path if layout.x else ""
    columns = (
        "panel",
        "series",
        path,
        "accuracy_mean",
        "accuracy_ci95_low",
        "accuracy_ci95_high",
        "maps",
        "clean_accuracy",
    )
    rows = [
        (
            panel.title,
            line.name,
            s.facts[F.axes_si].get(path, ""),
            *interval_cells(s.accuracy),
            s.facts[F.clean_score],
        )
        for panel in layout.panels
        for line in panel.lines
        for s in line.points
    ]
    return columns, rows


def interval_cells(found: Interval) -> tuple[float, float | None, float | None, int]:
    """mean, low, high, maps; no bounds where one map gives none."""
    one = found.maps == 1
    return found.mean, None if one else found.low, None if one else found.high, found.maps


def accuracy_by_point(material: Material) -> Drawing | None:
    """Without a numeric axis: every fault map as a dot, mean and interval beside it."""
    layout = lay_out(material.points)
    if layout.x is not None or not material.points:
        return None
    named = focus(layout)[1][:MOST_POINTS]
    figure, (ax,) = style.canvas(1.5 + 0.36 * len(named))
    looks = style.looks(list(dict.fromkeys(str(s.facts.get(F.policy, "")) for _, s in named)))
    for row, (_, s) in enumerate(named):
        look = looks[str(s.facts.get(F.policy, ""))]
        read = measure_of(s.facts)
        values = [finite(read.value(a)) for a in s.accuracies]
        jitter = [row + 0.24 * (((i * 0.618) % 1.0) - 0.5) for i in range(len(values))]
        ax.plot(values, jitter, ls="", marker="o", ms=3.2, mew=0, color=look.color, alpha=0.35, zorder=2)
        found = s.accuracy
        if found.maps > 1:
            ax.plot(
                [finite(read.value(found.low)), finite(read.value(found.high))],
                [row, row],
                color=look.color,
                lw=2.2,
                zorder=3,
            )
        ax.plot(
            [finite(read.value(found.mean))], [row], marker="D", ms=5.5, color=look.color, mec=style.PAPER, zorder=4
        )
    reference_lines(ax, [s for _, s in named], "x")
    limits(ax, "x")
    ax.set_yticks(range(len(named)), [style.words(name, 34) for name, _ in named])
    ax.set_ylim(len(named) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(score_label(material.points))
    style.legend(figure, ax)
    rows = [(name, *interval_cells(s.accuracy), s.facts[F.clean_score]) for name, s in named]
    columns = ("point", "accuracy_mean", "accuracy_ci95_low", "accuracy_ci95_high", "maps", "clean_accuracy")
    more = f" The first {MOST_POINTS} of {len(material.points)} points." if len(material.points) > MOST_POINTS else ""
    caption = (
        f"Dots: fault maps ({maps_words(material.points)}). Diamond and bar: mean and 95 % interval over maps.{more}"
    )
    return Drawing(
        "accuracy_by_point", f"{score_name(material.points)} over fault maps", caption, figure, columns, rows
    )


def accuracy_time(material: Material) -> Drawing | None:
    """Accuracy over simulated time, at the focus of the sweep, when several times were asked for."""
    points = [s for s in material.points if len(s.series) > 1]
    if not points:
        return None
    layout = lay_out(points)
    where, found = focus(layout)
    pairs = found[:MOST_LINES]
    more = f"The first {len(pairs)} of {len(found)} are drawn" if len(found) > len(pairs) else ""
    if len(pairs) == 1 and pairs[0][1].counts:  # the timeline shows it, and more
        return None
    unit = scale([t for _, s in pairs for t, _ in s.series], "s")
    figure, (ax,) = style.canvas(3.4)
    looks = style.looks([name for name, _ in pairs])
    for name, s in pairs:
        times = [t / unit.factor for t, _ in s.series]
        _interval_line(ax, times, [i for _, i in s.series], looks[name], name, measure_of(s.facts))
    reference_lines(ax, [s for _, s in pairs])
    limits(ax)
    times = [t for _, s in pairs for t, _ in s.series]
    if min(times) > 0 and max(times) >= 20 * min(times):
        style.log_axis(ax, "x")
    ax.set_xlabel(f"Simulated time since the weights were written ({unit.unit})")
    ax.set_ylabel(score_label(points))
    style.legend(figure, ax)
    said = [f"At {where}" if where else "", f"{_REPLICATES} ({maps_words(points)})", more]
    caption = ". ".join(filter(None, said)) + "."
    rows = [(name, t, *interval_cells(i)) for name, s in pairs for t, i in s.series]
    columns = ("series", "time_s", "accuracy_mean", "accuracy_ci95_low", "accuracy_ci95_high", "maps")
    return Drawing(
        "accuracy_time", f"{score_name(material.points)} over simulated time", caption, figure, columns, rows
    )


def chip_yield(material: Material) -> Drawing | None:
    """Share of chips that keep 95 % of clean, in the panels of ``accuracy``; from four maps on."""
    layout = lay_out(material.points)
    if layout.x is None or min(len(s.accuracies) for s in material.points) < 4:
        return None
    panels = layout.panels[:MOST_PANELS]
    figure, axes = style.canvas(3.2 + 2.1 * (len(panels) - 1), len(panels))
    looks = style.looks(_names(layout))
    for ax, panel in zip(axes, panels, strict=True):
        for line in panel.lines[:MOST_LINES]:
            _yield_line(ax, line, layout.x, looks[line.name])
        ax.set_ylim(-3, 103)
        ax.set_ylabel("Chips that keep 95 % (%)")
        ax.set_title(style.words(panel.title, 60))
        style.value_axis(ax, [layout.x.at(s) for line in panel.lines for s in line.points], layout.x.log)
    axes[-1].set_xlabel(layout.x.title)
    style.legend(figure, axes)
    caption = (
        "Share of fault maps with at least 95 % of the clean score; bars: 95 % Clopper-Pearson intervals "
        f"({maps_words(material.points)}).{_cut(layout)}"
    )
    columns = ("panel", "series", layout.x.path, "yield", "yield_ci95_low", "yield_ci95_high", "maps")
    rows = [
        (p.title, line.name, s.facts[F.axes_si][layout.x.path], *_chips(s), len(s.accuracies))
        for p in layout.panels
        for line in p.lines
        for s in line.points
    ]
    return Drawing("chip_yield", "Yield: chips that keep 95 % of the clean score", caption, figure, columns, rows)


def _chips(s: PointSummary) -> tuple[float, float, float]:
    """Share of chips that keep 95 % of clean, and its bounds."""
    found = Yield.of(s.accuracies, KEEP, float(s.facts[F.clean_score]))
    return found.chips, *found.ci95


def _yield_line(ax: Axes, line: Line, axis: Axis, look: style.Look) -> None:
    found = [_chips(s) for s in line.points]
    ax.errorbar(
        [axis.at(s) for s in line.points],
        [100 * share for share, _, _ in found],
        yerr=[[100 * (share - low) for share, low, _ in found], [100 * (high - share) for share, _, high in found]],
        color=look.color,
        marker=look.marker,
        elinewidth=1.0,
        label=style.words(line.name),
    )
