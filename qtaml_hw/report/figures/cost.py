"""What designs cost: area against energy of every point, and stacked parts where the choice matters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from qtaml_hw.records.fields import F
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.measure import heading_of
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import count, scale
from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.figures.accuracy import finite, interval_cells
from qtaml_hw.report.finding import keeps
from qtaml_hw.report.layout import MOST_LINES, Layout, focus, lay_out, short
from qtaml_hw.report.material import Material

ENERGY_PARTS: Final[dict[str, tuple[str, str]]] = {
    F.mac_energy_j: ("MACs", style.SLATE),
    F.weight_read_energy_j: ("weight reads", style.BLUE),
    F.codec_energy_j: ("ECC codec", style.ORANGE),
    F.refresh_energy_j: ("refresh", style.GREEN),
    F.scrub_energy_j: ("scrub", style.PURPLE),
    F.leakage_energy_j: ("leakage", style.SKY),
    F.storage_energy_j: ("scales, decoders", style.OCHRE),
    F.backing_energy_j: ("backing store", style.VERMILION),
}
AREA_PARTS: Final[dict[str, tuple[str, str]]] = {
    F.array_area_m2: ("data array", style.BLUE),
    F.parity_area_m2: ("parity columns", style.ORANGE),
    F.codec_area_m2: ("ECC codec", style.VERMILION),
    F.storage_area_m2: ("scales, decoders", style.OCHRE),
}
_MOST_BARS: Final = 16
_WIDEST_BAND: Final = 5.0  # times the spread of the points: wider bands would hide how the points differ
_MOST_BANDS: Final = 40
_LOG_FROM: Final = 8.0
_LATER: Final = (F.storage_energy_j, F.backing_energy_j, F.storage_area_m2)  # records of older versions have none


def energy(material: Material) -> Drawing | None:
    """Energy per inference by part."""
    return _stacked(material, "energy", ENERGY_PARTS, (F.energy_per_inference_j, F.energy_low_j, F.energy_high_j), "J")


def area(material: Material) -> Drawing | None:
    """Weight-memory area by part."""
    return _stacked(material, "area", AREA_PARTS, (F.area_m2, F.area_low_m2, F.area_high_m2), "m2")


_WORDS: Final = {
    "energy": ("Energy per inference by part", "Energy per inference"),
    "area": ("Weight-memory area by part", "Area of the weight memory"),
}


def _bars(layout: Layout) -> tuple[str, list[tuple[str, PointSummary]]]:
    """One bar per line at the focus; with a single line, one bar per x value."""
    if layout.x is not None and len(layout.lines) == 1:
        axis = layout.x
        return f"by {short(axis.path)}", [(axis.show(axis.at(s)), s) for s in layout.lines[0][1].points]
    where, pairs = focus(layout)
    return f"at {where}" if where else "", list(pairs)


def area_energy(material: Material) -> Drawing | None:
    """Energy of an inference against the memory's area, every point, with the bands of both and accuracy as colour."""
    keys = (F.area_m2, F.area_low_m2, F.area_high_m2, F.energy_per_inference_j, F.energy_low_j, F.energy_high_j)
    placed = [(name, s) for name, line in lay_out(material.points).lines for s in line.points]
    found = [(n, s) for n, s in placed if all(is_number(s.facts.get(k)) and s.facts[k] > 0 for k in keys)]
    if len({(s.facts[F.area_m2], s.facts[F.energy_per_inference_j]) for _, s in found}) < 2:
        return None
    units = [scale([s.facts[k] for _, s in found], si) for k, si in ((keys[0], "m2"), (keys[3], "J"))]
    heading, read = heading_of(s.facts for _, s in found)
    scores = [finite(read.value(s.worst[1].mean)) for _, s in found]
    seen = [score for score in scores if not math.isnan(score)] or [0.0]
    span = Normalize(min(seen), max(max(seen), min(seen) + 1.0))
    names = list(dict.fromkeys(name for name, _ in found))
    bands = [_band([s for _, s in found], keys[i : i + 3]) for i in (0, 3)]
    banded = len(found) <= _MOST_BANDS and all(apart for _, apart in bands)
    figure, (ax,) = style.canvas(4.0)
    for name, look in style.looks(names[:MOST_LINES]).items():
        mine = [(s, score) for (n, s), score in zip(found, scores, strict=True) if n == name]
        (x, x_low, x_high), (y, y_low, y_high) = (
            [[s.facts[k] / unit.factor for s, _ in mine] for k in keys[i : i + 3]]
            for i, unit in ((0, units[0]), (3, units[1]))
        )
        if banded:
            ax.hlines(y, x_low, x_high, color=style.SLATE, lw=0.8, alpha=0.7, zorder=1)
            ax.vlines(x, y_low, y_high, color=style.SLATE, lw=0.8, alpha=0.7, zorder=1)
        colors = [score for _, score in mine]
        edge = [style.INK if keeps(s) else style.PAPER for s, _ in mine]
        ax.scatter(
            x, y, 42, colors, marker=look.marker, cmap="cividis", norm=span, edgecolors=edge, linewidths=0.9, zorder=3
        )
        ax.plot([], [], ls="", marker=look.marker, color=style.SLATE, label=style.words(name))
    _spread_out(ax, [[s.facts[k] / unit.factor for _, s in found] for k, unit in zip(keys[::3], units, strict=True)])
    ax.set_xlabel(f"Area of the weight memory ({units[0].unit})")
    ax.set_ylabel(f"Energy per inference ({units[1].unit})")
    figure.colorbar(ScalarMappable(span, "cividis"), ax=ax, label=f"{heading}{read.per}", pad=0.02, aspect=28)
    style.legend(figure, ax)
    said = ["Modelled; colour: measured, at the worst time. Dark rim: keeps 95 % of clean."]
    drawn = "thin lines" if banded else "too wide or too many to draw: in the CSV"
    said += [f"Bands of the cost models ({drawn}): area {bands[0][0]}, energy {bands[1][0]} times the value."]
    more = len(names) - MOST_LINES
    said += [f"The first {MOST_LINES} of {len(names)} series are drawn; the CSV has all."] if more > 0 else []
    gone = len(material.points) - len(found)
    said += [f"{count(gone, 'point')} without these figures left out."] if gone else []
    columns = ("series", "point", *keys, "accuracy_mean", "accuracy_ci95_low", "accuracy_ci95_high", "maps", "keeps")
    rows = [
        (n, s.facts.get(F.label), *(s.facts[k] for k in keys), *interval_cells(s.worst[1]), keeps(s)) for n, s in found
    ]
    return Drawing("area_energy", "Energy against area", " ".join(said), figure, columns, rows)


