"""Retention quantiles and flip probabilities against the oxide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from qtaml_hw.records.fields import F
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import plain, scale, sentence, share_of_cells
from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.layout import OXIDE, differing, short, shown_value
from qtaml_hw.report.material import Material

_DEVICE: Final = ("cell.", "refresh.", "flips.")
_NM: Final = 1e-9


def _devices(points: Sequence[PointSummary]) -> tuple[str, list[PointSummary]]:
    """One point per oxide: the cell knows no policy. Of several other device settings the first is kept, and said."""
    others = [p for p in differing(points) if p.startswith(_DEVICE) and p != OXIDE]
    first = tuple(shown_value(points[0], p) for p in others)
    kept = {float(s.facts[F.t_ox_m]): s for s in reversed(points) if tuple(shown_value(s, p) for p in others) == first}
    said = ", ".join(f"{short(p)} {v}" for p, v in zip(others, first, strict=True))
    return said, [kept[t] for t in sorted(kept)]


def retention(material: Material) -> Drawing | None:
    """Time by which a share of the cells has failed, against t_ox."""
    points = [s for s in material.points if s.facts.get(F.retention_quantiles_s) and is_number(s.facts.get(F.t_ox_m))]
    if len({s.facts[F.t_ox_m] for s in points}) < 2:
        return None
    said, devices = _devices(points)
    known = set.intersection(*(set(s.facts[F.retention_quantiles_s]) for s in devices))
    shares = sorted(known, key=float, reverse=True)
    if not shares:
        return None
    figure, (ax,) = style.canvas(3.4)
    unit = scale([s.facts[F.retention_quantiles_s][u] for s in devices for u in shares], "s")
    x = [s.facts[F.t_ox_m] / _NM for s in devices]
    for share, color, marker in zip(shares, style.ORDERED * 3, style.MARKERS * 2, strict=False):
        y = [s.facts[F.retention_quantiles_s][share] / unit.factor for s in devices]
        ax.plot(x, y, color=color, marker=marker, ms=4, label=f"{share_of_cells(float(share))} of cells")
    intervals = {s.facts.get(F.refresh_interval_s) for s in devices}
    if len(intervals) == 1 and is_number(interval := intervals.pop()):
        ax.axhline(interval / unit.factor, color=style.INK, lw=1.2, ls=(0, (4, 2)), label="refresh interval")
    style.log_axis(ax, "y")
    style.value_axis(ax, [s.facts[F.t_ox_m] / _NM for s in devices], log=False)
    ax.set_xlabel("Oxide thickness t_ox (nm)")
    ax.set_ylabel(f"Retention time ({unit.unit})")
    style.legend(figure, ax)
    rows = [
        (s.facts[F.t_ox_m], *(s.facts[F.retention_quantiles_s][u] for u in shares), s.facts.get(F.gate_share))
        for s in devices
    ]
    columns = (F.t_ox_m, *(f"retention_q{u}_s" for u in shares), F.gate_share)
    caption = (
        f"Modelled: the time after which the given share of cells in the leaking state has flipped.{sentence(said)}"
    )
    return Drawing("retention", "Retention against oxide thickness", caption, figure, columns, rows)


def flip_probability(material: Material) -> Drawing | None:
    """p(1 -> 0) and p(0 -> 1) of one interval against t_ox."""
    points = [s for s in material.points if all(is_number(s.facts.get(k)) for k in (F.t_ox_m, F.p10, F.p01))]
    if len({s.facts[F.t_ox_m] for s in points}) < 2 or len({s.facts[F.p10] for s in points}) < 2:
        return None
    said, devices = _devices(points)
    shown = [s.facts[key] for s in devices for key in (F.p10, F.p01)]
    if max(sum(s.facts[key] >= style.FLOOR for s in devices) for key in (F.p10, F.p01)) < 2:
        return None  # one dot says no more than the table
    figure, (ax,) = style.canvas(3.2)
    for key, name, color, marker in (
        (F.p10, "p(1→0)", style.VERMILION, "o"),
        (F.p01, "p(0→1)", style.BLUE, "s"),
    ):
        found = [(s.facts[F.t_ox_m] / _NM, s.facts[key]) for s in devices if s.facts[key] >= style.FLOOR]
        if found:
            ax.plot(*zip(*found, strict=True), color=color, marker=marker, label=name)
    tiny = style.probability_axis(ax, shown)
    style.value_axis(ax, [s.facts[F.t_ox_m] / _NM for s in devices], log=False)
    ax.set_xlabel("Oxide thickness t_ox (nm)")
    ax.set_ylabel("Flip probability per bit")
    style.legend(figure, ax)
    law = ", ".join(sorted({plain(s.facts.get(F.law, ""), 30) for s in devices}))
    caption = f"Modelled, law: {law}; before any ECC.{tiny}{sentence(said)}"
    rows: list[tuple[Any, ...]] = [(s.facts[F.t_ox_m], s.facts[F.p10], s.facts[F.p01]) for s in devices]
    return Drawing(
        "flip_probability", "Flip probability against oxide thickness", caption, figure, (F.t_ox_m, F.p10, F.p01), rows
    )
