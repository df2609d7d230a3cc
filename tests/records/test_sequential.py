"""Verdicts before all is drawn: exact martingales, error rates at every stop, what is certain, and intervals."""

from __future__ import annotations

import csv
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from qtaml_hw.arrays import Float64
from qtaml_hw.records.interval import share_interval
from qtaml_hw.records.sequential import (
    CHIP_ERROR,
    ERROR,
    ChipImages,
    Looks,
    batch_of,
    called_share,
    capital,
    fewest_to_tell,
    first_batch,
    mean_interval,
    out_of_reach,
    share_of_called,
    shown_above,
    shown_below,
    whole_identity,
)

SETS = Path(__file__).parent / "data" / "chips.csv"
SCORES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60)


def chips() -> dict[str, Float64]:
    """Scores of 400 chips of 13 designs."""
    with SETS.open(newline="") as file:
        names, *rows = csv.reader(file)
    return dict(zip(names, np.array(rows, dtype=np.float64).T / 360, strict=True))


def share_shown(population: Float64, mean: float, *, above: bool, samples: int = 400, count: int = 152) -> float:
    """How often samples of a population show, at any stop, that its mean is above (or below) a value."""
    drawn = np.random.default_rng(5).choice(population, (samples, count))
    shown = shown_above if above else shown_below
    return float(np.mean([shown(sample.tolist(), mean) for sample in drawn]))


@given(SCORES, st.floats(0.01, 0.99), st.floats(0.0, 1.0))
def test_no_bet_is_expected_to_win_when_the_mean_is_what_is_claimed(
    scores: list[float], mean: float, low: float
) -> None:
    """After any chips, the next one being one of two scores around the mean: the capital is expected to stay."""
    below, above = low * mean, 1.0
    chance = (mean - below) / (above - below)
    now = capital(scores, mean)[-1]
    high, lost = (np.exp(capital([*scores, score], mean)[-1] - now) for score in (above, below))
    assert chance * high + (1.0 - chance) * lost == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("dead", [0.01, 0.05, 0.3])
def test_chips_that_lose_everything_are_paid_for(dead: float) -> None:
    """The worst case for a mean, the others losing nothing: shown to be above itself in 2.5 % of samples at most."""
    population = np.where(np.arange(10_000) < dead * 10_000, 0.0, 1.0)
    noise = 3.0 * math.sqrt(ERROR * (1.0 - ERROR) / 400)
    assert share_shown(population, float(population.mean()), above=True) <= ERROR + noise
    assert share_shown(population, float(population.mean()), above=False) <= ERROR + noise


def test_drawn_chips_are_told_wrongly_as_seldom_as_stated() -> None:
    """Thirteen designs that just fall short, or just do, whenever it stops; all samples of all of them together."""
    wrong = [share_shown(x, float(x.mean()), above=above, samples=150) for x in chips().values() for above in (0, 1)]
    assert np.mean(wrong) <= ERROR + 3.0 * math.sqrt(ERROR / (150 * len(wrong)))
    assert max(wrong) <= ERROR + 3.5 * math.sqrt(ERROR / 150)


def test_intervals_hold_at_every_stop_at_once() -> None:
    """An end that was reached stays, and the mean is left out at any stop in 5 % of samples at most."""
    population = chips()["digits-lenet 1.95 nm die 2.5 %"]
    mean, samples = float(population.mean()), 60
    drawn = np.random.default_rng(2).choice(population, (samples, 120))
    found = [[mean_interval(sample[:n].tolist()) for n in (40, 80, 120)] for sample in drawn]
    assert all(a.low <= b.low and b.high <= a.high for series in found for a, b in pairwise(series))
    left_out = [not series[-1].low <= mean <= series[-1].high for series in found]
    assert np.mean(left_out) <= 2.0 * ERROR + 3.0 * math.sqrt(2.0 * ERROR / samples)


