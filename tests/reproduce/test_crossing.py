"""Bisection, crossings and budgets on curves whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.reproduce.crossing import Overheads
from qtaml_hw.tac.prediction.crossing import KEPT, Curve, Ladder, crossing, last_passing, resamples


@given(rungs=st.integers(0, 200), end=st.integers(-1, 210))
def test_bisection_finds_the_last_passing_rung(rungs: int, end: int) -> None:
    asked: list[int] = []
    found = last_passing(lambda r: (asked.append(r), r <= end)[1], rungs)
    assert found == (None if end < 0 else min(end, rungs))
    assert len(asked) <= 2 + int(np.ceil(np.log2(rungs + 1)))


def test_the_ladder_halves_per_octave() -> None:
    ladder = Ladder(6)
    assert ladder.share(0) == 1.0
    assert ladder.share(12) == pytest.approx(0.25)
    assert ladder.share(ladder.rungs) == pytest.approx(2.0**-13)


def test_resamples_are_means_over_as_many_maps() -> None:
    weights = resamples(5)
    assert weights.sum(axis=1) == pytest.approx(1.0)
    assert np.array_equal(weights, resamples(5))
    assert weights.mean(axis=0) == pytest.approx(0.2, abs=5 * np.sqrt(0.2 * 0.8 / 5 / len(weights)))


def test_ratios_are_paired() -> None:
    drawn = np.array([0.1, 0.2, 0.3])
    ratio = Overheads(0.2, drawn, 4).ratio_to(Overheads(0.6, 3 * drawn, 4))
    assert (ratio.mean, ratio.maps) == (pytest.approx(3.0), 4)
    assert ratio.ci95 == pytest.approx((3.0, 3.0))


def test_a_crossing_is_interpolated_in_the_logarithm_of_the_cost() -> None:
    cost = np.array([0.01, 0.02, 0.04, 0.08])
    assert crossing(cost, np.array([0.2, 0.6, 0.8, 1.0]), 0.8) == pytest.approx(0.04)
    assert crossing(cost, np.array([0.2, 0.6, 0.8, 1.0]), 0.7) == pytest.approx(0.02 * np.sqrt(2.0))
    assert crossing(cost, np.array([0.9, 0.9, 0.9, 0.9]), 0.8) == 0.01
    assert crossing(cost, np.array([0.1, 0.2, 0.3, 0.4]), 0.8) == 0.08


def test_a_dip_is_pooled_before_it_is_crossed() -> None:
    """0.9, 0.5 against the order becomes 0.7 twice: the lucky rung decides nothing by itself."""
    cost = np.array([0.01, 0.02, 0.04, 0.08])
    assert crossing(cost, np.array([0.0, 0.9, 0.5, 1.0]), 0.7) == pytest.approx(0.02)
    assert crossing(cost, np.array([0.0, 0.9, 0.5, 1.0]), 0.85) == pytest.approx(0.04 * np.sqrt(2.0))


@given(scores=st.lists(st.floats(0, 1), min_size=3, max_size=12), keep=st.floats(0.05, 0.95))
def test_more_is_never_cheaper(scores: list[float], keep: float) -> None:
    cost = np.exp2(np.arange(len(scores), dtype=np.float64))
    found = [crossing(cost, np.array(scores), target) for target in (0.9 * keep, keep)]
    assert cost[0] <= found[0] <= found[1] <= cost[-1]


def _drawn(slope: float, images: int) -> Curve:
    """Answers that are right with a chance that rises with log cost; chips differ little."""
    rng = np.random.default_rng(5)
    cost = 2.0 ** np.arange(-8.0, 0.0, 0.25)
    chance = np.clip(0.95 + slope * np.log2(cost / 2.0**-4), 0.0, 1.0)
    right = rng.random((1, 1, images)) < chance[:, None, None] + np.zeros((1, 8, 1))
    return Curve(cost, right.astype(np.float64), np.ones(images))


def test_images_are_resampled_with_the_maps() -> None:
    """Maps that agree leave the images as the only noise: the known standard error of a share over the slope."""
    slope, images = 0.05, 400
    curve = _drawn(slope, images)
    drawn = np.log2(curve.resampled(0.95))
    expected = np.sqrt(0.95 * 0.05 / images) / slope  # octaves
    assert drawn.std() == pytest.approx(expected, rel=0.35)
    assert abs(np.log2(curve.at(0.95)) + 4.0) < 3.0 * expected
    assert [curve.at(k) for k in KEPT] == sorted(curve.at(k) for k in KEPT)


def test_a_flat_curve_is_called_a_plateau() -> None:
    for slope, flat in ((0.3, False), (0.01, True)):
        curve = _drawn(slope, 200)
        assert Overheads(curve.at(0.95), curve.resampled(0.95), 8).plateau is flat
