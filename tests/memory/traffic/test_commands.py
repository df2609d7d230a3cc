"""Bank commands: counts, times, stalls and bandwidth in closed form; schedules that cannot be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qtaml_hw.memory import (
    ArrayGeometry,
    ArrayLayout,
    Memory,
    Phase,
    PoissonCells,
    Schedule,
    read_stalls,
    simulate_commands,
)
from qtaml_hw.memory.array.words import Corrections
from qtaml_hw.memory.traffic.commands import planned_commands
from qtaml_hw.names import RefreshMode
from qtaml_hw.protection import ProtectionPlan
from tests.memory.brute_force import UniformLife

STARTS = np.array([0, 4096, 8192])
GEOMETRY = ArrayGeometry(banks=4, row_bits=1024, word_bits=64, cycle_s=2e-9)
LAYOUT = ArrayLayout(GEOMETRY, STARTS, 8, np.zeros(2, dtype=np.int64))  # 16 rows, 32 ns per pass
CODES = tuple(np.random.default_rng(1).integers(0, 256, 4096, dtype=np.uint8) for _ in range(2))


def test_burst_refresh_runs_on_every_multiple_of_the_interval() -> None:
    log = simulate_commands(LAYOUT, Schedule(horizon_s=1e-3, refresh_interval_s=10e-6))
    assert log.refreshes == 400
    for times in log.refresh_s:
        np.testing.assert_allclose(times, 10e-6 * np.arange(1, 101), rtol=1e-14)
    np.testing.assert_allclose(log.bank_busy_s / 1e-3, 32e-9 / 10e-6)


def test_staggered_refresh_spreads_the_banks_over_the_interval() -> None:
    log = simulate_commands(LAYOUT, Schedule(horizon_s=1e-4, refresh_interval_s=10e-6, refresh_mode="staggered"))
    for bank, times in enumerate(log.refresh_s):
        np.testing.assert_allclose(times, 10e-6 * ((bank + 1) / 4 + np.arange(10)))


def test_an_inference_takes_its_accesses_times_the_cycle() -> None:
    log = simulate_commands(LAYOUT, Schedule(horizon_s=1e-3, inferences_per_s=1e5))
    # a tensor of 4,096 bytes lies in two banks: 256 accesses of 64 bits each
    np.testing.assert_allclose(log.inference_s[0], 2 * 256 * 2e-9)
    assert len(log.read_s) == 100 * 4
    assert read_stalls(LAYOUT, Schedule(horizon_s=1e-3, inferences_per_s=1e5), log) == (0, 0.0)


def test_layer_times_hide_the_reads_that_fit_into_them() -> None:
    log = simulate_commands(LAYOUT, Schedule(horizon_s=1e-3, inferences_per_s=1e3, layer_time_s=(2e-6, 0.1e-6)))
    np.testing.assert_allclose(log.inference_s[0], 2e-6 + 256 * 2e-9)


def test_refresh_preempts_a_read_burst_and_stalls_it_by_the_pass() -> None:
    schedule = Schedule(horizon_s=3e-6, refresh_interval_s=0.3e-6, inferences_per_s=1.0)
    log = simulate_commands(LAYOUT, schedule)
    # each tensor's burst of 512 ns in two banks meets the passes at 300, 600, 900 and 1,200 ns
    np.testing.assert_allclose(log.inference_s[0], 2 * 512e-9 + 3 * 32e-9, rtol=1e-6)
    # the first burst of both banks meets one pass, the second two: four bursts, six passes
    stalls, stall_s = read_stalls(LAYOUT, schedule, log)
    assert stalls == 2 * 2
    np.testing.assert_allclose(stall_s, 6 * 32e-9, rtol=1e-6)
    for times in log.refresh_s:
        np.testing.assert_allclose(times, 0.3e-6 * np.arange(1, 11))


def test_stalls_are_those_of_reads_and_an_instant_has_one_order() -> None:
    """Scrubs that wait for refresh are no stalls; reads due with a pass are held up by it, whoever is called first."""
    scrubbed = replace(LAYOUT, corrections=Corrections(scrub_accesses=400))
    quiet = Schedule(horizon_s=1e-3, refresh_interval_s=10e-6, scrub_interval_s=30e-6)
    assert read_stalls(scrubbed, quiet, simulate_commands(scrubbed, quiet)) == (0, 0.0)
    for interval_s, rate in ((0.25e-6, 1e6), (1e-6, 1e6), (4e-6 / 3, 0.75e6), (0.7e-6, 1 / 2.1e-6)):
        small = replace(LAYOUT, tensor_starts=np.array([0, 64]), parity_bits=np.zeros(1, dtype=np.int64))
        schedule = Schedule(horizon_s=50e-6, refresh_interval_s=interval_s, inferences_per_s=rate)
        log = simulate_commands(small, schedule)
        read = [log.read_s[log.read_bank == b] for b in range(4)]
        late = sum(int(np.count_nonzero(starts > 0.5 / rate)) for starts in read)  # all but those at time 0
        assert late >= 4 * (int(50e-6 * rate) - 1)
        for bank, starts in enumerate(read):  # every read, the first aside, is due at a refresh and starts with it
            apart = np.abs(starts[1:, None] - log.refresh_s[bank]).min(axis=1)
            assert apart.max() < 1e-12 * 50e-6
        stalls, stall_s = read_stalls(small, schedule, log)
        assert stalls == late
        assert stall_s == pytest.approx(late * small.pass_s(0), rel=1e-6)


def test_scrub_and_reload_occupy_every_bank() -> None:
    scrubbed = replace(LAYOUT, corrections=Corrections(scrub_accesses=400, scrub_codec_s=50e-9))
    log = simulate_commands(scrubbed, Schedule(horizon_s=1e-3, scrub_interval_s=250e-6, reload_times_s=(1e-4,)))
    assert log.scrubs == 16
    np.testing.assert_allclose(log.bank_busy_s, 4 * (2 * 100 * 2e-9 + 50e-9) + 256 * 2e-9)
    assert [e[1] for e in log.events()][:4] == ["write"] * 4


def test_phases_stop_refresh_and_inferences_and_lost_power_reloads() -> None:
    phases = (Phase(20e-6, 40e-6, "sleep", inferences=False), Phase(60e-6, 80e-6, "off", powered=False))
    log = simulate_commands(
        LAYOUT, Schedule(horizon_s=1e-4, refresh_interval_s=10e-6, inferences_per_s=1e5, phases=phases)
    )
    assert len(log.refresh_s[0]) == 10 - 2
    assert len(log.inference_s) == 10 - 2 - 2
    assert all(t.tolist() == [80e-6] for t in log.write_s)


def test_bandwidth_above_one_is_refused_with_the_shares() -> None:
    with pytest.raises(ValueError, match=r"used 106% of the time \(refresh 3\.2%, inference reads 102\.4%"):
        simulate_commands(LAYOUT, Schedule(horizon_s=1e-3, refresh_interval_s=1e-6, inferences_per_s=2e6))
    with pytest.raises(ValueError, match=r"refresh takes 160% .* at least 7 banks"):
        simulate_commands(LAYOUT, Schedule(horizon_s=1e-3, refresh_interval_s=20e-9))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"horizon_s": 0.0}, "horizon"),
        ({"refresh_interval_s": -1e-6}, "refresh_interval_s"),
        ({"refresh_mode": "random"}, "refresh_mode"),
        ({"scrub_interval_s": 0.0}, "scrub_interval_s"),
        ({"sample_times_s": (2.0,)}, "sample_times_s"),
        ({"sample_times_s": (0.5, 0.2)}, "ascend"),
        ({"inferences_per_s": -1.0}, "inferences_per_s"),
        ({"layer_time_s": (-1.0,)}, "layer times"),
        ({"on_uncorrectable": "drop"}, "on_uncorrectable"),
        ({"phases": (Phase(0.0, 0.5), Phase(0.4, 0.6))}, "overlap"),
        ({"phases": (Phase(0.0, 1.5, "long"),)}, "'long' ends at 1.5 s"),
        ({"phases": (Phase(0.2, 0.6, "off", powered=False),), "sample_times_s": (0.5,)}, "no power"),
    ],
)
def test_bad_schedules_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Schedule(**({"horizon_s": 1.0} | change))


def test_a_phase_runs_forward() -> None:
    with pytest.raises(ValueError, match="forward"):
        Phase(0.5, 0.5)


def test_one_run_has_one_law() -> None:
    memory = Memory(CODES, 8, ProtectionPlan.unprotected(STARTS, 8), GEOMETRY,
                    Schedule(horizon_s=1.0, phases=(Phase(0.1, 0.2, "hot", PoissonCells(1.0)),)))  # fmt: skip
    with pytest.raises(ValueError, match="'hot' has a poisson cell and the memory a retention cell"):
        memory.run(UniformLife(1.0), seed=1)


def test_layer_times_and_intervals_must_fit() -> None:
    with pytest.raises(ValueError, match="3 layer times are given for 2 tensors"):
        simulate_commands(LAYOUT, Schedule(horizon_s=1.0, layer_time_s=(0.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="2 refresh intervals are given, the placement has 1 row classes"):
        simulate_commands(LAYOUT, Schedule(horizon_s=1.0, refresh_interval_s=(1e-3, 1e-3)))


@pytest.mark.parametrize("horizon_s", [1e-3, 0.73e-3, 20e-6, 3e-6])
@pytest.mark.parametrize("mode", ["burst", "staggered"])
def test_commands_are_counted_before_they_are_built(horizon_s: float, mode: RefreshMode) -> None:
    schedule = Schedule(
        horizon_s=horizon_s,
        refresh_interval_s=7e-6,
        refresh_mode=mode,
        scrub_interval_s=100e-6,
        inferences_per_s=1e5,
        reload_times_s=(1e-6,),
    )
    layout = replace(LAYOUT, corrections=Corrections(scrub_accesses=400))
    log = simulate_commands(layout, schedule)
    # every inference that has arrived has read all of it, or is on the way
    reads = len(log.read_s) + (4 - len(log.read_s) % 4) % 4
    counted = {"refresh": log.refreshes, "scrub": log.scrubs, "reads": reads, "rewrites": 4}
    assert planned_commands(layout, schedule) == counted


def test_an_hour_of_microseconds_is_refused_with_its_number_at_once() -> None:
    schedule = Schedule(horizon_s=3600.0, refresh_interval_s=10e-6)
    with pytest.raises(
        ValueError, match=r"1,440,000,000 bank commands .* 20,000,000 are simulated at most: read out by"
    ):
        simulate_commands(LAYOUT, schedule)
    assert simulate_commands(LAYOUT, Schedule(horizon_s=3600.0, refresh_interval_s=1.0)).refreshes == 4 * 3600