@given(SCORES)
def test_the_ends_of_an_interval_are_where_verdicts_turn(scores: list[float]) -> None:
    found = mean_interval(scores)
    assert 0.0 <= found.low <= found.mean <= found.high <= 1.0
    assert found.low < 1e-9 or shown_above(scores, found.low - 1e-9)
    assert not shown_above(scores, min(found.low + 1e-9, 1.0))
    assert found.high > 1.0 - 1e-9 or shown_below(scores, found.high + 1e-9)


@pytest.mark.parametrize("scores", [[0.9] * 50 + [0.1] * 200, [0.1] * 50 + [0.9] * 200])
def test_an_interval_holds_its_mean_where_chips_drift_from_what_was_shown(scores: list[float]) -> None:
    """Chips in the order of their scores are no sample: bounds of the first ones pass the mean of all."""
    found = mean_interval(scores)
    assert shown_above(scores, 0.8) == (scores[0] == 0.9)
    assert shown_below(scores, 0.2) == (scores[0] == 0.1)
    assert found.low <= found.mean <= found.high
    assert (found.low if scores[0] == 0.9 else found.high) == found.mean == pytest.approx(np.mean(scores))


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.95, 0.98])
@pytest.mark.parametrize("clean", [1.0, 0.97, 0.6])
def test_so_many_chips_without_loss_tell_a_share_and_one_less_does_not(keep: float, clean: float) -> None:
    fewest = fewest_to_tell(keep)
    assert fewest == math.ceil(math.log(40.0) / math.log(1.0 + 0.95 * (1.0 / keep - 1.0)))
    assert shown_above([clean] * fewest, keep * clean)
    assert not shown_above([clean] * (fewest - 1), keep * clean)


def test_it_takes_76_chips_for_95_percent() -> None:
    """Five dead chips in a hundred are missed by 72 chips in 2.5 % of samples; bets need a few more."""
    assert fewest_to_tell(0.95) == 76
    assert 0.95**72 < ERROR < 0.95**71
    assert fewest_to_tell(1.0) is None


@given(SCORES, st.floats(0.02, 0.98), st.integers(0, 40))
def test_what_is_out_of_reach_is_not_reached(scores: list[float], mean: float, left: int) -> None:
    if out_of_reach(scores, mean, left):
        assert not any(shown_above([*scores, *[1.0] * more], mean) for more in range(left + 1))


def test_shares_at_the_bounds() -> None:
    assert not shown_above([1.0] * 500, 1.0)
    assert not shown_above([0.0] * 500, 0.0)
    assert out_of_reach([1.0] * 5, 1.0, 10**6)
    with pytest.raises(ValueError, match="at least one fault map"):
        mean_interval([])


@given(st.integers(1, 60), st.integers(0, 20), st.floats(0.05, 1.0))
def test_a_chip_needs_what_its_score_is_compared_with(right: int, wrong: int, keep: float) -> None:
    test, images = ChipImages.of(right, right + wrong, keep), right + wrong
    least = keep * (right / images)
    assert next(count for count in range(images + 1) if count / images >= least) == test.needed


@given(st.data())
def test_a_chip_that_is_certain_is_what_all_images_say(data: st.DataObject) -> None:
    """Without error: whenever a verdict is told, in whatever order images are seen, it is that of the whole set."""
    right, wrong = data.draw(st.integers(1, 40)), data.draw(st.integers(0, 10))
    test = ChipImages.of(right, right + wrong, data.draw(st.sampled_from([0.5, 0.8, 0.9, 0.95, 1.0])))
    lost = data.draw(st.lists(st.booleans(), min_size=right, max_size=right))
    gained = data.draw(st.lists(st.booleans(), min_size=wrong, max_size=wrong))
    good = right - sum(lost) + sum(gained) >= test.needed
    for seen in range(right + 1):
        others = data.draw(st.integers(0, wrong))
        told = test.keeps(seen, sum(lost[:seen]), others, sum(gained[:others]), 0.0)
        assert told is None or told is good
        called = test.keeps(seen, sum(lost[:seen]), others, sum(gained[:others]))
        assert called is not False or not good
    assert test.keeps(right, sum(lost), wrong, sum(gained), 0.0) is good


