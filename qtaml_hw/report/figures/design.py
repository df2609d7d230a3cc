"""The front of a design: area against energy, with the bands of both, what was refuted on the way, and the bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.axes import Axes

from qtaml_hw.records.fields import F
from qtaml_hw.records.text import scale, spelled
from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing

_NUMBERED: Final = 12  # points of the front with a number beside them; more would lie over each other
COLUMNS: Final = (
    *("what", "number", "label", F.area_m2, F.area_low_m2, F.area_high_m2),
    *(F.energy_per_inference_j, F.energy_low_j, F.energy_high_j, F.stored_bits_per_weight),
    *("score_mean", "score_ci95_low", "score_ci95_high", "maps", "yield", "yield_ci95_low", "yield_ci95_high", "set"),
)
Row = Mapping[str, Any]


def design(found: Row) -> Drawing:
    """Designs of the front in order, joined; good ones that are beaten, those that fall short, and the bound."""
    front, others = found["front"], found["measured_designs"]
    beaten, short = ([row for row in others if row["good"] is good] for good in (True, False))
    bound = [found["bound"]] if found["bound"] else []
    drawn = [*front, *beaten, *short, *bound]
    figure, (ax,) = style.canvas(3.4)
    if drawn:
        area = scale([r["area_m2"] for r in drawn], "m2")
        energy = scale([r["energy_per_inference_j"] for r in drawn], "J")
        factors = area.factor, energy.factor
        _points(ax, short, factors, "x", style.SLATE, "falls short")
        _points(ax, beaten, factors, "o", style.SKY, "good enough, beaten")
        _points(ax, bound, factors, "*", style.INK, "bound: error-free planes")
        _front(ax, front, factors)
        style.log_axis(ax, "y")
        style.log_axis(ax, "x")
        ax.set_xlabel(f"Memory area ({area.unit})")
        ax.set_ylabel(f"Energy per inference ({energy.unit})")
    style.legend(figure, ax, 2)
    caption = (
        f"{spelled(found['sentence'], 600)} Bars: bands of the cost model. {found['screened']:,} designs were priced, "
        f"{found['measured']} measured; the verdict on each design of the front has 97.5 % confidence (one-sided)."
    )
    rows = [_row("front", number, row) for number, row in enumerate(front, start=1)]
    rows += [_row(what, None, row) for what, group in _groups(beaten, short, bound) for row in group]
    return Drawing("design", "The cheapest designs that are good enough", caption, figure, COLUMNS, rows)


def _groups(beaten: Sequence[Row], short: Sequence[Row], bound: Sequence[Row]) -> tuple[tuple[str, Sequence[Row]], ...]:
    return ("beaten", beaten), ("falls short", short), ("bound", bound)


def _row(what: str, number: int | None, row: Row) -> tuple[Any, ...]:
    return (what, number, *(" ".join(row["set"]) if name == "set" else row[name] for name in COLUMNS[2:]))


def _points(ax: Axes, rows: Sequence[Row], factors: tuple[float, float], marker: str, color: str, label: str) -> None:
    if rows:
        x, y = _places(rows, factors)
        ax.plot(x, y, marker, color=color, label=label, ms=9 if marker == "*" else 5)


def _front(ax: Axes, rows: Sequence[Row], factors: tuple[float, float]) -> None:
    if not rows:
        return
    x, y = _places(rows, factors)
    bars = [_band(rows, *names, factor) for names, factor in zip(_BANDS, factors, strict=True)]
    ax.errorbar(x, y, xerr=bars[0], yerr=bars[1], fmt="none", ecolor=style.SLATE, elinewidth=0.8)
    ax.plot(x, y, "o-", color=style.VERMILION, lw=1.0, label="front", zorder=3)
    if len(rows) <= _NUMBERED:
        for number, place in enumerate(zip(x, y, strict=True), start=1):
            ax.annotate(str(number), place, textcoords="offset points", xytext=(5, 5), color=style.INK, fontsize=8.5)


_BANDS: Final = (
    (F.area_m2, F.area_low_m2, F.area_high_m2),
    (F.energy_per_inference_j, F.energy_low_j, F.energy_high_j),
)


def _band(rows: Sequence[Row], middle: str, low: str, high: str, factor: float) -> list[list[float]]:
    """Distances to both ends; a band that lies beside its value ends there."""
    ends = [(max(r[middle] - r[low], 0.0), max(r[high] - r[middle], 0.0)) for r in rows]
    return [[end / factor for end in side] for side in zip(*ends, strict=True)]


def _places(rows: Sequence[Row], factors: tuple[float, float]) -> tuple[list[float], list[float]]:
    return [r["area_m2"] / factors[0] for r in rows], [r["energy_per_inference_j"] / factors[1] for r in rows]
