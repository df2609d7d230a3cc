"""The simulated memory against the flip channel, the engine's masks and closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qtaml_hw.ecc import code
from qtaml_hw.faults import flip_bits
from qtaml_hw.memory import ArrayGeometry, FixedCells, Memory, PoissonCells, Schedule, simulate
from qtaml_hw.memory.traffic.schedule import RefreshMode
from qtaml_hw.protection import ProtectionPlan
from tests.memory.brute_force import UniformLife

GEOMETRY = ArrayGeometry(banks=4, cycle_s=1e-9)
CODES = [np.random.default_rng(7).integers(0, 256, n, dtype=np.uint8) for n in (30_000, 10_000, 20_000)]
STARTS = np.cumsum([0] + [c.size for c in CODES])
BARE = ProtectionPlan.unprotected(STARTS, 8)
ONES = int(sum(np.unpackbits(c).sum() for c in CODES))
BITS = 8 * int(STARTS[-1])


def every_10_us(horizon_s: float = 1e-3, **more: Any) -> Schedule:
    return Schedule(horizon_s=horizon_s, refresh_interval_s=10e-6, sample_times_s=(horizon_s,), **more)


def within(count: float, trials: float, p: float, sigmas: float = 4.0) -> bool:
    return abs(count - trials * p) <= sigmas * np.sqrt(trials * p * (1 - p))


@pytest.mark.parametrize("p", [1e-4, 0.1])
@pytest.mark.parametrize("leaky", [0, 1])
@pytest.mark.parametrize("mode", ["burst", "staggered"])
def test_refreshed_memory_reads_exactly_the_engines_mask(p: float, leaky: int, mode: RefreshMode) -> None:
    timeline = simulate(CODES, 8, BARE, UniformLife(10e-6 / p, leaky), GEOMETRY, every_10_us(refresh_mode=mode), seed=5)
    for t, (codes, read) in enumerate(zip(CODES, timeline.read_out[0], strict=True)):
        p01, p10 = (p, 0.0) if leaky == 0 else (0.0, p)
        np.testing.assert_array_equal(read, flip_bits(codes, p01, p10, seed=5, tensor=t))


def test_fixed_probabilities_read_exactly_the_engines_mask_at_any_time() -> None:
    p01, p10 = np.linspace(0, 0.2, 8), 0.05
    schedule = Schedule(horizon_s=1.0, sample_times_s=(0.0, 1.0))
    timeline = simulate(CODES, 8, BARE, FixedCells(p01, p10), GEOMETRY, schedule, seed=5, map_index=3)
    for read_out in timeline.read_out:
        for t, (codes, read) in enumerate(zip(CODES, read_out, strict=True)):
            np.testing.assert_array_equal(read, flip_bits(codes, p01, np.full(8, p10), seed=5, map_index=3, tensor=t))


def test_retention_flips_are_locked_in_at_the_first_refresh_and_stay() -> None:
    cell = UniformLife(1e-4)
    schedule = Schedule(horizon_s=1e-3, refresh_interval_s=10e-6, sample_times_s=(9e-6, 11e-6, 5e-4, 1e-3))
    timeline = simulate(CODES, 8, BARE, cell, GEOMETRY, schedule, seed=1)
    assert within(timeline.flips_raw[0], ONES, 0.09)
    assert within(timeline.flips_raw[1], ONES, 0.10)
    assert timeline.flips_raw[1] == timeline.flips_raw[2] == timeline.flips_raw[3]


def test_poisson_flips_accumulate_through_refresh() -> None:
    schedule = Schedule(horizon_s=1e-3, refresh_interval_s=10e-6, sample_times_s=(1e-5, 1e-4, 1e-3))
    timeline = simulate(CODES, 8, BARE, PoissonCells(500.0), GEOMETRY, schedule, seed=1)
    for flips, t in zip(timeline.flips_raw, schedule.sample_times_s, strict=True):
        assert within(flips, ONES, -np.expm1(-500.0 * t))


def test_poisson_starts_afresh_at_a_rewrite_and_retention_finds_the_same_cells() -> None:
    schedule = Schedule(horizon_s=2e-3, reload_times_s=(1e-3,), sample_times_s=(0.99e-3, 1.99e-3))
    fresh = simulate(CODES, 8, BARE, PoissonCells(100.0), GEOMETRY, schedule, seed=2)
    first, second = ([np.bitwise_xor(r, c) for r, c in zip(out, CODES, strict=True)] for out in fresh.read_out)
    both = sum(int(np.unpackbits(a & b).sum()) for a, b in zip(first, second, strict=True))
    p = -np.expm1(-100.0 * 0.99e-3)
    assert within(fresh.flips_raw[1], ONES, -np.expm1(-100.0 * (1.99e-3 - 1e-3)))
    assert within(both, ONES, p * p)
    weak = simulate(CODES, 8, BARE, UniformLife(1e-2), GEOMETRY, schedule, seed=2)
    assert weak.flips_raw[0] >= weak.flips_raw[1] > 0.98 * weak.flips_raw[0]


@pytest.mark.parametrize("p", [0.003, 0.1])
def test_secded_read_out_leaves_the_residual_of_the_code(p: float) -> None:
    """Data and check bits at p = p01 = p10: bits left wrong, flagged words, against the exact residual, 4 sigma."""
    plan = ProtectionPlan.uniform_msb(STARTS, 8, 8, "secded-72-64")
    schedule = Schedule(horizon_s=1.0, sample_times_s=(1.0,))
    words = sum(-(-8 * c.size // 64) for c in CODES)
    timeline = simulate(CODES, 8, plan, FixedCells(p, p), GEOMETRY, schedule, seed=3)
    residual = code("secded-72-64").residual(p)
    assert within(timeline.words_uncorrectable[0], words, residual.p_due)
    assert within(timeline.flips_raw[0], words * 72, p)
    # errors of a word come together: at most 72 of them, so the variance is below 72 times the binomial one
    assert abs(timeline.flips_read[0] - BITS * residual.bit_error) < 4 * np.sqrt(72 * BITS * residual.bit_error)


def test_ecc_aware_refresh_keeps_words_until_two_cells_fail_in_one_interval() -> None:
    """Memoryless losses, all-ones data: a word of w leaky cells survives an interval with P(at most one loss)."""
    weights, rate, interval, passes = 80_000, 10.0, 1e-4, 20
    codes = [np.full(weights, 255, dtype=np.uint8)]
    plan = ProtectionPlan.uniform_msb([0, weights], 8, 8, "secded-72-64")
    schedule = Schedule(horizon_s=passes * interval, refresh_interval_s=interval, ecc_aware_refresh=True,
                        sample_times_s=(passes * interval,))  # fmt: skip
    timeline = simulate(codes, 8, plan, PoissonCells(rate), GEOMETRY, schedule, seed=4)
    leaky = int(code("secded-72-64").encode(np.ones(64, dtype=np.uint8)).sum())
    p = -np.expm1(-rate * interval)
    survive = ((1 - p) ** leaky + leaky * p * (1 - p) ** (leaky - 1)) ** passes
    read = timeline.read_out[0][0].reshape(-1, 8)
    assert within(np.count_nonzero((read == 255).all(axis=1)), weights // 8, survive)
    plain = simulate(codes, 8, plan, PoissonCells(rate), GEOMETRY,
                     Schedule(horizon_s=2e-3, refresh_interval_s=interval, sample_times_s=(2e-3,)), seed=4)  # fmt: skip
    assert plain.flips_read[0] > 5 * timeline.flips_read[0]


def test_scrub_clears_correctable_words_and_the_same_weak_cells_come_back() -> None:
    plan = ProtectionPlan.uniform_msb(STARTS, 8, 2, "secded-39-32")
    cell = UniformLife(10e-6 / 1e-3)
    schedule = every_10_us(scrub_interval_s=250e-6)
    scrubbed = simulate(CODES, 8, plan, cell, GEOMETRY, schedule, seed=1)
    bare = simulate(CODES, 8, plan, cell, GEOMETRY, every_10_us(), seed=1)
    assert scrubbed.scrubs == 4 * 4
    assert scrubbed.flips_read[0] == bare.flips_read[0]
    assert scrubbed.counts.over_horizon.scrub_corrected % 4 == 0
    assert scrubbed.counts.over_horizon.scrub_corrected == 4 * bare.words_corrected[0]


def test_msb_rows_with_their_own_refresh_interval() -> None:
    """The top two planes at 10 us, the rest at 80 us behind a pass of the first: each has its own probability."""
    geometry = ArrayGeometry(banks=4, cycle_s=1e-9, placement="plane_separated", plane_class=(0, 0, 0, 0, 0, 0, 1, 1))
    schedule = Schedule(horizon_s=1e-3, refresh_interval_s=(80e-6, 10e-6), sample_times_s=(1e-3,))
    memory = Memory(tuple(CODES), 8, BARE, geometry, schedule)
    timeline = memory.run(UniformLife(1e-3), seed=6)
    p10 = np.where(np.arange(8) >= 6, 0.01, 0.08 + memory.layout.pass_s(1) / 1e-3)
    for t, (codes, read) in enumerate(zip(CODES, timeline.read_out[0], strict=True)):
        np.testing.assert_array_equal(read, flip_bits(codes, np.zeros(8), p10, seed=6, tensor=t))


def test_destructive_reads_restore_what_they_read() -> None:
    schedule = Schedule(horizon_s=1e-3, inferences_per_s=1e5, sample_times_s=(1e-3,))
    geometry = ArrayGeometry(banks=4, cycle_s=1e-10, destructive_read=True)
    cell = UniformLife(1e-3)
    restoring = simulate(CODES, 8, BARE, cell, geometry, schedule, seed=1)
    leaking = simulate(CODES, 8, BARE, cell, ArrayGeometry(banks=4, cycle_s=1e-10), schedule, seed=1)
    assert within(restoring.flips_raw[0], ONES, 10e-6 / 1e-3, 6.0)
    assert leaking.flips_raw[0] == ONES


def test_a_streamed_tensor_only_ages_while_its_tile_waits() -> None:
    """Room for the first tensor and a tile of the second; the rest is read after its tile's loading time."""
    geometry = ArrayGeometry(banks=4, cycle_s=1e-10, capacity_bits=420_000, backing_bits_per_s=1e9)
    schedule = Schedule(horizon_s=2e-3, inferences_per_s=1e3, sample_times_s=(1.9e-3,))
    memory = Memory(tuple(CODES), 8, BARE, geometry, schedule)
    assert memory.layout.residency.streamed.tolist() == [False, True, True]
    timeline = memory.run(UniformLife(1e-2), seed=1)
    lost = [int(np.unpackbits(r ^ c).sum()) for r, c in zip(timeline.read_out[0], CODES, strict=True)]
    for count, codes, age_s in zip(lost, CODES, (1.9e-3, 80e-6, 160e-6), strict=True):
        assert within(count, int(np.unpackbits(codes).sum()), age_s / 1e-2)
    assert len(memory.log.load_s) == 2 * 2
    np.testing.assert_allclose(memory.log.inference_s, 240e-6 + 60_000 / 8 * 1e-10, rtol=0.02)
    assert timeline.energy_j["backing"] == pytest.approx((240_000 + 2 * 240_000) * 30e-12)
    with pytest.raises(ValueError, match=r"streaming takes 0.00024 s per inference and 5000 inferences"):
        Memory(tuple(CODES), 8, BARE, geometry, Schedule(horizon_s=1e-3, inferences_per_s=5e3)).log  # noqa: B018


