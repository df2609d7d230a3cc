"""Which layer breaks first: the score with flips in one layer alone, beside the layer's part of the prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from matplotlib.figure import Figure

from qtaml_hw.records.measure import measure_named
from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.figures.accuracy import finite

MOST_LAYERS: Final = 40
COLUMNS: Final = ("name", "weights", "score_mean", "ci95_low", "ci95_high", "maps", "harm", "flips", "predicted")


def layers(found: Mapping[str, Any]) -> Drawing:
    """Means with their intervals, most harm on top; the predicted distortion of each as a bar on a log axis."""
    rows = found["layers"][:MOST_LAYERS]
    places = range(len(rows))
    predicted = [row["predicted"] for row in rows]
    drawn = all(value is not None for value in predicted) and any(value > 0.0 for value in predicted)
    figure = Figure(figsize=(style.WIDTH_IN, 1.1 + 0.24 * len(rows)), layout="constrained")
    axes = figure.subplots(1, 1 + drawn, sharey=True, squeeze=False)[0]
    ax = axes[0]
    read = measure_named(found["metric"])
    means = [finite(read.value(row["score_mean"])) for row in rows]
    sides = ("ci95_high", "ci95_low") if read.lower else ("ci95_low", "ci95_high")
    ends = [[finite(abs(read.value(row["score_mean"]) - read.value(row[end]))) for row in rows] for end in sides]
    ax.errorbar(means, places, xerr=ends, fmt="o", color=style.VERMILION, label="flips in this layer alone, 95 % CI")
    ax.axvline(read.value(found["quantised_accuracy"]), color=style.INK, lw=1.2, label="no flip")
    together = finite(read.value(found["together"]["score_mean"]))
    ax.axvline(together, color=style.MUTED, lw=1.2, ls="--", label="flips in all layers")
    ax.set_yticks(places, [style.words(row["name"], 28) for row in rows])
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    named = read.title if read.logarithmic or found["metric"] == "top1" else "Score"
    ax.set_xlabel(f"{named}{read.per}")
    if drawn:
        axes[1].barh(places, predicted, height=0.62, color=style.BLUE)
        axes[1].grid(axis="y", visible=False)
        axes[1].set_xlabel("Predicted distortion")
        style.log_axis(axes[1], "x")
    style.legend(figure, list(axes), 1)
    left = len(found["layers"]) - len(rows)
    whole = found["together"]
    caption = (
        f"Measured over fault maps: flips in one layer, all others as written; without a flip "
        f"{read.show(found['quantised_accuracy'])}{read.suffix}, with flips in all "
        f"{read.show(whole['score_mean'])}{read.suffix}. Predicted: the "
        f"layer's part of the output distortion, first order in the Jacobian (squared logits)."
        f"{f' {left} layers of less harm are not shown.' if left else ''}"
    )
    table = [tuple(row[name] for name in COLUMNS) for row in found["layers"]]
    return Drawing("layers", "Which layer breaks first", caption, figure, COLUMNS, table)
