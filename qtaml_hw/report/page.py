"""The HTML page: what the template shows, as plain text and tables. Everything is escaped by the template."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qtaml_hw.records.fields import F
from qtaml_hw.records.measure import heading_of
from qtaml_hw.records.summary import PointSummary, warnings_of
from qtaml_hw.records.text import count, plain, plain_lines, spelled, touching
from qtaml_hw.report import style
from qtaml_hw.report.buffers import buffer_grid, split_grid
from qtaml_hw.report.columns import COLUMNS, MARKS, score_name, show, tells
from qtaml_hw.report.drawing import Drawing, inline_svg
from qtaml_hw.report.explorer import explorer_data
from qtaml_hw.report.finding import find
from qtaml_hw.report.grids import ecc_grids, layer_grid, parameter_grid, results_grids, verdict_grid
from qtaml_hw.report.layout import lay_out
from qtaml_hw.report.material import Material
from qtaml_hw.report.scripts import embedded, page_scripts

MOST_FIGURE_ROWS: Final = 60
_CARD_IN: Final = 0.9  # heading and caption around a figure, in the figure's inches


def render(found: Material, drawings: Sequence[Drawing], svgs: Mapping[str, bytes], heading: str | None) -> str:
    """The whole page as text."""
    environment = Environment(
        loader=PackageLoader("qtaml_hw.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    finding, explorer = find(found), explorer_data(found)
    return environment.get_template("report.html.j2").render(
        title=plain(heading or found.study, 120),
        study=found.study,
        question=found.question,
        sentences=finding.sentences,
        verdicts=verdict_grid(finding),
        explorer=None if explorer is None else embedded(explorer),
        scripts=page_scripts(explorer is not None),
        tiles=tiles(found),
        warnings=warnings(found),
        failed=[(spelled(s.facts.get(F.label, s.identity), 120), plain(s.error, 400)) for s in found.failed],
        columns_of_figures=_two_columns([_figure(d, i, svgs[d.name]) for i, d in enumerate(drawings)]),
        results=results_grids(found),
        buffers=buffer_grid(found.points),
        split=split_grid(found.points),
        layers=layer_grid(found),
        ecc=ecc_grids(found),
        ecc_sources=sorted({plain(r["source"], 300) for r in found.ecc_rows if r.get("source")}),
        light=[(color[1:], color) for color in style.DARK],
        dark=[(color[1:], dark) for color, dark in style.DARK.items()],
        marks=MARKS,
        columns=[c for c in COLUMNS if found.points and tells(show(found.points, c.key))],
        parameters=parameter_grid(found),
        citations=[plain(c, 600) for c in found.parameters.get("citations", ())],
        settings=settings(found),
        versions=versions(found),
        command=plain(found.parameters.get("command", ""), 2000),
        study_text=plain_lines(found.study_text),
    )


def _figure(drawing: Drawing, place: int, svg: bytes) -> dict[str, Any]:
    label = html.escape(drawing.title, quote=True)
    return {
        "name": drawing.name,
        "place": place,
        "height": drawing.figure.get_figheight() + _CARD_IN,
        "title": drawing.title,
        "caption": drawing.caption,
        "svg": Markup(inline_svg(svg, drawing.name, label)),  # noqa: S704  # matplotlib escapes text, the label is escaped here
        "columns": drawing.columns,
        "rows": drawing.shown_rows(MOST_FIGURE_ROWS),
        "more": max(len(drawing.rows) - MOST_FIGURE_ROWS, 0),
    }


def _two_columns(figures: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Each figure goes under the shorter column, so that no hole is left; narrow screens go back to ``place``."""
    columns: list[list[dict[str, Any]]] = [[], []]
    for figure in figures:
        min(columns, key=lambda column: sum(f["height"] for f in column)).append(figure)
    return columns


def _values(points: Sequence[PointSummary], key: str, show_value: Any = lambda v: plain(v, 60)) -> str:
    values = list(dict.fromkeys(show_value(s.facts[key]) for s in points if s.facts.get(key) is not None))
    return ", ".join(values[:3]) + (f" and {len(values) - 3} more" if len(values) > 3 else "")


