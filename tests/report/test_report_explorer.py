"""The explorer of a report: what it holds of a store, and what a reader's clicks do to it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from qtaml_hw.records.fields import F
from qtaml_hw.report.explorer import base_command, explorer_data
from qtaml_hw.report.material import material, read_material
from qtaml_hw.report.scripts import LIBRARY, embedded, script
from tests.browser import opened, until
from tests.report import synthetic

AXES = {"cell.t_ox": [1.5, 1.7, 1.8, 2.0], "protection.policy": ["none", "uniform", "tac"]}
Store = tuple[Path, tuple[Path, ...]]


def column(data: dict[str, Any], key: str) -> dict[str, Any]:
    (found,) = [c for c in data["columns"] if c["key"] == key]
    return found


def test_every_number_of_a_point_is_a_column_in_its_unit() -> None:
    found = material(synthetic.sweep(AXES, maps=8))
    data = explorer_data(found)
    assert data is not None
    assert [column(data, "cell.t_ox")[k] for k in ("title", "unit")] == ["Oxide thickness t_ox", "nm"]
    assert column(data, "cell.t_ox")["values"][::3] == [1.5, 1.7, 1.8, 2]
    score, area = column(data, "score"), column(data, "area_m2")
    for i, s in enumerate(found.points):
        assert score["values"][i] == pytest.approx(100 * s.accuracy.mean, rel=1e-4)
        assert (score["low"][i], score["high"][i]) == pytest.approx(
            (100 * s.accuracy.low, 100 * s.accuracy.high), rel=1e-4
        )
        assert area["values"][i] == pytest.approx(s.facts[F.area_m2] / 1e-6, rel=1e-4)
    assert (area["unit"], area["better"], score["better"]) == ("mm²", -1, 1)
    assert column(data, "temperature_k")["values"] == 358.15
    assert not [c for c in data["columns"] if c["key"] == F.t_ox_m]
    assert [f["options"] for f in data["filters"]] == [
        ["1.5 nm", "1.7 nm", "1.8 nm", "2 nm"],
        AXES["protection.policy"],
    ]
    (policy,) = [w for w in data["words"] if w["title"] == "Policy"]
    assert [policy["options"][n] for n in policy["at"]] == 4 * AXES["protection.policy"]
    energy = data["splits"][1]
    total = column(data, F.energy_per_inference_j)
    sums = [sum(p["values"][0] if isinstance(p["values"], list) else p["values"] for p in energy["parts"])]
    assert sums[0] == pytest.approx(total["values"][0], rel=1e-3)


def test_the_set_line_makes_the_point() -> None:
    records = synthetic.sweep({"cell.t_ox": [1.5, 1.7], "protection.policy": ["none", "it's; a b"]}, maps=2)
    for r in records:
        r["axes"] |= {"protection.menu": "secded-39-32, dected-45-32"}
    command = "qtaml-hw sweep 'my study.yaml' --set cell.v_dd=0.9V --out runs/x"
    found = material(records, parameters={"command": command})
    assert base_command(found) == "qtaml-hw run 'my study.yaml' --set cell.v_dd=0.9V"
    data = explorer_data(found)
    assert data is not None
    words = shlex.split(" ".join(axis["options"][axis["at"][1]] for axis in data["points"]["set"]))
    assert words == [
        *("--set", "cell.t_ox=1.5 nm"),
        *("--set", "protection.policy=it's; a b"),
        *("--set", "protection.menu=[secded-39-32, dected-45-32]"),
    ]


def test_data_cannot_end_its_element() -> None:
    text = embedded({"a": "</script><!--<b>&\u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!--<b>&\u2028"}


def test_the_library_is_the_published_one_and_needs_no_eval() -> None:
    text = str(script(LIBRARY).text)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"  # dist of plotly.js-basic-dist-min 4.1.1
    )
    assert re.findall(r"[^a-zA-Z.](?:Function|eval)\(|new Function", text) == []
    licence = Path(__file__).parents[2] / "qtaml_hw/report/assets/plotly-basic.LICENSE"
    assert "MIT License" in licence.read_text() or "Permission is hereby granted" in licence.read_text()


def test_every_script_is_allowed_by_its_hash_alone(sweep_store: Store) -> None:
    page = (sweep_store[0] / "report.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts}
    rule = next(rule.split() for rule in policy[1].split(";") if rule.strip().startswith("script-src"))
    assert set(rule[1:]) == hashes
    assert len(scripts) == 3
    assert "default-src 'none'" in policy[1]


def test_a_page_of_a_thousand_points_is_below_three_megabytes(tmp_path: Path) -> None:
    from qtaml_hw.report.figures import draw
    from qtaml_hw.report.page import render

    axes: dict[str, list[Any]] = {
        "cell.t_ox": [1.5 + 0.05 * i for i in range(10)],
        "refresh.interval": [5, 10, 20, 40, 80],
    }
    axes |= {
        "cell.temperature": [25, 45, 65, 85],
        "protection.policy": ["none", "uniform", "magnitude", "tac", "oracle"],
    }
    found = read_material(synthetic.write(tmp_path / "many", synthetic.sweep(axes, maps=2)))
    assert len(found.points) == 1000
    drawings = draw(found)
    page = render(found, drawings, {d.name: d.svg_bytes() for d in drawings}, None)
    assert len(page.encode()) <= 3_000_000


def test_a_reader_explores(sweep_store: Store) -> None:
    url = (sweep_store[0] / "report.html").as_uri()
    with opened(url) as seen:
        page = seen.page
        plot, count = page.locator("#explorer-plot"), page.locator("#explorer-count")
        assert count.inner_text() == "12 points"
        points = plot.locator(".scatterlayer .point")
        points.nth(1).hover(force=True)
        plot.locator(".hoverlayer .hovertext").wait_for()
        said = plot.locator(".hoverlayer").text_content()
        assert "Oxide thickness t_ox: 1.7 nm" in said
        assert re.search(r"Accuracy: [\d.]+ % \[[\d.]+ to [\d.]+\]", said)
        assert "64 fault maps" in said

        before = points.count()
        plot.locator(".legendtoggle").first.click()
        until(page, lambda: points.count() < before)
        plot.locator(".legendtoggle").first.click()

        page.select_option("#explorer-x", "area_m2")
        page.select_option("#explorer-y", "energy_per_inference_j")
        page.select_option("#explorer-color", "score")
        until(page, lambda: "Accuracy (%)" in plot.locator(".infolayer").text_content())
        assert "Area (mm²)" in plot.locator(".g-xtitle").text_content()
        assert "Energy / inference (µJ)" in plot.locator(".g-ytitle").text_content()

        page.locator(".filters summary").click()
        page.get_by_label("uniform", exact=True).uncheck()
        assert count.inner_text() == "8 of 12 points"
        page.fill("#explorer-words", "1.8 tac")
        assert count.inner_text() == "1 of 12 points"
        page.locator("#explorer-clear").click()
        assert count.inner_text() == "12 points"
        page.fill("#explorer-keeps", "95")
        assert 0 < int(count.inner_text().split()[0]) < 12
        page.locator("#explorer-clear").click()
        assert (seen.said, seen.asked) == ([], [url])


def test_a_reader_brushes_and_opens_a_point(sweep_store: Store) -> None:
    url = (sweep_store[0] / "report.html").as_uri()
    with opened(url) as seen:
        page = seen.page
        page.locator("#explorer-plot .scatterlayer .point").nth(0).click(force=True)
        command = page.locator("#explorer-detail code").inner_text()
        assert command == "qtaml-hw run configs/quickstart.yaml --set 'cell.t_ox=1.5 nm' --set protection.policy=none"
        detail = page.locator("#explorer-detail").inner_text()
        assert all(
            words in detail
            for words in ("Area:", "Energy per inference:", "refresh", "Plan by layer", "conv1", "gain-cell-65nm")
        )

        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.locator("#explorer-detail .command button").click()
        page.get_by_text("copied", exact=True).wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == command

        page.locator("#explorer-brush").click()
        box = page.locator("#explorer-plot .nsewdrag").bounding_box()
        page.mouse.move(box["x"] + 2, box["y"] + 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] - 2, steps=8)
        page.mouse.up()
        page.get_by_text("3 brushed").wait_for()
        rows = page.locator("#explorer-list tbody tr")
        assert rows.count() == 3
        assert all("1.5 nm" in text for text in rows.all_inner_texts())
        page.locator("#explorer-list th", has_text="Accuracy").click()
        values = [float(re.search(r"\t([\d.]+) \[", text)[1]) for text in rows.all_inner_texts()]  # type: ignore[index]
        assert values == sorted(values)
        assert (seen.said, seen.asked) == ([], [url])


def test_tables_sort_and_search(sweep_store: Store) -> None:
    url = (sweep_store[0] / "report.html").as_uri()
    with opened(url, width=390) as seen:
        page = seen.page
        table = page.locator("h3:has-text('Protection and cost') ~ .scroll table").first
        table.locator("th", has_text="Area").click()
        place = table.locator("th").all_inner_texts().index(table.locator("th", has_text="Area").inner_text())
        cells = [float(t) for t in table.locator(f"tbody tr td:nth-child({place + 1})").all_inner_texts()]
        assert cells == sorted(cells)
        assert len(cells) == 12
        search = page.locator("h3:has-text('Protection and cost') ~ .search input").first
        search.fill("1.7 nm tac")
        assert table.locator("tbody tr:visible").count() == 1
        assert (seen.said, seen.asked) == ([], [url])


def test_what_a_user_wrote_stays_text_in_the_explorer(tmp_path: Path) -> None:
    from qtaml_hw.report import write_report

    hostile = "<img src=x onerror=document.title='run'></script><b>%{x}"
    records = [
        r
        for i, t_ox in enumerate((1.5, 1.6))
        for r in synthetic.point(i, {"cell.t_ox": t_ox, "protection.policy": hostile}, 2, label=f"{hostile} {i}")
    ]
    for r in records:
        r["layers"] = [{"name": hostile, "weights": 10, "protected_planes": 1.0, "correction": "none"}]
        r["policy"] = hostile
    page_file = write_report(synthetic.write(tmp_path / "h", records))[0]
    with opened(page_file.as_uri()) as seen:
        page = seen.page
        page.locator("#explorer-plot .scatterlayer .point").nth(0).hover(force=True)
        page.locator("#explorer-plot .hovertext").wait_for()
        assert "<img src=x" in page.locator("#explorer-plot .hoverlayer").text_content()
        page.locator("#explorer-plot .scatterlayer .point").nth(0).click(force=True)
        assert "<img src=x" in page.locator("#explorer-detail h3").inner_text()
        assert page.locator("img").count() == 0
        assert page.title() != "run"
        assert (seen.said, seen.asked) == ([], [page_file.as_uri()])
