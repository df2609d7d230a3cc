"""Terminal tables that fit in 100 columns: units in the headers, replicate counts beside every interval.

Every function returns a ``rich.table.Table``; labels are shown as text, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from qtaml_hw.records.chips import Yield
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import Interval
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.measure import Measure, counted, heading_of, measure_of, title_of
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import (
    INFINITE,
    NOTHING,
    Scale,
    number,
    percent,
    retention_basis,
    scale,
    share_of_cells,
    spelled,
)
from qtaml_hw.report.buffers import buffer_grid, split_grid
from qtaml_hw.report.codes import LEFT, notes, slide_grids
from qtaml_hw.report.columns import BY_KEY, COLUMNS, UNSCALED, YIELD, Shown, score_name, show, tells
from qtaml_hw.report.console import table, text

Row = Mapping[str, Any]
ACCURACY_MEAN: Final = "accuracy_mean"


def _header(title: str, unit: str) -> str:
    return f"{title}\n({unit})" if unit else title


def sweep_table(summaries: Sequence[PointSummary], *, most: int = 500) -> Table:
    """One row per point: accuracy with its interval and map count, yield, overhead and cost.

    A column that is the same in all rows is said once, under the table; of more points than ``most`` it is said how
    many.
    """
    points = list(summaries)
    done = [s for s in points if s.error is None]
    shown = [found for key in _SHORT if tells(found := show(done, key)) and _happens(done, key)]
    varied = [s for s in shown if len(set(s.cells)) > 1 or len(done) == 1 or s.column.mark == "measured"]
    chips = [_header(f"≥{percent(share, 0)} %\nchips", "%") for share in (done[0].shares if done else ())]
    unlike = len({s.accuracy.maps for s in done}) > 1
    heads = [*(["Maps"] if unlike else []), *chips, *(_header(_SHORT[s.column.key], s.unit) for s in varied)]
    rows: list[Sequence[object]] = []
    nth = iter(range(len(done)))
    for s in points[:most]:
        name = text(spelled(s.facts.get(F.label, s.identity)))
        if s.error is not None:
            rows.append((name, Text("failed", "bold red"), *[""] * (len(heads) + 1)))
            continue
        accuracy, row = s.accuracy, next(nth)
        maps = [accuracy.maps] if unlike else []
        cells = (*maps, *(_chips(s, found) for found in s.yields), *(column.cells[row] for column in varied))
        read = measure_of(s.facts)
        rows.append((name, read.show(accuracy.mean), _interval(accuracy, read), *cells))
    same = [s for s in shown if s not in varied]
    hidden = len(points) - most
    more = [f"{hidden:,} more points are not shown: `qtaml-hw store export` writes all"] if hidden > 0 else []
    caption = "; ".join([*more, *_maps(done, unlike), *_said_once(done, same, len(points) - len(done))])
    title, reading = heading_of(s.facts for s in done)
    heads = [_header(title, reading.unit), _header("95 % CI", reading.unit), *heads]
    return table(["Point", *heads], rows, caption=caption, words=1)


def _happens(done: Sequence[PointSummary], key: str) -> bool:
    """Whether flips of that direction happen in any point; True for what is no direction of flips."""
    return key not in (F.p10, F.p01) or any(s.facts.get(key) for s in done)


def _maps(done: Sequence[PointSummary], unlike: bool) -> list[str]:
    """How many maps every point has, where that is one number."""
    if unlike or not done:
        return []
    count = done[0].accuracy.maps
    return [f"{count} maps" if count > 1 else "1 map"]


def _said_once(done: Sequence[PointSummary], same: Sequence[Shown], failed: int) -> list[str]:
    said = []
    for key, name in ((F.clean_score, "clean"), (F.quantised_score, "quantised")):
        read = heading_of(s.facts for s in done)[1]
        values = sorted({read.show(s.facts[key]) for s in done})
        said += [f"{name} {' / '.join(values)}{read.suffix}"] if values else []
    shares = [s for s in done if not measure_of(s.facts).logarithmic]
    images = [0.5 * (ends[1] - ends[0]) for s in shares if (ends := s.images_ci95) is not None]
    said += [f"other test images: ±{percent(max(images))} %"] if images else []
    said += [f"{s.column.title} {s.cells[0]} {s.unit}".strip() for s in same]
    return [*said, *([f"{failed} of {failed + len(done)} points failed"] if failed else [])]


_SHORT: Final[dict[str, str]] = {
    F.p10: "p(1→0)",
    F.p01: "p(0→1)",
    F.protected_bits_fraction: "Protec.\nbits",
    F.parity_bits_fraction: "Parity\nbits",
    F.stored_bits_per_weight: "Stored\nbits",
    F.area_m2: "Area",
    F.energy_per_inference_j: "Energy\n/inf.",
}


def _chips(point: PointSummary, found: Yield) -> str:
    if point.facts.get(F.at_chance):  # nothing is kept of chance
        return NOTHING
    low, high = found.ci95
    return f"{percent(found.chips, 0)} ({percent(low, 0)}–{percent(high, 0)})"


def _interval(found: Interval, read: Measure) -> str:
    return read.ends(found).replace(" to ", "–") if found.maps > 1 else "1 map"


_RUN_KEYS: Final = tuple(c.key for c in COLUMNS if c.mark != "assumed" and c.key not in (F.score, YIELD))
_BANDS: Final[dict[str, tuple[str, str]]] = {
    F.area_m2: (F.area_low_m2, F.area_high_m2),
    F.energy_per_inference_j: (F.energy_low_j, F.energy_high_j),
    F.read_latency_s: (F.read_latency_low_s, F.read_latency_high_s),
}


_OF_BUFFERS: Final = (
    (
        "Buffers",
        "flips of an inference's values, mean over fault maps; area and energy come on top of those above",
        buffer_grid,
    ),
    (
        "One budget",
        "each memory's part of what is spent, where a protected bit saves most of the outputs' distortion",
        split_grid,
    ),
)


def run_table(summary: PointSummary) -> RenderableType:
    """One point: every figure with its unit, its interval or band, and whether it was measured or modelled."""
    label = summary.facts.get(F.label) or summary.facts.get(F.study, "")
    heads = ["", "Value", "Unit", "Interval or band", "How"]
    if summary.error is not None:
        return table(heads, [("failed", text(summary.error), "", "", "")], heading=spelled(label), words=1)
    found = summary.accuracy
    read, judged = measure_of(summary.facts), counted(summary.facts)
    interval = f"{read.ends(found)}, {found.maps} maps" if found.maps > 1 else read.ends(found)
    rows = [(score_name([summary]), read.show(found.mean), read.unit, interval, "measured")]
    if (ends := summary.images_ci95) is not None:
        sampled = f"{read.ends(Interval(found.mean, *ends, 2))}, {judged}"
        other = "  on other texts" if read.logarithmic else "  on other test images"
        rows.append((other, "", read.unit, sampled, "measured"))
    for chips in () if summary.facts.get(F.at_chance) else summary.yields:
        low, high = chips.ci95
        spread = f"{percent(low)} to {percent(high)}, {chips.good} of {chips.maps} maps"
        rows.append((f"Chips ≥ {100 * chips.share:g} % of clean", percent(chips.chips), "%", spread, "measured"))
    name = score_name([summary]).lower() if read.logarithmic else "accuracy"
    for row, kind in ((F.clean_score, "Clean"), (F.quantised_score, "Quantised")):
        rows.append((f"{kind} {name}", read.show(summary.facts[row]), read.unit, judged, row.mark))
    for key in _RUN_KEYS:
        shown = show([summary], key)
        if tells(shown):
            rows.append((shown.column.title, shown.cells[0], shown.unit, _band(summary, key), shown.column.mark))
    made = [table(heads, rows, heading=spelled(label), words=1)]
    for title, under, grid in _OF_BUFFERS:
        if (beside := grid([summary])) is not None:
            titles = [_header(head.name.replace(" ", "\n"), head.unit) for head in beside.heads]
            made.append(table(titles, beside.rows, heading=title, caption=under, words=1))
    return Group(*made)


def _band(summary: PointSummary, key: str) -> str:
    low, high = (summary.facts.get(k) for k in _BANDS.get(key, ("", "")))
    if not (is_number(low) and is_number(high)):
        return ""
    unit = scale([summary.facts[key]], BY_KEY[key].unit)
    return f"{unit.show(low)} to {unit.show(high)}"


def ecc_table(rows: Iterable[Row]) -> Group:
    """The ECC overhead table in two: what a code costs, and what it leaves; a star marks where it hurts."""
    found = list(rows)
    made = []
    for title, grid in slide_grids(found):
        heads = [_header(head.name.replace(" ", "\n"), head.unit) for head in grid.heads]
        under = "; ".join(notes(found)) if title == LEFT else ""
        made.append(table(heads, grid.rows, heading=title, caption=under, words=1))
        made[-1].columns[0].min_width = 14
    return Group(*made)


_TOTALS: Final = {
    F.protected_bits_fraction: "protected bits {} %",
    F.parity_bits_fraction: "parity bits {} %",
    F.stored_bits_per_weight: "{} bits stored per weight in all",
    F.predicted_distortion: "predicted distortion {} squared logits (our derivation)",
    F.lower_bound: "lower bound {}",
    "gap": "gap to the bound {} %",
    F.rho_star: "ρ* {} (our definition)",
}


def allocation_table(groups: Sequence[Row], totals: Row | None = None, *, most: int = 64) -> Table:
    """The protection plan: protected planes of every group; ``totals`` as in ``qtaml-hw allocate --json``."""
    rows: list[Sequence[object]] = []
    for g in groups[:most]:
        planes = g.get("planes", 0)
        mean = float(planes) if is_number(planes) else float(len(planes))
        rows.append((text(g["group"], 60), f"{g['weights']:,}", number(mean), Text("█" * round(2 * mean), "blue")))
    if len(groups) > most:
        rows.append((f"and {len(groups) - most:,} more", "", "", ""))
    shares = (F.protected_bits_fraction, F.parity_bits_fraction, "gap")
    parts = [
        form.format(percent(totals[key]) if key in shares else number(totals[key]))
        for key, form in _TOTALS.items()
        if totals and is_number(totals.get(key))
    ]
    lines = [*(["; ".join(parts)] if parts else []), *_spent(totals or {}), *_forecast(totals or {})]
    heads = ["Group", "Weights", "Protected planes\n(mean per weight)", ""]
    return table(heads, rows, heading="Protection plan (modelled)", caption="\n".join(lines), words=1)


def _forecast(plan: Row) -> list[str]:
    """What has to be protected to keep accuracy, predicted without labels."""
    lines = []
    if plan.get("predicted_kept") is not None:
        lines.append(f"predicted to keep {percent(plan['predicted_kept'])} % of clean accuracy (no label seen)")
    for keep, found in (plan.get("predicted") or {}).items():
        if found is None:
            continue
        share, ratio = found["protected_bits_fraction"], found["ratio_to_uniform"]
        low, high = (percent(end) for end in share["ci95"])
        wide = f" ({share['said']})" if share["said"] else ""
        line = f"to keep {percent(float(keep))} % of it: {low} to {high} % of the bits protected{wide}"
        if ratio is not None:
            line += f", {number(ratio['ci95'][0])} to {number(ratio['ci95'][1])} times less than Uniform-MSP"
            line += f" ({ratio['said']})" if ratio["said"] else ""
        lines.append(line)
    if plan.get("predicted_hindrance"):
        lines.append(f"budgets are not predicted: {plan['predicted_hindrance']}")
    return lines


def _spent(plan: Row) -> list[str]:
    """What a plan spends, and what scored its groups; nothing where nothing was planned."""
    lines = []
    spent = plan.get("spent") or {}
    if any(spent.values()):
        area, energy = scale([spent["area_m2"]], "m2"), scale([spent["energy_j"]], "J")
        lines.append(
            f"adds to the unprotected memory: {percent(spent['bits'])} % of the bits protected, "
            f"{percent(spent['parity'])} % parity, {area.show(spent['area_m2'])} {area.unit}, "
            f"{energy.show(spent['energy_j'])} {energy.unit} per inference"
        )
    if plan.get("least_spent") is not None:
        at_prices = f"{plan['priced_spent']:.6g} {plan['spent_unit']} at the prices of planning ({plan['solver']})"
        lines.append(f"{at_prices}; no plan reaches this distortion for less than {plan['least_spent']:.6g}")
    if plan.get("plan_score") is not None:
        lines.append(f"score: {plan['plan_score']} ({plan['plan_score_output']}), cost: {plan['plan_score_cost']}")
    lines += [f"warning: {warning}" for warning in plan.get("warnings") or ()]
    return lines


def retention_table(found: Row) -> Table:
    """Retention quantiles, and flip probabilities: keys as in ``qtaml-hw retention --json``.

    ``intervals`` (optional): rows {interval_s, p10, p01}, flip probability against the refresh interval.
    """
    rows = []
    quantiles = found.get("quantiles_s") or {}
    for share, seconds in sorted(quantiles.items(), key=lambda pair: float(pair[0])):
        unit: Scale = scale([seconds], "s")
        rows.append((f"{share_of_cells(float(share))} of cells failed after", unit.show(seconds), unit.unit))
    for key, name in ((F.p10, "p(1→0), stored 1 read as 0"), (F.p01, "p(0→1), stored 0 read as 1")):
        if is_number(found.get(key)):
            rows.append((name, number(found[key]), "per bit"))
    if is_number(found.get(F.gate_share)):
        rows.append(("Share of the gate in the leakage", percent(found[F.gate_share]), "%"))
    for r in found.get("intervals", ()):
        unit = scale([r["interval_s"]], "s")
        name = f"after {unit.show(r['interval_s'])} {unit.unit}: p(1→0), p(0→1)"
        rows.append((name, f"{number(r['p10'])}, {number(r['p01'])}", "per bit"))
    return table(["", "Value", "Unit"], rows, heading=f"Retention ({retention_basis(found.get('law'))})", words=1)


_WHAT_IF: Final = (
    (ACCURACY_MEAN, F.score.heading, "%"),
    (F.quantised_score, "Quantised accuracy", "%"),
    *((row, row.heading, row.unit) for row in (F.p10, F.p01, F.flips_raw, F.words_corrected, F.words_uncorrectable)),
    *(
        (row, row.heading, row.unit)
        for row in (F.protected_bits_fraction, F.parity_bits_fraction, F.stored_bits_per_weight)
    ),
    *((row, row.heading, row.unit) for row in (F.area_m2, F.energy_per_inference_j, F.read_latency_s)),
)


def what_if_table(before: Row, after: Row, difference: Row) -> Table:
    """Before, after and their difference: keys as in ``qtaml-hw run --json``; accuracies are paired over the same maps.

    ``difference`` : the same keys; ``accuracy_ci95_low/high`` bound the paired difference, ``maps`` is its count.
    """
    rows: list[Sequence[object]] = []
    asked: Sequence[tuple[str, str, str]] = _WHAT_IF
    if "metric_mean" in before:
        asked = [("metric_mean", title_of(before), measure_of(before).unit), *_WHAT_IF[2:]]
    for key, name, si in asked:
        if key == "metric_mean" and None in (before[key], after[key]):
            rows.append((name, si, *(_finite(r, key) for r in (before, after)), NOTHING))
        if not (is_number(before.get(key)) and is_number(after.get(key))):
            continue
        values = [float(before[key]), float(after[key])]
        change = float(difference.get(key, values[1] - values[0]))
        if si == "%":
            unit, cells = "%", [*(percent(v) for v in values), _signed(percent(change), change)]
        else:
            chosen = Scale(1.0, si) if si in UNSCALED else scale(values, si)
            unit, cells = chosen.unit, [*(chosen.show(v) for v in values), _signed(chosen.show(change), change)]
            if values[0] > 0 and change:
                cells[2] += f" ({100 * change / values[0]:+.1f} %)"
        rows.append((name, unit, *cells))
        if key == "metric_mean":
            ends = [f"{_finite(r, 'metric_ci95_low')} to {_finite(r, 'metric_ci95_high')}" for r in (before, after)]
            low, high = (number(difference.get(f"ratio_ci95_{end}")) for end in ("low", "high"))
            ratio = f"x {number(difference.get('ratio_mean'))} ({low} to {high})"
            rows.append(("  95 % CI, ratio in pairs", si, *ends, ratio))
        if key == ACCURACY_MEAN:
            rows.append(("  95 % CI, maps", "%", *(_mapped_interval(r) for r in (before, after, difference))))
    return table(["", "Unit", "Before", "After", "Difference"], rows, heading="What if", words=1)


def _finite(row: Row, key: str) -> str:
    """A value of a metric, which JSON has as null where it is infinite."""
    return INFINITE if row.get(key) is None else number(row[key], 4)


def _signed(shown: str, change: float) -> str:
    return f"+{shown}" if change > 0 else shown


def _mapped_interval(row: Row) -> str:
    low, high, maps = (row.get(k) for k in ("accuracy_ci95_low", "accuracy_ci95_high", "maps"))
    if maps == 1:
        return "1 map, no interval"
    if not (is_number(low) and is_number(high)):
        return NOTHING
    return f"{percent(low)} to {percent(high)}" + (f", {maps}" if maps else "")