@pytest.mark.parametrize(("right", "wrong", "keep"), [(349, 11, 0.95), (60, 0, 0.9), (100, 30, 0.8)])
def test_a_bad_chip_is_called_good_as_seldom_as_stated(right: int, wrong: int, keep: float) -> None:
    """Exactly, image by image, for the fatal number of losses and more: the chance that it is ever called good."""
    test = ChipImages.of(right, right + wrong, keep)
    for losses in (test.fatal, test.fatal + 3):
        alive, called = np.zeros(losses + 1), 0.0
        alive[0] = 1.0
        for seen in range(1, right):
            chance = (losses - np.arange(losses + 1)) / (right - seen + 1)
            chance = np.clip(chance, 0.0, 1.0)
            alive = alive * (1.0 - chance) + np.concatenate([[0.0], (alive * chance)[:-1]])
            told = np.array([alive[d] > 0.0 and test.keeps(seen, d, 0, 0) is True for d in range(losses + 1)])
            called += float(alive[told].sum())
            alive[told] = 0.0
        assert 0.2 * CHIP_ERROR < called <= CHIP_ERROR or (losses > test.fatal and called <= CHIP_ERROR)


@given(st.integers(2, 80), st.data())
def test_evidence_is_a_ratio_of_likelihoods_that_is_expected_to_stay(right: int, data: st.DataObject) -> None:
    test = ChipImages(right, 0, data.draw(st.integers(1, right)))
    seen = data.draw(st.integers(0, right - 1))
    losses = data.draw(st.integers(max(0, seen - right + test.fatal), min(seen, test.fatal - 1)))
    now = math.exp(test.evidence(seen, losses))
    weights = 1.0 / np.arange(1, test.fatal + 1)
    likely = hypergeom.pmf(losses, right, np.arange(test.fatal), seen) / hypergeom.pmf(losses, right, test.fatal, seen)
    assert now == pytest.approx(float((weights / weights.sum() * likely).sum()), rel=1e-6)
    for many in range(test.fatal, min(right, test.fatal + 2) + 1):
        chance = (many - losses) / (right - seen)
        after = [0.0 if chance == 1.0 else math.exp(test.evidence(seen + 1, losses)), 0.0]
        if losses + 1 < test.fatal:
            after[1] = math.exp(test.evidence(seen + 1, losses + 1))
        expected = (1.0 - chance) * after[0] + chance * after[1]
        assert expected <= now * (1.0 + 1e-6)
        assert many > test.fatal or chance == 1.0 or expected == pytest.approx(now, rel=1e-6)


def test_a_chip_without_loss_takes_a_sixth_of_360_images() -> None:
    test = ChipImages.of(349, 360, 0.95)
    assert (test.needed, test.fatal) == (332, 18)
    assert next(seen for seen in range(349) if test.keeps(seen, 0, 0, 0)) == 61


@pytest.mark.parametrize("wanted", [0.5, 0.9, 0.99])
def test_bad_chips_that_are_called_good_are_charged_to_the_share(wanted: float) -> None:
    """A share that is wanted is shown where the share of called ones is, and of all chips called good 37 show 90 %."""
    for count in (20, 37, 74, 500):
        for good in range(count - 5, count + 1):
            shown = share_interval(good, count)[0] >= called_share(wanted)
            assert shown == (share_of_called(good, count)[0] >= wanted)
    assert share_of_called(37, 37)[0] >= 0.9 > share_of_called(36, 36)[0]


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_a_first_batch_has_both_kinds_of_images(right: int, wrong: int) -> None:
    if right + wrong == 0:
        return
    some, others = first_batch(right, wrong)
    assert some + others == batch_of(right + wrong)
    assert 0 <= some <= right
    assert 0 <= others <= wrong
    assert (some > 0) == (right > 0)
    assert (others > 0) == (wrong > 0) or batch_of(right + wrong) == 1


def test_some_images_are_stored_apart() -> None:
    assert {whole_identity(one.name("abc")) for one in (Looks(), Looks(0.95), Looks(0.95, 0.0, at_end=True))} == {"abc"}
    assert len({one.name("abc") for one in (Looks(), Looks(0.95), Looks(0.9), Looks(0.95, at_end=True))}) == 4
