"""The points of a store as the page's explorer takes them: every number as a column in its unit, plans and cost splits.

The page holds this as JSON, which is data and never run; everything that a user wrote is plain text in it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from qtaml_hw.records.fields import FIELDS, F
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.measure import heading_of
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import Scale, plain, scale, share_of_cells, spelled
from qtaml_hw.report.columns import score_name
from qtaml_hw.report.figures.cost import AREA_PARTS, ENERGY_PARTS
from qtaml_hw.report.layout import CASE, OXIDE, STUDY, Layout, axis_of, lay_out, shown_value, title, varying
from qtaml_hw.report.material import Material
from qtaml_hw.report.style import SERIES

Value = float | None
Values = Sequence[Value]
_DIGITS: Final = 5
_SCALED: Final = ("J", "s", "W", "m2", "m", "Hz")
_ALSO: Final = {
    OXIDE: F.t_ox_m,
    "cell.v_dd": F.v_dd_v,
    "cell.temperature": F.temperature_k,
    "refresh.interval": F.refresh_interval_s,
    "scrub.interval": F.scrub_interval_s,
}  # axes that a record has as a field too
_NO_AXES: Final = (F.schema, F.point, F.map_index, F.seed, F.correct)
_ENDS: Final[Mapping[str, tuple[str, str]]] = {
    F.area_m2: (F.area_low_m2, F.area_high_m2),
    F.energy_per_inference_j: (F.energy_low_j, F.energy_high_j),
    F.read_latency_s: (F.read_latency_low_s, F.read_latency_high_s),
}
_LESS_IS_BETTER: Final = (
    F.area_m2,
    F.energy_per_inference_j,
    F.read_latency_s,
    F.inference_latency_s,
    F.protected_bits_fraction,
    F.parity_bits_fraction,
    F.stored_bits_per_weight,
    F.refresh_bandwidth_share,
    F.predicted_distortion,
)
_MORE_IS_BETTER: Final = (F.throughput_per_s, F.availability)
_MOST_FILTERS: Final = 40
_MOST_NAMES: Final = 24  # in a legend


@dataclass(frozen=True)
class Column:
    """A number of every point: ``values`` in ``unit``; ``ends`` the low and high end of its interval or band.

    ``better`` : 1 where more of it is better, -1 where less is, 0 where neither can be said.
    """

    key: str
    title: str
    unit: str
    what: str
    mark: str
    values: Values
    ends: tuple[Values, Values] | None = None
    better: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; a value that all points share is written once."""
        made: dict[str, Any] = {
            "key": self.key,
            "title": self.title,
            "unit": self.unit,
            "what": self.what,
            "mark": self.mark,
            "values": _packed(self.values),
            "better": self.better,
        }
        if self.ends is not None:
            made["low"], made["high"] = (_packed(end) for end in self.ends)
        return made


def explorer_data(found: Material) -> dict[str, Any] | None:
    """What the explorer shows of a store; None without a finished point."""
    points = found.points
    if not points:
        return None
    layout = lay_out(points)
    axes = _axes(layout, points)
    known = {str(_ALSO[column.key]) for column in axes if column.key in _ALSO}
    columns = [*axes, *_scores(points), *_chips(points), *(c for c in _facts(points) if c.key not in known)]
    lines = {id(s): (n, name, line.name) for n, (name, line) in enumerate(layout.lines) for s in line.points}
    placed = [lines[id(s)] for s in points]
    called = [name for _, name, _ in placed]
    called = called if len(set(called)) <= _MOST_NAMES else [short for _, _, short in placed]
    names = list(dict.fromkeys(called))
    return {
        "points": {
            "label": [spelled(s.facts.get(F.label) or found.study, 120) for s in points],
            "series": [names.index(name) for name in called],
            "line": [line for line, _, _ in placed],
            "maps": [len(s.accuracies) for s in points],
            "set": _changes(points),
        },
        "series": names,
        "colours": list(SERIES),
        "columns": [column.as_dict() for column in columns],
        "words": _words_of(points),
        "filters": _filters(points),
        "splits": [_split(points, name, parts, si) for name, parts, si in _SPLITS],
        "layers": _layers(points),
        "views": _views(layout, {column.key for column in columns}, heading_of(s.facts for s in points)[0]),
        "command": base_command(found),
    }


def _packed(values: Values) -> Value | list[Value]:
    short = [None if v is None else float(f"{v:.{_DIGITS}g}") for v in values]
    whole = [int(v) if v is not None and v.is_integer() and abs(v) < 1e15 else v for v in short]
    return whole[0] if len(set(whole)) == 1 else whole


def _axes(layout: Layout, points: Sequence[PointSummary]) -> list[Column]:
    """The numeric axes of the sweep, in the units that its file was written in."""
    numeric = [path for path, values in varying(points).items() if all(is_number(v) for v in values)]
    made = []
    for path in sorted(numeric, key=lambda p: layout.x is None or p != layout.x.path):
        axis = axis_of(path, points)
        made.append(Column(path, title(path), axis.unit, "axis of the sweep", "assumed", [axis.at(s) for s in points]))
    return made


