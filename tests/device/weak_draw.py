"""The cells of one chip drawn one by one, beside which populations and the engine's weak cells are put.

Only the few that can fail within the longest interval are drawn.

Cells are independent given the die, so the number that fails before t is binomial, their places are a uniform choice
without repetition, and their retention times are the population's quantiles of U p(t) with U uniform in (0, 1): the
same distribution as drawing every cell and keeping those below t, at the cost of the failing cells alone. A thickness
gradient across the die is followed in bands of cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.device import ChargeCell, Die, charge_population, draw_die

Array = NDArray[np.float64]

_BANDS: Final = 64  # thickness steps of 1/64 of the gradient: below 0.1 % for every accepted gradient of 5 %
_CELL_STREAM: Final = 2  # stream 1 draws the die


@dataclass(frozen=True, eq=False)
class WeakCellDraw:
    """Cells of one chip that fail within the longest interval: position (increasing, int64) and retention time."""

    position: NDArray[np.int64]
    retention_s: Array


def draw_weak_cells(
    cell: ChargeCell, cells: int, longest_interval_s: float, *, seed: int, map_index: int = 0
) -> WeakCellDraw:
    """The weak cells of one chip of ``cells`` cells, numbered along the thickness gradient.

    Reproducible from (seed, map_index).
    """
    die = draw_die(cell, seed=seed, map_index=map_index)
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, map_index, _CELL_STREAM))))
    bands = min(_BANDS, cells) if cell.t_ox_gradient else 1
    edges = np.linspace(0, cells, bands + 1).astype(np.int64)
    flat = replace(cell, t_ox_gradient=0.0)
    places, times = [], []
    for band in range(bands):
        slope = cell.t_ox_gradient * ((band + 0.5) / bands - 0.5)
        people = charge_population(flat, Die(die.t_ox_fraction + slope, die.v_th_v))
        share = float(people.flip_probability(longest_interval_s))
        size = int(edges[band + 1] - edges[band])
        count = int(generator.binomial(size, share))
        places.append(edges[band] + np.sort(generator.choice(size, count, replace=False)))
        times.append(people.retention_quantile(generator.random(count) * share))
    return WeakCellDraw(np.concatenate(places), np.concatenate(times))
