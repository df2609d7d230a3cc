"""Placement, refresh by class and by weakest cell, phases and updates in the study file: values, mistakes, identity."""

from __future__ import annotations

import json

import pytest

from qtaml_hw.config import StudyError, json_schema, parse_study

SPLIT = "array: {placement: plane_separated, plane_class: [0, 0, 0, 0, 0, 0, 1, 1]}\n"
PHASE = "timeline: {phases: [{label: hot, from: 0.2 ms, to: 0.6 ms, temperature: 105 degC}]}\n"


def test_values_are_in_si() -> None:
    study = parse_study(
        "array: {placement: plane_separated, plane_class: [0, 0, 0, 0, 0, 0, 1, 2], interleave: word, "
        "rows_refreshed_together: 4, backing: {bandwidth: 10 GB/s, latency: 100 ns}, on_uncorrectable: reload}\n"
        "refresh: {interval: [80 us, 10 us, off], mode: staggered}\n"
        "timeline: {phases: [{from: 0 us, to: 10 us, refresh: off, powered: on}], updates: [20 us, 0.5 ms]}\n"
    )
    assert study.array.backing is not None
    assert (study.array.backing.bandwidth_bits_per_s, study.array.backing.latency_s) == (8e10, 1e-7)
    assert (study.array.classes, study.array.rows_refreshed_together) == (3, 4)
    assert study.refresh.interval_s == (80e-6, 10e-6, None)
    assert study.refresh.shortest_s == 10e-6
    (phase,) = study.timeline.phases
    assert (phase.start_s, phase.end_s, phase.refresh, phase.powered, phase.changes_cell) == (
        0,
        1e-5,
        False,
        True,
        False,
    )
    assert study.timeline.updates_s == (2e-5, 5e-4)
    assert study.provenance["refresh.interval"].text == "[80 us, 10 us, off]"


@pytest.mark.parametrize(
    "text",
    [
        "array: {placement: row_major, interleave: block, rows_refreshed_together: 1}",
        "refresh: {interval: 10 us, mode: burst}",
        "timeline: {phases: [], updates: []}",
    ],
)
def test_what_changes_nothing_has_no_part_in_an_identity(text: str) -> None:
    assert parse_study(text).identity() == parse_study("study: a").identity()


def test_what_changes_results_has() -> None:
    base = parse_study("study: a")
    changes: list[dict[str, object]] = [
        {"array.interleave": "word"},
        {"array.placement": "plane_separated"},
        {"array.rows_refreshed_together": 2},
        {"array.backing": {"bandwidth": "1 GB/s"}},
        {"array.on_uncorrectable": "zero"},
        {"refresh.mode": "staggered"},
        {"refresh.retention_aware": {"multiples": [2]}},
        {"refresh.retention_aware": {"multiples": [2], "margin": 2}},
        {"timeline.updates": "0.5 ms"},
        {"timeline.phases": [{"from": "0 us", "to": "1 us"}]},
        {"timeline.phases": [{"from": "0 us", "to": "1 us", "temperature": "25 degC"}]},
    ]
    assert len({base.identity(), *(base.with_(c).identity() for c in changes)}) == 1 + len(changes)
    named = [parse_study(PHASE.replace("hot", label)).identity() for label in ("hot", "an oven")]
    assert named[0] == named[1]


def test_an_identity_of_before_is_the_same() -> None:
    """The resolved values hold none of the fields that came later."""
    resolved = parse_study("study: a").resolved()
    assert set(resolved["array"]) == {"node_m", "periphery", "banks", "row_bits", "word_bits"}
    assert set(resolved["refresh"]) == {"interval_s", "ecc_aware"}
    assert "timeline" not in resolved


