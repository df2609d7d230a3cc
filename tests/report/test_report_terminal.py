"""Terminal tables: 100 columns, units, counts beside intervals, untrusted labels shown as they are."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table
from scipy import stats

from qtaml_hw.config import Origin
from qtaml_hw.records.summary import summarise
from qtaml_hw.records.text import percent
from qtaml_hw.report import (
    allocation_table,
    ecc_table,
    effective_table,
    retention_table,
    run_table,
    sweep_table,
    what_if_table,
)
from qtaml_hw.report.grids import CHIPS, results_grids
from qtaml_hw.report.material import material
from tests.report import synthetic

BEFORE = {
    "accuracy_mean": 0.91,
    "accuracy_ci95_low": 0.9,
    "accuracy_ci95_high": 0.92,
    "maps": 16,
    "p10": 0.01,
    "area_m2": 2e-6,
    "energy_per_inference_j": 1.1e-6,
    "flips_raw": 1e5,
    "note": "text",
}
AFTER = BEFORE | {"accuracy_mean": 0.88, "area_m2": 1.9e-6}
DIFFERENCE = {"accuracy_mean": -0.03, "accuracy_ci95_low": -0.04, "accuracy_ci95_high": -0.02, "maps": 16}


def text(table: Table, width: int = 100, color: bool = False) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=color).print(table)
    return out.getvalue()


def sweep(**over: Any) -> Table:
    records = synthetic.sweep({"cell.t_ox": [1.5, 1.7], "protection.policy": ["none", "tac"]}, maps=3, **over)
    return sweep_table(summarise([*records, synthetic.failure(9, {"cell.t_ox": 1.9}, "boom")]))


TABLES = {
    "sweep": sweep,
    "run": lambda: run_table(summarise(synthetic.point(0, {"cell.t_ox": 1.7}, 4))[0]),
    "ecc": lambda: ecc_table(synthetic.ecc_rows()),
    "allocation": lambda: allocation_table(
        [{"group": n, "weights": w, "planes": [7, 6]} for n, w in synthetic.LAYERS], {"rho_star": 5.0, "gap": 0.01}
    ),
    "retention": lambda: retention_table(
        {"quantiles_s": {"1e-6": 1e-7, "0.5": 1e-4}, "p10": 1e-3, "p01": 0.0, "gate_share": 0.8}
    ),
    "what-if": lambda: what_if_table(BEFORE, AFTER, DIFFERENCE),
}


@pytest.mark.parametrize("name", TABLES)
def test_fits_100_columns_without_cutting(name: str) -> None:
    shown = text(TABLES[name]())
    assert max(map(len, shown.splitlines())) <= 100
    assert "…" not in shown


def test_a_table_of_many_points_ends_with_how_many_there_are() -> None:
    many = summarise(synthetic.sweep({"flips.p": [i / 1000 for i in range(12)]}, maps=2))
    shown = " ".join(text(sweep_table(many, most=10)).split())
    assert "2 more points are not shown: `qtaml-hw store export` writes all;" in shown
    assert [sweep_table(many, most=most).row_count for most in (10, 11, 12, 500)] == [10, 11, 12, 12]


def test_sweep_rows_carry_interval_and_maps() -> None:
    shown = text(sweep())
    line = next(x for x in shown.splitlines() if "1.7 nm, tac" in x)
    (summary,) = [
        s
        for s in summarise(synthetic.sweep({"cell.t_ox": [1.5, 1.7], "protection.policy": ["none", "tac"]}, maps=3))
        if s.facts["label"] == "1.7 nm, tac"
    ]
    found = summary.accuracy
    assert f"{100 * found.mean:.1f}" in line
    assert f"{100 * found.low:.1f}–{100 * found.high:.1f}" in line
    assert "3 maps; " in shown
    assert "1 of 5 points failed" in shown
    assert "(mm²)" in shown


def test_columns_that_do_not_differ_are_said_once() -> None:
    shown = text(sweep(area_m2=5.79e-6, energy_per_inference_j=89.3e-6))
    assert shown.count("5.79") == 1
    assert "Area 5.79 mm²" in " ".join(shown.split())


def test_one_map_gives_no_interval() -> None:
    (summary,) = summarise(synthetic.point(0, {}, 1))
    assert "1 map" in text(sweep_table([summary]))
    assert "no interval from 1 map" in text(run_table(summary))


def test_a_stated_flip_probability_is_assumed_not_modelled() -> None:
    shown = {law: text(run_table(summarise(synthetic.point(0, {}, 2, law=law))[0])) for law in ("fixed", "retention")}
    marks = {law: next(x for x in t.splitlines() if "p(1→0)" in x).split()[-1] for law, t in shown.items()}
    assert marks == {"fixed": "assumed", "retention": "modelled"}


def test_a_failed_point_shows_its_error() -> None:
    (summary,) = summarise([synthetic.failure(0, {}, "the array is too small")])
    assert "the array is too small" in text(run_table(summary))


def test_labels_are_text_never_markup_or_escapes() -> None:
    records = synthetic.point(0, {}, 2, label="[red]x[/red] \x1b[31mevil\x07")
    shown = text(sweep_table(summarise(records)))
    assert "[red]x[/red]" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[1;31m" in text(sweep(), color=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "31m" not in text(sweep(), color=True)


def test_what_if_shows_units_and_the_paired_interval() -> None:
    shown = text(what_if_table(BEFORE, AFTER, DIFFERENCE))
    assert "-4.0 to -2.0, 16" in shown
    assert "mm²" in shown
    assert "-0.1 (-5.0 %)" in shown


def test_ecc_marks_codes_that_hurt() -> None:
    shown = text(ecc_table(synthetic.ecc_rows()))
    assert "0.105*" in shown
    assert "*: hurts" in shown
    assert "(GE)" in shown


def test_yields_are_told_with_their_bounds_in_the_terminal_and_on_the_page() -> None:
    records = synthetic.point(0, {"cell.t_ox": 1.9}, 40)
    (summary,) = summarise(records, (0.95, 0.98))
    shown, table = text(run_table(summary)), text(sweep_table([summary]))
    grids = dict(results_grids(material(records, parameters={"yield_at": [0.95, 0.98]})))
    for found in summary.yields:
        low, high = (percent(end) for end in stats.binomtest(found.good, 40).proportion_ci(method="exact"))
        assert f"{low} to {high}, {found.good} of 40 maps" in shown
        assert f"≥{100 * found.share:g} %" in table
        assert f"{low} to {high}" in grids[CHIPS].rows[0]
    ends = summary.images_ci95
    assert ends is not None
    assert f"±{percent(0.5 * (ends[1] - ends[0]))} %" in table


def test_no_chip_keeps_what_is_chance() -> None:
    records = [{**record, "at_chance": True} for record in synthetic.point(0, {}, 40)]
    (summary,) = summarise(records, (0.95,))
    assert "Chips" not in text(run_table(summary))
    shown = text(sweep_table([summary]))
    assert "40 maps; " in shown
    assert len([x for x in shown.splitlines() if " – " in x]) == 1
    row = dict(results_grids(material(records)))[CHIPS].rows[0]
    assert row.count("–") == 2


def test_a_measured_curve_is_not_called_a_model() -> None:
    titles = {law: text(retention_table({"law": law, "quantiles_s": {"0.1": 1e-5}})) for law in ("curve", "poisson")}
    assert "Retention (as measured)" in titles["curve"]
    assert "Retention (modelled)" in titles["poisson"]


def test_places_of_values_are_lines_and_names_stay_whole() -> None:
    """A study far down in folders, a preset's file: neither is broken within a line of 100 characters."""
    file = "/a/rather/long/folder/" + 5 * "of_it/" + "first_study_of_mine.yaml"
    origins = {
        "cell.t_ox": Origin("file", file, "1.85 nm", 15),
        "cell.v_ref": Origin("preset", "presets/cells/gain-cell-65nm.yaml", "0.5 V", citation="assumed: threshold"),
    }
    shown = text(effective_table(origins)).splitlines()
    assert any(line.split() == ["cell.t_ox", "1.85", "nm", "line", "15"] for line in shown)
    assert any("presets/cells/gain-cell-65nm.yaml:" in line for line in shown)
    assert max(map(len, shown)) <= 100