def _scores(points: Sequence[PointSummary]) -> list[Column]:
    """What was counted, with intervals: the score, and what is kept and lost of it."""
    name = score_name(points)
    means = [s.accuracy for s in points]
    made = [
        Column(
            F.score,
            name,
            "%",
            F.score.what,
            "measured",
            [100.0 * i.mean for i in means],
            ([_percent(i.low) for i in means], [_percent(i.high) for i in means]),
            1,
        ),
        Column(
            "kept",
            f"{name} kept of clean",
            "%",
            "the same / its clean value",
            "measured",
            [_kept(i.mean, s) for i, s in zip(means, points, strict=True)],
            (
                [_kept(i.low, s) for i, s in zip(means, points, strict=True)],
                [_kept(i.high, s) for i, s in zip(means, points, strict=True)],
            ),
            1,
        ),
        Column(
            "lost",
            f"{name} lost to faults",
            "%",
            "quantised score less score",
            "measured",
            [100.0 * (s.facts[F.quantised_score] - i.mean) for i, s in zip(means, points, strict=True)],
            better=-1,
        ),
    ]
    if any(len(s.series) > 1 for s in points):
        worst = [s.worst[1] for s in points]
        ends = ([_percent(i.low) for i in worst], [_percent(i.high) for i in worst])
        what = "at the time where its interval reaches lowest"
        values = [100.0 * i.mean for i in worst]
        made.insert(1, Column("worst", f"{name} at the worst time", "%", what, "measured", values, ends, 1))
    return made


def _chips(points: Sequence[PointSummary]) -> list[Column]:
    """The share of chips that keep enough, for every share that the study asks for."""
    made = []
    for n, share in enumerate(points[0].shares):
        kept = [None if s.facts.get(F.at_chance) or len(s.yields) <= n else s.yields[n] for s in points]
        made.append(
            Column(
                f"yield_{share:g}",
                f"Chips ≥ {100 * share:g} % of clean",
                "%",
                "share of fault maps that keep it",
                "measured",
                [None if y is None else 100.0 * y.chips for y in kept],
                (
                    [None if y is None else 100.0 * y.ci95[0] for y in kept],
                    [None if y is None else 100.0 * y.ci95[1] for y in kept],
                ),
                1,
            )
        )
    return made


def _percent(share: float) -> Value:
    return 100.0 * share if is_number(share) else None


def _kept(score: float, s: PointSummary) -> Value:
    clean = s.facts[F.clean_score]
    return 100.0 * score / clean if clean and is_number(score) else None


def _facts(points: Sequence[PointSummary]) -> list[Column]:
    """Every other number of a record, by the table of its fields; and retention by share of cells."""
    ends = {name for pair in _ENDS.values() for name in pair}
    made = []
    for name, row in FIELDS.items():
        if row in _NO_AXES or row == F.score or name in ends or row.per not in ("study", "point", "map"):
            continue
        values = [_number(s, name) for s in points]
        if any(v is not None for v in values):
            band = tuple([_number(s, end) for s in points] for end in _ENDS.get(name, ()))
            better = -1 if row in _LESS_IS_BETTER else 1 if row in _MORE_IS_BETTER else 0
            made.append(
                _in_unit(
                    name, row.heading or _words(name, row.unit), row.unit, row.what, row.mark, values, band, better
                )
            )
    shares = dict.fromkeys(share for s in points for share in s.facts.get(F.retention_quantiles_s) or ())
    for share in shares:
        values = [_or_none((s.facts.get(F.retention_quantiles_s) or {}).get(share)) for s in points]
        heading = f"Retention, {share_of_cells(float(share))} of cells failed"
        made.append(_in_unit(f"retention_{share}", heading, "s", F.retention_quantiles_s.what, "modelled", values))
    return made


def _number(s: PointSummary, name: str) -> Value:
    return _or_none(s.means.get(name, s.facts.get(name)))


def _or_none(value: Any) -> Value:
    return float(value) if is_number(value) else None


def _words(name: str, unit: str) -> str:
    """``read_bandwidth_share`` -> ``Read bandwidth share``; the unit that ends a name is shown beside it."""
    bare = name.removesuffix(f"_{unit.lower()}") if unit else name
    return bare.replace("_", " ").capitalize()


def _in_unit(
    key: str, heading: str, si: str, what: str, mark: str, values: Values, band: Sequence[Values] = (), better: int = 0
) -> Column:
    chosen = scale(values, si) if si in _SCALED else Scale(0.01, "%") if si == "%" else Scale(1.0, si)
    shown, *ends = ([None if v is None else v / chosen.factor for v in column] for column in (values, *band))
    return Column(key, heading, chosen.unit, what, mark, shown, (ends[0], ends[1]) if ends else None, better)


def _changes(points: Sequence[PointSummary]) -> list[dict[str, Any]]:
    """The ``--set`` options that make a point of its study, quoted for a shell: per axis, each once."""
    axes: list[Mapping[str, Any]] = [s.facts.get(F.axes, {}) for s in points]
    made = []
    for path in dict.fromkeys(path for found in axes for path in found):
        shown = [_change(path, found[path]) if path in found else "" for found in axes]
        options = list(dict.fromkeys(shown))
        made.append({"options": options, "at": [options.index(text) for text in shown]})
    return made


