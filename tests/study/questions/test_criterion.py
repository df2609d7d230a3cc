"""When a design is good enough: by the mean or by the share of chips, and which maps need not be drawn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.errors import InputError
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import fewest_to_keep, score_interval
from qtaml_hw.records.record import Record
from qtaml_hw.study.questions.criterion import Criterion
from qtaml_hw.study.questions.early import Early


def records(scores: list[float], clean: float = 1.0, **more: Any) -> list[Record]:
    """Records of so many chips, each with a flip."""
    facts = {F.identity: "x", F.clean_score: clean, F.flips_raw: 3, F.flips_parity: 0, **more}
    series = [{F.map_index: i, F.score: score, F.score_series: [[1e-3, score]]} for i, score in enumerate(scores)]
    return [Record(facts, own) for own in series]


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 0.95, 0.98, 0.99])
def test_so_many_chips_without_loss_show_a_share_and_one_less_does_not(share: float) -> None:
    fewest = fewest_to_keep(share)
    assert fewest is not None
    assert score_interval([1.0] * fewest).low >= share
    assert fewest == 8 or score_interval([1.0] * (fewest - 1)).low < share


def test_it_takes_35_chips_for_95_percent() -> None:
    assert fewest_to_keep(0.95) == 35
    assert fewest_to_keep(1.0) is None


@given(st.lists(st.floats(0.5, 1.0), min_size=40, max_size=40), st.sampled_from([None, 0.9]))
def test_maps_that_need_not_be_drawn_change_no_verdict(scores: list[float], wanted: float | None) -> None:
    """Wherever a series is given up, all of it would not have been good."""
    criterion = Criterion(0.9, wanted, 40)
    whole = records(scores)
    given_up = any(criterion(whole[:count]) for count in range(1, 41))
    assert not (given_up and criterion.is_good(whole))


def test_a_dead_chip_series_is_given_up_after_a_few_maps() -> None:
    criterion = Criterion(0.95, None, 70)
    first = next(count for count in range(1, 71) if criterion(records([0.14] * count)))
    assert first <= 3


def test_the_mean_and_the_yield_are_shown_by_the_lower_ends_of_their_intervals() -> None:
    scores = [0.99] * 38 + [0.8] * 2
    low = score_interval(scores).low
    assert Criterion(low - 0.001, None, 40).is_good(records(scores))
    assert not Criterion(low + 0.001, None, 40).is_good(records(scores))
    assert not Criterion(low - 0.001, None, 40).is_good(records(scores[:39]))  # not all chips have been drawn
    assert not Criterion(0.9, 0.9, 40).is_good(records(scores))  # 38 of 40: at least 83.1 % with 95 % confidence
    assert Criterion(0.9, 0.83, 40).is_good(records(scores))


def test_a_network_at_chance_and_a_failure_are_not_good() -> None:
    criterion = Criterion(0.9, None, 8)
    assert not criterion.is_good(records([1.0] * 8, **{F.at_chance: True}))
    assert not criterion.is_good([Record({F.identity: "x", F.map_index: -1, F.error: "no"})])


@pytest.mark.parametrize(
    ("keep", "wanted", "said"),
    [
        (1.0, None, "no number of fault maps can show a mean that keeps 100 %"),
        (0.9, 1.0, "no number of fault maps can show a yield of 100 %"),
        (1.2, None, "keep 120% is no share"),
        (0.9, 0.0, "yield 0% is no share"),
    ],
)
def test_what_cannot_be_asked(keep: float, wanted: float | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Criterion.of(keep, wanted, 8)


def test_as_many_maps_as_asked_for_or_twice_what_it_takes() -> None:
    assert Criterion.of(0.95, None, None).maps == 70
    assert Criterion.of(0.95, None, 200).maps == 200
    assert Criterion.of(0.95, 0.9, None).maps == 72
    assert Criterion.of(0.95, None, 3).maps == 35
    assert [Early.of(0.95, None, maps).maps for maps in (None, 3, 200)] == [152, 152, 200]
    assert [Early.of(0.95, 0.9, maps).maps for maps in (None, 3, 200)] == [74, 37, 200]


@given(st.lists(st.floats(0.7, 1.0), min_size=1, max_size=152), st.sampled_from([None, 0.9]))
def test_an_early_series_stops_where_its_verdict_is_told(scores: list[float], wanted: float | None) -> None:
    """Told good at any stop it stays good; told that no more are needed, no chips that follow make it good."""
    criterion = Early.of(0.9, wanted, None)
    whole = [
        Record(record, {F.keeps: score >= 0.9, F.judged_images: 32})
        for record, score in zip(records(scores), scores, strict=True)
    ][: criterion.maps]
    good = [criterion.is_good(whole[:count]) for count in range(1, len(whole) + 1)]
    stops = [criterion(whole[:count]) for count in range(1, len(whole) + 1)]
    assert good == sorted(good)
    if True in stops and not good[stops.index(True)]:
        left = criterion.maps - stops.index(True) - 1
        perfect = records([*scores[: stops.index(True) + 1], *[1.0] * left])
        best = [Record(record, {F.keeps: record[F.score] >= 0.9, F.judged_images: 32}) for record in perfect]
        assert wanted is None or not criterion.is_good(best)
    figures = criterion.figures(whole)
    assert figures["images_judged"] == 32 * len(whole)
    assert (figures["yield"] is None) == (wanted is None)
    assert (figures["margin"] >= 0.0) == good[-1] or wanted is not None


def test_an_early_verdict_of_a_network_at_chance_or_of_a_failure_is_not_good() -> None:
    criterion = Early.of(0.9, None, None)
    assert not criterion.is_good(records([1.0] * 74, **{F.at_chance: True}))
    assert criterion(records([1.0], **{F.at_chance: True}))
    assert not criterion.is_good([Record({F.identity: "x", F.map_index: -1, F.error: "no"})])
    assert criterion.as_dict()["early"] == {"error": 0.025, "chip_error": None}
