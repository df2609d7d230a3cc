"""The distribution of retention times of a population of cells, and the die that the population sits on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtr, ndtri

from qtaml_hw.arrays import Float64
from qtaml_hw.device.cells import ChargeCell
from qtaml_hw.device.current import calibration_warnings
from qtaml_hw.device.curve import CurvePopulation
from qtaml_hw.device.die import Die
from qtaml_hw.device.identity import CellsOfDie, KeptRanks, kept_ranks
from qtaml_hw.device.measured import MeasuredCell, measured_population
from qtaml_hw.device.node import FailedShare
from qtaml_hw.device.spread import as_probit, over_capacitance, over_threshold
from qtaml_hw.device.sram import Sram6T, StaticPopulation, static_population

_TIME_KNOTS: Final = 64  # at first; then refined
_PROBIT_STEP: Final = 0.25  # largest step of the normal quantile between two knots
_REFINEMENTS: Final = 24
_SUBDIVISION: Final = 12  # of each interval of the monotone cubic, for the linear table
_STEP_WIDTH: Final = 1e-3  # cells whose times differ by less are one step of this relative width
_LEAST_SHARE: Final = 1e-17  # the integral ends at 8.8 standard deviations
_LARGEST_SHARE: Final = 1.0 - 1e-8  # closer to 1 the integral's rounding shows
_THRESHOLD_REACH: Final = 4.0  # standard deviations of the read threshold at which populations are compared
_THIN_SHARE: Final = 0.10  # gate share below which a sweep over thickness cannot show much


@dataclass(frozen=True, eq=False)
class RetentionPopulation:
    """Distribution of the retention times of a population of cells in their leaky state.

    leaky_state : the stored value that decays (1 or 0); the other value is held.
    gate_share : share of the median cell's leakage that tunnels through the dielectric, 0..1.
    warnings : what a reader of any number from here must know.
    log_time, probit : increasing knots of ln(seconds) and of the normal quantile of P(t_ret < t); linear in between,
        so that probability and quantile are exact inverses of each other.
    origin : the cells on their die, by which they are found again under another condition.
    """

    leaky_state: Literal[0, 1]
    gate_share: float
    warnings: tuple[str, ...]
    log_time: Float64
    probit: Float64
    origin: CellsOfDie

    @property
    def span_p(self) -> tuple[float, float]:
        """The shares of cells whose retention time is known: all."""
        return 0.0, 1.0

    def loses(self, state: int) -> bool:
        """Whether cells that store ``state``, 0 or 1, can lose it."""
        return state == self.leaky_state

    @property
    def memoryless(self) -> tuple[float, str]:
        """Rate in 1/s of the memoryless law with the same median, and what a reader must know of it."""
        return math.log(2.0) / self.median_s, ""

    def flip_probability(self, interval_s: ArrayLike) -> Float64:
        """P(t_ret < interval) of a cell in the leaky state; any shape, relative accuracy kept down to 1e-12 and below.

        Raises ValueError for a negative interval. Zero gives zero.
        """
        interval = np.asarray(interval_s, dtype=np.float64)
        if not np.all(interval >= 0.0):
            raise ValueError(f"an interval cannot be negative (got {np.min(interval):g} s)")
        log_interval = np.log(np.maximum(interval, 1e-300))
        probability = ndtr(np.interp(log_interval, self.log_time, self.probit))
        return np.asarray(
            np.where(log_interval < self.log_time[0], 0.0, np.where(log_interval > self.log_time[-1], 1.0, probability))
        )

    def retention_quantile(self, u: ArrayLike) -> Float64:
        """Retention time in seconds below which a share ``u`` of the cells lies: the inverse of ``flip_probability``.

        Raises ValueError outside [0, 1].
        """
        share = np.asarray(u, dtype=np.float64)
        if not np.all((share >= 0.0) & (share <= 1.0)):
            raise ValueError(f"a quantile needs a share within [0, 1]; got {np.min(share):g} .. {np.max(share):g}")
        return np.asarray(np.exp(np.interp(ndtri(share), self.probit, self.log_time)))

    def kept_from(self, reference: RetentionPopulation) -> KeptRanks | None:
        """Which ranks the cells of ``reference`` have here: the same cells at another temperature or voltage.

        None where ranks stay as they are: the same condition, or cells that are not the same ones.
        """
        mine, there = self.origin, reference.origin
        held = replace(there.cell, temperature_k=mine.cell.temperature_k, v_dd_v=mine.cell.v_dd_v)
        if mine.cell == there.cell or mine.cell != held or mine.die != there.die:
            return None
        return kept_ranks(there, mine, reference.retention_quantile, self.retention_quantile)

    @property
    def median_s(self) -> float:
        """Median retention time."""
        return float(self.retention_quantile(0.5))


def _probit(share: Float64) -> Float64:
    """Normal quantile, held within what double precision tells from 0 and 1."""
    return np.asarray(ndtri(np.clip(share, _LEAST_SHARE, _LARGEST_SHARE)))


def _resolved(probit_at: Callable[[Float64], Float64], log_time: Float64) -> tuple[Float64, Float64]:
    """Knots refined by halving wherever the probit jumps, down to the width of a step."""
    probit = probit_at(log_time)
    for _ in range(_REFINEMENTS):
        wide = (np.diff(probit) > _PROBIT_STEP) & (np.diff(log_time) > _STEP_WIDTH)
        if not wide.any():
            break
        added = 0.5 * (log_time[:-1] + log_time[1:])[wide]
        order = np.argsort(np.concatenate((log_time, added)), kind="stable")
        log_time = np.concatenate((log_time, added))[order]
        probit = np.concatenate((probit, probit_at(added)))[order]
    return log_time, np.maximum.accumulate(probit)


def _table(origin: CellsOfDie) -> tuple[Float64, Float64]:
    """Knots (ln t, probit) between the worst and the best cell."""
    node, steady = origin.node, origin.steady
    centres, weights = origin.centres
    total = node.effective_total(steady.knots_a[[0, -1]])
    soonest, latest = np.log(origin.charge_c / total[0, 1]), np.log(origin.charge_c / total[-1, 0])
    if latest - soonest < _STEP_WIDTH:
        centre = 0.5 * (soonest + latest)
        return centre + 0.5 * _STEP_WIDTH * np.linspace(-1.0, 1.0, 3), 8.0 * np.linspace(-1.0, 1.0, 3)

    failed = FailedShare(node, steady, origin.sigma)

    def probit_at(log_time: Float64) -> Float64:
        return _probit(weights @ np.stack([failed(np.exp(log_time), float(centre)) for centre in centres]))

    margin = 0.01 * (latest - soonest)
    log_time, probit = _resolved(probit_at, np.linspace(soonest - margin, latest + margin, _TIME_KNOTS))
    first = int(np.searchsorted(probit, probit[0], side="right")) - 1
    last = int(np.searchsorted(probit, probit[-1], side="left"))
    log_time, probit = log_time[first : last + 1], probit[first : last + 1]
    dense = np.interp(
        np.arange((log_time.size - 1) * _SUBDIVISION + 1) / _SUBDIVISION, np.arange(log_time.size), log_time
    )
    return dense, np.maximum.accumulate(PchipInterpolator(log_time, probit)(dense))


def _spread(origin: CellsOfDie) -> tuple[Float64, Float64]:
    """Knots (ln t, probit) with the spreads of the read threshold and of the capacitance, where there are any."""
    cell, table = origin.cell, _table(origin)
    if cell.sigma_v_ref_v > 0.0:
        room = min(cell.v_ref_v, cell.v_dd_v - cell.v_ref_v) / cell.sigma_v_ref_v
        reach = min(_THRESHOLD_REACH, 0.9 * room)
        low, high = (
            _table(replace(origin, cell=replace(cell, v_ref_v=cell.v_ref_v + side * reach * cell.sigma_v_ref_v)))
            for side in (-1.0, 1.0)
        )
        table = as_probit(over_threshold((low, table, high), reach), _LEAST_SHARE, _LARGEST_SHARE)
    if cell.sigma_c > 0.0:
        table = as_probit(over_capacitance(table, cell.sigma_c), _LEAST_SHARE, _LARGEST_SHARE)
    return table


def charge_population(cell: ChargeCell, die: Die | None = None) -> RetentionPopulation:
    """Retention population of the charge cells of one die (the process centre unless a ``die`` is given).

    With ``t_ox_gradient`` the population is that of all positions of the die together.
    """
    origin = CellsOfDie(cell, die or Die())
    knots, probit = _spread(origin)
    tunnel_a = float(np.exp(origin.node.log_gate(origin.die.t_ox_fraction)))
    share = tunnel_a / (tunnel_a + origin.steady.nominal_a * origin.node.steady_share)
    return RetentionPopulation(cell.leaky_state, share, _warnings(cell, share), knots, probit, origin)


def _warnings(cell: ChargeCell, gate_share: float) -> tuple[str, ...]:
    found = calibration_warnings(cell.t_ox_m, cell.v_ref_v, cell.stack)
    if gate_share < _THIN_SHARE:
        found += (
            f"only {100.0 * gate_share:.2g} % of the median cell's leakage tunnels through the oxide: "
            "changing its thickness changes little, subthreshold and junction currents set the retention",
        )
    return found


def lot_population(cell: ChargeCell) -> RetentionPopulation:
    """Retention population over the cells of many dies: die-to-die spreads added in quadrature to the cells' own."""
    of_all = population(
        replace(
            cell,
            sigma_t_ox=float(np.hypot(cell.sigma_t_ox, cell.sigma_t_ox_die)),
            sigma_v_th_v=float(np.hypot(cell.sigma_v_th_v, cell.sigma_v_th_die_v)),
        )
    )
    assert isinstance(of_all, RetentionPopulation)  # a charge cell has retention times, whatever its kind
    return of_all


