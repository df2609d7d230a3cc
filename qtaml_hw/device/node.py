"""From one leaking node to a population of cells: the distribution of retention times.

Every cell has its own oxide thickness and its own threshold voltage, hence two currents: tunnelling, which depends on
the node's voltage, and a steady current S, which does not, or by ``dibl`` alone. Its retention time is
t = C integral dV / (I_gate(V) + S), integrated, not approximated by a constant current. A cell of thickness x fails
before t when its S exceeds S*(x, t), so that

    P(t_ret < t) = E_x[ P(S > S*(x, t)) ],

integrated with panels that follow both distributions. Plain 64-node Gauss-Hermite over x turns into a staircase
wherever tunnelling dominates (13 % off at 1.0 nm); docs/device.md shows the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates
from scipy.special import ndtr

from qtaml_hw.arrays import Float64
from qtaml_hw.device.cells import ChargeCell
from qtaml_hw.device.leakage import SteadyCurrent, node_voltages, steady_course, tunnel_current
from qtaml_hw.device.quadrature import gauss

X_MAX: Final = 8.8  # standard deviations of thickness: 7e-19 lies beyond
_LEAST_THICKNESS: Final = 0.05  # of nominal: keeps the far tail of a 10 % spread positive
_THICKNESS_NODES: Final = 33
_RATIO_LOG: Final = np.linspace(-18.0, 14.0, 161)  # ln(S / tunnelling current)
_EXCESS_LOG: Final = np.linspace(-17.0, 13.5, 611)
_X_PANELS: Final = np.linspace(-X_MAX, X_MAX, 19)
_PANEL_NODES, _PANEL_WEIGHTS = gauss(4)


def thickness_grid(centres: Float64, sigma: float) -> Float64:
    """Relative thickness deviations that reach X_MAX standard deviations beyond every centre."""
    return np.linspace(float(centres.min()) - X_MAX * sigma, float(centres.max()) + X_MAX * sigma, _THICKNESS_NODES)


@dataclass(frozen=True, eq=False)
class NodeModel:
    """The node of one cell as a function of relative thickness deviation r: tables that the population integral uses.

    ``log_gate`` : ln of the effective (harmonic mean over the voltage swing) tunnelling current against r.
    ``excess`` : correction of S*: with G the effective total current, ln S = ln(G - gate) - excess(r, ln(G/gate - 1)).
    """

    cell: ChargeCell
    r_grid: Float64

    @cached_property
    def _currents(self) -> tuple[Float64, Float64, Float64]:
        """Tunnelling current [r, voltage node], course of the steady current and weights of the voltage nodes."""
        voltage, weight = node_voltages(self.cell)
        factor = np.maximum(1.0 + self.r_grid, _LEAST_THICKNESS)
        return tunnel_current(self.cell, factor[:, None], voltage), steady_course(self.cell, voltage), weight

    @property
    def steady_share(self) -> float:
        """The constant current that discharges the node as long as a steady current of 1 does, which falls with it."""
        _, course, weight = self._currents
        return float(np.sum(weight) / np.sum(weight / course))

    @cached_property
    def log_gate(self) -> CubicSpline:
        """ln of the effective tunnelling current over r."""
        current, _, weight = self._currents
        return CubicSpline(self.r_grid, -np.log(np.sum(weight / current, axis=-1)))

    def effective_total(self, steady_a: Float64) -> Float64:
        """Effective total current [r, steady] when a steady current is added: 1 / mean over V of 1/(I_gate + S)."""
        current, course, weight = self._currents
        return np.asarray(1.0 / np.sum(weight / (current[:, None, :] + steady_a[None, :, None] * course), axis=-1))

    @cached_property
    def excess(self) -> Float64:
        """Table [r (every fourth node), _EXCESS_LOG]."""
        current, course, weight = self._currents
        current = current[::4]
        gate = 1.0 / np.sum(weight / current, axis=-1)
        shape = (current / gate[:, None])[:, None, :] + np.exp(_RATIO_LOG)[None, :, None] * course
        log_excess = np.log(np.maximum(1.0 / np.sum(weight / shape, axis=-1) - 1.0, 1e-12))
        return np.stack([np.interp(_EXCESS_LOG, row, row - _RATIO_LOG) for row in log_excess])

    def steady_that_fails(self, r: Float64, total_a: Float64) -> Float64:
        """S*: the steady current with which a cell of deviation r reaches the effective total current."""
        gate = np.exp(self.log_gate(r))
        over = np.maximum(total_a / gate - 1.0, 1e-13)
        log_over = np.log(over)
        span = self.r_grid[-1] - self.r_grid[0]
        row = (r - self.r_grid[0]) / span * (self.excess.shape[0] - 1)
        column = (log_over - _EXCESS_LOG[0]) / (_EXCESS_LOG[1] - _EXCESS_LOG[0])
        correction = map_coordinates(self.excess, np.stack((row, column)), order=1, mode="nearest")
        return np.asarray(gate * np.exp(log_over - correction))


@dataclass(frozen=True, eq=False)
class FailedShare:
    """P(t_ret < interval) of nodes whose thickness deviation is normal with ``sigma``."""

    node: NodeModel
    steady: SteadyCurrent
    sigma: float

    @cached_property
    def _boundaries(self) -> tuple[Float64, Float64]:
        """Thickness deviations and, for each, minus ln of the effective total current at the steady current's knots."""
        fine = np.linspace(self.node.r_grid[0], self.node.r_grid[-1], 257)
        coarse = np.log(self.node.effective_total(self.steady.knots_a))
        return fine, -CubicSpline(self.node.r_grid, coarse)(fine).T

    def __call__(self, interval_s: Float64, centre: float) -> Float64:
        """The share at each interval, for deviations around ``centre``."""
        cell = self.node.cell
        total = cell.storage_capacitance_f * (cell.v_dd_v - cell.v_ref_v) / interval_s
        fine, rows = self._boundaries
        wanted = -np.log(total)
        edges_r = np.stack([np.interp(wanted, row, fine) for row in rows], axis=1)
        knots_x = np.clip((edges_r - centre) / self.sigma, -X_MAX, X_MAX)
        first, last = knots_x.min(axis=1, keepdims=True), knots_x.max(axis=1, keepdims=True)
        edges = np.sort(np.concatenate((knots_x, np.clip(_X_PANELS, first, last)), axis=1), axis=1)
        half = 0.5 * np.diff(edges, axis=1)
        at, panel = np.nonzero(half)  # many are of no width
        width = half[at, panel][:, None]
        x = (edges[at, panel][:, None] + width) + width * _PANEL_NODES
        tail = self.steady.tail(self.node.steady_that_fails(centre + self.sigma * x, total[at, None]))
        density = np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi)
        thick = np.zeros((*half.shape, len(_PANEL_NODES)))
        thick[at, panel] = width * _PANEL_WEIGHTS * density * tail
        return np.asarray(np.sum(thick, axis=(1, 2)) + ndtr(first[:, 0]))
