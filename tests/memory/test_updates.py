"""New weights while the memory runs, and words that are fetched anew: what is read, and the time that it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qtaml_hw.faults import flip_bits
from qtaml_hw.memory import ArrayGeometry, FixedCells, Memory, PoissonCells, Schedule
from qtaml_hw.memory.ageing.laid_out import Update
from qtaml_hw.protection import ProtectionPlan
from tests.memory.brute_force import UniformLife

GEOMETRY = ArrayGeometry(banks=4, cycle_s=1e-9, backing_bits_per_s=8e9, backing_latency_s=100e-9)
RNG = np.random.default_rng(7)
CODES, NEW = (tuple(RNG.integers(0, 256, n, dtype=np.uint8) for n in (30_000, 10_000)) for _ in range(2))
STARTS = np.cumsum([0] + [c.size for c in CODES])
BARE = ProtectionPlan.unprotected(STARTS, 8)
SECDED = ProtectionPlan.uniform_msb(STARTS, 8, 8, "secded-72-64")


def updated(plan: ProtectionPlan = BARE, **more: Any) -> Memory:
    schedule = Schedule(horizon_s=1e-3, refresh_interval_s=10e-6, sample_times_s=(3.99e-4, 9e-4),
                        reload_times_s=(4e-4,), **more)  # fmt: skip
    return Memory(CODES, 8, plan, GEOMETRY, schedule, updates=((4e-4, NEW),))


def test_new_weights_are_read_after_the_update_and_the_same_cells_are_weak() -> None:
    before, after = updated().run(UniformLife(10e-6 / 0.01), seed=5).read_out
    for t in range(2):
        np.testing.assert_array_equal(before[t], flip_bits(CODES[t], 0.0, 0.01, seed=5, tensor=t))
        np.testing.assert_array_equal(after[t], flip_bits(NEW[t], 0.0, 0.01, seed=5, tensor=t))


def test_fixed_probabilities_hit_the_new_bits() -> None:
    timeline = updated().run(FixedCells(0.02, 0.05), seed=5)
    for t in range(2):
        np.testing.assert_array_equal(timeline.read_out[1][t], flip_bits(NEW[t], 0.02, 0.05, seed=5, tensor=t))
    assert timeline.flips_read[1] == sum(
        int(np.unpackbits(r ^ n).sum()) for r, n in zip(timeline.read_out[1], NEW, strict=True)
    )


def test_memoryless_losses_count_from_the_update() -> None:
    timeline = updated().run(PoissonCells(200.0), seed=5)
    ones = sum(int(np.unpackbits(c).sum()) for c in NEW)
    p = -np.expm1(-200.0 * 5e-4)
    assert abs(timeline.flips_read[1] - ones * p) < 4 * np.sqrt(ones * p * (1 - p))


def test_check_bits_are_those_of_the_new_weights() -> None:
    timeline = updated(SECDED).run(UniformLife(10.0), seed=5)
    assert timeline.words_uncorrectable.tolist() == [0, 0]
    for t in range(2):
        np.testing.assert_array_equal(timeline.read_out[1][t], NEW[t])


@pytest.mark.parametrize(
    ("updates", "words"),
    [
        (((3e-4, NEW),), "at none of the schedule's reload_times_s"),
        (((4e-4, NEW[:1]),), "other tensors"),
        (((4e-4, NEW), (4e-4, CODES)), "ascend"),
    ],
)
def test_updates_must_fit(updates: tuple[Update, ...], words: str) -> None:
    schedule = Schedule(horizon_s=1e-3, reload_times_s=(4e-4,), sample_times_s=(1e-3,))
    with pytest.raises(ValueError, match=words):
        Memory(CODES, 8, BARE, GEOMETRY, schedule, updates=updates)


def test_a_fetched_word_takes_latency_transfer_and_its_write() -> None:
    schedule = Schedule(horizon_s=1e-3, refresh_interval_s=10e-6, scrub_interval_s=100e-6, sample_times_s=(1e-3,),
                        on_uncorrectable="reload")  # fmt: skip
    chip = Memory(CODES, 8, SECDED, GEOMETRY, schedule)
    timeline = chip.run(UniformLife(10e-6 / 0.01), seed=5)
    word_s = 100e-9 + 64 / 8e9 + 2 * 1e-9  # 72 bits are two accesses of 64
    assert timeline.counts.over_horizon.reloaded > 100
    assert timeline.reload.time_s == pytest.approx(timeline.counts.over_horizon.reloaded * word_s, rel=1e-12)
    assert timeline.reload.wait_s[0] == pytest.approx(timeline.words_uncorrectable[0] * word_s, rel=1e-12)
    busy = chip.log.bank_busy_s / 1e-3 + timeline.reload.time_s / 4 / 1e-3
    np.testing.assert_allclose(timeline.bank_busy_fraction, busy, rtol=1e-12)
    raw = Memory(CODES, 8, SECDED, GEOMETRY, Schedule(**{**vars(schedule), "on_uncorrectable": "raw"}))
    assert raw.run(UniformLife(10e-6 / 0.01), seed=5).reload.time_s == 0.0


def test_words_lost_faster_than_they_are_fetched_are_told() -> None:
    schedule = Schedule(horizon_s=1e-4, refresh_interval_s=10e-6, ecc_aware_refresh=True, sample_times_s=(1e-4,),
                        on_uncorrectable="reload")  # fmt: skip
    timeline = Memory(CODES, 8, SECDED, GEOMETRY, schedule).run(UniformLife(10e-6 / 0.2), seed=5)
    assert any("lost faster than they can be fetched" in w for w in timeline.warnings)
    assert timeline.reload.time_s > 1e-4


def test_a_rewrite_holds_every_bank_until_the_image_has_come_over() -> None:
    schedule = Schedule(horizon_s=1e-3, reload_times_s=(4e-4,), inferences_per_s=1e4)
    fast = Memory(CODES, 8, BARE, ArrayGeometry(banks=4, cycle_s=1e-9), schedule).log
    slow = Memory(CODES, 8, BARE, GEOMETRY, schedule).log
    image_s = 100e-9 + 8 * 40_000 / 8e9
    np.testing.assert_allclose(slow.bank_busy_s - fast.bank_busy_s, image_s - 10_000 / 8 * 1e-9)
    late = int(np.argmax(slow.inference_s))
    assert late == 4  # the inference that arrives with the update waits for it
    np.testing.assert_allclose(slow.inference_s[late] - slow.inference_s[0], image_s, rtol=1e-6)
