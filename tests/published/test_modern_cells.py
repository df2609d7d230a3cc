"""Cells above logic and below 22 nm: an oxide-semiconductor memory, a FinFET one, areas of published cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qtaml_hw.config import parse_study
from qtaml_hw.device import GainCell, charge_population, fin_gate_area, lot_population, sheet_gate_area
from qtaml_hw.device.of_study import build_cell
from qtaml_hw.memory import ArrayGeometry, Memory, Schedule, bit_cells
from qtaml_hw.memory.array.bitcells import BIT_CELLS
from qtaml_hw.protection import ProtectionPlan


def cell_of(preset: str) -> GainCell:
    cell = build_cell(parse_study(f"cell: {{preset: {preset}}}"))
    assert isinstance(cell, GainCell)
    return cell


def test_igzo_holds_an_hour_below_the_published_off_current() -> None:
    """2T1C IGZO, 1 Mb (2017): over 1 h, off current below 1e-21 A; the fit of the preset, and what it leaves open."""
    cell = cell_of("gain-cell-60nm-igzo2017")
    assert cell.i_sub_a < 1e-21
    cells = lot_population(cell)
    assert float(cells.retention_quantile(1e-6)) == pytest.approx(3600.0, rel=0.01)
    at_bound = charge_population(replace(cell, i_sub_a=1e-21))
    assert 1e5 < at_bound.median_s < 1e6  # C dV / I = 6e5 s: the published bound alone is days
    assert cells.gate_share < 1e-6
    assert float(charge_population(replace(cell, i_sub_a=1e-18)).median_s) == pytest.approx(6e-16 / 1e-18, rel=0.02)


def test_finfet_gain_cell_at_its_published_time() -> None:
    """3T, 16 nm, 1 Mb (Giterman 2020): 77 us at 0.6 V; the share and the temperature are assumed."""
    cell = cell_of("gain-cell-16nm-finfet2020")
    assert float(charge_population(cell).retention_quantile(1e-3)) == pytest.approx(77e-6, rel=0.01)
    assert cell.gate_area_m2 == pytest.approx(fin_gate_area(1, 37e-9, 10e-9, 20e-9))
    assert float(cell.dielectric.thickness_m) == pytest.approx(4.4e-9, abs=0.05e-9)
    assert any("illustrative" in warning for warning in charge_population(cell).warnings)


def test_a_memory_of_hours_needs_no_refresh() -> None:
    """Flips by the hour follow the population, and a second reading loses the cells of the first and more."""
    cells = charge_population(cell_of("gain-cell-60nm-igzo2017"))
    codes = (np.full(400_000, 255, dtype=np.uint8),)
    times = (3600.0, 36_000.0, 360_000.0)
    plan = ProtectionPlan.unprotected(np.array([0, codes[0].size]), 8)
    schedule = Schedule(horizon_s=times[-1], sample_times_s=times)
    timeline = Memory(codes, 8, plan, ArrayGeometry(cycle_s=1e-9), schedule).run(cells, seed=4)
    bits = 8 * codes[0].size
    for time_s, lost in zip(times, timeline.flips_raw.tolist(), strict=True):
        expected = bits * float(cells.flip_probability(time_s))
        assert abs(lost - expected) < 5.0 * np.sqrt(expected + 1.0)
    (first,), (later,) = timeline.read_out[0], timeline.read_out[2]
    assert not np.any(later & ~first)
    assert timeline.refreshes == 0


def test_gated_width_of_fins_and_sheets() -> None:
    assert fin_gate_area(2, 40e-9, 8e-9, 20e-9) == pytest.approx(2 * 88e-9 * 20e-9)
    assert sheet_gate_area(3, 5e-9, 25e-9, 15e-9) == pytest.approx(3 * 60e-9 * 15e-9)
    for wrong in ((0, 40e-9, 8e-9, 20e-9), (1, -1e-9, 8e-9, 20e-9), (1, 40e-9, 0.0, 20e-9), (1, 40e-9, 8e-9, 0.0)):
        with pytest.raises(ValueError, match="at least one"):
            fin_gate_area(*wrong)


def test_published_cells_shrink_with_the_node_and_say_how_they_are_known() -> None:
    sram = [(c.node_m, c.area_m2) for c in BIT_CELLS if c.kind == "sram6t" and c.mark != "published"]
    assert [area for _, area in sorted(sram)] == sorted(area for _, area in sram)
    assert {c.mark for c in BIT_CELLS} == {"published", "secondary", "press"}
    assert all(c.mark == "press" for c in BIT_CELLS if c.node_m < 6e-9)
    (seven,) = bit_cells(7e-9)
    assert seven.area_m2 == pytest.approx(0.027e-12)
    assert len(bit_cells(22e-9, "edram1t1c")) == 2
    gain = bit_cells(7e-9, "gain_cell")
    assert min(c.area_m2 for c in gain) < seven.area_m2 < max(c.area_m2 for c in gain)


@pytest.mark.parametrize(("node_m", "kind", "needle"), [(10e-9, "sram6t", "7 nm"), (7e-9, "flash", "no such kind")])
def test_a_node_without_a_figure_has_none(node_m: float, kind: str, needle: str) -> None:
    with pytest.raises(ValueError, match=needle):
        bit_cells(node_m, kind)