def _counted(kinds: Any) -> str:
    """``1,202 (bias), 64 (norm)``; a record that was edited by hand may hold anything."""
    told = kinds.items() if isinstance(kinds, Mapping) else ()
    return ", ".join(f"{n:,} ({plain(kind, 20)})" for kind, n in told if isinstance(n, int)) or "none"


def tiles(found: Material) -> list[tuple[str, str]]:
    """The handful of figures that stand at the head of the page: (what, value)."""
    total = len(found.points) + len(found.failed)
    maps = sum(len(s.accuracies) for s in found.points)
    read = heading_of(s.facts for s in found.points)[1]
    unit = F.tokens if any(s.facts.get(F.tokens) for s in found.points) else F.images
    tile = [
        ("points finished", f"{len(found.points):,} of {total:,}"),
        ("fault maps in all", f"{maps:,}"),
        (f"{unit} per map", _values(found.points, unit, lambda v: f"{v:,}")),
        ("network", _values(found.points, F.network)),
        ("data", _values(found.points, F.data)),
        ("measured", "" if score_name(found.points) == F.score.heading else score_name(found.points)),
        (
            "clean" if read.logarithmic else "clean accuracy",
            _values(found.points, F.clean_score, lambda v: f"{read.show(v)}{read.suffix}"),
        ),
        ("quantised", _values(found.points, F.quantised_score, lambda v: f"{read.show(v)}{read.suffix}")),
        ("parameters kept exact", _values(found.points, F.exact_parameters, _counted)),
        ("flip law", _values(found.points, F.law)),
    ]
    return [(what, value) for what, value in tile if value]


def warnings(found: Material) -> list[str]:
    """Every warning once, with the points that it touches; and what the reader must know about the data themselves."""
    touched = warnings_of(found.points)
    said = [touching(text, labels, len(found.points)) for text, labels in touched.items()]
    names = sorted({plain(s.facts.get(F.study, ""), 80) for s in found.points})
    said += [
        text.format(count(n, "point"))
        for n, text in (
            (sum(len(s.accuracies) == 1 for s in found.points), _ONE_MAP),
            (lay_out(found.points).versions, _DUPLICATES),
        )
        if n
    ]
    if found.broken:
        said.append(plain(found.broken, 600))
    if len(names) > 1:
        said.append(f"The folder holds records of several studies: {', '.join(names)}.")
    menu = {entry for s in found.points for entry in s.facts.get(F.menu, ())}
    return [*said, _IDEAL] if "ideal" in menu and not any("ideal" in text for text in touched) else said


_ONE_MAP: Final = "{} with one fault map only: there is no interval, and another chip may differ by several points."
_DUPLICATES: Final = (
    "{} with the swept values of another and other results: the folder holds more than one version of the study; "
    "lines of later ones are called “version 2” and on."
)
_IDEAL: Final = (
    "Protection “ideal” is error-free by assumption and not buildable: the published accounting, "
    "without parity and without a codec."
)


_SETTINGS: Final = (
    (F.cell_kind, "cell"),
    (F.cell_preset, "preset"),
    (F.law, "flip law"),
    (F.direction, "flip direction"),
    (F.weights_format, "weights"),
    (F.scale, "scale"),
    (F.group, "protection group"),
    (F.budget_kind, "budget"),
    (F.correction, "correction asked"),
    (F.seed, "seed"),
)


def settings(found: Material) -> list[tuple[str, str]]:
    """What the records themselves say about the set-up, for stores without parameters.json."""
    return [(name, shown) for key, name in _SETTINGS if (shown := _values(found.points, key))]


def versions(found: Material) -> list[tuple[str, str]]:
    """Versions of what produced the records; several where the store was filled by several."""
    seen: dict[str, dict[str, None]] = {}
    for s in (*found.points, *found.failed):
        for name, version in (s.facts.get(F.versions) or {}).items():
            seen.setdefault(plain(name, 40), {})[plain(version, 40)] = None
    return [(name, ", ".join(values)) for name, values in seen.items()]
