"""One point over simulated time on a shared axis: accuracy, chips that keep it, flips, corrections, power."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.ticker import SymmetricalLogLocator

from qtaml_hw.records.chips import KEEP
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import Interval
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.measure import Measure, measure_of, title_of
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import percent, plain, scale
from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.figures.accuracy import finite, interval_cells, limits, maps_words
from qtaml_hw.report.layout import focus, lay_out
from qtaml_hw.report.material import Material

PARTS: Final = {
    "read": ("reads", style.BLUE),
    "codec": ("ECC codec", style.ORANGE),
    "refresh": ("refresh", style.GREEN),
    "scrub": ("scrub", style.PURPLE),
    "reload": ("reload", style.OCHRE),
    "leakage": ("leakage", style.SKY),
}
FLIPS: Final = {
    F.flips_raw_series: ("stored bits in error", style.VERMILION, "o"),
    F.flips_residual_series: ("left after decoding", style.BLUE, "s"),
}
CORRECTIONS: Final = {
    F.scrub_corrected_series: ("corrected by scrub", style.PURPLE, "D"),
    F.refresh_corrected_series: ("by refresh", style.GREEN, "^"),
    F.corrections_uncorrectable_series: ("found lost", style.VERMILION, "X"),
    F.words_reloaded_series: ("reloaded", style.OCHRE, "v"),
}
FEWEST_CHIPS: Final = 4
_TARGET: Final = f"{percent(KEEP, 0)} % of clean"
Look = tuple[str, str, str]
_LOG_FROM: Final = 20.0
_LOG_COUNTS: Final = 1000.0


def timeline(material: Material) -> Drawing | None:
    """The point whose accuracy moves most over time, when several times were asked for."""
    points = [s for s in material.points if len(s.series) > 1 and s.counts and F.energy_series_j in s.facts]
    if not points:
        return None
    layout = lay_out(points)
    where, pairs = focus(layout)
    name, s = max(pairs, key=lambda pair: _moved(pair[1]))
    unit = scale([t for t, _ in s.series], "s")
    times = [t / unit.factor for t, _ in s.series]
    draws = [_accuracy, *([_chips] if len(s.accuracies) >= FEWEST_CHIPS else []), _flips]
    draws += [_corrections] if any(any(map(any, s.counts.get(n, ()))) for n in CORRECTIONS) else []
    draws += [_power]
    figure, axes = style.canvas(0.6 + 1.3 * len(draws), len(draws))
    for ax, draw in zip(axes, draws, strict=True):
        draw(ax, s, times)
        _legend(ax)
    _phases(axes, s, unit.factor)
    _time_axis(axes[-1], times, bool(s.facts.get(F.phases)))
    axes[-1].set_xlabel(f"Simulated time since the weights were written ({unit.unit})")
    figure.align_ylabels(axes)
    what = ", ".join(filter(None, [where, plain(name, 60) if len(pairs) > 1 else ""]))
    others = f"The other {len(points) - 1} points are in the tables. " if len(points) > 1 else ""
    caption = (
        f"{f'At {what}. ' if what else ''}{others}Bands: 95 % intervals over fault maps ({maps_words([s])}). "
        "Corrections count from the first write on; power is the memory's, an average since the time before, and the "
        "same for every map."
    )
    return Drawing("timeline", "The memory over simulated time", caption, figure, *_table(s))


def _moved(s: PointSummary) -> float:
    means = [i.mean for _, i in s.series]
    return max(means) - min(means)


def _line(ax: Axes, times: Sequence[float], found: Sequence[Interval], look: Look, factor: float) -> None:
    label, color, marker = look
    ax.plot(times, [factor * i.mean for i in found], color=color, marker=marker, ms=3.6, label=label, zorder=3)
    if all(i.maps > 1 for i in found):
        low, high = ([factor * v for v in ends] for ends in zip(*(i.ci95 for i in found), strict=True))
        ax.fill_between(times, low, high, color=color, alpha=0.22, lw=0, zorder=2)


def _in_unit(found: Interval, read: Measure) -> Interval:
    """An interval of scores in the metric's unit."""
    mean, low, high = (finite(read.value(v)) for v in (found.mean, found.low, found.high))
    return Interval(mean, low, high, found.maps)


def _accuracy(ax: Axes, s: PointSummary, times: Sequence[float]) -> None:
    read, heading = measure_of(s.facts), title_of(s.facts)
    found = [_in_unit(i, read) for _, i in s.series]
    name = heading.lower() if read.logarithmic else "accuracy"
    _line(ax, times, found, (name, style.BLUE, "o"), 1.0)
    clean = float(s.facts[F.clean_score])
    label = f"clean {read.show(clean)}{read.suffix}"
    ax.axhline(read.value(clean), color=style.INK, lw=1.1, label=label, zorder=1)
    ax.axhline(read.value(KEEP * clean), color=style.MUTED, lw=1.2, ls=(0, (1, 1.5)), label=_TARGET, zorder=1)
    if not read.logarithmic:
        limits(ax)
    ax.set_ylabel(f"{heading}{read.per}" if read.logarithmic else "Accuracy (%)")