def test_ideal_planes_never_flip_and_the_timeline_says_so() -> None:
    timeline = simulate(CODES, 8, ProtectionPlan.uniform_msb(STARTS, 8, 3, "ideal"), UniformLife(2e-5), GEOMETRY,
                        every_10_us(), seed=1)  # fmt: skip
    for codes, read in zip(CODES, timeline.read_out[0], strict=True):
        assert not np.any((codes ^ read) & 0b11100000)
    assert any("cannot be built" in w for w in timeline.warnings)


def test_a_zero_flip_memory_returns_the_codes_and_maps_differ() -> None:
    plan = ProtectionPlan.uniform_msb(STARTS, 8, 2, "secded-72-64")
    still = simulate(CODES, 8, plan, UniformLife(1.0, None), GEOMETRY, every_10_us(), seed=1)
    assert still.flips_raw[0] == 0
    assert all(np.array_equal(a, b) for a, b in zip(CODES, still.read_out[0], strict=True))
    memory = Memory(tuple(CODES), 8, plan, GEOMETRY, every_10_us())
    runs = [memory.run(UniformLife(1e-3), seed=1, map_index=m) for m in (0, 1, 0)]
    assert np.array_equal(runs[0].read_out[0][0], runs[2].read_out[0][0])
    assert not np.array_equal(runs[0].read_out[0][0], runs[1].read_out[0][0])


def test_parity_zero_zeroes_the_weight_in_its_own_encoding() -> None:
    plan = ProtectionPlan.uniform_msb(STARTS, 8, 2, "parity-zero")
    memory = Memory(tuple(CODES), 8, plan, GEOMETRY, Schedule(horizon_s=1.0, sample_times_s=(1.0,)), zero_code=128)
    timeline = memory.run(FixedCells(0.02, 0.02), seed=1)
    changed = np.concatenate([r[(r ^ c) >= 64] for r, c in zip(timeline.read_out[0], CODES, strict=True)])
    assert timeline.words_uncorrectable[0] > 0
    assert np.count_nonzero(changed == 128) > 0.9 * changed.size


def test_a_cell_that_is_none_of_the_models_is_refused() -> None:
    with pytest.raises(ValueError, match="flip_probability"):
        simulate(CODES, 8, BARE, object(), GEOMETRY, every_10_us(), seed=1)


def test_a_plan_of_another_image_is_refused() -> None:
    with pytest.raises(ValueError, match="planes"):
        simulate(CODES[:1], 8, BARE, UniformLife(1e-3), GEOMETRY, every_10_us(), seed=1)
