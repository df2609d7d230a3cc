"""A damaged or foreign store gives a report or one clear StoreError, never a traceback."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtaml_hw.errors import StoreError
from qtaml_hw.records import fields
from qtaml_hw.records.fields import F
from qtaml_hw.records.summary import summarise
from qtaml_hw.report.checks import check_beside, check_records
from qtaml_hw.report.figures import draw
from qtaml_hw.report.finding import find
from qtaml_hw.report.grids import ecc_grids, parameter_grid, results_grids, verdict_grid
from qtaml_hw.report.material import material
from qtaml_hw.report.page import settings as page_settings
from qtaml_hw.report.page import tiles, versions, warnings
from qtaml_hw.report.terminal import sweep_table
from tests.report import synthetic

RECORDS = synthetic.sweep({"cell.t_ox": [1.6, 1.8], "protection.policy": ["none", "tac"]}, maps=2)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**6) | st.floats(-1e3, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def damaged(changes: list[tuple[int, str, Any]]) -> list[dict[str, Any]]:
    records = copy.deepcopy(RECORDS)
    for index, name, value in changes:
        records[index % len(records)][name] = value
    return records


def words(records: list[dict[str, Any]]) -> None:
    found = material(records, ecc_rows=tuple(synthetic.ecc_rows()))
    finding = find(found)
    verdict_grid(finding)
    results_grids(found)
    ecc_grids(found)
    parameter_grid(found)
    tiles(found)
    warnings(found)
    versions(found)
    page_settings(found)
    sweep_table(summarise(records))


FIELDS = sorted(fields.FIELDS.keys() - {F.schema, F.identity, F.map_index, F.error})


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 7), st.sampled_from(FIELDS), JUNK), max_size=3))
def test_damaged_fields(changes: list[tuple[int, str, Any]]) -> None:
    records = damaged(changes)
    try:
        check_records(records)
    except StoreError:
        return
    words(records)


@pytest.mark.parametrize("value", [None, 1e30])
def test_figures_of_odd_values(value: float | None) -> None:
    """Every fact that may be null or any number, at once, in one point of the sweep."""
    odd = dict.fromkeys((row for row in fields.FIELDS.values() if row.kind is fields.NUMBER), value)
    records = [r | odd if r["label"] == "1.6 nm, tac" else r for r in RECORDS]
    check_records(records)
    draw(material(records))


def test_the_message_names_point_field_and_value() -> None:
    records = damaged([(1, "area_m2", "big")])
    with pytest.raises(
        StoreError, match=r"point [0-9a-f…]+, map 1\) has area_m2 = big; expected a number from 1e-18 to 1 or null"
    ):
        check_records(records)


def test_maps_of_a_point_share_their_times() -> None:
    records = damaged([(1, F.score_series, [[1e-3, 0.5], [2e-3, 0.5]])])
    with pytest.raises(StoreError, match="as many times"):
        check_records(records)


@pytest.mark.parametrize(
    ("parameters", "rows"),
    [
        ([], []),
        ({"parameters": 3}, []),
        ({"parameters": ["x"]}, []),
        ({"citations": "x"}, []),
        ({}, 4),
        ({}, [{"n": 3}]),
    ],
)
def test_files_beside_the_records(parameters: Any, rows: Any) -> None:
    with pytest.raises(StoreError, match="should hold"):
        check_beside(parameters, rows)