def _chips(ax: Axes, s: PointSummary, times: Sequence[float]) -> None:
    maps = len(s.accuracies)
    kept = [Interval(y.chips, *y.ci95, maps) for y in s.yields_over_time(KEEP)]
    _line(ax, times, kept, (f"chips that keep {_TARGET}", style.GREEN, "^"), 100.0)
    ax.set_ylim(-4, 104)
    ax.set_ylabel("Chips (%)")


def _flips(ax: Axes, s: PointSummary, times: Sequence[float]) -> None:
    for key, look in FLIPS.items():
        _line(ax, times, s.count_series(key), look, 1.0)
    ax.lines[0].set(markersize=6.5, linewidth=3.2)  # seen behind the other where nothing is corrected
    _count_axis(ax, [i.mean for key in FLIPS for i in s.count_series(key)])
    ax.set_ylabel("Bits per map")


def _corrections(ax: Axes, s: PointSummary, times: Sequence[float]) -> None:
    for key, look in CORRECTIONS.items():
        if any(map(any, s.counts.get(key, ()))):
            _line(ax, times, s.count_series(key), look, 1.0)
    _count_axis(ax, [i.mean for key in CORRECTIONS for i in s.count_series(key)])
    ax.set_ylabel("Words so far")


def _count_axis(ax: Axes, means: Sequence[float]) -> None:
    """From zero on; logarithmic above one where small counts stand beside ones a thousand times as large."""
    some = [m for m in means if m > 0.0]
    if some and max(some) >= _LOG_COUNTS * min(some):
        ax.set_yscale("symlog", linthresh=1.0)
        locator = SymmetricalLogLocator(base=10.0, linthresh=1.0)
        locator.set_params(numticks=5)
        ax.yaxis.set_major_locator(locator)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter("{x:,.0f}")


def _power(ax: Axes, s: PointSummary, times: Sequence[float]) -> None:
    """Steps, one per part, on a logarithmic axis: a reload draws a thousand times what leaks."""
    powers = power_series(s)
    unit = scale([w for watts in powers.values() for w in watts], "W")
    edges = [0.0, *times] if times[0] > 0.0 else list(times)
    for part, watts in powers.items():
        label, color = PARTS[part]
        shown = [w / unit.factor if w > 0.0 else math.nan for w in watts[1 - len(edges) :]]
        ax.stairs(shown, edges, baseline=None, color=color, label=label, lw=1.6)
    style.log_axis(ax, "y")
    ax.set_ylabel(f"Power ({unit.unit})")


def power_series(s: PointSummary) -> dict[str, list[float]]:
    """Watts by part since the time before; 0 where no time passed."""
    ends = [t for t, _ in s.series]
    spans = [end - start for start, end in zip([0.0, *ends[:-1]], ends, strict=True)]
    found = s.facts[F.energy_series_j]
    return {p: [j / t if t > 0.0 else 0.0 for j, t in zip(found[p], spans, strict=True)] for p in PARTS if p in found}


def _legend(ax: Axes) -> None:
    ax.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.1, handlelength=1.3, columnspacing=0.9,
        fontsize=7.5,
    )  # fmt: skip


def _phases(axes: Sequence[Axes], s: PointSummary, factor: float) -> None:
    """Grey where other conditions rule, with what they are called, on the lowest panel that has room."""
    for i, phase in enumerate(s.facts.get(F.phases) or ()):
        start, end = phase["start_s"] / factor, phase["end_s"] / factor
        for ax in axes:
            ax.axvspan(start, end, color=style.GRID, alpha=0.75, lw=0, zorder=0)
        label = style.words(phase.get("label") or f"phase {i + 1}", 24)
        axes[0].annotate(
            label,
            ((start + end) / 2, 0.5),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="center",
            fontsize=7.5,
            color=style.INK,
            bbox={"facecolor": style.PAPER, "edgecolor": style.GRID, "boxstyle": "round,pad=0.2"},
            zorder=6,
            rotation=90 if end - start < 0.12 * s.series[-1][0] / factor else 0,
        )


def _time_axis(ax: Axes, times: Sequence[float], phased: bool) -> None:
    positive = [t for t in times if t > 0.0]
    if len(positive) == len(times) and max(times) >= _LOG_FROM * min(times) and not phased:
        style.log_axis(ax, "x")


def _table(s: PointSummary) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """One row per time: everything the panels show, and what they left out for want of room."""
    counts = {name: s.count_series(name) for name in s.counts}
    powers = power_series(s)
    bounds = ("mean", "ci95_low", "ci95_high")
    columns = (
        "time_s",
        *(f"accuracy_{b}" for b in bounds),
        "maps",
        "chips_keeping_95_percent_of_clean",
        *(f"{name.removesuffix('_series')}_{b}" for name in counts for b in bounds),
        *(f"power_{part}_w" for part in powers),
    )
    kept = s.yield_series(KEEP)
    rows = [
        (
            t,
            *interval_cells(found),
            kept[i],
            *(v for series in counts.values() for v in interval_cells(series[i])[:3]),
            *(watts[i] for watts in powers.values()),
        )
        for i, (t, found) in enumerate(s.series)
    ]
    return columns, [tuple(v if v is None or is_number(v) else None for v in row) for row in rows]