def _spread_out(ax: Axes, values: Sequence[Sequence[float]]) -> None:
    """Logarithmic axes where the points span more than a factor of eight."""
    for which, found in zip("xy", values, strict=True):
        if max(found) > _LOG_FROM * min(found):
            style.log_axis(ax, which)


def _band(points: Sequence[PointSummary], keys: Sequence[str]) -> tuple[str, bool]:
    """How far a figure's bands reach, in words; whether the points can still be told apart beside them."""
    value, low, high = ([s.facts[key] for s in points] for key in keys)
    below, above = (max(map(abs, (1.0 - end / v for v, end in zip(value, ends, strict=True)))) for ends in (low, high))
    return f"{1.0 - below:.2g} to {1.0 + above:.2g}", max(high) - min(low) < _WIDEST_BAND * (max(value) - min(value))


def _stacked(
    material: Material, name: str, parts: Mapping[str, tuple[str, str]], total: tuple[str, str, str], si: str
) -> Drawing | None:
    points = [
        s for s in material.points if all(is_number(s.facts.get(k)) for k in (*parts, total[0]) if k not in _LATER)
    ]
    if not points:
        return None
    layout = lay_out(points)
    where, found = _bars(layout)
    bars = found[:: -(-len(found) // _MOST_BARS)]
    unit = scale([s.facts[total[0]] for _, s in bars], si)
    figure, (ax,) = style.canvas(1.35 + 0.36 * len(bars))
    left = [0.0] * len(bars)
    for key, (label, color) in parts.items():
        width = [s.facts.get(key, 0.0) / unit.factor for _, s in bars]
        if any(width):
            ax.barh(range(len(bars)), width, 0.62, left, color=color, label=label, edgecolor=style.PAPER, linewidth=0.5)
        left = [a + b for a, b in zip(left, width, strict=True)]
    reach = 1.14 * max(left)
    for row, (_, s) in enumerate(bars):
        ax.text(left[row] + 0.015 * reach, row, unit.show(s.facts[total[0]]), va="center", fontsize=8.5)
        low, high = s.facts.get(total[1]), s.facts.get(total[2])
        if is_number(low) and is_number(high):
            band = [low / unit.factor, high / unit.factor]
            ax.plot(band, [row + 0.37] * 2, color=style.INK, lw=1.2, marker="|", ms=4)
            reach = max(reach, 1.03 * band[1])
    ax.set_xlim(0, reach)
    ax.set_yticks(range(len(bars)), [style.words(label, 30) for label, _ in bars])
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(f"{_WORDS[name][1]} ({unit.unit})")
    style.legend(figure, ax)
    gone = len(material.points) - len(points)
    said = [f"{len(bars)} of {len(found)} are drawn; the CSV has all."] if len(bars) < len(found) else []
    said += [f"{count(gone, 'point')} without these figures left out."] if gone else []
    caption = " ".join(
        [f"Modelled{' ' + where if where else ''}. Number: total; thin line: band of the cost model.", *said]
    )
    rows = [(label, *(s.facts.get(k, 0.0) for k in parts), *(s.facts.get(k) for k in total)) for label, s in found]
    return Drawing(name, _WORDS[name][0], caption, figure, ("point", *parts, *total), rows)