Population = RetentionPopulation | CurvePopulation | StaticPopulation


@singledispatch
def population(cell: Any, die: Die | None = None) -> Population:
    """The population of cells of any kind on one die (the process centre unless a ``die`` is given).

    Retention times of charge cells; static weak cells of SRAM and measured curves, whose dies are alike.  Another
    kind registers its own, ``population.register(MyCell, my_population)``, a function of a cell and a die.  A study
    stands for its cell.  Raises TypeError for a cell of no registered kind, ValueError for a study whose cells differ
    by plane or that states its flips.
    """
    from qtaml_hw.config import Study  # physics alone reads no study file

    if isinstance(cell, Study):
        from qtaml_hw.device.of_study import build_cell

        if len(cell.classes) > 1 or cell.flips.law == "fixed":
            raise ValueError("the study has no one cell: ask classes[n].study of planes; a stated p has none")
        return population(build_cell(cell), die)
    raise TypeError(f"{type(cell).__name__} is no kind of cell: it has no registered population")


@population.register
def _(cell: ChargeCell, die: Die | None = None) -> RetentionPopulation:
    return charge_population(cell, die)


@population.register
def _(cell: Sram6T, die: Die | None = None) -> StaticPopulation:
    return static_population(cell)


@population.register
def _(cell: MeasuredCell, die: Die | None = None) -> CurvePopulation | StaticPopulation:
    return measured_population(cell)
