"""Where protection goes and what it buys: planes by layer, accuracy by overhead, prediction by measurement."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from qtaml_hw.records.chips import KEEP
from qtaml_hw.records.fields import F
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.measure import Measure, heading_of
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import plain
from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.figures.accuracy import finite, interval_cells, maps_words
from qtaml_hw.report.figures.accuracy_map import cells
from qtaml_hw.report.layout import focus, lay_out
from qtaml_hw.report.material import Material

_MOST_LAYERS: Final = 64
_LETTERS_ACROSS: Final = 44
_MOST_COLUMNS: Final = 8


def protected_planes(material: Material) -> Drawing | None:
    """Mean number of protected planes per weight, layer by layer, a column per policy."""
    points = [s for s in material.points if s.facts.get(F.layers)]
    if not points or not any(layer["protected_planes"] for s in points for layer in s.facts[F.layers]):
        return None
    layout = lay_out(points)
    where, found = focus(layout)
    first = [layer["name"] for layer in found[0][1].facts[F.layers]]
    pairs = [p for p in found if [layer["name"] for layer in p[1].facts[F.layers]] == first][:_MOST_COLUMNS]
    grid = [[float(s.facts[F.layers][i]["protected_planes"]) for _, s in pairs] for i in range(len(first))][
        :_MOST_LAYERS
    ]
    figure, (ax,) = style.canvas(0.9 + 0.27 * len(grid))
    cells(ax, grid, "Blues", (0.0, max(1.0, max(map(max, grid)))), ".2g")
    names = [f"{plain(x['name'], 26)} ({_weights(x['weights'])})" for x in pairs[0][1].facts[F.layers]]
    ax.set_yticks(range(len(grid)), [style.words(n, 40) for n in names[: len(grid)]])
    slanted = len(pairs) * max(len(name) for name, _ in pairs) > _LETTERS_ACROSS
    ax.set_xticks(range(len(pairs)), [style.words(name, 26) for name, _ in pairs])
    if slanted:
        ax.tick_params(axis="x", labelrotation=28)
        for label in ax.get_xticklabels():
            label.set(ha="left", rotation_mode="anchor")
    ax.xaxis.tick_top()
    more = f" The first {_MOST_LAYERS} of {len(first)} layers; the CSV has all." if len(first) > _MOST_LAYERS else ""
    more += f" {len(pairs)} of {len(found)} points are drawn; the CSV has all." if len(pairs) < len(found) else ""
    caption = (
        f"Mean number of protected planes per weight (weights in brackets){'; at ' + where if where else ''}.{more}"
    )
    rows = [
        (name, layer["name"], layer["weights"], layer["protected_planes"], layer.get("correction"))
        for name, s in found
        for layer in s.facts[F.layers]
    ]
    columns = ("series", "layer", "weights", "protected_planes", "correction")
    return Drawing("protected_planes", "Protected bit planes by layer", caption, figure, columns, rows)


def _weights(count: int) -> str:
    steps = ((1e6, "M"), (1e3, "k"))
    return next((f"{count / size:.3g} {unit}" for size, unit in steps if count >= size), str(count))


_OVERHEADS: Final = {
    F.protected_bits_fraction: "Protected bits / stored bits (%)",
    F.parity_bits_fraction: "Parity bits / data bits (%)",
}


def overhead(material: Material) -> Drawing | None:
    """Accuracy against what the protection costs in bits, at the focus of the sweep."""
    layout = lay_out(material.points)
    if layout.x is None or layout.x.path.startswith("protection."):
        where, pairs = "", tuple((name, s) for name, line in layout.lines for s in line.points)
    else:
        where, pairs = focus(layout)
    drawn = [key for key in _OVERHEADS if len({s.facts.get(key) for _, s in pairs}) > 2]
    if not drawn:
        return None
    figure, axes = style.canvas(2.9 * len(drawn) + 0.4, len(drawn), share_x=False)
    looks = style.looks(list(dict.fromkeys(name for name, _ in pairs)))
    heading, read = heading_of(s.facts for _, s in pairs)
    ends = ("high", "low") if read.lower else ("low", "high")
    for ax, key in zip(axes, drawn, strict=True):
        for name, look in looks.items():
            mine = sorted(((s.facts[key], s) for n, s in pairs if n == name), key=lambda pair: float(pair[0]))
            error = [[_apart(s, end, read) for _, s in mine] for end in ends]
            ax.errorbar(
                [100 * v for v, _ in mine],
                [finite(read.value(s.accuracy.mean)) for _, s in mine],
                yerr=error,
                color=look.color,
                marker=look.marker,
                label=style.words(name),
            )
        ax.axhline(
            read.value(KEEP * pairs[0][1].facts[F.clean_score]),
            color=style.MUTED,
            lw=1.2,
            ls=(0, (1, 1.5)),
            label="95 % of clean",
        )
        ax.set_xlabel(_OVERHEADS[key])
        ax.set_ylabel(f"{heading}{read.per}")
    style.legend(figure, axes[0])
    place = f"At {where}. " if where else ""
    caption = f"{place}Bars: 95 % intervals over fault maps ({maps_words([s for _, s in pairs])})."
    columns = ("series", *_OVERHEADS, "accuracy_mean", "accuracy_ci95_low", "accuracy_ci95_high", "maps")
    rows = [(name, *(s.facts.get(k) for k in _OVERHEADS), *interval_cells(s.accuracy)) for name, s in pairs]
    return Drawing("overhead", f"{heading} against protection overhead", caption, figure, columns, rows)


def distortion(material: Material) -> Drawing | None:
    """Predicted distortion against measured accuracy loss, with their rank correlation.

    Points with buffers are left out: their losses are of values too, the prediction is of weights alone.
    """
    points = [
        s
        for s in material.points
        if is_number(s.facts.get(F.predicted_distortion))
        and s.facts[F.predicted_distortion] > 0
        and not s.facts.get(F.buffers)
    ]
    if len({s.facts[F.predicted_distortion] for s in points}) < 3:
        return None
    lines = [(name, s) for name, line in lay_out(points).lines for s in line.points]
    points, series = [s for _, s in lines], [name for name, _ in lines]
    names = list(dict.fromkeys(series))
    figure, (ax,) = style.canvas(3.3)
    heading, read = heading_of(s.facts for s in points)
    losses = [_lost(s, read) for s in points]
    predicted = [float(s.facts[F.predicted_distortion]) for s in points]
    for name, look in style.looks(names).items():
        mine = [i for i, n in enumerate(series) if n == name]
        ax.plot(
            [predicted[i] for i in mine],
            [finite(losses[i] if read.logarithmic else 100 * losses[i]) for i in mine],
            ls="",
            marker=look.marker,
            color=look.color,
            label=style.words(name),
        )
    style.log_axis(ax, "x")
    ax.set_xlabel("Predicted output distortion (squared logits)")
    lost = f"{heading} / that without a flip" if read.logarithmic else "Accuracy lost to flips (points)"
    ax.set_ylabel(lost)
    style.legend(figure, ax)
    rank = rank_correlation(predicted, losses)
    caption = (
        "Predicted by the first-order model (our derivation) without measuring anything; loss against the quantised "
        "network. "
        f"Spearman rank correlation {rank:.2f} over {len(points)} points."
    )
    rows: list[tuple[Any, ...]] = [
        (s.facts.get(F.label), name, s.facts.get(F.policy), p, loss, len(s.accuracies))
        for s, name, p, loss in zip(points, series, predicted, losses, strict=True)
    ]
    columns = ("point", "series", "policy", F.predicted_distortion, "accuracy_loss", "maps")
    return Drawing("distortion", "Predicted distortion against measured loss", caption, figure, columns, rows)


def _apart(s: PointSummary, end: str, read: Measure) -> float:
    """How far an end of the interval is from the mean, in the unit; nothing where one map gives no interval."""
    if len(s.accuracies) < 2:
        return 0.0
    return finite(abs(read.value(getattr(s.accuracy, end)) - read.value(s.accuracy.mean)))


def _lost(s: PointSummary, read: Measure) -> float:
    """What flips cost: points of a share, how many times a value on a log scale."""
    before, after = float(s.facts[F.quantised_score]), s.accuracy.mean
    return read.value(after) / read.value(before) if read.logarithmic else before - after


def rank_correlation(first: list[float], second: list[float]) -> float:
    """Spearman's: the correlation of ranks, ties sharing their mean rank; 0 where one side does not vary."""
    ranks = []
    for values in (first, second):
        _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - 0.5 * (counts - 1))[place])
    if min(np.ptp(r) for r in ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
