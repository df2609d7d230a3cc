"""The tables of the page, as text: verdicts, all points, layers, the ECC overhead table, parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import Interval
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.measure import heading_of, measure_of, title_of
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import NOTHING, Scale, count, number, percent, plain, scale, spelled
from qtaml_hw.report.columns import BANKS, COLUMNS, YIELD, score_name, show, tells
from qtaml_hw.report.finding import Finding
from qtaml_hw.report.layout import POLICY, shown_value, title, varying
from qtaml_hw.report.material import Material

MOST_POINT_ROWS: Final = 500
_FEW_VALUES: Final = 4
ORIGINS: Final = {"default": "default", "preset": "preset", "file": "study file", "set": "--set", "sweep": "swept"}
_WITH_UNIT: Final = re.compile(r"([+-]?[0-9][0-9.eE+-]*)\s+(\S+)")


@dataclass(frozen=True)
class Head:
    """A table's header cell: name, unit, and the mark shown under them."""

    name: str
    unit: str = ""
    mark: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Grid:
    """A table ready for the template."""

    heads: tuple[Head, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int = 0


def verdict_grid(finding: Finding) -> Grid | None:
    """How far each line goes, and what it costs there."""
    verdicts = finding.verdicts
    if not verdicts:
        return None
    keys = (YIELD, F.protected_bits_fraction, F.parity_bits_fraction, F.area_m2, F.energy_per_inference_j)
    shown = [s for key in keys if tells(s := show([v.shown for v in verdicts], key))]
    heads = (
        *(Head(title(path), numeric=False) for path, _ in verdicts[0].shared),
        Head(finding.series, numeric=False),
        Head(finding.heading, numeric=False),
        *_score_heads([v.shown for v in verdicts]),
        *(Head(s.column.title, s.unit, s.column.mark) for s in shown),
    )
    rows = tuple(
        (
            *(value for _, value in v.shared),
            v.name,
            v.reach,
            *_accuracy_cells(v.shown, [v.shown for v in verdicts]),
            *(s.cells[i] for s in shown),
        )
        for i, v in enumerate(verdicts)
    )
    return Grid(heads, rows)


def _score_heads(points: Sequence[PointSummary]) -> tuple[Head, ...]:
    """Accuracy, at the worst time where there are several; the last time has a column of its own."""
    timed = _timed(points)
    name, unit = score_name(points), _time_unit(points).unit
    per = heading_of(s.facts for s in points)[1].unit
    heads = (Head(name, per, "measured"), Head("95 % interval", per, "measured"), Head("Maps"))
    return (*heads, Head("Worst at", unit), Head("At the last time", per, "measured")) if timed else heads


def _accuracy_cells(s: PointSummary, points: Sequence[PointSummary]) -> tuple[str, ...]:
    time_s, found = s.worst
    read = measure_of(s.facts)
    cells = (read.show(found.mean), read.ends(found), str(found.maps))
    return (*cells, _time_unit(points).show(time_s), read.show(s.accuracy.mean)) if _timed(points) else cells


def _timed(points: Sequence[PointSummary]) -> bool:
    return any(len(s.series) > 1 for s in points)


def _time_unit(points: Sequence[PointSummary]) -> Scale:
    return scale([s.worst[0] for s in points], "s")


def results_grids(found: Material) -> list[tuple[str, Grid]]:
    """All points, in tables that fit a page: what was measured, what it costs, how the banks keep up."""
    points = found.points[:MOST_POINT_ROWS]
    if not points:
        return []
    axes = list(varying(found.points))
    if axes:
        heads = tuple(Head(title(path).capitalize() if path == POLICY else title(path), numeric=False) for path in axes)
        places = [tuple(shown_value(s, path) for path in axes) for s in points]
        if len(set(places)) < len(places):
            heads = (Head("Point", numeric=False), *heads)
            places = [(spelled(s.facts.get(F.label, ""), 80), *place) for s, place in zip(points, places, strict=True)]
    else:
        heads = (Head("Point", numeric=False),)
        places = [(spelled(s.facts.get(F.label) or found.study, 80),) for s in points]
    more = len(found.points) - len(points)
    grids = []
    for name, keys, accuracy in _GRIDS:
        shown = [s for key in keys if tells(s := show(points, key)) and not (key in _WORDS and set(s.cells) == {"0"})]
        if not shown:
            continue
        scores = _score_heads(points) if accuracy else ()
        columns = (*scores, *(Head(s.column.title, s.unit, s.column.mark) for s in shown))
        rows = tuple(
            (*place, *(_accuracy_cells(p, points) if accuracy else ()), *(s.cells[i] for s in shown))
            for i, (p, place) in enumerate(zip(points, places, strict=True))
        )
        grids.append((name, Grid((*heads, *columns), rows, more)))
    chips = tuple((*place, *_chip_cells(p)) for p, place in zip(points, places, strict=True))
    grids.insert(1, (CHIPS, Grid((*heads, *_chip_heads(points[0])), chips, more)))
    return grids


def _chip_heads(first: PointSummary) -> tuple[Head, ...]:
    shares = [f"{100 * share:g} %" for share in first.shares]
    chips = [
        head
        for share in shares
        for head in (Head(f"Chips ≥ {share} of clean", "%", "measured"), Head("95 % interval", "%"))
    ]
    read, of_tokens = measure_of(first.facts), first.facts.get(F.tokens) is not None
    other = f"{title_of(first.facts)} on other {'texts' if of_tokens else 'test images'}"
    return (*chips, Head("Maps"), Head(other, read.unit, "measured"), Head("Tokens" if of_tokens else "Images"))


def _chip_cells(s: PointSummary) -> tuple[str, ...]:
    """Each yield with its interval over chips, and the interval of the accuracy over test images."""
    chips = [cell for y in s.yields for cell in (percent(y.chips), " to ".join(percent(end) for end in y.ci95))]
    if s.facts.get(F.at_chance):  # nothing is kept of chance
        chips = [NOTHING] * len(chips)
    read = measure_of(s.facts)
    images = NOTHING if s.images_ci95 is None else read.ends(Interval(s.accuracy.mean, *s.images_ci95, 2))
    return *chips, str(len(s.accuracies)), images, f"{s.facts.get(F.tokens) or s.facts[F.images]:,}"


CHIPS: Final = "Chips and test inputs"
_WORDS: Final = (F.words_corrected, F.words_uncorrectable)  # without a real code there are no words to count
_COSTS: Final = (
    F.protected_bits_fraction,
    F.parity_bits_fraction,
    F.area_m2,
    F.energy_per_inference_j,
    F.read_latency_s,
    F.predicted_distortion,
    F.rho_star,
)
_ERRORS: Final = tuple(
    c.key for c in COLUMNS if c.key != F.score and c.mark != "assumed" and c.key not in (*_COSTS, *BANKS)
)
_GRIDS: Final = (
    ("Scores and errors", _ERRORS, True),
    ("Protection and cost", _COSTS, False),
    ("Banks and time", BANKS, False),
)

MOST_LAYERS: Final = 200
_LAYER_TIMES: Final = (("compute_s", "Compute"), ("read_s", "Weight reading"), ("stall_s", "of it stalled"))


def layer_grid(found: Material) -> tuple[str, Grid] | None:
    """(which point, its layers and their sum); the first point that has them, None without one."""
    point = next((s for s in found.points if s.facts.get(F.layer_table)), None)
    if point is None:
        return None
    table: Mapping[str, list[Any]] = point.facts[F.layer_table]
    layers = len(table["name"])
    second = scale([t for key, _ in _LAYER_TIMES for t in table[key]], "s")
    joule = scale(table["energy_j"], "J")
    heads = (
        *(Head(name, numeric=False) for name in ("Layer", "Kind", "Product m × k × n")),
        *(Head(name, "", "modelled") for name in ("Cycles", "MACs", "Weights read")),
        *(Head(name, second.unit, "modelled") for _, name in _LAYER_TIMES),
        Head("Energy", joule.unit, "modelled"),
    )
    rows = [
        (
            plain(table["name"][i], 60),
            plain(table["kind"][i], 20),
            _product(table["size"][i]),
            *(f"{table[key][i]:,}" for key in ("cycles", "macs", "weight_reads")),
            *(second.show(table[key][i]) for key, _ in _LAYER_TIMES),
            joule.show(table["energy_j"][i]),
        )
        for i in range(min(layers, MOST_LAYERS))
    ]
    total = (
        "sum",
        "",
        count(layers, "product"),
        *(f"{sum(table[key]):,}" for key in ("cycles", "macs", "weight_reads")),
        *(second.show(sum(table[key])) for key, _ in _LAYER_TIMES),
        joule.show(sum(table["energy_j"])),
    )
    where = spelled(point.facts.get(F.label, ""), 80) if len(found.points) > 1 else ""
    return where, Grid(heads, (*rows, total), max(layers - MOST_LAYERS, 0))


def _product(size: list[int]) -> str:
    m, k, n, repeats = size
    return f"{m:,} × {k:,} × {n:,}" + (f", {repeats:,} times" if repeats > 1 else "")


_CODE: Final = (
    ("n", "n", "", "", 1.0),
    ("k", "k", "", "", 1.0),
    ("parity_fraction", "Parity / data bits", "%", "modelled", 0.01),
    ("break_even_p", "Break-even p", "", "modelled", 1.0),
    ("encoder_ge", "Encoder", "GE", "modelled", 1.0),
    ("decoder_ge", "Decoder", "GE", "modelled", 1.0),
    ("area_m2", "Codec area", "µm²", "modelled", 1e-12),
    ("decode_energy_j", "Decode energy", "pJ / word", "modelled", 1e-12),
    ("decode_latency_s", "Decode latency", "ns", "modelled", 1e-9),
)
_LEFT: Final = (("residual_p", "Residual p"), ("p_due", "Flagged loss per word"), ("p_sdc", "Silent error per word"))


def ecc_grids(found: Material) -> list[tuple[str, Grid]]:
    """The ECC overhead table: what every code costs, and what it leaves at every raw p."""
    if not found.ecc_rows:
        return []
    first = {plain(r.get("code", ""), 60): r for r in reversed(found.ecc_rows)}
    names = list(dict.fromkeys(plain(r.get("code", ""), 60) for r in found.ecc_rows))
    heads = (Head("Code", numeric=False), *(Head(name, unit, mark) for _, name, unit, mark, _ in _CODE))
    costs = tuple((n, *(Scale(size, "").show(first[n].get(key)) for key, *_, size in _CODE)) for n in names)
    cells = {(plain(r.get("code", ""), 60), r.get("p")): r for r in found.ecc_rows}
    raw = sorted({r["p"] for r in found.ecc_rows if is_number(r.get("p"))})
    grids = [("What a code costs", Grid(heads, costs))]
    for key, name in _LEFT:
        rows = tuple((n, *(_left(cells.get((n, p), {}), key) for p in raw)) for n in names)
        columns = (Head("Code", numeric=False), *(Head(f"p = {number(p)}", "", "modelled") for p in raw))
        grids.append((f"{name}, by raw bit-error probability p", Grid(columns, rows)))
    return grids


def _left(row: Mapping[str, Any], key: str) -> str:
    return number(row.get(key)) + (" hurts" if key == "residual_p" and row.get("hurts") else "")


def parameter_grid(found: Material) -> Grid | None:
    """Effective values with unit, origin and source; a swept one shows what was tested, from the records."""
    parameters = found.parameters.get("parameters") or ()
    if not parameters:
        return None
    paths = dict.fromkeys(path for s in found.points for path in s.facts.get(F.axes, {}))
    swept = {path: v for path in paths if len(v := list(dict.fromkeys(shown_value(s, path) for s in found.points))) > 1}
    heads = tuple(Head(n, numeric=n == "Value") for n in ("Parameter", "Value", "Unit", "Origin", "Source"))
    rows = []
    for p in parameters:
        path, value, origin = str(p.get("path", "")), spelled(p.get("value", ""), 200), str(p.get("origin", ""))
        match = _WITH_UNIT.fullmatch(value)
        if path in swept:
            origin, shown = "sweep", (_tested([value if v == NOTHING else v for v in swept[path]]), "")
        else:
            shown = (match[1], match[2]) if match else (value, "")
        source = plain(p.get("source") or "", 400)
        rows.append((plain(path, 120), *shown, ORIGINS.get(origin, plain(origin, 40)), source))
    return Grid(heads, tuple(rows))


def _tested(values: Sequence[str]) -> str:
    few = ", ".join(values)
    return few if len(values) <= _FEW_VALUES else f"{values[0]} … {values[-1]} ({len(values)} values)"
