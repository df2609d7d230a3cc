"""Sparse draws of weak cells: the same distribution as drawing every cell."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

from qtaml_hw.device import draw_die, population
from qtaml_hw.faults import MapKey, weak_cells
from tests.device.cells import gain_cell
from tests.device.weak_draw import draw_weak_cells

CELLS = 2_000_000


def test_count_positions_and_times_follow_the_population() -> None:
    cell, cells = gain_cell(), population(gain_cell())
    longest = float(cells.retention_quantile(2e-3))
    drawn = draw_weak_cells(cell, CELLS, longest, seed=1)
    assert abs(drawn.position.size - 2e-3 * CELLS) < 5.0 * np.sqrt(2e-3 * CELLS)
    assert np.all(np.diff(drawn.position) > 0)
    assert drawn.retention_s.max() < longest * (1 + 1e-9)
    assert kstest(drawn.position / CELLS, "uniform").pvalue > 1e-6
    assert kstest(cells.flip_probability(drawn.retention_s) / 2e-3, "uniform").pvalue > 1e-6


def test_cells_of_the_engine_are_as_those_drawn_one_by_one() -> None:
    """The simulated memory takes a cell's retention time as the population's quantile of its uniform."""
    cell, cells = gain_cell(), population(gain_cell())
    longest = float(cells.retention_quantile(2e-3))
    drawn = draw_weak_cells(cell, CELLS, longest, seed=1)
    engine = weak_cells(CELLS, 7, 2e-3, MapKey(1))
    assert abs(len(engine.u) - drawn.position.size) < 5.0 * np.sqrt(2.0 * 2e-3 * CELLS)
    assert ks_2samp(drawn.retention_s, cells.retention_quantile(engine.u)).pvalue > 1e-6
    assert ks_2samp(drawn.position, engine.position).pvalue > 1e-6


def test_reproducible_and_different_between_chips() -> None:
    cell = gain_cell(sigma_t_ox_die=0.02)
    one, same, other = (draw_weak_cells(cell, 100_000, 1e-5, seed=4, map_index=i) for i in (0, 0, 1))
    np.testing.assert_array_equal(one.position, same.position)
    np.testing.assert_array_equal(one.retention_s, same.retention_s)
    assert other.position.size != one.position.size


def test_die_offsets_have_the_stated_spread() -> None:
    cell = gain_cell(sigma_t_ox_die=0.02, sigma_v_th_die_v=0.015)
    dies = [draw_die(cell, seed=9, map_index=i) for i in range(800)]
    for values, sigma in (([d.t_ox_fraction for d in dies], 0.02), ([d.v_th_v for d in dies], 0.015)):
        assert np.std(values) == pytest.approx(sigma, rel=5.0 / np.sqrt(2 * 800))
        assert abs(np.mean(values)) < 5.0 * sigma / np.sqrt(800)


def test_gradient_puts_the_weak_cells_on_the_thin_side_and_keeps_their_number() -> None:
    cell = gain_cell(t_ox_gradient=0.04)
    longest = float(population(cell).retention_quantile(2e-3))
    drawn = draw_weak_cells(cell, CELLS, longest, seed=3)
    assert abs(drawn.position.size - 2e-3 * CELLS) < 5.0 * np.sqrt(2e-3 * CELLS) + 0.01 * 2e-3 * CELLS
    thin = np.count_nonzero(drawn.position < CELLS // 2)
    assert thin > 0.7 * drawn.position.size
    assert np.all(np.diff(drawn.position) > 0)
