"""Bank time by kind of command and stalls by layer, against hand counts and the simulated log."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qtaml_hw.memory import ArrayGeometry, Memory, Phase, Schedule
from qtaml_hw.memory.traffic.schedule import RefreshMode
from qtaml_hw.memory.traffic.usage import bank_use, layer_reads, read_stalls
from qtaml_hw.protection import ProtectionPlan

SIZES = (4096, 8192)
STARTS = np.concatenate([[0], np.cumsum(SIZES)])
CODES = tuple(np.zeros(n, dtype=np.uint8) for n in SIZES)


def memory(schedule: Schedule, plan: ProtectionPlan | None = None, **geometry: Any) -> Memory:
    array = ArrayGeometry(**{"banks": 4, "row_bits": 1024, "word_bits": 64, "cycle_s": 2e-9} | geometry)
    return Memory(CODES, 8, plan or ProtectionPlan.unprotected(STARTS, 8), array, schedule)


def test_shares_of_a_plain_schedule_are_those_of_the_closed_form() -> None:
    plan = ProtectionPlan.uniform_msb(STARTS, 8, 2, "secded-72-64")  # 384 words: 96 per bank
    chip = memory(
        Schedule(horizon_s=1e-3, refresh_interval_s=10e-6, scrub_interval_s=50e-6, inferences_per_s=1e4), plan
    )
    use = bank_use(chip.layout, chip.schedule, chip.log, (5e-6, 505e-6))
    pass_s = chip.layout.pass_s(0)
    assert pass_s == pytest.approx((96 + 3) * 1.0 * 2e-9 / 4, rel=0.1)  # 99 rows over four banks
    assert use.refresh[0] == pytest.approx(pass_s / 10e-6)
    codec_s = (0.3084 + 0.6747) * 1e-9  # encode and decode of (72,64): one decoder takes 96 words in turn
    accesses = (8 * 12288 + 384 * 8) / 64 / 4  # of a bank: all planes of the weights, and the check bits
    assert use.scrub[0] == pytest.approx((2 * accesses * 2e-9 + 96 * codec_s) / 50e-6)
    words = int(chip.layout.bank_words.sum())
    assert use.read[0] == pytest.approx(words * 2e-9 * 1e4 / 4)
    assert use.available[0] == pytest.approx(1 - use.refresh[0] - use.scrub[0])


def test_a_dark_phase_and_the_reload_after_it_take_availability() -> None:
    chip = memory(Schedule(horizon_s=1e-3, phases=(Phase(2e-4, 7e-4, "off", powered=False),)))
    use = bank_use(chip.layout, chip.schedule, chip.log, (0.0, 2e-4, 7e-4, 1e-3))
    assert use.dark.tolist() == pytest.approx([0.0, 1.0, 0.0])
    assert use.write[2] == pytest.approx(384 * 2e-9 / 3e-4)  # 1,536 access words over four banks
    assert use.available.tolist() == pytest.approx([1.0, 0.0, 1.0 - 384 * 2e-9 / 3e-4])


@pytest.mark.parametrize("mode", ["burst", "staggered"])
def test_stalls_by_layer_add_up_to_what_the_simulation_counted(mode: RefreshMode) -> None:
    schedule = Schedule(horizon_s=2e-3, refresh_interval_s=0.3e-6, refresh_mode=mode, inferences_per_s=3e4)
    chip = memory(schedule, banks=1, rows_refreshed_together=4)
    traffic = layer_reads(chip.layout, chip.schedule, chip.log)
    inferences = len(chip.log.inference_s)
    assert inferences == 60
    stalls, stall_s = read_stalls(chip.layout, chip.schedule, chip.log)
    assert 0 < stalls <= 2 * inferences
    assert traffic.stall_s.sum() * inferences == pytest.approx(stall_s, rel=1e-6)
    assert traffic.read_s.sum() == pytest.approx(chip.log.inference_s.mean(), rel=0.05)  # less waits
    quiet = memory(Schedule(horizon_s=2e-3, inferences_per_s=3e4), banks=1)
    assert layer_reads(quiet.layout, quiet.schedule, quiet.log).stall_s == pytest.approx([0.0, 0.0], abs=1e-15)


def test_nothing_read_is_nothing_spent() -> None:
    chip = memory(Schedule(horizon_s=1e-3))
    traffic = layer_reads(chip.layout, chip.schedule, chip.log)
    assert traffic.read_s.tolist() == traffic.stall_s.tolist() == [0.0, 0.0]
    use = bank_use(chip.layout, chip.schedule, chip.log, (0.0, 1e-3))
    assert use.available.tolist() == [1.0]
