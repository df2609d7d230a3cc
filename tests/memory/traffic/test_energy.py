"""Energy by action and power over time, against hand counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qtaml_hw.ecc import code
from qtaml_hw.memory import ArrayGeometry, EnergyCosts, Memory, Phase, Schedule, Timeline, array_cost
from qtaml_hw.protection import ProtectionPlan
from tests.memory.brute_force import UniformLife

STARTS = np.array([0, 4096, 8192])
CODES = tuple(np.random.default_rng(1).integers(0, 256, 4096, dtype=np.uint8) for _ in range(2))
GEOMETRY = ArrayGeometry(banks=4, row_bits=1024, word_bits=64, cycle_s=2e-9)
COSTS = EnergyCosts(1.0, 2.0, 3.0, 5.0, {"secded-72-64": 0.25}, {"secded-72-64": 0.5}, "unit test", 0.125)


def run(plan: ProtectionPlan, schedule: Schedule, geometry: ArrayGeometry = GEOMETRY) -> Timeline:
    return Memory(CODES, 8, plan, geometry, schedule).run(UniformLife(1e-3), seed=1, costs=COSTS)


def test_every_action_is_counted_once() -> None:
    schedule = Schedule(horizon_s=1e-3, refresh_interval_s=100e-6, inferences_per_s=1e3, sample_times_s=(1e-3,))
    energy = run(ProtectionPlan.unprotected(STARTS, 8), schedule).energy_j
    assert energy["read"] == 1024 * 1.0  # one inference, at 0
    assert energy["write"] == 1024 * 2.0
    assert energy["refresh"] == 10 * 64 * 3.0
    assert energy["backing"] == 8192 * 8 * 0.125
    assert energy["leakage"] == pytest.approx(5e-3)
    assert energy["decode"] == energy["encode"] == energy["scrub"] == 0.0


def test_parity_and_codec_cost_what_the_plan_asks() -> None:
    plan = ProtectionPlan.uniform_msb(STARTS, 8, 2, "secded-72-64")  # 128 words per tensor, 1,024 check bits
    schedule = Schedule(horizon_s=1e-3, refresh_interval_s=100e-6, scrub_interval_s=0.5e-3, inferences_per_s=1e3)
    energy = run(plan, schedule).energy_j
    assert energy["read"] == (1024 + 32) * 1.0
    assert energy["decode"] == (1 + 2) * 256 * 0.25
    assert energy["encode"] == (1 + 2) * 256 * 0.5
    assert energy["scrub"] == 2 * (1024 + 32) * 3.0  # two of eight planes: a row-major access holds all eight
    aware = run(plan, Schedule(horizon_s=1e-3, refresh_interval_s=100e-6, ecc_aware_refresh=True)).energy_j
    assert aware["decode"] == 10 * 256 * 0.25
    assert aware["refresh"] == 10 * 4 * 17 * 3.0  # parity adds one row per bank


def test_power_over_time_integrates_to_the_energy() -> None:
    schedule = Schedule(horizon_s=1e-3, refresh_interval_s=100e-6, inferences_per_s=1e4,
                        phases=(Phase(0.4e-3, 0.65e-3, "off", powered=False),))  # fmt: skip
    timeline = run(ProtectionPlan.unprotected(STARTS, 8), schedule)
    edges = np.linspace(0.0, 1e-3, 6)
    power = timeline.power_w(edges)
    assert power["leakage"].tolist() == pytest.approx([5.0, 5.0, 0.0, 3.75, 5.0])
    assert power["refresh"][2] == 0.0
    assert np.sum(power["refresh"] * np.diff(edges)) == pytest.approx(timeline.energy_j["refresh"])
    assert power["read"][0] * np.diff(edges)[0] == pytest.approx(2 * 1024.0)  # at 0 and 0.1 ms; 0.2 ms comes after
    assert np.sum(power["read"] * np.diff(edges)) == pytest.approx(timeline.energy_j["read"])
    with pytest.raises(ValueError, match="ascend"):
        timeline.power_w([0.0, 2.0])


def test_leakage_follows_the_phases() -> None:
    schedule = Schedule(horizon_s=1e-3, sample_times_s=(1e-3,),
                        phases=(Phase(0.1e-3, 0.3e-3, "hot"), Phase(0.5e-3, 0.6e-3, "off", powered=False)))  # fmt: skip
    memory = Memory(CODES, 8, ProtectionPlan.unprotected(STARTS, 8), GEOMETRY, schedule)
    meter = replace(memory.meter, costs=COSTS, phase_leakage=(3.0, 7.0))
    edges = (0.0, 0.2e-3, 0.4e-3, 1e-3)
    assert meter.between(memory.log, edges)["leakage"].tolist() == pytest.approx([5 * 4e-4, 5 * 4e-4, 5 * 5e-4])


def test_default_costs_are_the_cost_models() -> None:
    plan = ProtectionPlan.uniform_msb(STARTS, 8, 2, "secded-39-32")
    memory = Memory(CODES, 8, plan, GEOMETRY, Schedule(horizon_s=1e-3, refresh_interval_s=40e-6))
    bank = array_cost(memory.layout.stored_bits / 4, 64, 45e-9, "edram", "lstp")
    assert memory.costs.read_j == bank.read_energy_j
    assert memory.costs.refresh_row_j * int(memory.layout.rows_per_group.sum()) == pytest.approx(bank.refresh_energy_j)
    assert memory.costs.decode_j["secded-39-32"] == code("secded-39-32").hardware(45e-9).decode_energy_j
    sram = Memory(CODES, 8, plan, ArrayGeometry(cell="sram"), Schedule(horizon_s=1e-3))
    assert sram.costs.refresh_row_j == pytest.approx(16 * (sram.costs.read_j + sram.costs.write_j))


def test_reloaded_words_come_from_the_backing_store() -> None:
    plan = ProtectionPlan.uniform_msb(STARTS, 8, 2, "secded-72-64")
    schedule = Schedule(horizon_s=1e-3, refresh_interval_s=100e-6, scrub_interval_s=0.5e-3, on_uncorrectable="reload")
    timeline = run(plan, schedule)
    assert timeline.counts.over_horizon.reloaded == timeline.counts.over_horizon.uncorrectable > 0
    assert timeline.energy_j["backing"] == (8192 * 8 + timeline.counts.over_horizon.reloaded * 64) * 0.125
