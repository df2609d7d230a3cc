"""Rows refreshed by their weakest cell: nothing more is lost; rows per bin and energy in closed form; limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qtaml_hw.memory import (
    ArrayGeometry,
    Memory,
    Phase,
    PoissonCells,
    RetentionAware,
    Schedule,
    planned_flip_probability,
)
from qtaml_hw.memory.traffic.schedule import RefreshMode
from qtaml_hw.protection import ProtectionPlan
from tests.memory.brute_force import UniformLife

GEOMETRY = ArrayGeometry(banks=4, row_bits=1024, cycle_s=1e-9)
CODES = tuple(np.random.default_rng(7).integers(0, 256, n, dtype=np.uint8) for n in (40_000, 25_536))
STARTS = np.cumsum([0] + [c.size for c in CODES])  # 65,536 weights: 128 full rows in each of 4 banks
BARE = ProtectionPlan.unprotected(STARTS, 8)
SECDED = ProtectionPlan.uniform_msb(STARTS, 8, 2, "secded-72-64")
INTERVAL_S, LONGEST_S = 10e-6, 0.1  # P(t_ret < k x 10 us) = k x 1e-4
PLAIN = Schedule(horizon_s=1e-3, refresh_interval_s=INTERVAL_S, ecc_aware_refresh=False, sample_times_s=(1e-3,))
AWARE = replace(PLAIN, retention_aware=RetentionAware((2, 4)))
CELL = UniformLife(LONGEST_S)


def memory(schedule: Schedule, plan: ProtectionPlan = BARE, geometry: ArrayGeometry = GEOMETRY) -> Memory:
    return Memory(CODES, 8, plan, geometry, schedule)


def outlive(multiple: int, cells: int = 1024) -> float:
    """P(no cell of a row is lost within so many intervals)."""
    return (1.0 - multiple * INTERVAL_S / LONGEST_S) ** cells


@pytest.mark.parametrize("plan", [BARE, SECDED], ids=["bare", "secded"])
@pytest.mark.parametrize("mode", ["burst", "staggered"])
def test_it_loses_the_cells_that_plain_refresh_loses_and_no_other(plan: ProtectionPlan, mode: RefreshMode) -> None:
    for map_index in range(3):
        plain, aware = (
            memory(replace(s, refresh_mode=mode), plan).run(CELL, seed=3, map_index=map_index) for s in (PLAIN, AWARE)
        )
        for a, b in zip(plain.read_out[0], aware.read_out[0], strict=True):
            np.testing.assert_array_equal(a, b)
        assert aware.flips_raw[0] == plain.flips_raw[0] > 0
        assert aware.energy_j["refresh"] < 0.9 * plain.energy_j["refresh"]


def test_passes_of_other_classes_delay_a_row_by_less_than_they_last() -> None:
    """Classes due at one tick queue, and how many rows are due differs from tick to tick: at most 8 x 16 ns."""
    geometry = replace(GEOMETRY, placement="plane_separated")
    plain, aware = (memory(s, BARE, geometry).run(CELL, seed=3) for s in (PLAIN, AWARE))
    ones = sum(int(np.unpackbits(c).sum()) for c in CODES)
    bound = ones * 128e-9 / LONGEST_S
    more = 0
    for a, b, c in zip(plain.read_out[0], aware.read_out[0], CODES, strict=True):
        assert not np.any((a ^ c) & ~(b ^ c))
        more += int(np.unpackbits(a ^ b).sum())
    assert more <= bound + 4 * np.sqrt(bound) + 1


def test_rows_per_bin_follow_the_probability_that_no_cell_is_weak() -> None:
    chip, maps, rows = memory(AWARE), 16, 4 * 128
    share, saved = [], []
    for m in range(maps):
        log = chip.run(CELL, seed=5, map_index=m).log
        first, second = (sum(int(r[0 if n == 1 else n - 1]) for r in log.refresh_rows) for n in (1, 2))
        share.append((first / rows, second / rows))  # tick 1: rows of bin 1; tick 2: those of bins 1 and 2
        saved.append(sum(int(r.sum()) for r in log.refresh_rows) / (rows * 100))
    for found, p in zip(np.mean(share, axis=0), (1 - outlive(2), 1 - outlive(4)), strict=True):
        assert abs(found - p) < 4 * np.sqrt(p * (1 - p) / (rows * maps))
    expected = 1 - outlive(2) + (outlive(2) - outlive(4)) / 2 + outlive(4) / 4
    assert abs(np.mean(saved) - expected) < 4 * 0.375 / np.sqrt(rows * maps)  # a row counts 1, 1/2 or 1/4


def test_plans_count_the_expected_rows() -> None:
    planned = memory(replace(AWARE, retention_aware=RetentionAware((2, 4), cell=CELL)))
    expected = 1 - outlive(2) + (outlive(2) - outlive(4)) / 2 + outlive(4) / 4
    np.testing.assert_allclose(planned.array.row_refresh_hz * INTERVAL_S, expected, atol=1 / 128)
    passes = sum(int(r.sum()) for r in planned.log.refresh_rows) / (4 * 128 * 100)
    np.testing.assert_allclose(passes, expected, atol=1 / 128)
    assert memory(PLAIN).array.row_refresh_hz.tolist() == [1 / INTERVAL_S]


def test_empty_rows_wait_longest() -> None:
    geometry = replace(GEOMETRY, capacity_bits=4 * 2 * 128 * 1024)  # twice the image
    log = memory(AWARE, geometry=geometry).run(CELL, seed=5).log
    assert {int(r[3]) for r in log.refresh_rows} == {256}
    assert all(int(r[0]) < 128 for r in log.refresh_rows)


def test_a_margin_covers_a_hot_phase_and_without_it_cells_are_lost() -> None:
    """Retention times halve in the phase: rows that wait 4 intervals meet cells that live for 2 to 4 of them."""
    hot = (Phase(2e-4, 8e-4, "hot", UniformLife(LONGEST_S / 2)),)
    plain = memory(replace(PLAIN, phases=hot)).run(CELL, seed=3)
    flips = {}
    for margin in (1.0, 2.0):
        aware = replace(AWARE, phases=hot, retention_aware=RetentionAware((2, 4), margin))
        flips[margin] = memory(aware).run(CELL, seed=3).flips_raw[0]
    assert flips[2.0] == plain.flips_raw[0]
    ones, rows = sum(int(np.unpackbits(c).sum()) for c in CODES), 4 * 128
    in_bins = {2: outlive(2) - outlive(4), 4: outlive(4)}
    # given that a row has no cell below k intervals, its cells between k and 2 k are lost in the heat
    lost = sum(share * ones * (m * 1e-4) / (1 - m * 1e-4) for m, share in in_bins.items())
    assert abs(flips[1.0] - plain.flips_raw[0] - lost) < 5 * np.sqrt(lost) + 0.1 * lost
    assert rows


def test_memoryless_cells_have_no_weakest() -> None:
    with pytest.raises(ValueError, match=r"under the law poisson no cell is weaker.*needs the law retention"):
        memory(AWARE).run(PoissonCells(1.0), seed=1)


def test_streamed_weights_have_no_rows_of_their_own() -> None:
    small = replace(GEOMETRY, capacity_bits=450_000, backing_bits_per_s=1e11)
    with pytest.raises(ValueError, match="2 of 2 tensors are streamed"):
        memory(AWARE, geometry=small).run(CELL, seed=1)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"multiples": (4, 2)}, "ascend"), ({"multiples": (1, 2)}, "from 2 on"), ({"margin": 0.5}, "at least 1")],
)
def test_bad_bins_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RetentionAware(**change)


@pytest.mark.parametrize("cell", [UniformLife(1e-3), PoissonCells(300.0)], ids=["retention", "poisson"])
@pytest.mark.parametrize("updates", [(), (4e-4,)], ids=["written once", "updated"])
def test_plans_see_the_probability_that_the_memory_shows(
    cell: UniformLife | PoissonCells, updates: tuple[float, ...]
) -> None:
    """Closed form over phases, updates and refresh classes against the simulated memory, 4 sigma."""
    other = UniformLife(3e-4) if isinstance(cell, UniformLife) else PoissonCells(900.0)
    phases = (Phase(1e-4, 2e-4, "idle", refresh=False), Phase(5e-4, 9e-4, "hot", other))
    schedule = Schedule(horizon_s=1e-3, refresh_interval_s=(40e-6, 10e-6, None), sample_times_s=(1e-3,), phases=phases,
                        reload_times_s=updates)  # fmt: skip
    planes = (0, 0, 0, 0, 1, 1, 1, 2)
    geometry = replace(GEOMETRY, placement="plane_separated", plane_class=planes)
    timeline = memory(schedule, geometry=geometry).run(cell, seed=4)
    planned = planned_flip_probability(cell, schedule)
    for plane, row_class in enumerate(planes):
        ones = sum(int(np.count_nonzero(c >> plane & 1)) for c in CODES)
        lost = sum(
            int(np.count_nonzero((r ^ c) >> plane & 1)) for r, c in zip(timeline.read_out[0], CODES, strict=True)
        )
        p = planned[row_class]
        assert abs(lost - ones * p) < 4 * np.sqrt(ones * p * (1 - p)) + 1e-9


def test_cells_of_a_chip_in_its_phases_take_the_place_of_the_phases_own() -> None:
    hot = UniformLife(LONGEST_S / 7)
    with_cells, without = (
        memory(
            replace(PLAIN, phases=(Phase(1e-4, 1.2e-4, "idle", None, refresh=False), Phase(2e-4, 9e-4, "hot", cell)))
        )
        for cell in (hot, None)
    )
    own = with_cells.run(CELL, seed=3)
    given = without.run(CELL, seed=3, phase_cells=(None, hot))
    assert own.flips_raw[0] == given.flips_raw[0] > without.run(CELL, seed=3).flips_raw[0]
    as_outside = with_cells.run(CELL, seed=3, phase_cells=(None, None))
    assert as_outside.flips_raw[0] == without.run(CELL, seed=3).flips_raw[0]  # not what the phases' cells left before
    with pytest.raises(ValueError, match="1 cells are given for 2 phases"):
        without.run(CELL, seed=3, phase_cells=(hot,))
