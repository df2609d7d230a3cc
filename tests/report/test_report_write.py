"""write_report: one self-contained page and true figures' files from stores of every shape; nothing half-written."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from qtaml_hw.errors import StoreError
from qtaml_hw.records.store import read_records
from qtaml_hw.records.summary import summarise
from qtaml_hw.report import write_report
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.figures import FIGURES, draw
from qtaml_hw.report.figures.accuracy_map import accuracy_map
from qtaml_hw.report.material import material
from qtaml_hw.report.page import render
from tests.report import synthetic

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Tags and attributes of a page; checks that tags are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def without_scripts(page: str) -> str:
    """The page but for what it runs, whose own words are no business of these checks."""
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def test_every_figure_is_written_in_three_formats(sweep_store: tuple[Path, tuple[Path, ...]]) -> None:
    folder, files = sweep_store
    assert files[0] == folder / "report.html"
    names = {
        "accuracy",
        "accuracy_time",
        "chip_yield",
        "retention",
        "flip_probability",
        "protected_planes",
        "distortion",
        "energy",
        "area",
        "area_energy",
        "ecc_residual",
    }
    assert {f.name for f in files[1:]} == {f"{n}.{kind}" for n in names for kind in ("png", "svg", "csv")}
    assert set(files) == {p for p in folder.rglob("*") if p.suffix in (".html", ".png", ".svg", ".csv")}
    for f in files[1:]:
        data = f.read_bytes()
        if f.suffix == ".png":
            assert data.startswith(b"\x89PNG")
        elif f.suffix == ".svg":
            assert ET.fromstring(data).tag == "{http://www.w3.org/2000/svg}svg"
        else:
            rows = list(csv.reader(data.decode().splitlines()))
            assert len(rows) > 1
            assert {len(r) for r in rows} == {len(rows[0])}


def test_the_page_asks_nothing_of_the_network_and_runs_nothing_but_its_own(
    sweep_store: tuple[Path, tuple[Path, ...]],
) -> None:
    page = Page((sweep_store[0] / "report.html").read_text())
    assert page.open == []
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "form")
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert (tag, name) != ("script", "src")
            if name in ("src", "href", "xlink:href", "data", "action"):
                assert str(value).startswith(("#", "data:")), (tag, name, value)
    style = without_scripts((sweep_store[0] / "report.html").read_text())
    assert re.findall(r"url\((?!#)[^)]*\)", style) == []
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


def test_ids_are_unique_and_references_resolve(sweep_store: tuple[Path, tuple[Path, ...]]) -> None:
    html = without_scripts((sweep_store[0] / "report.html").read_text())
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", html) + re.findall(r'href="#([^"]+)"', html)) <= set(ids)


def test_csv_holds_the_numbers_of_the_records(sweep_store: tuple[Path, tuple[Path, ...]]) -> None:
    folder, _ = sweep_store
    summaries = {s.facts["label"]: s for s in summarise(read_records(folder)) if s.error is None}
    with (folder / "figures" / "accuracy.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(summaries) == 12
    for row in rows:
        found = summaries[f"{float(row['cell.t_ox']) / 1e-9:g} nm, {row['series']}"].accuracy
        assert float(row["accuracy_mean"]) == found.mean
        assert float(row["accuracy_ci95_low"]) == found.low
        assert float(row["accuracy_ci95_high"]) == found.high
        assert int(row["maps"]) == 64


def test_the_page_says_what_a_reader_needs(sweep_store: tuple[Path, tuple[Path, ...]]) -> None:
    words = " ".join(Page((sweep_store[0] / "report.html").read_text()).words)
    for needed in (
        "How thin may the oxide of a gain cell get",
        "thinnest tested t_ox that keeps it is",
        "12 of 13",
        "Failed points: 1.",
        "t_ox 1.2 nm <b>bold</b>",
        "qtaml-hw sweep configs/quickstart.yaml --out runs/quickstart",
        "Muralimanohar et al.",
        "measured",
        "modelled",
        "assumed",
        "study file",
        "2.13.0",
        "(mm²)",
        "0.105 hurts",
        "1.5 nm, 1.7 nm, 1.8 nm, 2 nm",
    ):
        assert needed in words, needed


def test_again_gives_the_same_bytes_and_removes_what_no_longer_holds(tmp_path: Path) -> None:
    folder = synthetic.write(tmp_path / "s", synthetic.point(0, {}, 3, menu=["none"]))
    first = {p: p.read_bytes() for p in write_report(folder)}
    (folder / "figures" / "retention.png").write_bytes(b"old")
    (folder / "figures" / "mine.png").write_bytes(b"keep")
    assert {p: p.read_bytes() for p in write_report(folder)} == first
    assert not (folder / "figures" / "retention.png").exists()
    assert (folder / "figures" / "mine.png").exists()
    assert not list(folder.rglob(".*"))


SHAPES: dict[str, tuple[dict[str, list[Any]], int, set[str]]] = {
    "one map": ({}, 1, {"accuracy_by_point"}),
    "policies": (
        {"protection.policy": ["none", "tac", "magnitude"]},
        4,
        {"accuracy_by_point", "distortion", "area_energy"},
    ),
    "one axis": ({"cell.t_ox": [1.6, 1.8]}, 1, {"accuracy", "retention", "flip_probability"}),
    "two numeric axes": (
        {"cell.t_ox": [1.6, 1.7, 1.8], "refresh.interval": [1, 10, 100]},
        2,
        {"accuracy", "accuracy_map", "retention", "flip_probability", "distortion", "area_energy"},
    ),
    "budget": (
        {"protection.budget.bits": [1, 5, 20], "protection.policy": ["uniform", "tac"]},
        4,
        {"accuracy", "chip_yield", "overhead", "distortion", "area_energy"},
    ),
    "three axes": (
        {"cell.temperature": [25, 85], "cell.v_dd": [0.9, 1.0, 1.1], "network.name": ["a", "b"]},
        2,
        {"accuracy"},
    ),
}
ALWAYS = {"protected_planes", "energy", "area"}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_store_of_any_shape_gets_the_figures_it_supports(shape: str) -> None:
    axes, maps, expected = SHAPES[shape]
    found = material(synthetic.sweep(axes, maps=maps))
    drawings = draw(found)
    assert {d.name for d in drawings} == expected | ALWAYS
    page = Page(render(found, drawings, {d.name: b"<svg ></svg>" for d in drawings}, None))
    assert page.open == []
    for d in drawings:
        assert d.rows
        assert {len(row) for row in d.rows} == {len(d.columns)}
        assert_labels_do_not_overlap(d)


def test_a_map_of_many_cells_has_a_colour_bar_in_place_of_numbers() -> None:
    oxides, intervals = ([round(1.5 + 0.01 * i, 2) for i in range(count)] for count in (30, 40))
    few = {"cell.t_ox": oxides[:5], "refresh.interval": intervals[:4]}
    many = {"cell.t_ox": oxides, "refresh.interval": intervals}
    drawn = {}
    for name, axes in (("few", few), ("many", many)):
        drawing = accuracy_map(material(synthetic.sweep(axes, maps=1)))
        assert drawing is not None
        drawn[name] = drawing
        assert len(drawing.rows) == len(axes["cell.t_ox"]) * len(axes["refresh.interval"])
    assert [len(drawn[name].figure.axes) for name in ("few", "many")] == [1, 2]  # the second is the colour bar
    assert [len(drawn[name].figure.axes[0].texts) for name in ("few", "many")] == [20, 0]
    panel = drawn["many"].figure.axes[0]
    assert max(len(panel.get_xticks()), len(panel.get_yticks())) <= 8
    assert drawn["many"].figure.get_figheight() < 10.0


def assert_labels_do_not_overlap(drawing: Drawing) -> None:
    """Tick labels of a figure stay apart, legends and labels inside the canvas."""
    figure = drawing.figure
    renderer = FigureCanvasAgg(figure).get_renderer()
    for axis in (a for axes in figure.axes for a in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        shown = [t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high and t.label1.get_text()]
        boxes = [t.get_window_extent(renderer) for t in shown if t.get_visible()]
        for first, second in pairwise(boxes):
            assert not first.overlaps(second), drawing.name
        label = [axis.label.get_window_extent(renderer)] if axis.label.get_text() else []
        for box in [*boxes, *label]:
            assert box.x0 >= -1, drawing.name
            assert box.x1 <= figure.bbox.x1 + 1, drawing.name
    for legend in figure.legends:
        assert legend.get_window_extent(renderer).x1 <= figure.bbox.x1 + 1, drawing.name


def test_missing_facts_take_away_figures_not_the_report() -> None:
    bare = {"retention_quantiles_s": None, "predicted_distortion": None, "rho_star": None, "layers": []}
    bare |= {"energy_per_inference_j": None, "area_m2": None, "gate_share": None, "refresh_interval_s": None}
    found = material(synthetic.sweep({"flips.p": [1e-4, 1e-2]}, maps=2, **bare))
    drawings = draw(found)
    assert [d.name for d in drawings] == ["accuracy"]
    assert "Finding" in render(found, drawings, {"accuracy": b"<svg ></svg>"}, None)


HOSTILE = "<script>alert(1)</script> $x_{ \\frac \x1b[31m\x00\u202e& \"' 電荷"


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    records = [
        r
        for i, policy in enumerate((HOSTILE, "_hidden", "=1+1"))
        for r in synthetic.point(i, {"protection.policy": policy}, 2, study=HOSTILE, label=f"{policy} {i}")
    ]
    for r in records:
        r |= {"network": HOSTILE, "warnings": [HOSTILE], "versions": {HOSTILE: HOSTILE}, "policy": r["label"][:-2]}
        r["layers"] = [{"name": HOSTILE, "weights": 10, "protected_planes": 1.0, "correction": HOSTILE}]
    records.append(synthetic.failure(7, {"protection.policy": HOSTILE}, HOSTILE))
    folder = synthetic.write(tmp_path / "h", records, parameters=False, study=False)
    parameters = {"study": HOSTILE, "command": HOSTILE, "citations": [HOSTILE]}
    parameters["parameters"] = [{"path": HOSTILE, "value": HOSTILE, "origin": HOSTILE, "source": HOSTILE}]
    (folder / "parameters.json").write_text(json.dumps(parameters))
    (folder / "study.yaml").write_text(f"# {HOSTILE.replace(chr(0), '')}\n")
    files = write_report(folder, title=HOSTILE)
    page = Page(files[0].read_text())
    assert page.open == []
    kinds = [attributes.get("type") for tag, attributes in page.tags if tag == "script"]
    assert kinds == ["application/json", None, None, None]
    assert "alert(1)" in " ".join(page.words)
    assert "\x1b" not in files[0].read_text()
    svg = next(f for f in files if f.name == "accuracy_by_point.svg").read_text()
    assert "_hidden" in svg
    assert ET.fromstring(svg) is not None
    assert "'=1+1" in next(f for f in files if f.name == "accuracy_by_point.csv").read_text()


def test_all_failed_is_a_report_too(tmp_path: Path) -> None:
    folder = synthetic.write(tmp_path / "f", [synthetic.failure(0, {"cell.t_ox": 1.5}, "no memory left")])
    (page,) = write_report(folder)
    assert "no memory left" in page.read_text()
    assert "No point of this study finished" in page.read_text()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("parameters.json", "{", "is not JSON"),
        ("parameters.json", "3", "should hold a JSON object"),
        ("study.yaml", b"\xff\xfe", "cannot read"),
        ("figures", "a file where a folder must be", "cannot write the report"),
    ],
)
def test_a_broken_folder_gives_one_clear_message(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    folder = synthetic.write(tmp_path / "s", synthetic.point(0, {}, 1), parameters=False, study=False)
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)
    with pytest.raises(StoreError, match=message):
        write_report(folder)
    assert not (folder / "report.html").exists()


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no finished record"):
        write_report(tmp_path)


def test_the_table_of_figures_names_its_functions() -> None:
    assert {name: f.__name__ for name, f in FIGURES.items()} == {name: name for name in FIGURES}
