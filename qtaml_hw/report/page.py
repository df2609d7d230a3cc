"""The HTML page: what the template shows, as plain text and tables. Everything is escaped by the template."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qtaml_hw.report.columns import COLUMNS, MARKS, show, tells
from qtaml_hw.report.drawing import Drawing, inline_svg
from qtaml_hw.report.finding import Verdict, find
from qtaml_hw.report.layout import lay_out, shown_value, title, varying
from qtaml_hw.report.material import Material
from qtaml_hw.report.text import count, is_number, number, percent, percent_interval, plain
from qtaml_hw.study.summary import PointSummary

MOST_FIGURE_ROWS: Final = 60
MOST_POINT_ROWS: Final = 2000
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


def render(found: Material, drawings: Sequence[Drawing], svgs: Mapping[str, bytes], heading: str | None) -> str:
    """The whole page as text."""
    environment = Environment(
        loader=PackageLoader("qtaml_hw.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    finding = find(found)
    return environment.get_template("report.html.j2").render(
        title=plain(heading or found.study, 120),
        study=found.study,
        question=found.question,
        sentences=finding.sentences,
        verdicts=verdict_grid(found, finding.verdicts, finding.axis, finding.extreme),
        tiles=tiles(found),
        warnings=warnings(found),
        failed=[(plain(s.facts.get("label", s.identity), 120), plain(s.error, 400)) for s in found.failed],
        figures=[_figure(d, svgs[d.name]) for d in drawings],
        results=results_grid(found),
        ecc=ecc_grid(found),
        marks=MARKS,
        columns=[c for c in COLUMNS if any(tells(show(list(found.points), c.key)) for _ in (0,) if found.points)],
        parameters=parameter_grid(found.parameters.get("parameters", ())),
        citations=[plain(c, 600) for c in found.parameters.get("citations", ())],
        settings=settings(found),
        versions=versions(found),
        command=plain(found.parameters.get("command", ""), 2000),
        study_text=found.study_text,
    )


def _figure(drawing: Drawing, svg: bytes) -> dict[str, Any]:
    label = html.escape(drawing.title, quote=True)
    return {
        "name": drawing.name,
        "title": drawing.title,
        "caption": drawing.caption,
        "svg": Markup(inline_svg(svg, drawing.name, label)),  # noqa: S704  # matplotlib escapes text, the label is escaped here
        "columns": drawing.columns,
        "rows": drawing.shown_rows(MOST_FIGURE_ROWS),
        "more": max(len(drawing.rows) - MOST_FIGURE_ROWS, 0),
    }


def _values(points: Sequence[PointSummary], key: str, show_value: Any = lambda v: plain(v, 60)) -> str:
    values = list(dict.fromkeys(show_value(s.facts[key]) for s in points if s.facts.get(key) is not None))
    return ", ".join(values[:3]) + (f" and {len(values) - 3} more" if len(values) > 3 else "")


def tiles(found: Material) -> list[tuple[str, str]]:
    """The handful of figures that stand at the head of the page: (what, value)."""
    total = len(found.points) + len(found.failed)
    maps = sum(len(s.accuracies) for s in found.points)
    tile = [
        ("points finished", f"{len(found.points):,} of {total:,}"),
        ("fault maps in all", f"{maps:,}"),
        ("images per map", _values(found.points, "images", lambda v: f"{v:,}")),
        ("network", _values(found.points, "network")),
        ("data", _values(found.points, "data")),
        ("clean accuracy", _values(found.points, "clean_accuracy", lambda v: f"{percent(v)} %")),
        ("quantised accuracy", _values(found.points, "quantised_accuracy", lambda v: f"{percent(v)} %")),
        ("flip law", _values(found.points, "law")),
    ]
    return [(what, value) for what, value in tile if value]


def verdict_grid(found: Material, verdicts: Sequence[Verdict], axis: str, extreme: str) -> Grid | None:
    """How far each line goes, and what it costs there."""
    if not verdicts:
        return None
    panels = len({v.panel for v in verdicts}) > 1
    shown = [show([v.point or v.best for v in verdicts], key) for key in ("yield", "protected_bits_fraction", "parity_bits_fraction", "area_m2", "energy_per_inference_j")]
    shown = [s for s in shown if tells(s)]
    heads = (
        *((Head("With", numeric=False),) if panels else ()),
        Head("Line", numeric=False),
        Head(f"{extreme.capitalize()} {title(axis)[0].lower()}{title(axis)[1:]} that keeps 95 % of clean", numeric=False),
        Head("Accuracy there", "%", "measured"),
        Head("95 % interval", "%", "measured"),
        Head("Maps"),
        *(Head(s.column.title, s.unit, s.column.mark) for s in shown),
    )
    rows = []
    for i, v in enumerate(verdicts):
        accuracy = (v.point or v.best).accuracy
        rows.append(
            (
                *((v.panel,) if panels else ()),
                v.name,
                v.at or "none tested; its best point:",
                percent(accuracy.mean),
                percent_interval(accuracy),
                str(accuracy.maps),
                *(s.cells[i] for s in shown),
            )
        )
    return Grid(heads, tuple(rows))


def results_grid(found: Material) -> Grid | None:
    """All points: where they lie, what was measured, what it costs."""
    points = list(found.points[:MOST_POINT_ROWS])
    if not points:
        return None
    axes = list(varying(found.points))
    places = [[shown_value(s, path) for path in axes] or [plain(s.facts.get("label", ""), 80)] for s in points]
    shown = [
        s for c in COLUMNS if c.key != "accuracy" and c.mark != "assumed" and tells(s := show(points, c.key))
    ]
    labels = any(s.facts.get("label") for s in points) and not axes
    heads = (
        *([Head(title(p).capitalize() if p == "protection.policy" else title(p), numeric=False) for p in axes] or [Head("Point" if labels else "", numeric=False)]),
        Head("Accuracy", "%", "measured"),
        Head("95 % interval", "%", "measured"),
        Head("Maps"),
        *(Head(s.column.title, s.unit, s.column.mark) for s in shown),
    )
    rows = tuple(
        (*place, percent(p.accuracy.mean), percent_interval(p.accuracy), str(p.accuracy.maps), *(s.cells[i] for s in shown))
        for i, (p, place) in enumerate(zip(points, places, strict=True))
    )
    return Grid(heads, rows, len(found.points) - len(points))


_ECC: Final = (
    ("n", "n", "", number),
    ("k", "k", "", number),
    ("parity_fraction", "Parity / data bits", "%", percent),
    ("p", "Raw p", "", number),
    ("residual_p", "Residual p", "", number),
    ("p_due", "Flagged loss", "per word", number),
    ("p_sdc", "Silent error", "per word", number),
    ("break_even_p", "Break-even p", "", number),
    ("encoder_ge", "Encoder", "GE", number),
    ("decoder_ge", "Decoder", "GE", number),
)
_ECC_SI: Final = (
    ("area_m2", "Codec area", "µm²", 1e-12),
    ("decode_energy_j", "Decode energy", "pJ", 1e-12),
    ("decode_latency_s", "Decode latency", "ns", 1e-9),
)


def ecc_grid(found: Material) -> Grid | None:
    """The ECC overhead table."""
    if not found.ecc_rows:
        return None
    heads = (
        Head("Code", numeric=False),
        *(Head(name, unit, "modelled" if key not in ("n", "k") else "") for key, name, unit, _ in _ECC),
        *(Head(name, unit, "modelled") for _, name, unit, _ in _ECC_SI),
        Head("Hurts", numeric=False),
        Head("Source", numeric=False),
    )
    rows = tuple(
        (
            plain(r.get("code", ""), 60),
            *(form(r.get(key)) for key, _, _, form in _ECC),
            *(number(r[key] / size) if is_number(r.get(key)) else number(None) for key, _, _, size in _ECC_SI),
            "yes" if r.get("hurts") else "",
            plain(r.get("source") or "", 200),
        )
        for r in found.ecc_rows
    )
    return Grid(heads, rows)


def parameter_grid(parameters: Sequence[Mapping[str, Any]]) -> Grid | None:
    """Effective values with unit, origin and source."""
    if not parameters:
        return None
    heads = tuple(Head(n, numeric=n == "Value") for n in ("Parameter", "Value", "Unit", "Origin", "Source"))
    rows = []
    for p in parameters:
        value = plain(p.get("value", ""), 200)
        match = _WITH_UNIT.fullmatch(value)
        origin = str(p.get("origin", ""))
        rows.append(
            (
                plain(p.get("path", ""), 120),
                match[1] if match else value,
                match[2] if match else "",
                ORIGINS.get(origin, plain(origin, 40)),
                plain(p.get("source") or "", 400),
            )
        )
    return Grid(heads, tuple(rows))


def warnings(found: Material) -> list[str]:
    """Every warning once, with how many points gave it; and what the reader must know about the data themselves."""
    counted: dict[str, int] = {}
    for s in found.points:
        for text in s.facts.get("warnings", ()):
            counted[plain(text, 500)] = counted.get(plain(text, 500), 0) + 1
    said = [f"{text} ({count(n, 'point')})" for text, n in counted.items()]
    single = sum(len(s.accuracies) == 1 for s in found.points)
    if single:
        said.append(f"{count(single, 'point')} rest on one fault map: there is no interval, and another chip may differ by several percent.")
    duplicates = lay_out(found.points).duplicates
    if duplicates:
        said.append(f"{count(duplicates, 'point')} share all swept values with another point: the folder holds more than one version of the study.")
    if len(names := {plain(s.facts.get("study", ""), 80) for s in found.points}) > 1:
        said.append(f"The folder holds records of several studies: {', '.join(sorted(names))}.")
    menu = {entry for s in found.points for entry in s.facts.get("menu", ())}
    if "ideal" in menu and any(s.facts.get("protected_bits_fraction") for s in found.points):
        said.append("Protection “ideal” is error-free by assumption and not buildable; it is the published accounting, without parity or codec.")
    return said


_SETTINGS: Final = (
    ("cell_kind", "cell"),
    ("cell_preset", "preset"),
    ("law", "flip law"),
    ("direction", "flip direction"),
    ("weights_format", "weights"),
    ("scale", "scale"),
    ("group", "protection group"),
    ("budget_kind", "budget"),
    ("correction", "correction asked"),
    ("seed", "seed"),
)


def settings(found: Material) -> list[tuple[str, str]]:
    """What the records themselves say about the set-up, for stores without parameters.json."""
    return [(name, shown) for key, name in _SETTINGS if (shown := _values(found.points, key))]


def versions(found: Material) -> list[tuple[str, str]]:
    """Versions of what produced the records; several where the store was filled by several."""
    seen: dict[str, dict[str, None]] = {}
    for s in (*found.points, *found.failed):
        for name, version in (s.facts.get("versions") or {}).items():
            seen.setdefault(plain(name, 40), {})[plain(version, 40)] = None
    return [(name, ", ".join(values)) for name, values in seen.items()]


