"""House style of all figures: palette, fonts, lines. Figures carry no title; the page or the slide does.

Series colours: Okabe and Ito, "Color Universal Design" (2008), safe for the common colour-vision deficiencies; every
series has its own marker too, so that a greyscale print still tells them apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from qtaml_hw.names import POLICIES as POLICY_ROWS
from qtaml_hw.records.text import number, plain, power_of_ten

PAPER: Final = "#ffffff"
INK: Final = "#1d2430"
MUTED: Final = "#5b6472"
GRID: Final = "#e1e5ea"
FIXED_INK: Final = "#14181f"  # on filled cells, the same in the dark
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, OCHRE, SLATE = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#cc79a7",
    "#56b4e9",
    "#a88b00",
    "#7a8594",
)
SERIES: Final = (BLUE, ORANGE, GREEN, PURPLE, SKY, OCHRE, VERMILION, SLATE)
MARKERS: Final = "osD^vPX*"
_POLICY_LOOKS: Final = ((SLATE, "X"), (BLUE, "s"), (OCHRE, "D"), (PURPLE, "v"), (VERMILION, "o"), (GREEN, "^"))
POLICIES: Final = dict(zip(POLICY_ROWS, _POLICY_LOOKS, strict=False))  # later ones take what is left, as series do
ORDERED: Final = ("#08306b", "#2171b5", "#41a6c4", "#d99000", "#c84b00")  # dark to warm: quantiles
DARK: Final = {
    PAPER: "#171b22",
    INK: "#e6e9ee",
    MUTED: "#a3adba",
    GRID: "#2b323c",
    BLUE: "#4aa8e0",
    GREEN: "#2fc79a",
    VERMILION: "#f2803a",
    OCHRE: "#cdb02f",
    SLATE: "#97a2b2",
    SKY: "#b9def8",
    "#08306b": "#d6e6ff",
    "#2171b5": "#6aaee8",
    "#c84b00": "#f2803a",
}
"""What the page swaps in the dark: hex on white paper -> hex on dark paper."""
WIDTH_IN: Final = 4.4
DPI: Final = 240
_MOST_TICKS: Final = 8
_LEGEND_LETTERS: Final = 66
RC: Final[Any] = {  # matplotlib types its keys as literals in its newest versions only
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.0,
    "errorbar.capsize": 2.5,
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar sign in a label is a dollar sign
    "axes.unicode_minus": True,
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True)
class Look:
    """How one series is drawn."""

    color: str
    marker: str


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A colour and marker for every series; policies keep theirs in every figure of every report."""
    taken = {POLICIES[name][0] for name in names if name in POLICIES}
    spare = iter([look for look in _spares(len(SERIES) * (1 + len(names))) if look[0] not in taken])
    return {name: Look(*POLICIES[name]) if name in POLICIES else Look(*next(spare)) for name in names}


def _spares(count: int) -> list[tuple[str, str]]:
    """Colours and markers in turn; from the second round on no marker has its colour again for eight rounds."""
    laps = ((i, i // len(SERIES)) for i in range(count))
    return [(SERIES[i % len(SERIES)], MARKERS[(i + 3 * lap) % len(MARKERS)]) for i, lap in laps]


def canvas(height_in: float, rows: int = 1, *, share_x: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure with ``rows`` axes above each other."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=share_x, squeeze=False)
    return figure, [row[0] for row in axes]


def words(text: object, longest: int = 40) -> str:
    """A label for matplotlib: plain, short, no leading underscore (that would hide it)."""
    safe = plain(text, longest)
    return f" {safe}" if safe.startswith("_") else safe


def legend(figure: Figure, axes: Axes | Sequence[Axes], columns: int = 3) -> None:
    """Above the plots, where it can hide no data; data before reference lines, each once, read row by row."""
    drawn = [axes] if isinstance(axes, Axes) else axes
    named = {label: handle for ax in drawn[::-1] for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    order = dict.fromkeys(label for ax in drawn for label in ax.get_legend_handles_labels()[1])
    pairs = [(named[label], label) for label in order]
    pairs.sort(key=lambda pair: isinstance(pair[0], Line2D) and pair[0].get_marker() == "None")
    fitting = (n for n in range(columns, 1, -1) if _width([label for _, label in pairs], n) <= _LEGEND_LETTERS)
    columns = next(fitting, 1)
    rows = [pair for i in range(columns) for pair in pairs[i::columns]]  # matplotlib fills column by column
    if rows:
        figure.legend(*zip(*rows, strict=True), loc="outside upper left", ncols=columns, borderaxespad=0.2)


def _width(labels: Sequence[str], columns: int) -> int:
    """Letters across a legend, five for every handle."""
    return sum(5 + max(map(len, labels[i::columns]), default=0) for i in range(columns))


def tick_labels(values: Sequence[float]) -> list[str]:
    """The same number of decimals on every tick: 1.5, 2.0."""
    decimals = max((len(s.split(".")[1]) if "." in (s := f"{v:.4g}") and "e" not in s else 0) for v in values)
    return [number(v, 4) if v and not 1e-3 <= abs(v) < 1e5 else f"{v:,.{decimals}f}" for v in values]


def value_axis(axes: Axes, values: Sequence[float], log: bool) -> None:
    """The x axis of a sweep: a tick on every tested value while they are few."""
    if log:
        log_axis(axes, "x")
    elif len(ticks := sorted(set(values))) <= _MOST_TICKS:
        axes.set_xticks(ticks, tick_labels(ticks))


def log_axis(axes: Axes, which: str) -> None:
    """A logarithmic axis whose ticks read 10⁻³, or plain numbers when it spans less than two decades."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    if high < 100.0 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda v, _: number(v, 3)))
    else:
        axis.set_major_locator(LogLocator(numticks=8))
        axis.set_major_formatter(FuncFormatter(_decade))
    axis.set_minor_formatter(NullFormatter())


FLOOR: Final = 1e-15


def probability_axis(axes: Axes, drawn: Sequence[float]) -> str:
    """A logarithmic y axis of probabilities that ends at 10⁻¹⁵; what lies below is said in words, not shown.

    One bit in 10¹⁵ is one in a thousand memories of a terabit.
    """
    log_axis(axes, "y")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0.5 * FLOOR), max(high, 10 * FLOOR))
    log_axis(axes, "y")
    tiny = [p for p in drawn if p < FLOOR]
    return f" Below {power_of_ten(-15)}, and not drawn: {len(tiny)} of {len(drawn)} values." if tiny else ""


def _decade(value: float, _: int) -> str:
    exponent = round(float(f"{value:e}".split("e")[1]))
    return number(value, 2) if 0.01 <= value <= 1000 else power_of_ten(exponent)


def freeze(figure: Figure) -> None:
    """Lay the figure out once, so that saving it in several formats does not repeat it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a label in a script that the font lacks
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
