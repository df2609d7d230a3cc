"""Planes in stronger cells or refreshed faster: one population behind the plan and the simulated memory."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import qtaml_hw as q
from qtaml_hw import device
from qtaml_hw.channel import FlipChannel, Keeping
from qtaml_hw.config import Study
from qtaml_hw.device.of_study import build_cell
from qtaml_hw.memory import ArrayGeometry, Memory, Phase, Schedule
from qtaml_hw.protection import ProtectionPlan, entry
from qtaml_hw.study.design.cells.cell import view_cell
from tests import studies
from tests.memory.brute_force import UniformLife

CELL = (
    "{{kind: gain_cell, t_ox: {t_ox} nm, v_dd: 1.0 V, v_ref: 0.5 V, temperature: 85 degC, storage_capacitance: 1 fF, "
    "gate_area: 0.0078 um2, overlap_area: 0.0054 um2, i_sub: 0.12 pA, i_sub_activation: 0.50 eV, sigma_t_ox: 2 %, "
    "sigma_t_ox_die: {die} %, sigma_v_th: 40 mV, subthreshold_n: 1.5, write_device: nmos}}"
)
WEIGHTS = 200_000
ONES = (np.full(WEIGHTS, 255, dtype=np.uint8),)  # every bit can be lost


def cell_of(t_ox: float, interval: str, die: float = 0.0, **sections: str) -> Study:
    return studies.study(cell=CELL.format(t_ox=t_ox, die=die), refresh=f"{{interval: {interval}}}", **sections)


def kept(study: Study, name: str) -> FlipChannel:
    """What the allocator goes by."""
    keeping = entry(name).keeping
    assert keeping is not None
    return view_cell(study, 8).channel.under(keeping)


def flips(study: Study, name: str, interval_s: float | None, **schedule: Any) -> int:
    """Lost bits of ones that are all kept so, in the simulated memory."""
    plan = ProtectionPlan.uniform_msb([0, WEIGHTS], 8, 8, name)
    work = Schedule(**{"horizon_s": 1e-3, "refresh_interval_s": interval_s, "sample_times_s": (1e-3,)} | schedule)
    chip = Memory(ONES, 8, plan, ArrayGeometry(banks=32), work)
    return int(view_cell(study, 8).live(chip, 3, 0).flips_raw[-1])


@pytest.mark.parametrize(
    ("t_ox", "interval", "p", "twice", "four_times"),
    [
        (1.8, "10 us", 0.145, 2.3e-3, 4.9e-6),
        (1.9, "10 us", 2.5e-3, 6.1e-5, 1.1e-6),
        (2.0, "40 us", 0.13, 1.4e-2, 9.5e-4),
        (2.2, "40 us", 0.059, 8.5e-3, 6.9e-4),
    ],
)
def test_faster_refresh_leaves_what_the_population_loses_in_a_shorter_interval(
    t_ox: float, interval: str, p: float, twice: float, four_times: float
) -> None:
    """Numbers of an independent integral over the cells; a lognormal of one spread was up to four decades off."""
    study = cell_of(t_ox, interval)
    assert view_cell(study, 8).channel.p10 == pytest.approx(np.full(8, p), rel=0.03)
    population = device.population(build_cell(study))
    for name, factor, left in (("refresh-2x", 2.0, twice), ("refresh-4x", 4.0, four_times)):
        planned = kept(study, name)
        assert planned.p10 == pytest.approx(np.full(8, left), rel=0.03)
        assert planned.p10[0] == population.flip_probability(study.refresh.intervals_s[0] / factor)  # type: ignore[operator]
        assert not planned.p01.any()


def test_a_robust_cell_loses_what_the_same_cell_with_more_oxide_loses() -> None:
    """1.8 nm, 85 degC, 10 us: 9.5e-4 of the ones, where a constant factor of 9.2 on the lifetime left none."""
    study = cell_of(1.8, "10 us")
    thicker = device.population(replace(build_cell(study), t_ox_m=2.0e-9))
    planned = kept(study, "robust-cell")
    assert planned.p10[0] == pytest.approx(9.5e-4, rel=0.02)
    assert planned.p10[0] == thicker.flip_probability(10e-6)
    expected = 8 * WEIGHTS * float(planned.p10[0])
    assert abs(flips(study, "robust-cell", 10e-6) - expected) < 5.0 * np.sqrt(expected)
    assert flips(study, "refresh-2x", 10e-6) == flips(study, "none", 5e-6) > 0


def test_what_nothing_refreshes_is_no_better_for_a_faster_refresh() -> None:
    plan = ProtectionPlan.uniform_msb([0, 96], 8, 8, "refresh-4x")
    codes, cells = (np.full(96, 255, dtype=np.uint8),), UniformLife(100e-6)
    idle = (Phase(20e-6, 60e-6, "idle", refresh=False),)
    found = {}
    for interval_s, phases in ((None, ()), (5e-6, idle)):
        work = Schedule(40e-6, interval_s, sample_times_s=(20e-6, 40e-6)) if not phases else Schedule(
            80e-6, interval_s, sample_times_s=(18e-6, 60e-6), phases=phases
        )  # fmt: skip
        for name in ("none", "refresh-4x"):
            chosen = plan if name != "none" else ProtectionPlan.unprotected([0, 96], 8)
            found[bool(phases), name] = Memory(codes, 8, chosen, ArrayGeometry(), work).run(cells, seed=1).flips_raw
    assert found[False, "none"].tolist() == found[False, "refresh-4x"].tolist()
    first, last = found[True, "none"], found[True, "refresh-4x"]
    assert last[0] < first[0]  # while refresh runs
    assert 0.3 * 768 < last[1] <= first[1]  # 40 us of 100 us without any
    study = cell_of(1.8, "off", evaluate="{at: [20 us], images: 100, maps: {min: 2, max: 2}}")
    assert kept(study, "refresh-4x").p10.tolist() == view_cell(study, 8).channel.p10.tolist()


def test_a_plan_over_dies_asks_every_die_for_its_own_stronger_cells() -> None:
    study = cell_of(1.8, "10 us", die=1.33)
    view, cell = view_cell(study, 8), build_cell(study)
    thick = replace(cell, t_ox_m=2.0e-9)
    mean = sum(
        share * float(device.population(thick, die).flip_probability(10e-6)) for share, die in device.dies_of_lot(cell)
    )
    assert kept(study, "robust-cell").p10[0] == pytest.approx(mean, rel=1e-12)
    plan = ProtectionPlan.uniform_msb([0, 10], 8, 1, "robust-cell")
    assert plan.residual(view.channel)[1][0, 7] == pytest.approx(mean, rel=1e-12)
    chip = view.channel_of_chip(5, 2).under(Keeping(more_oxide_m=0.2e-9)).p10[0]
    model = view.of_chip(5, 2).under(Keeping(more_oxide_m=0.2e-9)).model
    assert isinstance(model, device.RetentionPopulation)
    assert chip == model.flip_probability(10e-6)


def test_faster_rows_are_refreshed_counted_and_paid_for() -> None:
    """Two of eight planes at four times the rate: their own whole rows in the log, the energy and the banks' time."""
    plain = studies.design()
    uniform = "{policy: uniform, planes: 2, menu: [refresh-4x], correction: none}"
    design = studies.design(array="{placement: plane_separated}", protection=uniform)
    layout, per_plane = design.chip.layout, math.ceil(math.ceil(design.image.weights / 8) / 1024)
    assert layout.rows_per_lane.tolist() == [per_plane] * 6 + [0, 0] + [per_plane] * 2
    rows = {lane: sum(int(n.sum()) for n in design.chip.log.refresh_rows[lane :: layout.lanes]) for lane in range(10)}
    assert [rows[lane] / (8 * per_plane) for lane in range(10)] == [100] * 6 + [0, 0] + [400, 400]
    row_j = plain.facts["refresh_energy_j"] / (8 * 100 * plain.chip.layout.rows_per_group[0])
    whole_rows = 8 * per_plane / plain.chip.layout.rows_per_group[0]  # a bank's energy is spread over its rows
    expected = row_j / whole_rows * 8 * per_plane * (6 * 100 + 2 * 400)
    assert design.facts["refresh_energy_j"] == pytest.approx(expected, rel=1e-9)
    assert sum(design.facts["energy_series_j"]["refresh"]) == pytest.approx(expected, rel=0.01)  # the last pass queues
    share = per_plane * layout.cycle_s * (6 + 8) / 10e-6
    assert design.facts["refresh_bandwidth_share"] == pytest.approx(share, rel=0.01)


def test_the_table_asks_the_studys_cell_and_the_default_one_without_a_study() -> None:
    study = cell_of(1.8, "10 us")
    own, at_p = q.ecc_table(study, p=[0.05], codes=["robust-cell"])
    assert own.residual_p == pytest.approx(0.5 * 9.5e-4, rel=0.02)
    population = device.population(build_cell(study))
    at_s = float(population.retention_quantile(0.10))  # half of the bits are ones
    thicker = device.population(replace(build_cell(study), t_ox_m=2.0e-9))
    assert at_p.residual_p == pytest.approx(0.5 * float(thicker.flip_probability(at_s)), rel=1e-9)
    (row,) = q.ecc_table(p=[0.05], codes=["refresh-2x"])
    assert 0.0 < row.residual_p < 0.01
    assert "gain-cell-65nm at 85 degC" in row.source
    fixed = studies.study(flips="{law: fixed, p: 0.1}")
    with pytest.raises(q.InputError, match="there is none here: stated by the study"):
        q.ecc_table(fixed, codes=["robust-cell"])
