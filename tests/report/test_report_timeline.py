"""The timeline figure: what it shows of a point's series, its numbers, and what it does without them."""

from __future__ import annotations

from typing import Any

import pytest

from qtaml_hw.errors import StoreError
from qtaml_hw.records.fields import SERIES, F
from qtaml_hw.records.interval import t_interval
from qtaml_hw.records.summary import summarise
from qtaml_hw.report.checks import check_records
from qtaml_hw.report.columns import BANKS
from qtaml_hw.report.figures import draw
from qtaml_hw.report.figures.timeline import power_series
from qtaml_hw.report.material import material
from qtaml_hw.report.page import render
from tests.report import synthetic
from tests.report.test_report_write import assert_labels_do_not_overlap

TIMES = (0.0, 1e-4, 3e-4, 1e-3)


def timed(maps: int = 5, **over: Any) -> list[dict[str, Any]]:
    records = synthetic.point(0, {}, maps, times=TIMES, **over)
    for i, r in enumerate(records):
        r |= {name: [0, 1 + i, 2 + i, 3 + 2 * i] for name in SERIES}
        r |= {"energy_series_j": {"read": [0.0, 1e-9, 4e-9, 7e-9], "leakage": [0.0, 1e-12, 2e-12, 7e-12]}}
    return records


def test_numbers_of_the_timeline_are_those_of_the_records() -> None:
    records = timed(phases=[{"label": "hot", "start_s": 1e-4, "end_s": 4e-4}])
    drawing = next(d for d in draw(material(records)) if d.name == "timeline")
    rows = [dict(zip(drawing.columns, row, strict=True)) for row in drawing.rows]
    assert [row["time_s"] for row in rows] == list(TIMES)
    found = t_interval([3.0 + 2 * i for i in range(5)])
    assert (rows[3]["flips_raw_mean"], rows[3]["flips_raw_ci95_low"]) == (found.mean, pytest.approx(found.low))
    assert [row["power_read_w"] for row in rows] == pytest.approx([0.0, 1e-5, 2e-5, 1e-5])
    assert rows[1]["power_leakage_w"] == pytest.approx(1e-8)
    assert rows[0]["chips_keeping_95_percent_of_clean"] == summarise(records)[0].yield_series(0.95)[0]
    assert len(drawing.figure.axes) == 5
    assert_labels_do_not_overlap(drawing)
    texts = [t.get_text() for t in drawing.figure.axes[0].texts]
    assert texts == ["hot"]


def test_yield_over_time_counts_the_chips_at_every_time() -> None:
    (point,) = summarise(timed())
    assert len(point.yield_series(0.95)) == len(TIMES)
    assert point.yield_series(0.95)[-1] == point.yield_at(0.95)
    assert point.yield_series(0.0) == (1.0,) * len(TIMES)
    assert point.count_series("flips_raw_series")[1].mean == 3.0
    assert not set(SERIES) & point.facts.keys()


def test_one_map_has_no_band_and_few_maps_no_share_of_chips() -> None:
    drawing = next(d for d in draw(material(timed(maps=1))) if d.name == "timeline")
    assert len(drawing.figure.axes) == 4
    assert all(not ax.collections for ax in drawing.figure.axes)
    assert drawing.rows[0][drawing.columns.index("accuracy_ci95_low")] is None


def test_records_of_older_versions_have_accuracy_over_time_alone() -> None:
    names = {d.name for d in draw(material(synthetic.point(0, {}, 3, times=TIMES)))}
    assert "accuracy_time" in names
    assert "timeline" not in names
    assert "accuracy_time" not in {d.name for d in draw(material(timed()))}


def test_the_finding_says_when_it_was_worse_before() -> None:
    records = timed(maps=4)
    for r in records:
        r[F.score_series][1][1] = 0.1
        r[F.score_series][-1][1] = r[F.score] = 0.97
    page = render(material(records), [], {}, None)
    assert "stands on the worst time, 100 µs: the accuracy falls to 10.0 %, when 0 of 4 chips reach the target" in page
    assert "At the last time, 1 ms, it is 97.0 %" in page
    assert "does not keep it (10.0 %" in page
    assert "worst time" not in render(material(synthetic.point(0, {}, 3)), [], {}, None)


def test_small_counts_stay_visible_beside_large_ones() -> None:
    records = timed()
    for r in records:
        r["flips_raw_series"] = [0, 2, 3, 200_000]
    drawing = next(d for d in draw(material(records)) if d.name == "timeline")
    assert [ax.get_yscale() for ax in drawing.figure.axes] == ["linear", "linear", "symlog", "linear", "log"]
    assert_labels_do_not_overlap(drawing)


def test_power_is_zero_where_no_time_passes() -> None:
    (point,) = summarise(timed())
    assert power_series(point)["read"][0] == 0.0


LAYERS = {
    "name": ["conv1", "attn.matmul"], "kind": ["conv", "attention"], "size": [[64, 9, 16, 1], [4, 8, 4, 12]],
    "cycles": [446, 383], "macs": [9216, 1536], "weight_reads": [144, 0], "compute_s": [8.9e-7, 7.7e-7],
    "read_s": [1.2e-7, 0.0], "stall_s": [7e-8, 0.0], "energy_j": [2.2e-9, 3e-10],
}  # fmt: skip


def test_layers_have_a_table_with_their_sum() -> None:
    page = render(material(timed(layer_table=LAYERS)), [], {}, None)
    for words in ("64 × 9 × 16", "4 × 8 × 4, 12 times", "attn.matmul", ">829<", ">10,752<", "of it stalled"):
        assert words in page
    assert "<h2>Layers" not in render(material(timed()), [], {}, None)


@pytest.mark.parametrize(
    "broken",
    [
        {"layer_table": {**LAYERS, "cycles": [1]}},
        {"layer_table": {**LAYERS, "energy_j": [1.0, "x"]}},
        {"layer_table": {**LAYERS, "size": [[1, 2], [3, 4]]}},
        {"layer_table": {}},
        {"phases": [{"label": "hot", "start_s": "now"}]},
        {"energy_series_j": {"read": [1.0]}},
        {"energy_series_j": [1.0]},
        {"flips_raw_series": [1, 2]},
        {"words_reloaded_series": [0, 0, 0, -1]},
    ],
)
def test_records_that_were_edited_are_refused_by_name(broken: dict[str, Any]) -> None:
    records = timed(maps=2)
    records[0] |= broken
    with pytest.raises(StoreError, match=next(iter(broken))):
        check_records(records)


def test_banks_and_time_have_a_table_of_their_own() -> None:
    facts = {"availability": 0.96, "clock_slack_s": -1.2e-9, "stalls": 7, "throughput_per_s": 2.1e5}
    found = material(timed(**facts))
    page = render(found, [], {}, None)
    for word in ("Banks and time", "Availability", "96.0", "Clock slack", "-1.2", "Stalled reads"):
        assert word in page
    bare = material(synthetic.point(0, {}, 2, **dict.fromkeys(BANKS)))
    assert "Banks and time" not in render(bare, [], {}, None)
