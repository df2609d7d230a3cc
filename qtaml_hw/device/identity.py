"""The same cells under two conditions: how the rank of a cell at one temperature or voltage moves to another.

A cell keeps its oxide and its threshold.  Where currents through the oxide and past the threshold both matter, heat
changes the order of retention times: it feeds the second and hardly the first.  Two uniforms say which cell it is: its
rank U at the reference condition, and V, its place on the line of equal retention there, from leakage through the oxide
to leakage past the threshold.  V is cut into strata; in each, the share of cells lost at another condition is a
threshold on U, and the shares of all strata together are the share that the population there gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import ndtr

from qtaml_hw.arrays import Bool, Float64, Int64
from qtaml_hw.device.cells import ChargeCell
from qtaml_hw.device.die import Die
from qtaml_hw.device.leakage import SteadyCurrent, steady_current
from qtaml_hw.device.node import X_MAX, NodeModel, thickness_grid
from qtaml_hw.device.quadrature import gauss

_MOST_PLACES: Final = 24  # along a gradient that is wide against the cells' own spread
_LEAST_SIGMA: Final = 1e-6  # a spread of exactly zero would make the distribution a step without a density
_EDGES: Final = ndtr(np.arange(-4.0, 4.01, 0.5))
STRATA_EDGES: Final = np.concatenate(([0.0], _EDGES, [1.0]))  # on V: finer where few cells lie, since they are the weak
STRATA_SHARES: Final = np.diff(STRATA_EDGES)
_LEVELS: Final = np.arange(-8.4, 5.5, 0.3)  # normal quantiles of U at which the lines of equal retention are followed
_KNOTS: Final = np.arange(-8.0, 4.85, 0.1)  # normal quantiles of the ranks that the result is kept at
_THRESHOLDS: Final = np.linspace(-X_MAX, X_MAX, 107)  # normal quantiles of the steady current, small to large
_THICKNESSES: Final = 129
_DEVIATES: Final = np.linspace(-6.0, 6.0, 9)  # of what moves a cell's time at every condition alike
_HALVINGS: Final = 20
_WIDEST_SHIFT: Final = 4.0  # of a normal quantile


@dataclass(frozen=True, eq=False)
class CellsOfDie:
    """What a population of charge cells is made of: the cell, the die, and how thickness is spread there."""

    cell: ChargeCell
    die: Die

    @property
    def sigma(self) -> float:
        """Standard deviation of relative thickness about every centre."""
        return max(self.cell.sigma_t_ox, _LEAST_SIGMA)

    @cached_property
    def centres(self) -> tuple[Float64, Float64]:
        """Relative thickness deviations about which cells lie, and the share of each: several along a gradient."""
        gradient = self.cell.t_ox_gradient
        places = (np.zeros(1), np.full(1, 2.0))
        if gradient:
            places = gauss(min(5 + int(3.0 * abs(gradient) / self.sigma), _MOST_PLACES))
        return self.die.t_ox_fraction + 0.5 * gradient * places[0], places[1] / 2.0

    @cached_property
    def node(self) -> NodeModel:
        """The node over every thickness that occurs."""
        return NodeModel(self.cell, thickness_grid(self.centres[0], self.sigma))

    @cached_property
    def steady(self) -> SteadyCurrent:
        """The current that does not pass through the oxide."""
        return steady_current(self.cell, self.die.v_th_v)

    @property
    def charge_c(self) -> float:
        """Charge that the node loses before it is read wrong."""
        return self.cell.storage_capacitance_f * (self.cell.v_dd_v - self.cell.v_ref_v)

    @property
    def life_spread(self) -> float:
        """Sigma of ln t by what all currents of a cell share, to first order: capacitance and read threshold."""
        swing = self.cell.v_dd_v - self.cell.v_ref_v
        return float(np.hypot(self.cell.sigma_c, self.cell.sigma_v_ref_v / swing))

    def density(self, r: Float64) -> Float64:
        """Density of cells over relative thickness, up to a factor."""
        centres, shares = self.centres
        return np.asarray(np.exp(-0.5 * ((r[:, None] - centres) / self.sigma) ** 2) @ shares)

    def log_life(self, r: Float64) -> Float64:
        """ln of the retention time [r, _THRESHOLDS] of cells of a thickness and a rank of the steady current."""
        total = np.log(self.node.effective_total(self.steady.quantile(_THRESHOLDS)))
        return np.asarray(np.log(self.charge_c) - CubicSpline(self.node.r_grid, total)(r))


@dataclass(frozen=True, eq=False)
class KeptRanks:
    """Ranks of the same cells at a reference condition and at another, by stratum.

    ``rank`` float64 [J], ascending from 0 to 1, and ``reference`` float64 [J, K]: of the cells of stratum k those with
    U < reference[j, k] at the reference are the ones with a rank below rank[j] at the other condition.  Every row of
    ``reference``, weighted with ``STRATA_SHARES``, is its rank.
    """

    rank: Float64
    reference: Float64

    def thresholds(self, p: Float64) -> Float64:
        """[n, K]: the thresholds on U at which shares ``p`` [n] of all cells are lost at the other condition."""
        return np.stack([np.interp(p, self.rank, column) for column in self.reference.T], axis=1)

    def ranks(self, u: Float64) -> Float64:
        """[K]: the rank at the other condition of one cell of each stratum, given its U [K]."""
        above = np.clip(np.count_nonzero(self.reference <= u, axis=0), 1, len(self.rank) - 1)
        low, high = np.take_along_axis(self.reference, np.stack((above - 1, above)), axis=0)
        part = np.divide(u - low, high - low, out=np.ones_like(u), where=high > low)
        return np.asarray(self.rank[above - 1] + part * (self.rank[above] - self.rank[above - 1]))


@dataclass(frozen=True, eq=False)
class _Lines:
    """Points [n, levels] on the lines of equal retention of a grid, from thin oxide to large steady current.

    On a line both deviations rise.  A point lies between two nodes of the grid: ``low`` and ``high`` its flat indices,
    ``part`` its distance from the first; ``inside`` False where a line has fewer points.
    """

    low: Int64
    high: Int64
    part: Float64
    inside: Bool

    @classmethod
    def of(cls, life: Float64, levels: Float64) -> _Lines:
        """Where rows and columns of ln t [r, z], which rises with r and falls with z, cross the levels."""
        rows, columns = life.shape
        at = np.arange(rows * columns).reshape(rows, columns)
        up = np.stack([np.searchsorted(life[:, j], levels) for j in range(columns)])
        down = columns - np.stack([np.searchsorted(life[i, ::-1], levels) for i in range(rows)])
        inside = np.concatenate(((up > 0) & (up < rows), (down > 0) & (down < columns)))
        up, down = np.clip(up, 1, rows - 1), np.clip(down, 1, columns - 1)
        column, row = np.arange(columns)[:, None], np.arange(rows)[:, None]
        low = np.concatenate((at[up - 1, column], at[row, down - 1]))
        high = np.concatenate((at[up, column], at[row, down]))
        flat = life.ravel()
        step = flat[high] - flat[low]
        part = np.divide(levels - flat[low], step, out=np.zeros(step.shape), where=inside & (step != 0.0))
        return cls(low, high, part, inside)

    def read(self, grid: Float64) -> Float64:
        """The values of a quantity [r, z] at the points."""
        flat = grid.ravel()
        return np.asarray(flat[self.low] + self.part * (flat[self.high] - flat[self.low]))


def _point_masses(cells: CellsOfDie, r: Float64, life: Float64, lines: _Lines) -> Float64:
    """Cells about every point of every line, up to a factor for the line: density x length / slope of ln t."""
    x, z = r / cells.sigma, _THRESHOLDS
    along_x, along_z = np.gradient(life, x, z)
    weight = cells.density(r)[:, None] * np.exp(-0.5 * z * z) / np.hypot(along_x, along_z)
    place_x, place_z = (lines.read(np.broadcast_to(grid, life.shape)) for grid in (x[:, None], z))
    order = np.argsort(np.where(lines.inside, place_x + place_z, np.inf), axis=0, kind="stable")
    steps = [np.diff(np.take_along_axis(place, order, axis=0), axis=0) for place in (place_x, place_z)]
    inside = np.take_along_axis(lines.inside, order, axis=0)
    step = np.hypot(*steps) * (inside[1:] & inside[:-1])
    reach = np.zeros(lines.part.shape)
    reach[1:] += step
    reach[:-1] += step
    back = np.empty_like(reach)
    np.put_along_axis(back, order, reach, axis=0)
    return np.asarray(back * lines.read(weight))


def _strata_of(reference: CellsOfDie, r: Float64, life: Float64, levels: Float64) -> Callable[[Float64], Float64]:
    """A function that averages a quantity [r, z] over every stratum of the lines of equal retention: [levels, K].

    Cells of a small capacitance or a high read threshold reach a level of ln t on a line of their own.
    """
    deviates = _DEVIATES if reference.life_spread > 0.0 else np.zeros(1)
    lines = _Lines.of(life, (levels - reference.life_spread * deviates[:, None]).ravel())
    balance = np.log(reference.steady.quantile(_THRESHOLDS)) - reference.node.log_gate(r)[:, None]

    def together(points: Float64) -> Float64:
        """[points of all lines of a level, levels] of [points, lines]."""
        return np.asarray(points.reshape(len(points) * len(deviates), len(levels)))

    share_of_line = np.repeat(np.exp(-0.5 * deviates * deviates), len(levels))
    order = np.argsort(together(lines.read(balance)), axis=0, kind="stable")
    mass = together(_point_masses(reference, r, life, lines) * share_of_line)
    mass = np.take_along_axis(mass / mass.sum(axis=0), order, axis=0)

    def up_to(masses: Float64) -> Float64:
        """Sums up to the middle of every point, from nothing to all of it."""
        total = np.cumsum(masses, axis=0)
        return np.concatenate((np.zeros((1, len(levels))), total - 0.5 * masses, total[-1:]))

    shares = up_to(mass)

    def means(grid: Float64) -> Float64:
        values = up_to(mass * np.take_along_axis(together(lines.read(grid)), order, axis=0))
        pairs = zip(shares.T, values.T, strict=True)
        return np.stack([np.diff(np.interp(STRATA_EDGES, s, v)) for s, v in pairs]) / STRATA_SHARES

    return means


def kept_ranks(
    reference: CellsOfDie,
    other: CellsOfDie,
    life_at_reference: Callable[[Float64], Float64],
    life_at_other: Callable[[Float64], Float64],
) -> KeptRanks:
    """The ranks of the same cells under two conditions of one die; the functions give retention times of ranks."""
    span = reference.node.r_grid
    r = np.linspace(span[0], span[-1], _THICKNESSES)
    means = _strata_of(reference, r, reference.log_life(r), np.log(life_at_reference(ndtr(_LEVELS))))
    life = np.maximum.accumulate(means(other.log_life(r)), axis=0) + 1e-9 * np.arange(len(_LEVELS))[:, None]
    wanted = np.log(life_at_other(ndtr(_KNOTS)))
    probit = np.stack([np.interp(wanted, column, _LEVELS, left=-12.0, right=12.0) for column in life.T], axis=1)
    reference_u = _weighted(probit, ndtr(_KNOTS))
    ends = np.zeros((1, reference_u.shape[1])), np.ones((1, reference_u.shape[1]))
    rank = np.concatenate(([0.0], ndtr(_KNOTS), [1.0]))
    return KeptRanks(rank, np.concatenate((ends[0], reference_u, ends[1])))


def _shifted(probit: Float64, share: Float64, least: Float64) -> Float64:
    """[J, K]: Phi(probit + shift), at least ``least``; the shift of every row such that its strata hold its share."""
    low, high = np.full((2, len(share), 1), _WIDEST_SHIFT) * np.array([-1.0, 1.0])[:, None, None]
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        short = (np.maximum(ndtr(probit + middle), least) @ STRATA_SHARES < share)[:, None]
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    more = np.maximum(ndtr(probit + high) - least, 0.0)  # what is left of the halving is shared out in proportion
    return np.asarray(least + more * ((share - least @ STRATA_SHARES) / (more @ STRATA_SHARES))[:, None])


def _weighted(probit: Float64, share: Float64) -> Float64:
    """The thresholds [J, K] nearest to Phi(probit) of which every row holds its share and none lies below another."""
    found = _shifted(probit, share, np.zeros_like(probit))
    for row in range(1, len(share)):
        if np.any(found[row] < found[row - 1]):
            found[row] = _shifted(probit[row : row + 1], share[row : row + 1], found[row - 1 : row])
    return found
