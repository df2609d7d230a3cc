"""Buffers in a report: lifetimes over retention, refresh saved, where errors came from, the rows of the tables."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from qtaml_hw.errors import StoreError
from qtaml_hw.records.record import Record
from qtaml_hw.report.buffers import buffer_grid, split_grid
from qtaml_hw.report.checks import check_records
from qtaml_hw.report.figures import draw
from qtaml_hw.report.figures.buffers import lives_s, wrong_bits
from qtaml_hw.report.material import Material, material
from qtaml_hw.report.terminal import run_table
from tests.report import synthetic

BUFFER: dict[str, Any] = {
    "name": "kv",
    "refresh_interval_s": 4e-5,
    "refreshed": "outlived",
    "values": ["att.key", "fc"],
    "numbers": [300, 100],
    "tokens": [4, 1],
    "p01": [0.0, 0.0],
    "p10": [1e-3, 1e-5],
    "lifetimes_s": [4e-6, 2e-5],
    "lifetimes_least_s": [1e-6, 2e-5],
    "retention_quantiles_s": {"1e-6": 1e-6, "0.5": 1e-4},
    "area_m2": 5e-8,
    "read_j": 2e-9,
    "write_j": 1e-9,
    "codec_j": 0.0,
    "refresh_j": 5e-10,
    "leakage_j": 5e-10,
    "backing_j": 0.0,
    "energy_j": 4e-9,
    "refresh_always_j": 2e-9,
    "refresh_saved": 0.75,
}
WRONG = [[0, 300, 500], [200, 0, 0]]
TALLY = {"raw": 1500, "parity": 10, "left": 1000, "corrected": 490, "flagged": 0}


def records(buffer: dict[str, Any] = BUFFER, faulty: tuple[str, ...] = ("kv", "weights")) -> list[Record]:
    over = {"buffers": [buffer], "faulty": list(faulty), "buffer_flips": {"kv": TALLY}, "flips_residual": 30}
    over["buffer_wrong"] = {"kv": WRONG}
    return [Record({**one, **over}) for one in synthetic.point(0, {"cell.t_ox": 1.7}, 2)]


def shown(found: Material) -> dict[str, Any]:
    return {drawing.name: drawing for drawing in draw(found)}


def test_lifetimes_are_those_of_every_token() -> None:
    ages, numbers = lives_s(BUFFER)
    assert ages.tolist() == pytest.approx([1e-6, 2e-6, 3e-6, 4e-6, 2e-5])
    assert numbers.tolist() == [75.0, 75.0, 75.0, 75.0, 100.0]
    rows = shown(material(records()))["buffer_lifetimes"].rows
    held = [row for row in rows if row[2] == "numbers"]
    assert sum(row[4] for row in held) == pytest.approx(1.0)
    assert max(held, key=lambda row: row[3])[3:] == pytest.approx((2e-5, 0.25), rel=0.16)
    assert [row[3:] for row in rows if row[2] == "cells lost"] == [(1e-6, 1e-6), (1e-4, 0.5)]
    assert [row[3] for row in rows if row[2] == "refresh interval"] == [4e-5]


def test_refresh_saved_and_where_errors_come_from() -> None:
    figures = shown(material(records()))
    assert "75.0 % of the refreshes" in figures["buffer_energy"].caption
    assert figures["buffer_energy"].rows[0][-2:] == (2e-9, 0.75)
    assert [row[1:3] for row in figures["error_origin"].rows] == [("weights", 30.0), ("kv", 2.0)]
    (alone,) = material(records(faulty=("kv",))).points
    assert wrong_bits(alone) == {"kv": 1000 / 500}
    assert not {"buffer_lifetimes", "buffer_energy", "error_origin"} & set(shown(plain()))


def test_wrong_bits_by_value_and_plane() -> None:
    """500 images: 500 of the top plane of the key are one an inference; a buffer whose flips are not read has none."""
    found = shown(material(records()))["error_origin_values"]
    assert found.columns[1:] == ("buffer", "value", "plane", "bits_wrong_per_inference")
    assert [row[2:] for row in found.rows if row[4]] == [("att.key", 1, 0.6), ("att.key", 2, 1.0), ("fc", 0, 0.4)]
    assert "error_origin_values" not in shown(material(records(faulty=("weights",))))


@pytest.mark.parametrize("odd", [{"kv": [[1, 2], [1]]}, {"kv": [[-1]]}, {"kv": 3}])
def test_wrong_bits_of_an_edited_store_are_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="has buffer_wrong = "):
        check_records([Record({**one, "buffer_wrong": odd}) for one in records()])


def plain() -> Material:
    return material([Record(one) for one in synthetic.point(0, {"cell.t_ox": 1.7}, 2)])


def test_a_row_of_the_tables_for_every_buffer() -> None:
    (summary,) = material(records()).points
    grid = buffer_grid([summary])
    assert grid is not None
    assert grid.rows == (("kv", "20", "0.001", "0.05", "4", "0.5", "75.0", "3", "2"),)
    assert buffer_grid(plain().points) is None
    console = Console(width=100, record=True, markup=False)
    console.print(run_table(summary))
    line = next(line for line in console.export_text().splitlines() if line.strip().startswith("kv"))
    assert line.split() == list(grid.rows[0])


SPLIT: dict[str, Any] = {
    "weights": {
        "spent": 600.0,
        "protected_bits_fraction": 0.05,
        "parity_bits_fraction": 0.03,
        "area_m2": 2e-9,
        "energy_j": 1e-10,
        "predicted_distortion": 30.0,
    },
    "kv": {
        "spent": 200.0,
        "protected_bits_fraction": 0.5,
        "parity_bits_fraction": 0.25,
        "area_m2": 5e-10,
        "energy_j": 4e-10,
        "predicted_distortion": 10.0,
    },
}


def sharing(label: str, split: dict[str, Any]) -> list[Record]:
    return [Record({**one, "label": label, "identity": label, "budget_split": split}) for one in records()]


def test_a_row_of_the_tables_for_every_memory_of_one_budget() -> None:
    (summary,) = material(sharing("shared", SPLIT)).points
    grid = split_grid([summary])
    assert grid is not None
    assert grid.rows == (
        ("weights", "75.0", "5.0", "3.0", "2,000", "100", "30", "75.0"),
        ("kv", "25.0", "50.0", "25.0", "500", "400", "10", "25.0"),
    )
    assert [head.unit for head in grid.heads] == ["", "%", "%", "%", "µm²", "pJ", "", "%"]
    assert split_grid(material(records()).points) is None
    console = Console(width=100, record=True, markup=False)
    console.print(run_table(summary))
    shown = [tuple(line.split()) for line in console.export_text().splitlines()]
    assert set(grid.rows) <= set(shown)


def test_points_that_share_a_budget_are_told_apart_and_those_that_do_not_have_no_row() -> None:
    idle = {name: {**one, "spent": 0.0, "predicted_distortion": 0.0} for name, one in SPLIT.items()}
    points = material([*sharing("a", SPLIT), *sharing("b", idle), *records()]).points
    grid = split_grid(points)
    assert grid is not None
    shown = [(row[0], row[1], row[2], row[-1]) for row in grid.rows]
    assert shown[:2] == [("a", "weights", "75.0", "75.0"), ("a", "kv", "25.0", "25.0")]
    assert shown[2:] == [("b", "weights", "–", "–"), ("b", "kv", "–", "–")]


@pytest.mark.parametrize("odd", [{"kv": {"spent": 1.0}}, {"kv": 3}, {"kv": {**SPLIT["kv"], "area_m2": "much"}}])
def test_a_split_of_an_edited_store_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="has budget_split = "):
        check_records(sharing("a", odd))


def test_values_in_buffers_leave_the_interval_wide_where_no_weight_flips() -> None:
    quiet = {"flips_raw": 0, "flips_parity": 0, "p10": 0.0, "p01": 0.0, "score": 0.9, "score_series": [[1e-3, 0.9]]}
    over = {"buffers": [BUFFER], "faulty": ["kv"], "buffer_flips": {"kv": TALLY}}
    beside, alone = (
        material([Record({**one, **quiet, **more}) for one in synthetic.point(0, {}, 4)]).points[0].accuracy
        for more in (over, {})
    )
    assert alone.high - alone.low == pytest.approx(0.0, abs=1e-9)
    assert beside.high - beside.low > 0.05


@pytest.mark.parametrize(
    "odd", [{"tokens": [1]}, {"tokens": [0, 1]}, {"energy_j": "much"}, {"lifetimes_s": [0.0, 1.0]}]
)
def test_buffers_of_an_edited_store_are_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="has buffers = "):
        check_records(records({**BUFFER, **odd}))
