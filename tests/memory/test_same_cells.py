"""The simulated memory in phases of two temperatures loses the cells that 400,000 drawn one by one lose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qtaml_hw.arrays import Codes
from qtaml_hw.device import RetentionPopulation
from qtaml_hw.memory import ArrayGeometry, Memory, Phase, RetentionAware, Schedule, planned_flip_probability
from qtaml_hw.protection import ProtectionPlan
from tests.device.drawn import near, two_temperatures

CODES = (np.full(200_000, 255, dtype=np.uint8),)
BARE = ProtectionPlan.unprotected(np.array([0, CODES[0].size]), 8)
CELLS = 8 * CODES[0].size


def read(schedule: Schedule, cell: RetentionPopulation, geometry: ArrayGeometry | None = None) -> Codes:
    """The codes of all ones at the last sample."""
    memory = Memory(CODES, 8, BARE, geometry or ArrayGeometry(cycle_s=1e-12), schedule)
    return memory.run(cell, seed=11).read_out[-1][0]


def for_one_stretch(seconds: float, *phases: Phase) -> Schedule:
    return Schedule(horizon_s=seconds, sample_times_s=(seconds,), phases=phases)


def share(codes: Codes) -> float:
    return float(np.unpackbits(codes).sum()) / CELLS


@pytest.mark.parametrize("p", [1e-2, 1e-3])
def test_cells_that_pass_a_cool_profile_are_lost_in_the_heat(p: float) -> None:
    cool, hot, _, cool_s, hot_s = two_temperatures(1.8)
    t = float(hot.retention_quantile(p))
    hot_phase = Phase(0.0, t, "hot", hot)
    lost = ~read(for_one_stretch(t, hot_phase), cool)
    assert share(lost) == pytest.approx(p, abs=4.0 * np.sqrt(p / CELLS))
    planned = planned_flip_probability(cool, for_one_stretch(t, hot_phase))[0]
    assert planned == pytest.approx(p, rel=1e-7)  # times have nine digits
    passed = read(for_one_stretch(2.0 * t), cool)
    assert near(share(lost & passed), float(np.mean((cool_s >= 2.0 * t) & (hot_s < t))))


@pytest.mark.parametrize("t_ox_nm", [1.8, 2.2])
def test_a_stretch_half_in_each_condition(t_ox_nm: float) -> None:
    cool, hot, _, cool_s, hot_s = two_temperatures(t_ox_nm)
    for p in (1e-2, 1e-3):
        half_s = 1.0 / (1.0 / float(cool.retention_quantile(p)) + 1.0 / float(hot.retention_quantile(p)))
        schedule = for_one_stretch(2.0 * half_s, Phase(half_s, 2.0 * half_s, "hot", hot))
        found = float(np.mean(half_s / cool_s + half_s / hot_s >= 1.0))
        assert near(share(~read(schedule, cool)), found)
        assert near(float(planned_flip_probability(cool, schedule)[0]), found)


def test_without_another_condition_the_first_uniform_says_all() -> None:
    """A phase under the usual conditions changes nothing, bit for bit."""
    cool, _, _, _, _ = two_temperatures(1.8)
    t = float(cool.retention_quantile(0.02))
    np.testing.assert_array_equal(
        read(for_one_stretch(t), cool), read(for_one_stretch(t, Phase(0.0, 0.5 * t, "same")), cool)
    )


def test_what_is_lost_sooner_is_lost_later_in_the_heat_too() -> None:
    cool, hot, _, _, _ = two_temperatures(1.8)
    t = float(hot.retention_quantile(5e-3))
    before = CODES[0]
    for seconds in (0.3 * t, 0.6 * t, t):
        after = read(for_one_stretch(2.0 * t, Phase(0.0, seconds, "hot", hot)), cool)
        assert not np.any(after & ~before)
        before = after


def test_refresh_by_a_cool_profile_loses_in_the_heat_what_it_does_not_know() -> None:
    """Rows of 16 cells that outlive twice the interval at 85 degC wait for every second pass, also at 125 degC."""
    cool, hot, _, cool_s, hot_s = two_temperatures(1.8)
    t, margin = float(hot.retention_quantile(1e-3)) / 2.0, 2.0
    schedule = Schedule(
        horizon_s=20.5 * t, refresh_interval_s=t, sample_times_s=(20.2 * t,),
        retention_aware=RetentionAware((2,), margin), phases=(Phase(0.5 * t, 20.4 * t, "hot", hot),),
    )  # fmt: skip
    geometry = ArrayGeometry(banks=4, row_bits=16, word_bits=16, cycle_s=1e-12)
    slow = float(np.mean((hot_s < 2.0 * t) & (cool_s >= 2.0 * margin * t)))
    fast = float(np.mean(hot_s < t))
    weak = float(np.mean(cool_s < 2.0 * margin * t))
    wait = (1.0 - weak) ** 15  # of a row's other cells all are strong
    expected = slow * wait + fast * (1.0 - wait)
    lost = share(~read(schedule, cool, geometry))
    assert near(lost, expected)
    assert lost > 10.0 * fast
    kept_cool = replace(schedule, phases=())
    assert share(~read(kept_cool, cool, geometry)) < 0.1 * lost
