"""The questions an architect asks backwards, and tables over thickness, temperature and interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtri

from qtaml_hw.arrays import Float64
from qtaml_hw.device.cells import ChargeCell
from qtaml_hw.device.population import RetentionPopulation, charge_population
from qtaml_hw.limits import INTERFACE_SHARE, LIMITS, STACKS, THINNEST_INTERFACE_M
from qtaml_hw.units import show

_PROBIT_FLOOR: Final = -12.0  # stands for a probability of zero where a root is searched


def _share(p: float) -> float:
    if not 0.0 < p < 1.0:
        raise ValueError(f"the flip probability asked for must lie between 0 and 1, both excluded; got {p:g}")
    return p


def longest_interval(cell: ChargeCell, p: float) -> float:
    """The longest interval in seconds at which a cell in its leaky state fails with probability at most ``p``."""
    return float(charge_population(cell).retention_quantile(_share(p)))


def thinnest_t_ox(cell: ChargeCell, p: float, interval_s: float) -> float:
    """The thinnest dielectric in metres at which at most a share ``p`` of the cells fails within ``interval_s``.

    Raises ValueError when no thickness reaches it, because subthreshold or junction leakage alone fails more cells, and
    when even the thinnest one that the model accepts does.
    """
    goal = float(ndtri(_share(p)))

    def excess(t_ox_m: float) -> float:
        probability = float(charge_population(replace(cell, t_ox_m=t_ox_m)).flip_probability(interval_s))
        return max(float(ndtri(probability)), _PROBIT_FLOOR) - goal if probability < 1.0 else -_PROBIT_FLOOR

    low, high = LIMITS["t_ox_m"].low * 1.01, LIMITS["t_ox_m"].high
    if STACKS[cell.stack][1]:
        least_m = THINNEST_INTERFACE_M / INTERFACE_SHARE if cell.t_interface_m is None else cell.t_interface_m
        low = max(low, least_m * 1.01)
    if excess(high) > 0.0:
        floor = float(charge_population(replace(cell, t_ox_m=high)).flip_probability(interval_s))
        raise ValueError(
            f"no oxide is thick enough for p <= {p:g} at {show(interval_s, 'time')}: without any tunnelling p is still "
            f"{floor:.2g}; shorten the interval, cool the array or lower the subthreshold current"
        )
    if excess(low) <= 0.0:
        raise ValueError(
            f"even {show(low, 'length')}, the thinnest dielectric that the model accepts, keeps p <= {p:g} "
            f"at {show(interval_s, 'time')}"
        )
    return float(brentq(excess, low, high, xtol=1e-14))


def gate_share(cell: ChargeCell) -> float:
    """Share of the median cell's leakage that tunnels, 0..1; below 0.1 thickness hardly matters."""
    return charge_population(cell).gate_share


@dataclass(frozen=True, eq=False)
class RetentionTable:
    """Populations over thickness (rows) and temperature (columns)."""

    t_ox_m: Float64
    temperature_k: Float64
    populations: tuple[tuple[RetentionPopulation, ...], ...]

    def quantiles_s(self, shares: ArrayLike) -> Float64:
        """Retention times in seconds [thickness, temperature, *shares.shape]."""
        return np.stack([np.stack([cell.retention_quantile(shares) for cell in row]) for row in self.populations])

    def flip_probability(self, interval_s: ArrayLike) -> Float64:
        """P(t_ret < interval) [thickness, temperature, *interval.shape]."""
        return np.stack([np.stack([cell.flip_probability(interval_s) for cell in row]) for row in self.populations])

    @property
    def gate_share(self) -> Float64:
        """Share of the leakage that tunnels [thickness, temperature]."""
        return np.array([[cell.gate_share for cell in row] for row in self.populations])

    @property
    def warnings(self) -> tuple[str, ...]:
        """Every warning of the table, once."""
        return tuple(dict.fromkeys(text for row in self.populations for cell in row for text in cell.warnings))


def retention_table(cell: ChargeCell, t_ox_m: Sequence[float], temperature_k: Sequence[float]) -> RetentionTable:
    """The populations of ``cell`` at each thickness (m) and temperature (K)."""
    rows = tuple(
        tuple(
            charge_population(replace(cell, t_ox_m=float(t), temperature_k=float(kelvin))) for kelvin in temperature_k
        )
        for t in t_ox_m
    )
    return RetentionTable(np.asarray(t_ox_m, dtype=np.float64), np.asarray(temperature_k, dtype=np.float64), rows)
