"""400,000 gain cells drawn one by one with their identity: the same cells at two temperatures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from qtaml_hw.arrays import Float64
from qtaml_hw.device import (
    CurrentModel,
    GainCell,
    KeptRanks,
    RetentionPopulation,
    charge_population,
    named_stack,
    stack_current_density,
)
from tests.device.cells import gain_cell

CELLS = 400_000
COOL_K, HOT_K = 358.15, 398.15


@dataclass(frozen=True)
class Drawn:
    """Standard normal deviates of the thickness and the threshold of every cell; equal cells are drawn equal."""

    thickness: Float64
    threshold: Float64

    def lives(self, cell: GainCell) -> Float64:
        """Retention time of every cell, its node integrated over 200 voltages."""
        edges = np.linspace(cell.v_ref_v, cell.v_dd_v, 201)
        voltage, step_v = 0.5 * (edges[1:] + edges[:-1]), edges[1] - edges[0]
        factor = np.linspace(0.85, 1.15, 301)
        gate = np.zeros((301, 200))
        for area_m2, model in (
            (cell.gate_area_m2, CurrentModel(component="channel")),
            (cell.overlap_area_m2, CurrentModel(component="overlap")),
        ):
            stack = named_stack(cell.stack, cell.t_ox_m).scaled(factor[:, None])
            gate += area_m2 * stack_current_density(stack, voltage, cell.temperature_k, model)
        arrhenius = np.exp(-cell.i_sub_activation_ev / 8.617333e-5 * (1.0 / cell.temperature_k - 1.0 / 298.15))
        swing_v = cell.subthreshold_n * 8.617333e-5 * cell.temperature_k
        current = np.logspace(-19.0, -7.0, 601)
        charge = cell.storage_capacitance_f * step_v
        table = np.log(charge * np.sum(1.0 / (gate[:, None, :] + current[:, None]), axis=-1))
        steady = np.log(cell.i_sub_a * arrhenius) - cell.sigma_v_th_v * self.threshold / swing_v
        row = np.clip((1.0 + cell.sigma_t_ox * self.thickness - 0.85) / 0.001, 0, 299.999)
        column = np.clip((steady - np.log(1e-19)) / np.log(10.0) * 50.0, 0, 599.999)
        i, j = row.astype(int), column.astype(int)
        a, b = row - i, column - j
        top, bottom = ((1 - b) * table[k, j] + b * table[k, j + 1] for k in (i, i + 1))
        return np.asarray(np.exp((1 - a) * top + a * bottom))


@cache
def two_temperatures(t_ox_nm: float) -> tuple[RetentionPopulation, RetentionPopulation, KeptRanks, Float64, Float64]:
    """Populations at 85 and 125 degC, the ranks of the same cells, and the times of 400,000 cells at both."""
    cells = [gain_cell(t_ox_m=t_ox_nm * 1e-9, temperature_k=t) for t in (COOL_K, HOT_K)]
    cool, hot = map(charge_population, cells)
    drawn = Drawn(*np.random.default_rng(20).standard_normal((2, CELLS)))
    kept = hot.kept_from(cool)
    assert kept is not None
    return cool, hot, kept, drawn.lives(cells[0]), drawn.lives(cells[1])


def near(found: float, share: float) -> bool:
    """Within four standard errors of a share of the cells drawn, and 3 % for the width of the strata."""
    return abs(found - share) < 4.0 * np.sqrt(max(share, 10.0 / CELLS) / CELLS) + 0.03 * share
