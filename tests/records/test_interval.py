"""Intervals over fault maps, held against drawn chips: coverage, stopping, the few and the alike; exact shares."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from qtaml_hw.arrays import Float64
from qtaml_hw.records.chips import Yield, image_sampling, share_changed
from qtaml_hw.records.interval import (
    FEW,
    _quantile,
    fewest_to_show,
    narrow_enough,
    score_ends,
    score_interval,
    share_interval,
    t_interval,
)

SAMPLES, LEAST = 400, 0.93
IMAGES = 360


def drawn_chips() -> dict[str, Float64]:
    """Scores of the chips that ``scripts/chip_sets.py`` drew, by design point."""
    with (Path(__file__).parent / "data" / "chips.csv").open(newline="") as file:
        names, *rows = csv.reader(file)
    counts = np.array(rows, dtype=np.float64) / IMAGES
    return dict(zip(names, counts.T, strict=True))


CHIPS = drawn_chips()


def resampled(name: str, maps: int, samples: int = SAMPLES) -> Float64:
    """Samples of chips of one set, [samples, maps]."""
    return np.random.default_rng(maps).choice(CHIPS[name], (samples, maps))


def enough(hits: Float64) -> bool:
    """Whether a coverage of ``LEAST`` is not refuted at 3 sigma by this share of hits."""
    return float(hits.mean()) >= LEAST - 3.0 * math.sqrt(LEAST * (1.0 - LEAST) / hits.size)


def test_the_sets_are_chips_of_three_networks_at_two_spreads() -> None:
    assert {len(chips) for chips in CHIPS.values()} == {400}
    assert len({name.split()[0] for name in CHIPS}) == 3
    assert sum(name.endswith("die 0 %") for name in CHIPS) == sum(name.endswith("die 1.33 %") for name in CHIPS) == 6
    assert min(stats.skew(chips) for chips in CHIPS.values()) < -5.0


@pytest.mark.parametrize("maps", [8, 16, 32, 64])
@pytest.mark.parametrize("name", CHIPS)
def test_covers_the_mean_of_drawn_chips(name: str, maps: int) -> None:
    low, high = score_ends(resampled(name, maps))
    mean = CHIPS[name].mean()
    assert enough((low <= mean) & (mean <= high))


def test_a_t_interval_does_not() -> None:
    name = "digits-lenet 1.95 nm die 2.5 %"
    hits = [i.low <= CHIPS[name].mean() <= i.high for i in map(t_interval, resampled(name, 16, 200).tolist())]
    assert np.mean(hits) < 0.6


@pytest.mark.parametrize("halfwidth", [0.005, 0.025, 0.05])
@pytest.mark.parametrize("name", CHIPS)
def test_stopping_when_it_is_narrow_leaves_its_coverage(name: str, halfwidth: float) -> None:
    samples, mean = resampled(name, 64, 100), CHIPS[name].mean()
    hit, running = np.zeros(len(samples), dtype=bool), np.arange(len(samples))
    for maps in range(8, 65):
        low, high = score_ends(samples[running, :maps])
        stops = (high - low <= 2.0 * halfwidth) | (maps == 64)
        hit[running[stops]] = ((low <= mean) & (mean <= high))[stops]
        running = running[~stops]
        if not running.size:
            break
    assert enough(hit)


@pytest.mark.parametrize("maps", [1, 2, 4, 7, 8, 40, 500])
def test_chips_that_are_alike_leave_what_clopper_and_pearson_leave(maps: int) -> None:
    found, lost = score_interval([0.9] * maps), 0.5 if maps >= FEW else 1.0
    unseen = 1.0 - 0.025 ** (1.0 / maps)
    assert found.low == pytest.approx(0.9 * (1.0 - lost * unseen), abs=1e-3)
    assert found.high == pytest.approx(0.9 + 0.1 * lost * unseen, abs=1e-3)
    assert found.few == (maps < FEW)


def test_many_chips_lead_to_students_interval() -> None:
    scores = np.random.default_rng(3).uniform(0.2, 0.8, 3000)
    assert score_interval(scores.tolist()).ci95 == pytest.approx(t_interval(scores.tolist()).ci95, abs=2e-3)


def test_is_a_function_of_the_set_of_chips() -> None:
    scores = [0.9, 0.2, 0.95, 0.93, 0.9, 0.91, 0.88, 0.97]
    assert score_interval(scores) == score_interval(scores[::-1])


def test_a_chip_that_reads_every_bit_right_scores_like_all_others() -> None:
    facts = {"p01": 1e-12, "p10": 0.0, "stored_bits": 8e6, "parity_bits_fraction": 0.125}
    changed = share_changed(facts, 0)
    assert changed == pytest.approx(9e-6)
    found = score_interval([0.9] * 4, changed)
    assert found.ci95 == pytest.approx((0.9 - 9e-6, 0.9 + 9e-6))
    assert not found.few
    assert narrow_enough([0.9] * 8, 8, 64, 0.005, changed)
    assert share_changed(facts, 1) == share_changed({**facts, "p01": None}, 0) == share_changed({}, 0) == 1.0


def test_equals_scipys_t_interval() -> None:
    x = [0.8, 0.75, 0.9, 0.7, 0.85]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(x), scale=stats.sem(x))
    got = t_interval(x)
    assert got.ci95 == pytest.approx((low, high))
    assert got.mean == pytest.approx(0.8)
    assert t_interval([0.5], (-1.0, 1.0)).ci95 == (-1.0, 1.0)
    assert t_interval([1.0, 0.8, 1.0], (0.0, 1.0)).high == 1.0


def test_the_stopping_rule() -> None:
    assert not narrow_enough([0.5] * 8, 8, 64, 0.025)
    assert narrow_enough([0.5] * 8, 8, 64, 0.2)
    assert not narrow_enough([0.5] * 8, 9, 64, 0.2)
    assert narrow_enough([0.1, 0.9, 0.5], 3, 3, 0.01)
    for interval in (t_interval, score_interval):
        with pytest.raises(ValueError, match="at least one"):
            interval([])


@pytest.mark.parametrize(("good", "count"), [(0, 10), (10, 10), (7, 20), (63, 64), (351, 360)])
def test_intervals_of_a_share_are_scipys_exact_ones(good: int, count: int) -> None:
    exact = stats.binomtest(good, count).proportion_ci(method="exact")
    assert share_interval(good, count) == pytest.approx((exact.low, exact.high), abs=1e-9)


@pytest.mark.parametrize(("share", "fewest"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)])
def test_fewest_chips_that_show_a_yield(share: float, fewest: int) -> None:
    assert fewest_to_show(share) == fewest
    assert share_interval(fewest, fewest)[0] >= share > share_interval(fewest - 1, fewest - 1)[0]
    assert fewest_to_show(1.0) is None


def test_yields_count_chips_and_images_are_a_sample() -> None:
    found = Yield.of([0.9, 0.95, 0.86, 0.7], 0.9, 0.95)
    assert (found.good, found.maps, found.chips) == (3, 4, 0.75)
    assert found.ci95 == share_interval(3, 4)
    assert found.as_dict()["yield_ci95_low"] == found.ci95[0]
    assert image_sampling({"images": 360}, 0.975) == share_interval(351, 360)
    assert image_sampling({"images": 360, "metric": "perplexity"}, 0.5) is None


@pytest.mark.parametrize("share", [0.0, 0.025000000000000022, 0.4999, 0.5, 0.975, 0.9999])
def test_quantiles_are_those_of_numpy_to_the_last_bit(share: float) -> None:
    rng = np.random.default_rng(7)
    for shape in ((1, 2000), (7, 2000), (3, 11), (2, 3, 50)):
        x = np.round(rng.random(shape), 2)  # with ties
        assert np.array_equal(_quantile(x, share), np.quantile(x, share, axis=-1))
