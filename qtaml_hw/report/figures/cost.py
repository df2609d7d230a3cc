"""Where energy and area go: stacked bars at the point of the sweep where the choice matters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from qtaml_hw.records.fields import F
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.layout import Layout, focus, lay_out, short
from qtaml_hw.report.material import Material
from qtaml_hw.report.text import scale

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
    panel = layout.panels[0]
    if layout.x is not None and len(panel.lines) == 1:
        axis = layout.x
        points = panel.lines[0].points
        step = -(-len(points) // _MOST_BARS)
        return f"by {short(axis.path)}", [(axis.show(axis.at(s)), s) for s in points[::step]]
    where, pairs = focus(layout, panel)
    return f"at {where}" if where else "", list(pairs)[:_MOST_BARS]


def _stacked(
    material: Material, name: str, parts: Mapping[str, tuple[str, str]], total: tuple[str, str, str], si: str
) -> Drawing | None:
    points = [
        s for s in material.points if all(is_number(s.facts.get(k)) for k in (*parts, total[0]) if k not in _LATER)
    ]
    if not points:
        return None
    layout = lay_out(points)
    where, bars = _bars(layout)
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
    ax.set_yticks(range(len(bars)), [style.words(label, 24) for label, _ in bars])
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(f"{_WORDS[name][1]} ({unit.unit})")
    style.legend(figure, ax)
    shared = layout.panels[0].title
    place = ", ".join(filter(None, [where, shared]))
    caption = f"Modelled{' ' + place if place else ''}. Number: total; thin line: band of the cost model."
    rows = [(label, *(s.facts.get(k, 0.0) for k in parts), *(s.facts.get(k) for k in total)) for label, s in bars]
    return Drawing(name, _WORDS[name][0], caption, figure, ("point", *parts, *total), rows)