def _change(path: str, value: Any) -> str:
    return f"--set {shlex.quote(f'{path}={_listed(plain(value))}')}"


def _listed(value: str) -> str:
    """Lists are shown without their brackets."""
    return f"[{value}]" if ", " in value and value[0] not in "[{" else value


def base_command(found: Material) -> str:
    """``qtaml-hw run FILE`` with the changes that the whole sweep was made with."""
    words = _split_words(plain(found.parameters.get("command", ""), 2000))
    file = next((w for w in words if w.endswith((".yaml", ".yml"))), "STUDY.yaml")
    changes = [f"--set {shlex.quote(value)}" for word, value in pairwise(words) if word == "--set"]
    return " ".join(["qtaml-hw run", shlex.quote(file), *changes])


def _split_words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # edited by hand, or cut
        return []


_WORDS: Final = (
    (F.network, "Network"),
    (F.data, "Data"),
    (F.weights_format, "Weights"),
    (F.cell_kind, "Cell"),
    (F.cell_preset, "Preset"),
    (F.law, "Flip law"),
    (F.direction, "Flip direction"),
    (F.policy, "Policy"),
    (F.group, "Group"),
    (F.menu, "Menu"),
    (F.correction, "Correction"),
    (F.budget_kind, "Budget in"),
)


def _words_of(points: Sequence[PointSummary]) -> list[dict[str, Any]]:
    """Parameters that are words: the values of all points, each once."""
    made = []
    for key, name in _WORDS:
        found = [s.facts.get(key) for s in points]
        shown = [plain(", ".join(map(str, v)) if isinstance(v, list) else "" if v is None else v, 120) for v in found]
        options = list(dict.fromkeys(shown))
        if options != [""]:
            made.append({"title": name, "options": options, "at": [options.index(v) for v in shown]})
    return made


def _filters(points: Sequence[PointSummary]) -> list[dict[str, Any]]:
    """The axes that have few values, each with the values of all points."""
    made = []
    for path, values in varying(points).items():
        if len(values) <= _MOST_FILTERS:
            shown = [shown_value(s, path) for s in points]
            options = list(dict.fromkeys(shown))
            name = {CASE: "Case", STUDY: "Study"}.get(path, title(path).capitalize() if path.islower() else title(path))
            made.append({"title": name, "options": options, "at": [options.index(v) for v in shown]})
    return made


_SPLITS: Final = (("Area", AREA_PARTS, "m2"), ("Energy per inference", ENERGY_PARTS, "J"))


def _split(points: Sequence[PointSummary], name: str, parts: Mapping[str, tuple[str, str]], si: str) -> dict[str, Any]:
    """What a cost consists of: a list per part, in one unit."""
    values = {key: [_or_none(s.facts.get(key)) for s in points] for key in parts}
    totals = [sum(v for key in parts if (v := values[key][i]) is not None) for i in range(len(points))]
    unit = scale(totals, si)
    rows = [
        {
            "title": label,
            "color": color,
            "values": _packed([None if v is None else v / unit.factor for v in values[key]]),
        }
        for key, (label, color) in parts.items()
        if any(values[key])
    ]
    return {"title": name, "unit": unit.unit, "parts": rows}


def _layers(points: Sequence[PointSummary]) -> dict[str, Any]:
    """Layers by name with their weights, and what protects them in every point (mean planes per weight)."""
    names = dict.fromkeys(plain(layer["name"], 80) for s in points for layer in s.facts.get(F.layers, ()))
    found = [{plain(layer["name"], 80): layer for layer in s.facts.get(F.layers, ())} for s in points]
    weights = {name: next(f[name]["weights"] for f in found if name in f) for name in names}
    planes = {n: [_or_none(f.get(n, {}).get("protected_planes")) for f in found] for n in names}
    return {"rows": [{"name": n, "weights": weights[n], "planes": _packed(planes[n])} for n in names]}


def _views(layout: Layout, keys: set[str], score: str) -> list[dict[str, Any]]:
    """Ready-made pairs of axes, named after the figures that they stand for and what the score is called."""
    wanted: list[tuple[str, str, str, str, bool]] = []
    if layout.x is not None:
        wanted.append(("accuracy", score, layout.x.path, F.score, True))
        wanted.append(
            ("chip_yield", "Chips", layout.x.path, next((k for k in keys if k.startswith("yield_")), ""), True)
        )
    wanted += [
        ("area_energy", "Energy against area", F.area_m2, F.energy_per_inference_j, False),
        ("overhead", f"{score} against parity", F.parity_bits_fraction, F.score, False),
        ("distortion", "Loss against prediction", F.predicted_distortion, "lost", False),
    ]
    return [
        {"name": name, "title": words, "x": x, "y": y, "join": join}
        for name, words, x, y, join in wanted
        if {str(x), str(y)} <= keys
    ]
