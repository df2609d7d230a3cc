"""The answer in plain words: limits, intervals, pairs; honest where the data say nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from qtaml_hw.records.fields import F
from qtaml_hw.report.columns import YIELD, value
from qtaml_hw.report.figures import draw
from qtaml_hw.report.figures.protection import rank_correlation
from qtaml_hw.report.finding import find, keeps
from qtaml_hw.report.grids import results_grids
from qtaml_hw.report.layout import focus, lay_out
from qtaml_hw.report.material import Material, material
from qtaml_hw.report.page import warnings
from tests.report import synthetic

CLEAN = 0.974  # of the synthetic records; the target is 0.9253


def store(table: dict[tuple[Any, ...], list[float]], *paths: str) -> Material:
    """Points with the given accuracies per map."""
    records = []
    for number, (values, accuracies) in enumerate(table.items()):
        base = synthetic.point(number, dict(zip(paths, values, strict=True)), len(accuracies))
        records += [r | {F.score: a, F.score_series: [[1e-3, a]]} for r, a in zip(base, accuracies, strict=True)]
    return material(records)


def good(mean: float) -> list[float]:
    """256 maps that are nearly alike; their interval reaches 0.7 points down."""
    return [mean - 0.003, mean + 0.003, mean - 0.002, mean + 0.002] * 64


def test_the_thinnest_oxide_is_where_the_whole_interval_keeps_the_target() -> None:
    found = find(
        store(
            {
                (1.6, "tac"): good(0.90),
                (1.7, "tac"): good(0.928),  # mean above the target, interval reaches below
                (1.8, "tac"): good(0.95),
                (1.9, "tac"): good(0.97),
                (1.6, "none"): good(0.1),
                (1.7, "none"): good(0.2),
                (1.8, "none"): good(0.3),
                (1.9, "none"): good(0.4),
            },
            "cell.t_ox",
            "protection.policy",
        )
    )
    tac, none = found.verdicts
    assert (tac.name, tac.at) == ("tac", "1.8 nm")
    assert none.point is None
    assert none.best.accuracy.mean == pytest.approx(0.4)
    text = " ".join(found.sentences)
    assert "92.5 %" in text
    assert "thinnest tested t_ox that keeps it is 1.8 nm with tac (95.0 %, 95 % interval" in text
    assert "256 maps" in text
    assert "keeps it without protection (best 40.0 %" in text


def test_a_value_counts_only_if_all_easier_ones_keep_the_target() -> None:
    found = find(store({(1.6,): good(0.97), (1.7,): good(0.5), (1.8,): good(0.97)}, "cell.t_ox"))
    assert found.verdicts[0].at == "1.8 nm"


def test_the_end_of_the_tested_range_is_said() -> None:
    found = find(store({(1.6,): good(0.97), (1.7,): good(0.97)}, "cell.t_ox"))
    assert "1.6 nm" in found.sentences[1]
    assert "end of the tested range" in found.sentences[1]


def test_longer_refresh_is_the_hard_direction() -> None:
    found = find(store({(1,): good(0.97), (10,): good(0.96), (100,): good(0.5)}, "refresh.interval"))
    assert found.verdicts[0].at == "10 µs"
    assert found.heading.startswith("Longest")


def test_more_distortion_left_is_the_hard_direction() -> None:
    table = {(0.01,): good(0.97), (0.05,): good(0.96), (0.5,): good(0.5)}
    found = find(store(table, "protection.budget.distortion"))
    assert found.verdicts[0].at == "0.05"
    assert found.heading == "Largest tested distortion budget that keeps 95 % of clean"


def test_an_axis_without_a_direction_lists_what_keeps() -> None:
    found = find(store({(0.8,): good(0.5), (0.9,): good(0.97), (1.0,): good(0.5), (1.1,): good(0.96)}, "cell.v_dd"))
    assert found.verdicts[0].at == "0.9 V, 1.1 V"


def test_one_map_claims_nothing() -> None:
    data = store({(1.6,): [0.97], (1.7,): [0.97]}, "cell.t_ox")
    assert not any(map(keeps, data.points))
    assert "no interval" in " ".join(find(data).sentences)
    (alone,) = store({(): [0.97]}).points
    assert not keeps(alone)


def test_pairs_use_the_maps_that_both_saw() -> None:
    rng = np.random.default_rng(7)
    chip = rng.normal(0.7, 0.1, 9)
    first, second = chip + rng.normal(0.03, 0.004, 9), chip[:7]
    data = store({("tac",): list(first), ("uniform",): list(second)}, "protection.policy")
    gain = data.paired(*data.points)
    assert gain is not None
    reference = stats.ttest_rel(first[:7], second).confidence_interval(0.95)
    assert (gain.low, gain.high) == pytest.approx((reference.low, reference.high), rel=1e-9)
    assert gain.maps == 7
    others = material([*synthetic.point(0, {}, 3), *synthetic.point(1, {"cell.t_ox": 1.5}, 3, seed=1)])
    assert others.paired(*others.points) is None


def test_rank_correlation_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    first, second = list(rng.integers(0, 6, 40).astype(float)), list(rng.normal(size=40))
    assert rank_correlation(first, second) == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-12)
    assert rank_correlation([1.0, 1.0], [1.0, 2.0]) == 0.0


def test_layout_of_many_axes() -> None:
    records = synthetic.sweep(
        {"refresh.interval": [1, 10], "cell.t_ox": [1.5, 1.6, 1.7], "protection.policy": ["none", "tac"]}, maps=2
    )
    layout = lay_out(material(records).points)
    assert layout.x is not None
    assert (layout.x.path, layout.x.unit, layout.series) == ("cell.t_ox", "nm", "protection.policy")
    assert [p.title for p in layout.panels] == ["refresh interval 1 µs", "refresh interval 10 µs"]
    assert [[len(line.points) for line in p.lines] for p in layout.panels] == [[3, 3], [3, 3]]
    assert [layout.x.at(s) for s in layout.panels[0].lines[0].points] == [1.5, 1.6, 1.7]
    where, pairs = focus(layout)
    assert [name for name, _ in pairs] == [f"refresh interval {i} µs: {p}" for i in (1, 10) for p in ("none", "tac")]
    assert where.startswith("t_ox 1.")


def test_a_choice_matters_where_a_line_is_nearer_to_clean_than_to_chance() -> None:
    """At 1.5 nm the lines differ most, and both are lost."""
    table = {(1.5, "none"): 0.05, (1.5, "tac"): 0.4, (1.8, "none"): 0.75, (1.8, "tac"): 0.95}
    found = store({key: good(mean) for key, mean in table.items()}, "cell.t_ox", "protection.policy")
    where, pairs = focus(lay_out(found.points))
    assert where == "t_ox 1.8 nm"
    assert [name for name, _ in pairs] == ["none", "tac"]


def test_what_too_few_maps_cannot_show_is_not_called_never() -> None:
    table = {(t, policy): [mean] * 8 for t in (1.5, 1.6) for policy, mean in (("tac", 0.97), ("none", 0.2))}
    found = find(store(table, "cell.t_ox", "protection.policy"))
    assert {v.name: v.reach for v in found.verdicts} == {"tac": "not shown; its best:", "none": "never; its best:"}
    assert any("cannot be shown" in said and "35 chips that lose nothing" in said for said in found.sentences)


def test_axis_units_follow_the_file() -> None:
    layout = lay_out(material(synthetic.sweep({"cell.temperature": [25, 85, 105]}, maps=2)).points)
    assert layout.x is not None
    assert layout.x.title == "Temperature (°C)"
    assert [layout.x.at(s) for s in layout.panels[0].lines[0].points] == [25.0, 85.0, 105.0]


def test_off_among_intervals_is_a_word_not_a_number() -> None:
    records = [*synthetic.point(0, {"refresh.interval": 1}, 2), *synthetic.point(1, {"refresh.interval": 10}, 2)]
    for r in records[2:]:
        r["axes"], r["axes_si"] = {"refresh.interval": "off"}, {"refresh.interval": None}
    layout = lay_out(material(records).points)
    assert layout.x is None
    assert layout.series == "refresh.interval"


def test_a_network_at_chance_keeps_nothing() -> None:
    records = [r | {F.at_chance: True} for r in synthetic.point(0, {}, 4)]
    found = material([r | {F.score: CLEAN, F.score_series: [[1e-3, CLEAN]]} for r in records])
    text = " ".join(find(found).sentences)
    assert not keeps(found.points[0])
    assert "is at chance without a fault, so there is nothing to keep" in text
    assert "keeps it" not in text
    assert "reach the target" not in text
    assert value(found.points[0], YIELD) is None
    assert value(material(synthetic.point(0, {}, 4)).points[0], YIELD) is not None


CASES = {
    "unprotected": ("none", {}, 6),
    "1 MSB SEC-DED": ("uniform", {"protection.planes": 1}, 6),
    "3 MSB BCH t=3": ("uniform", {"protection.planes": 3}, 8),
    "tac 2 %": ("tac", {"protection.budget.parity": 0.02}, 7),
    "tac 8 %": ("tac", {"protection.budget.parity": 0.08}, 7),
}
INTERVALS = [4, 6, 7, 8]


def cases() -> Material:
    """Cases that change different fields, each of which keeps the target up to an interval of its own."""
    records = []
    for number, (case, (policy, own, last)) in enumerate(CASES.items()):
        for at, interval in enumerate(INTERVALS):
            axes = {"protection.policy": policy, **own, "refresh.interval": interval}
            facts = {F.case: case, F.label: f"{case}, interval={interval} us"}
            base = synthetic.point(4 * number + at, axes, 80, **facts)
            score = 0.972 if interval <= last else 0.5
            records += [r | {F.score: score, F.score_series: [[1e-3, score]], F.flips_raw: 0} for r in base]
    return material(records)


def test_a_row_is_the_case_and_keeps_the_label_that_its_user_wrote() -> None:
    data = cases()
    found = find(data)
    assert {v.name: v.at for v in found.verdicts} == {name: f"{last} µs" for name, (_, _, last) in CASES.items()}
    assert (found.series, lay_out(data.points).versions) == ("Case", 0)
    assert "keeps it is 8 µs with “3 MSB BCH t=3” (" in " ".join(found.sentences)
    for _, grid in results_grids(data):
        assert [head.name for head in grid.heads[:2]] == ["Case", "Refresh interval"]
    assert not any("more than one version" in text for text in warnings(data))


def test_every_case_is_in_every_figure() -> None:
    drawings = {d.name: d for d in draw(cases())}
    for name in ("accuracy", "chip_yield", "protected_planes", "area_energy", "distortion", "energy", "area"):
        drawing = drawings[name]
        shown = {str(cell) for row in drawing.rows for cell in row}
        assert CASES.keys() <= shown, name
    assert len(drawings["area_energy"].rows) == len(CASES) * len(INTERVALS)


def test_points_that_share_their_place_stand_on_lines_of_their_own() -> None:
    records = [*synthetic.sweep({"cell.t_ox": [1.6, 1.7]}, maps=2)]
    other = [r | {F.identity: f"b{r[F.identity]}"} for r in records]
    layout = lay_out(material([*records, *other]).points)
    assert [(line.name, len(line.points)) for line in layout.panels[0].lines] == [("tac", 2), ("tac, version 2", 2)]
    assert layout.versions == 2


def test_axes_that_move_together_are_one() -> None:
    pairs = [(1.5, 0.9), (1.6, 1.0), (1.7, 1.1)]
    records = [r for i, (t, v) in enumerate(pairs) for r in synthetic.point(i, {"cell.t_ox": t, "cell.v_dd": v}, 2)]
    layout = lay_out(material(records).points)
    assert (layout.along, len(layout.panels), len(layout.panels[0].lines)) == (("cell.v_dd",), 1, 1)
    assert "Supply voltage V_dd moves with t_ox." in find(material(records)).sentences


def test_tiny_probabilities_are_counted_not_drawn() -> None:
    records = synthetic.sweep({"cell.t_ox": [1.5, 1.6, 1.7]}, maps=2, p01=1e-204)
    (drawing,) = [d for d in draw(material(records)) if d.name == "flip_probability"]
    assert "Below 10⁻¹⁵, and not drawn: 3 of 6 values." in drawing.caption
    assert drawing.figure.axes[0].get_ylim()[0] >= 1e-16
    one = synthetic.sweep({"cell.t_ox": [1.5, 1.6]}, maps=2, p01=0.0)
    for r in one:
        r[F.p10] = 3.8e-50 if r[F.t_ox_m] > 1.55e-9 else 0.0
    assert "flip_probability" not in {d.name for d in draw(material(one))}
