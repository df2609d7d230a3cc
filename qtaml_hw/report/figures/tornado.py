"""Which input matters: every input at both ends of its uncertainty, as a bar around the base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from qtaml_hw.records.fields import F
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.text import number, plain, sentence
from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.material import Material

MOST_BARS: Final = 12
_SMALL: Final = 1e-3  # of the base: a bar that nobody can see
_KEYS: Final = (F.predicted_distortion, F.p10, F.p01)
_NAMES: Final = {F.predicted_distortion: "Predicted distortion", F.p10: "p(1→0)", F.p01: "p(0→1)"}
_SIDES: Final = (("low", style.BLUE), ("high", style.VERMILION))
COLUMNS: Final = (
    *("path", "value_si", "uncertainty_si", "uncertainty_source", "side", "moved_si"),
    *(F.predicted_distortion, F.p10, F.p01, "accuracy_mean", "difference_mean", "difference_low", "difference_high"),
)


def tornado(material: Material) -> Drawing | None:
    """Bars of the figure that moves most: what the inputs do to it, largest swing on top; all numbers in the CSV."""
    found = material.tornado
    base, rows = found.get("base", {}), found.get("rows", ())
    key = next((k for k in _KEYS if is_number(base.get(k)) and base[k] > 0), None)
    if key is None:
        return None
    bars = [row for row in rows if max((abs(r - 1.0) for r in _ratios(row, base, key).values()), default=0) > _SMALL]
    bars = bars[:MOST_BARS]
    if not bars:
        return None
    figure, (ax,) = style.canvas(1.0 + 0.28 * len(bars))
    for side, color in _SIDES:
        drawn = [(i, ratio) for i, row in enumerate(bars) if (ratio := _ratios(row, base, key).get(side)) is not None]
        places, ratios = zip(*drawn, strict=True) if drawn else ((), ())
        widths = [ratio - 1.0 for ratio in ratios]
        ax.barh(places, widths, left=1.0, height=0.62, color=color, label=f"input at its {side} end")
    ax.axvline(1.0, color=style.INK, lw=1.2)
    ends = [ratio for row in bars for ratio in _ratios(row, base, key).values() if ratio > 0]
    if max(ends) > 4.0 * min(ends):
        style.log_axis(ax, "x")
    ax.set_yticks(range(len(bars)), [f"{style.words(_short(row))} ± {_moved(row)}" for row in bars])
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(f"{_NAMES[key]} (base = 1)")
    style.legend(figure, ax, 2)
    left = len(rows) - len(bars)
    more = f"{left} inputs move it by less than 0.1 %, or are not shown" if left else ""
    caption = (
        f"Modelled: each input moved alone by its uncertainty; protection planned anew at each end. Base: {key} = "
        f"{number(base[key])}.{sentence(more)}"
    )
    return Drawing("tornado", "Which input matters", caption, figure, COLUMNS, _table(rows))


def _ratios(row: Mapping[str, Any], base: Mapping[str, Any], key: str) -> dict[str, float]:
    """Figure at both ends over that of the base; an end that the study does not allow is left out."""
    ends = {side: row[side].get(key) for side, _ in _SIDES}
    return {side: value / base[key] for side, value in ends.items() if is_number(value)}


def _short(row: Mapping[str, Any]) -> str:
    return plain(row["path"], 60).removeprefix("cell.")


def _moved(row: Mapping[str, Any]) -> str:
    """The uncertainty as a share of the value, as far as it is one."""
    share = abs(row["uncertainty_si"] / row["value_si"])
    return (
        f"{number(100.0 * share, 2)} %" if "temperature" not in row["path"] else f"{number(row['uncertainty_si'], 3)} K"
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    table = []
    for row in rows:
        head = (row["path"], row["value_si"], row["uncertainty_si"], row["uncertainty_source"])
        for side, _ in _SIDES:
            end = row[side]
            low, high = end.get("ci95", (None, None))
            figures = (end.get(k) for k in (*_KEYS, "accuracy_mean", "difference"))
            table.append((*head, side, end["value_si"], *figures, low, high))
    return table
