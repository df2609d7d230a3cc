"""Bisection, jackknife and budgets on curves whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.accelerator.interval import t_interval
from qtaml_hw.reproduce.crossing import Ladder, Overheads, last_passing


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


def test_the_jackknife_of_a_geometric_mean_is_its_t_interval() -> None:
    x = np.log([0.1, 0.2, 0.15, 0.3])
    left_out = tuple(float(np.exp(np.delete(x, i).mean())) for i in range(4))
    found = Overheads(float(np.exp(x.mean())), left_out).interval
    expected = t_interval(list(x))
    assert np.log(found.ci95) == pytest.approx(expected.ci95)
    assert found.maps == 4


def test_ratios_are_paired() -> None:
    left = (0.1, 0.2, 0.3)
    one, two = Overheads(0.2, left), Overheads(0.6, tuple(3 * v for v in left))
    ratio = one.ratio_to(two)
    assert ratio.mean == pytest.approx(3.0)
    assert ratio.ci95 == pytest.approx((3.0, 3.0))
