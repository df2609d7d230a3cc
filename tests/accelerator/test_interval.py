"""Intervals over fault maps: Student's t, its coverage, and the stopping rule."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from qtaml_hw.records.interval import narrow_enough, t_interval


def test_equals_scipys_t_interval() -> None:
    x = [0.8, 0.75, 0.9, 0.7, 0.85]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(x), scale=stats.sem(x))
    got = t_interval(x)
    assert got.ci95 == pytest.approx((low, high))
    assert got.mean == pytest.approx(0.8)


def test_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    hits = sum(got.low <= 0.0 <= got.high for got in (t_interval(rng.normal(size=6)) for _ in range(4000)))
    assert abs(hits / 4000 - 0.95) < 5 * np.sqrt(0.95 * 0.05 / 4000)


def test_one_map_tells_nothing_about_the_spread() -> None:
    assert t_interval([0.5], (0.0, 1.0)).ci95 == (0.0, 1.0)


def test_clipped_to_what_is_possible() -> None:
    assert t_interval([1.0, 0.8, 1.0], (0.0, 1.0)).high == 1.0


def test_the_stopping_rule() -> None:
    assert not narrow_enough([0.5, 0.5], 3, 8, 0.01)
    assert narrow_enough([0.5, 0.5, 0.5], 3, 8, 0.01)
    assert not narrow_enough([0.1, 0.9, 0.5], 3, 8, 0.01)
    assert narrow_enough([0.1, 0.9, 0.5], 3, 3, 0.01)
    with pytest.raises(ValueError, match="at least one"):
        t_interval([])
