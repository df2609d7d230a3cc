"""What the read threshold and the storage capacitance of a cell add to the spread of its retention time.

Both move ln t of every cell, whatever it leaks by: the capacitance by ln(C/C0), the threshold by the charge between it
and the level of a fresh bit.  The distribution is mixed over both by the trapezoidal rule, which converges
exponentially for a normal density; how ln t moves with the threshold is a parabola through three populations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from qtaml_hw.arrays import Float64

Table = tuple[Float64, Float64]
"""Increasing knots of ln t and of the normal quantile of P(t_ret < t)."""

REACH: Final = 8.0  # standard deviations
_WIDEST_STEP: Final = 0.25  # of a standard deviation: error below 1e-30 for a normal density
_PER_WIDTH: Final = 0.5  # steps are half of the width over which the population rises
_MOST_STEPS: Final = 4000
_KNOTS_PER_SIGMA: Final = 6.0
_SHARES: Final = np.linspace(-8.5, 5.6, 400)  # normal quantiles at which populations are compared
_FINEST: Final = 1e-6


def nodes(steepest: float) -> Table:
    """Deviates and weights of a standard normal for integrands that rise within 1/``steepest`` of a deviation."""
    step = min(_WIDEST_STEP, _PER_WIDTH / (1.0 + steepest))
    count = min(int(np.ceil(REACH / step)), _MOST_STEPS)
    deviates = np.linspace(-REACH, REACH, 2 * count + 1)
    weights = np.exp(-0.5 * deviates * deviates)
    return deviates, weights / weights.sum()


def mixed(moved: Callable[[float], Table], width: float, nominal: Table) -> Table:
    """The table of a population whose cells are moved by a normal deviate: ``moved(deviate)`` is that of one deviate.

    ``width``: how far one standard deviation moves ln t, about.
    """
    log_time, probit = nominal
    steepest = width * float(np.max(np.diff(probit) / np.maximum(np.diff(log_time), _FINEST)))
    ends = [moved(end)[0][[0, -1]] for end in (-REACH, REACH)]
    low, high = float(np.min(ends)), float(np.max(ends))
    knots = min(max(int((high - low) / width * _KNOTS_PER_SIGMA), len(log_time)), _MOST_STEPS)
    grid = np.union1d(np.linspace(low, high, knots), log_time)
    share = np.zeros(len(grid))
    for deviate, weight in zip(*nodes(steepest), strict=True):
        times, probits = moved(float(deviate))
        share += weight * ndtr(np.interp(grid, times, probits, left=-np.inf, right=np.inf))
    return grid, np.asarray(share)


def over_capacitance(table: Table, sigma: float) -> Table:
    """With a capacitance of relative spread ``sigma``."""
    log_time, probit = table
    return mixed(lambda deviate: (log_time + np.log(max(1.0 + sigma * deviate, _FINEST)), probit), sigma, table)


def over_threshold(tables: tuple[Table, Table, Table], reach: float) -> Table:
    """With a read threshold whose populations at -``reach``, 0 and ``reach`` standard deviations are ``tables``."""
    low, middle, high = (np.interp(_SHARES, probit, log_time) for log_time, probit in tables)
    slope, bend = (high - low) / (2.0 * reach), (high - 2.0 * middle + low) / (2.0 * reach * reach)

    def moved(deviate: float) -> Table:
        return np.maximum.accumulate(middle + slope * deviate + bend * deviate * deviate), _SHARES

    return mixed(moved, max(float(np.abs(slope).max()), _FINEST), (middle, _SHARES))


def as_probit(table: Table, least: float, largest: float) -> Table:
    """Shares as normal quantiles, held and cut to what double precision tells from 0 and 1."""
    log_time, share = table
    probit = np.maximum.accumulate(ndtri(np.clip(share, least, largest)))
    first = int(np.searchsorted(probit, probit[0], side="right")) - 1
    last = int(np.searchsorted(probit, probit[-1], side="left"))
    return log_time[first : last + 1], probit[first : last + 1]
