"""The lazy simulation against a model that ages every bit at every event, over random memories and schedules."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qtaml_hw.arrays import Codes
from qtaml_hw.device import RetentionPopulation, charge_population
from qtaml_hw.memory import (
    ArrayGeometry,
    Cells,
    FixedCells,
    Memory,
    Phase,
    PoissonCells,
    RetentionAware,
    RetentionLaw,
    Schedule,
)
from qtaml_hw.memory.ageing.laid_out import Update
from qtaml_hw.names import WriteDevice
from qtaml_hw.protection import ProtectionPlan
from tests.device.cells import gain_cell
from tests.memory.brute_force import BruteForce, Cell, UniformLife, strong

MENU = ("none", "ideal", "secded-8-4", "repeat-3", "parity-zero", "secded-13-8", "robust-cell", "refresh-2x")
EXAMPLES = int(os.environ.get("QTAML_BRUTE_EXAMPLES", "60"))


def random_plan(rng: np.random.Generator, sizes: list[int], planes: int) -> ProtectionPlan:
    starts = np.concatenate([[0], np.cumsum(sizes)])
    edges = sorted({*starts.tolist(), *rng.integers(1, starts[-1], 3).tolist()})
    menu = ("none", *rng.choice(MENU[1:], size=rng.integers(1, 4), replace=False).tolist())
    choice = rng.integers(0, len(menu), (len(edges) - 1, planes)) * (rng.random((len(edges) - 1, planes)) < 0.7)
    return ProtectionPlan(np.array(edges), starts, "word", "random", menu, choice.astype(np.uint8))


def random_geometry(rng: np.random.Generator, planes: int) -> ArrayGeometry:
    separated = bool(rng.integers(2))
    classes = tuple(int(b >= planes - 2) for b in range(planes)) if rng.integers(2) else ()
    return ArrayGeometry(
        banks=int(rng.integers(1, 4)), row_bits=16, word_bits=16, cycle_s=1e-9,
        interleave=("block", "word")[rng.integers(2)], placement="plane_separated" if separated else "row_major",
        plane_class=classes if separated else (), destructive_read=bool(rng.integers(2)),
    )  # fmt: skip


def random_phases(rng: np.random.Generator, cell: Cell, horizon_s: float) -> tuple[Phase, ...]:
    """Up to two stretches at another temperature, without refresh, or without power."""
    cuts = np.sort(rng.uniform(0, horizon_s, 4)).tolist()
    phases = []
    for start, end in ((cuts[0], cuts[1]), (cuts[2], cuts[3]))[: rng.integers(3)]:
        factor = float(10 ** rng.uniform(-1, 1))
        other: Cell | None = None
        if isinstance(cell, UniformLife):
            other = UniformLife(cell.longest_s * factor, cell.leaky_state)
        elif isinstance(cell, PoissonCells):
            other = PoissonCells(cell.rate_per_s * factor, cell.leaky_state)
        elif isinstance(cell, RetentionPopulation):
            other = held_at(cell.origin.cell.t_ox_m, cell.leaky_state, float(rng.choice([338.15, 378.15, 398.15])))
        phases.append(Phase(start, end, "other", other, bool(rng.integers(2)), powered=bool(rng.random() < 0.7)))
    return tuple(phases)


@cache
def held_at(t_ox_m: float, leaky: int, temperature_k: float) -> RetentionPopulation:
    """Gain cells whose order of retention times changes with temperature."""
    device: WriteDevice = "nmos" if leaky else "pmos"
    return charge_population(gain_cell(t_ox_m=t_ox_m, write_device=device, temperature_k=temperature_k))


def random_schedule(rng: np.random.Generator, classes: int, cell: Cell) -> Schedule:
    horizon = 20e-6
    phases = random_phases(rng, cell, horizon)
    dark = [(p.start_s, p.end_s) for p in phases if not p.powered]
    samples = [t for t in rng.uniform(0, horizon, rng.integers(1, 4)).tolist() if not any(a <= t < b for a, b in dark)]
    interval = tuple(float(x) for x in rng.uniform(0.8e-6, 9e-6, classes))
    refresh = (None, interval[0], interval)[rng.integers(3)]
    rate = float(rng.choice([0.0, 2e5]))
    reloads = rng.uniform(0, horizon, rng.integers(0, 3)).tolist() if rng.integers(2) else []
    if rate and rng.integers(2):  # a rewrite that some banks wait with, and a reading before the last of them
        during = 5e-6 * int(rng.integers(4)) + float(rng.uniform(0, 10e-9))
        reloads.append(during)
        between = during + float(rng.uniform(0, 8e-9))
        samples += [between] * (not any(a <= between < b for a, b in dark))
    return Schedule(
        horizon_s=horizon, refresh_interval_s=refresh, refresh_mode=("burst", "staggered")[rng.integers(2)],
        ecc_aware_refresh=bool(rng.integers(2)), scrub_interval_s=(None, float(rng.uniform(1.5e-6,
        9e-6)))[rng.integers(2)], sample_times_s=tuple(sorted(samples)),
        phases=phases,
        on_uncorrectable=(None, "raw", "zero", "reload")[rng.integers(4)],
        inferences_per_s=rate,
        reload_times_s=tuple(sorted(reloads)),
        retention_aware=random_bins(rng) if isinstance(cell, RetentionLaw) and refresh is not None else None,
    )  # fmt: skip


def random_bins(rng: np.random.Generator) -> RetentionAware | None:
    multiples = ((2,), (2, 4), (3, 5), (2, 3, 6))[rng.integers(4)]
    return RetentionAware(multiples, float(rng.choice([1.0, 1.3]))) if rng.integers(2) else None


def random_updates(
    rng: np.random.Generator, schedule: Schedule, codes: tuple[Codes, ...], planes: int
) -> tuple[Update, ...]:
    """New weights at some of the rewrites."""
    times = [t for t in schedule.reload_times_s if rng.random() < 0.7]
    return tuple((t, tuple(rng.integers(0, 2**planes, c.size).astype(c.dtype) for c in codes)) for t in times)


def random_cell(rng: np.random.Generator, planes: int) -> Cell:
    leaky = int(rng.integers(2))
    kind = rng.integers(5)
    if kind == 0:
        return FixedCells(rng.uniform(0, 0.4, planes), float(rng.uniform(0, 0.4)))
    if kind == 1:
        return PoissonCells(float(10 ** rng.uniform(3, 5.5)), leaky)
    if kind == 2:
        return held_at(float(rng.choice([1.7e-9, 1.8e-9, 1.9e-9])), leaky, 358.15)
    return UniformLife(float(10 ** rng.uniform(-5.5, -3.5)), leaky)


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**32 - 1))
@example(500293)  # words across banks, read while one bank holds new weights and another the old ones
def test_agrees_event_by_event_with_a_model_that_ages_every_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    planes = int(rng.choice([4, 8]))
    sizes = rng.integers(2, 14, rng.integers(1, 4)).tolist()
    codes = tuple(rng.integers(0, 2**planes, n).astype(np.uint8) for n in sizes)
    plan, geometry = random_plan(rng, sizes, planes), random_geometry(rng, planes)
    cell = random_cell(rng, planes)
    schedule = random_schedule(rng, int(geometry.classes_of(planes).max()) + 1, cell)
    bits = planes * sum(sizes) + plan.parity_bits
    if schedule.retention_aware is None and rng.random() < 0.3 and bits > geometry.banks * geometry.row_bits:
        capacity = int(rng.integers(geometry.banks * geometry.row_bits, bits))
        geometry = replace(geometry, capacity_bits=capacity, backing_bits_per_s=float(10 ** rng.uniform(8.3, 9.5)),
                           backing_latency_s=float(rng.choice([0.0, 20e-9])))  # fmt: skip
    zero, updates = int(rng.choice([0, 2 ** (planes - 1)])), random_updates(rng, schedule, codes, planes)
    memory = Memory(codes, planes, plan, geometry, schedule, zero_code=zero, updates=updates)
    map_index = int(rng.integers(4))
    in_phases = tuple(None if p.cell is None else strong(p.cell) for p in schedule.phases)
    cells = Cells(cell, kept=lambda _: Cells(strong(cell), in_phases))
    timeline = memory.run(cells, seed=seed, map_index=map_index)
    brute = BruteForce(memory, cell, seed, map_index, timeline.log)
    brute.check_passes()
    for s, expected in enumerate(brute.run()):
        for got, want in zip(timeline.read_out[s], expected["codes"], strict=True):
            np.testing.assert_array_equal(got, want)
        found = {
            "read": timeline.flips_read[s],
            "data": timeline.flips_data[s],
            "parity": timeline.flips_parity[s],
            "corrected": timeline.words_corrected[s],
            "uncorrectable": timeline.words_uncorrectable[s],
        }
        assert found == {k: expected[k] for k in found}
        assert timeline.counts.corrections[s].tolist() == expected["so_far"]
    assert brute.counts == {
        "scrub": timeline.counts.over_horizon.scrub_corrected,
        "refresh": timeline.counts.over_horizon.refresh_corrected,
        "uncorrectable": timeline.counts.over_horizon.uncorrectable,
        "reloaded": timeline.counts.over_horizon.reloaded,
    }
