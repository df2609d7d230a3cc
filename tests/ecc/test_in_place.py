"""The code inside eight weights against the (64,57) code it is, by brute force over errors, and in a study."""

from __future__ import annotations

import numpy as np
import pytest

from qtaml_hw import ecc
from qtaml_hw.config import StudyError
from qtaml_hw.ecc.in_place import DATA, GIVEN, SIGNS
from qtaml_hw.weights import WeightFormat, quantise
from qtaml_hw.weights.within import changed, clipped, holds
from tests import studies

CODE = ecc.code("in-place-64-57")
PLAIN = ecc.code("secded-64-57")


def words(count: int) -> np.ndarray:
    """Meant bits [count, 64] of eight weights within the condition, planes 7 .. 0 of each."""
    levels = np.random.default_rng(4).integers(-64, 64, size=(count, 8))
    levels[:, 7] *= 2
    bits = ((levels.astype(np.uint8)[:, :, None] >> np.arange(7, -1, -1)) & 1).astype(np.uint8)
    return bits.reshape(count, 64)


def test_nothing_is_stored_beside_and_every_single_error_is_corrected() -> None:
    meant = words(20)
    stored = CODE.encode(meant)
    assert (CODE.n, CODE.k, CODE.parity, CODE.parity_fraction) == (64, 64, 0, 0.0)
    assert np.array_equal(meant[:, GIVEN], meant[:, SIGNS])
    assert np.array_equal(stored[:, DATA], meant[:, DATA])
    for position in range(64):
        hit = stored.copy()
        hit[:, position] ^= 1
        decoded = CODE.decode(hit)
        assert np.array_equal(decoded.data, meant)
        assert decoded.corrected.all()
    hit = stored.copy()
    hit[:, [3, 40]] ^= 1
    assert CODE.decode(hit).uncorrectable.all()


def test_sparse_errors_are_those_of_the_stored_words() -> None:
    draw = np.random.default_rng(8)
    meant = words(400)
    errors = (draw.random((400, 64)) < 0.03).astype(np.uint8)
    decoded = CODE.decode(CODE.encode(meant) ^ errors)
    word, position = np.nonzero(errors)
    outcome = CODE.correct_errors(word.astype(np.int64), position.astype(np.int64))
    left = np.zeros_like(errors)
    left[outcome.word_ids, outcome.positions] = 1
    assert np.array_equal(left, decoded.data ^ meant)
    assert np.array_equal(outcome.uncorrectable_words, np.flatnonzero(decoded.uncorrectable))


@pytest.mark.parametrize("p", [1e-4, 1e-3, 1e-2, 0.05])
def test_it_leaves_what_the_64_57_code_leaves(p: float) -> None:
    found, plain = CODE.residual(p), PLAIN.residual(p)
    assert (found.p_due, found.p_sdc) == (plain.p_due, plain.p_sdc)
    bits = PLAIN.transfer(p, p)
    wrong = p * (bits.wrong_if_hit + bits.flagged_if_hit) + (1 - p) * bits.wrong_if_clean
    signs = wrong[np.searchsorted(DATA, SIGNS)]
    assert found.bit_error == pytest.approx((wrong.sum() + signs.sum()) / 64.0, rel=1e-9)


def test_the_condition_clips_seven_of_eight() -> None:
    weights = {"w": np.random.default_rng(3).normal(size=(50, 41)).astype(np.float32)}
    free = quantise(weights)
    kept = clipped(free)
    levels = WeightFormat(8).levels
    before, after = (levels[image.tensors[0].codes] for image in (free, kept))
    bounded = np.arange(2050) % 8 != 7
    assert np.array_equal(after, np.where(bounded, np.clip(before, -64, 63), before))
    assert changed(free, kept) == int(np.count_nonzero((before != np.clip(before, -64, 63)) & bounded))
    assert holds(kept)
    assert not holds(free)


def test_a_study_counts_what_the_condition_clips_and_stores_no_check_bit() -> None:
    stated = {"flips": "{law: fixed, p: 0.001}", "refresh": "off", "evaluate": "{images: 120, maps: {min: 2, max: 2}}"}
    protection = "{policy: uniform, planes: 8, menu: [in-place-64-57], correction: none}"
    design = studies.design(**stated, weights="{within: in-place-64-57}", protection=protection)
    record = {**design.facts, **design.record(0)}
    assert record["parity_bits_fraction"] == 0.0
    assert record["stored_bits_per_weight"] == pytest.approx(8.0, abs=0.02)
    assert record["within_clipped_weights"] > 0
    assert abs(record["within_loss"]) < 0.2
    assert record["words_corrected"] > 0
    bare = studies.design(**stated, weights="{within: in-place-64-57}", protection="{policy: none, correction: none}")
    assert record["flips_residual"] < 0.2 * bare.record(0)["flips_residual"]


@pytest.mark.parametrize(
    ("weights", "protection", "message"),
    [
        ("{}", "{policy: uniform, planes: 8, menu: [in-place-64-57]}", "weights.within"),
        ("{within: in-place-64-57}", "{policy: uniform, planes: 2, menu: [in-place-64-57]}", "planes: 8"),
        ("{within: in-place-64-57}", "{policy: tac, menu: [in-place-64-57]}", "policy: uniform"),
        ("{format: int4, within: in-place-64-57}", "{}", "plain int8"),
    ],
)
def test_what_does_not_hold_it_is_refused(weights: str, protection: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        studies.study(weights=weights, protection=protection)
