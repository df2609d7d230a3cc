"""Buffers: how long values live against what their cells retain, energy with refresh saved, where errors came from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes

from qtaml_hw.arrays import Float64
from qtaml_hw.records.fields import F
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import percent, plain, scale, spelled
from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.figures.accuracy_map import cells
from qtaml_hw.report.layout import focus, lay_out
from qtaml_hw.report.material import Material

Buffer = Mapping[str, Any]
WEIGHTS: Final = "weights"
PARTS: Final = {
    "read_j": ("reads", style.BLUE),
    "write_j": ("writes", style.ORANGE),
    "codec_j": ("ECC codec", style.OCHRE),
    "refresh_j": ("refresh", style.GREEN),
    "leakage_j": ("leakage", style.SKY),
    "backing_j": ("backing store", style.VERMILION),
}
_MOST_BARS: Final = 16
_MOST_CURVES: Final = 5
_MOST_PANELS: Final = 4
_PER_DECADE: Final = 8


def lives_s(buffer: Buffer) -> tuple[Float64, Float64]:
    """(ages at the last read in s, numbers of that age) over all values; tokens of keys and values are steps apart."""
    ages, numbers = [], []
    for name, longest in enumerate(buffer["lifetimes_s"]):
        tokens, count = int(buffer["tokens"][name]), float(buffer["numbers"][name])
        ages.append(np.linspace(buffer["lifetimes_least_s"][name], longest, tokens))
        numbers.append(np.full(tokens, count / tokens))
    return np.concatenate(ages), np.concatenate(numbers)


def buffer_lifetimes(material: Material) -> Drawing | None:
    """A histogram of lifetimes of every buffer over the share of its cells that have lost a bit by then."""
    points = _with_buffers(material.points)
    if not points:
        return None
    layout = lay_out(points)
    several = len(layout.panels) > 1
    named = [
        (layout.x.show(layout.x.at(s)) if layout.x else panel.title if several else line.name, s)
        for panel in layout.panels
        for line in panel.lines
        for s in line.points
    ]
    panels = list(range(min(len(points[0].facts[F.buffers]), _MOST_PANELS)))
    figure, axes = style.canvas(0.6 + 2.7 * len(panels), len(panels), share_x=False)
    rows: list[tuple[Any, ...]] = []
    left_out = 0
    for ax, i in zip(axes, panels, strict=True):
        curves: dict[tuple[Any, ...], tuple[str, Buffer]] = {}
        for name, s in named:
            one = s.facts[F.buffers][i]
            curves.setdefault(tuple(sorted(_retained(one).items())), (name, one))
        left_out += max(len(curves) - _MOST_CURVES, 0)
        rows += _lifetimes(ax, list(curves.values())[:_MOST_CURVES], several=len(curves) > 1)
    style.legend(figure, axes, 3)
    more = f" {left_out} more retention curves are not drawn." if left_out else ""
    caption = (
        "Bars: share of the numbers by the time from write to last read, by the schedule of the first point. "
        f"Lines, right scale: share of cells in the leaky state that have lost their bit by then, modelled.{more}"
    )
    columns = ("buffer", "point", "what", "time_s", "share")
    return Drawing("buffer_lifetimes", "Lifetimes against retention, by buffer", caption, figure, columns, rows)


def _lifetimes(ax: Axes, curves: Sequence[tuple[str, Buffer]], *, several: bool) -> list[tuple[Any, ...]]:
    """Draw one buffer; rows of the CSV."""
    first = curves[0][1]
    name, (ages, numbers) = plain(first["name"], 60), lives_s(first)
    retained = [(label, _retained(one)) for label, one in curves]
    interval = first.get("refresh_interval_s")
    times = [*ages, *(t for _, found in retained for t in found.values()), *([interval] if is_number(interval) else [])]
    unit = scale(times, "s")
    low, high = math.floor(_PER_DECADE * math.log10(min(ages))), math.floor(_PER_DECADE * math.log10(max(ages))) + 1
    edges = 10.0 ** (np.arange(low, high + 1) / _PER_DECADE)
    share = np.histogram(ages, edges, weights=numbers)[0] / numbers.sum()
    ax.stairs(100.0 * share, edges / unit.factor, fill=True, color=style.SKY, label="numbers that live so long")
    ax.set_ylabel(f"Numbers of {style.words(name, 24)} (%)")
    ax.set_xlabel(f"Time since the write ({unit.unit})")
    right = ax.twinx()
    right.grid(visible=False)
    right.spines["right"].set_visible(True)
    rows: list[tuple[Any, ...]] = [
        (name, "", "numbers", math.sqrt(a * b), float(v)) for a, b, v in zip(edges, edges[1:], share, strict=False) if v
    ]
    for (label, found), color, marker in zip(retained, style.ORDERED, style.MARKERS, strict=False):
        if not found:
            continue
        shares = sorted(found)
        said = f"cells lost, {style.words(spelled(label), 24)}" if several else "cells lost"
        y, x = [100.0 * q for q in shares], [found[q] / unit.factor for q in shares]
        ax.plot([], [], color=color, marker=marker, ms=4, label=said)
        right.plot(x, y, color=color, marker=marker, ms=4)
        rows += [(name, plain(label, 60), "cells lost", found[q], q) for q in shares]
    if right.has_data():
        style.log_axis(right, "y")
    right.set_ylabel("Cells that lost the bit (%)")
    if is_number(interval):
        ax.axvline(interval / unit.factor, color=style.INK, lw=1.2, ls=(0, (4, 2)), label="refresh interval")
        rows.append((name, "", "refresh interval", interval, None))
    ax.set_xlim(0.6 * min(times) / unit.factor, 1.7 * max(times) / unit.factor)
    style.log_axis(ax, "x")
    return rows


def _retained(buffer: Buffer) -> dict[float, float]:
    """Seconds after which a share of the cells has lost its bit, by the share."""
    return {float(share): seconds for share, seconds in (buffer.get("retention_quantiles_s") or {}).items()}


def buffer_energy(material: Material) -> Drawing | None:
    """Energy of every buffer per inference by part, with the refresh that its rule saves."""
    where, pairs = focus(lay_out(points)) if (points := _with_buffers(material.points)) else ("", ())
    bars: dict[tuple[Any, ...], tuple[str, Buffer]] = {}
    for label, s in pairs:
        for one in s.facts[F.buffers]:
            own = (one["name"], *(one[part] for part in PARTS), one["refresh_always_j"])
            bars.setdefault(own, (label, one))
    once = {one["name"] for _, one in bars.values()}
    alone = len(once) == len(bars)
    found = [(one["name"] if alone else f"{one['name']}, {label}", one) for label, one in bars.values()]
    drawn = found[:_MOST_BARS]
    if not drawn or not any(one["energy_j"] > 0 for _, one in drawn):
        return None
    unit = scale([one["energy_j"] for _, one in drawn], "J")
    figure, (ax,) = style.canvas(1.5 + 0.36 * len(drawn))
    start = np.zeros(len(drawn))
    places = np.arange(len(drawn))
    for part, (label, color) in PARTS.items():
        values = np.array([one[part] for _, one in drawn]) / unit.factor
        if values.any():
            ax.barh(places, values, left=start, color=color, label=label, height=0.62)
        start = start + values
    saved = np.array([max(one["refresh_always_j"] - one["refresh_j"], 0.0) for _, one in drawn]) / unit.factor
    if saved.any():
        ax.barh(places, saved, left=start, color="none", edgecolor=style.GREEN, hatch="////", lw=0.8, height=0.62,
                label="refresh saved")  # fmt: skip
    ax.set_yticks(places, [style.words(spelled(name), 30) for name, _ in drawn])
    ax.invert_yaxis()
    ax.set_xlabel(f"Energy per inference ({unit.unit})")
    style.legend(figure, ax)
    shares = sorted({percent(one["refresh_saved"]) for _, one in drawn})
    more = f" {len(drawn)} of {len(found)} are drawn; the CSV has all." if len(drawn) < len(found) else ""
    taken = " or ".join(sorted({f"{unit.show(one['energy_j'])} {unit.unit}" for _, one in drawn}))
    caption = (
        f"Modelled{', at ' + where if where else ''}: {taken} in all. Hatched: what refreshing every row at its "
        f"interval would take beyond the rule of the study, which saves {' or '.join(shares)} % of the refreshes.{more}"
    )
    columns = ("buffer", "refreshed", *PARTS, "energy_j", "refresh_always_j", "refresh_saved")
    rows = [(plain(name, 90), *(one[key] for key in columns[1:])) for name, one in found]
    return Drawing("buffer_energy", "Energy of buffers, and refresh saved", caption, figure, columns, rows)


def error_origin(material: Material) -> Drawing | None:
    """Bits that an inference reads wrong, from the weights and from each buffer."""
    where, pairs = focus(lay_out(points)) if (points := _with_buffers(material.points)) else ("", ())
    found = [(name, s, wrong_bits(s)) for name, s in pairs]
    memories = list(dict.fromkeys(m for _, _, wrong in found for m in wrong))
    drawn = found[:_MOST_BARS]
    if not any(n > 0 for _, _, wrong in drawn for n in wrong.values()):
        return None
    figure, (ax,) = style.canvas(1.4 + 0.2 * (1 + len(memories)) * len(drawn))
    height = 0.8 / len(memories)
    for k, (memory, look) in enumerate(style.looks(memories).items()):
        places = [i + (k - 0.5 * (len(memories) - 1)) * height for i in range(len(drawn))]
        values = [wrong.get(memory) or math.nan for _, _, wrong in drawn]
        ax.barh(places, values, height=height, color=look.color, label=style.words(memory))
    ax.set_yticks(range(len(drawn)), [style.words(spelled(name), 30) for name, *_ in drawn])
    ax.invert_yaxis()
    style.log_axis(ax, "x")
    ax.set_xlabel("Wrong bits per inference")
    style.legend(figure, ax)
    more = f" {len(drawn)} of {len(found)} are drawn; the CSV has all." if len(drawn) < len(found) else ""
    caption = (
        f"Measured, mean over fault maps{', at ' + where if where else ''}: bits wrong after decoding, of all weights, "
        "which every inference of a chip reads, and of the values of one inference. Memories whose flips are not read "
        f"have no bar.{more}"
    )
    columns = ("series", "memory", "bits_wrong_per_inference", "score_mean", "maps")
    rows = [
        (plain(name, 60), memory, bits, s.accuracy.mean, s.accuracy.maps)
        for name, s, wrong in found
        for memory, bits in wrong.items()
    ]
    return Drawing("error_origin", "Where errors come from", caption, figure, columns, rows)


def error_origin_values(material: Material) -> Drawing | None:
    """Bits that an inference reads wrong by value and plane of the buffers, of the point that reads most wrong."""
    where, pairs = focus(lay_out(points)) if (points := _with_buffers(material.points)) else ("", ())
    found = [(name, s, wrong_by_value(s)) for name, s in pairs]
    name, _, most = max(found, key=lambda one: sum(map(sum, one[2].values())), default=("", None, {}))
    drawn = sorted(most.items(), key=lambda one: -sum(one[1]))[:_MOST_BARS]
    if not drawn or not any(drawn[0][1]):
        return None
    planes = max(len(bits) for _, bits in drawn)
    grid = [
        [*[math.nan] * (planes - len(bits)), *(bit if bit > 0.0 else math.nan for bit in bits[::-1])]
        for _, bits in drawn
    ]
    figure, (ax,) = style.canvas(0.9 + 0.27 * len(grid))
    cells(ax, grid, "Blues", (0.0, max(bit for _, bits in drawn for bit in bits)), ".2g")
    several = len({memory for memory, _ in most}) > 1
    ax.set_yticks(range(len(grid)), [style.words(f"{memory}: {v}" if several else v, 40) for (memory, v), _ in drawn])
    ax.set_xticks(range(planes), [str(plane) for plane in reversed(range(planes))])
    ax.set_xlabel("Bit plane")
    place = ", ".join(words for words in (name if len(found) > 1 else "", where) if words)
    more = f" The {len(drawn)} of {len(most)} values with most of them are drawn; the CSV has all." * (
        len(drawn) < len(most)
    )
    caption = (
        f"Measured, mean over fault maps{', at ' + place if place else ''}: bits of one inference that are wrong after "
        f"decoding, by value and bit plane; empty where none was.{more}"
    )
    columns = ("series", "buffer", "value", "plane", "bits_wrong_per_inference")
    rows = [
        (plain(series, 60), memory, value, plane, bit)
        for series, _, by_value in found
        for (memory, value), bits in by_value.items()
        for plane, bit in enumerate(bits)
    ]
    return Drawing("error_origin_values", "Where errors of buffers come from", caption, figure, columns, rows)


def wrong_by_value(s: PointSummary) -> dict[tuple[str, str], list[float]]:
    """Bits left wrong after decoding, per inference and plane, by buffer and value."""
    inputs, faulty = float(s.facts[F.images]), s.facts.get(F.faulty) or ()
    named = {one["name"]: one.get("values") or () for one in s.facts[F.buffers]}
    return {
        (memory, str(value)): [bits / inputs for bits in planes]
        for memory, by_value in s.buffer_wrong.items()
        if memory in faulty
        for value, planes in zip(named.get(memory, ()), by_value, strict=False)
    }


def wrong_bits(s: PointSummary) -> dict[str, float]:
    """Bits left wrong after decoding, per inference, by memory: all weights, and the values of every buffer."""
    faulty = s.facts.get(F.faulty) or ()
    found = {WEIGHTS: s.means[F.flips_residual]} if WEIGHTS in faulty else {}
    inputs = float(s.facts[F.images])
    return found | {name: tally["left"] / inputs for name, tally in s.buffer_means.items() if name in faulty}


def _with_buffers(points: Sequence[PointSummary]) -> list[PointSummary]:
    """Points of the first one's buffers."""
    found = [s for s in points if s.facts.get(F.buffers)]
    names = [[one["name"] for one in s.facts[F.buffers]] for s in found]
    return [s for s, own in zip(found, names, strict=True) if own == names[0]]