MISTAKES = {
    "class without rows": ("array: {plane_class: [0, 1]}", "1:22 array.plane_class: plane_class needs rows"),
    "class left out": (SPLIT.replace("1, 1]", "2, 2]"), "must use every class from 0 up; no plane is in [1]"),
    "reload from nowhere": ("array: {on_uncorrectable: reload}", "backing: {bandwidth: 10 GB/s, latency: 100 ns}"),
    "bandwidth without unit": ("array: {backing: {bandwidth: 10}}", "10 has no unit; write it as in '10 GB/s'"),
    "intervals without classes": (
        "refresh: {interval: [1 us, 2 us]}",
        "2 intervals are given, one per row class; array",
    ),
    "too many intervals": (SPLIT + "refresh: {interval: [1 us, 2 us, off]}", "3 intervals are given"),
    "fewer intervals than planes": (
        "array: {placement: plane_separated}\nrefresh: {interval: [10 us, 20 us]}",
        "2:21 refresh.interval: 2 intervals are given, one per row class; array has 8: one for each of the 8 planes",
    ),
    "classes of other planes": (
        SPLIT + "weights: {format: int16}",
        "1:50 array.plane_class: plane_class names 8 planes, the weights have 16 (int16)",
    ),
    "more planes than there are": (
        "weights: {format: int4}\nprotection: {policy: uniform, planes: 5}",
        "2:39 protection.planes: 5 planes are to be protected; a weight of int4 has 4: write 0 to 4",
    ),
    "an interval without unit": (SPLIT + "refresh: {interval: [1, 2 us]}", "2:22 refresh.interval[0]: 1 has no unit"),
    "bins of nothing": ("refresh: {interval: off, retention_aware: {multiples: [2]}}\nevaluate: {at: 1 ms}", "is off"),
    "bins descend": ("refresh: {interval: 1 us, retention_aware: {multiples: [4, 2]}}", "must ascend; got [4, 2]"),
    "bins without weak cells": ("flips: poisson\nrefresh: {interval: 1 us, retention_aware: {}}", "no cell is weaker"),
    "a phase backwards": (PHASE.replace("0.6", "0.1"), "'hot' goes from 200 us to 100 us, -100 us long"),
    "a phase before the start": (PHASE.replace("0.2", "-0.2"), "-0.2 ms is out of range; allowed: at least 0 s"),
    "phases overlap": (
        "timeline: {phases: [{label: a, from: 0 s, to: 9 us}, {label: b, from: 8 us, to: 9 us}]}",
        "the phase 'a' ends at 9 us, the phase 'b' starts at 8 us",
    ),
    "phases without labels overlap": (
        "timeline: {phases: [{from: 0 s, to: 9 us}, {from: 8 us, to: 9 us}]}",
        "the phase from 0 s ends at 9 us, the phase from 8 us starts at 8 us",
    ),
    "a phase after the end": (
        PHASE.replace("0.6", "2"),
        "timeline.phases[0].to: the phase 'hot' ends at 2 ms, after the",
    ),
    "a phase too hot": (PHASE.replace("105", "300"), "temperature 300 degC is outside [-73.15 degC, 176.9 degC]"),
    "a phase that is no phase": ("timeline: {phases: [hot]}", "expected a mapping with the keys label, from, to"),
    "an unknown key": (PHASE.replace("to:", "until:"), "unknown key 'until'; allowed: label, from, to"),
    "neither on nor off": (PHASE.replace("temperature: 105 degC", "refresh: maybe"), "expected on or off, got 'maybe'"),
    "updates descend": ("timeline: {updates: [2 us, 1 us]}", "updates must ascend; 1 us comes after 2 us"),
    "an update after the end": ("timeline: {updates: 2 ms}", "2 ms is after the last read-out of evaluate.at at 1 ms"),
    "a reading in the dark": (
        "timeline: {phases: [{from: 1 us, to: 2 ms, powered: off}]}\nevaluate: {at: [1 ms, 3 ms]}",
        "at 1 ms the memory has no power",
    ),
    "heat without retention": ("flips: {law: fixed, p: 1 %}\n" + PHASE, "there are none: flips.law is fixed"),
    "heat for a static cell": ("cell: {kind: sram6t}\n" + PHASE, "a sram6t cell is weak from the start, or never"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_with_their_numbers(name: str) -> None:
    text, needle = MISTAKES[name]
    with pytest.raises(StudyError) as caught:
        parse_study(text, name="f.yaml")
    assert needle in str(caught.value), str(caught.value)


def test_the_schema_offers_them() -> None:
    parts = json_schema()["$defs"]
    assert "on" in json.dumps(parts["PhaseSection"]["properties"]["refresh"])
    assert "GB/s" in parts["BackingSection"]["properties"]["bandwidth"]["description"]
    assert {"to", "from"} == set(parts["PhaseSection"]["required"])


@pytest.mark.parametrize("word", ["Off", "no", "false", "none", "OFF"])
@pytest.mark.parametrize("section", ["refresh: {}", "scrub: {}", "refresh: {{interval: {}}}"])
def test_the_word_for_no_refresh_is_named(word: str, section: str) -> None:
    with pytest.raises(StudyError, match=r"expected a time such as '40 us', got .*; without one, write 'off'"):
        parse_study(f"cell: {{preset: gain-cell-65nm}}\n{section.format(word)}\n")


def test_a_horizon_with_too_many_commands_is_refused_with_their_number() -> None:
    with pytest.raises(StudyError, match=r"evaluate.at.*2,883,600,000 bank commands .*2,880,000,000 of refresh"):
        parse_study("refresh: {interval: 10 us}\nevaluate: {at: 1 h}\n")
    with pytest.raises(StudyError, match=r"bank commands .*of scrub"):
        parse_study(
            "refresh: {interval: 1 s}\nscrub: {interval: 10 us}\nevaluate: {at: 1 h}\n"
            "protection: {policy: tac, menu: [secded-72-64]}\n"
        )
    assert parse_study("refresh: {interval: 64 ms}\nevaluate: {at: 1 h}\n").evaluate.at_s == (3600.0,)


PHASES = "[{from: 0 us, to: 100 us, temperature: 105 degC}]"


@pytest.mark.parametrize(
    ("text", "corrects"),
    [
        ("flips: retention\n", False),
        ("flips: poisson\n", True),
        ("flips: {law: fixed, p: 0.01}\n", False),
        (f"timeline: {{phases: {PHASES}}}\n", True),
        ("flips: retention\nrefresh: {interval: 10 us, ecc_aware: true}\n", True),
        ("flips: poisson\nrefresh: {ecc_aware: false}\n", False),
        ("refresh: off\nflips: poisson\nevaluate: {at: [10 us]}\n", True),
    ],
)
def test_refresh_corrects_by_default_where_errors_pile_up(text: str, corrects: bool) -> None:
    study = parse_study(text)
    assert study.refresh.ecc_aware is corrects
    origin = study.provenance["refresh.ecc_aware"]
    assert (origin.kind == "default") == ("ecc_aware" not in text)


def test_the_default_follows_the_law_through_changes_and_sweeps() -> None:
    study = parse_study("sweep: {grid: {flips.law: [retention, poisson]}}\n")
    assert [point.study.refresh.ecc_aware for point in study.points()] == [False, True]
    assert parse_study("study: a\n").with_({"flips.law": "poisson"}).refresh.ecc_aware


def test_decoders_are_a_name_or_a_number() -> None:
    for written, read in (("per_row", "per_row"), ("per_bank", "per_bank"), ("3", 3)):
        assert parse_study(f"array: {{decoders: {written}}}\n").array.decoders == read
    assert "decoders" not in parse_study("study: a\n").resolved()["array"]
    for wrong in ("per_rows", "0", "true", "1.5"):
        with pytest.raises(StudyError, match=r"array\.decoders.*expected per_row, per_bank or a whole number from 1"):
            parse_study(f"array: {{decoders: {wrong}}}\n")
