"""Bisection, jackknife and budgets on curves whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.reproduce.crossing import Ladder, Overheads, last_passing, resamples


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
