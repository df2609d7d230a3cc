"""Ranges in which the device models mean something, each with the physical reason for its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtaml_hw.units import show


@dataclass(frozen=True)
class Range:
    """Allowed values of one physical argument: low < x <= high, or low <= x when ``closed``."""

    low: float
    high: float
    closed: bool
    dimension: str
    reason: str


RANGES: Final[dict[str, Range]] = {
    "t_ox_m": Range(
        0.4e-9,
        10e-9,
        False,
        "length",
        "below two atomic layers there is no oxide barrier, above 10 nm no tunnelling current is left to model",
    ),
    "voltage_v": Range(0.0, 3.0, True, "voltage", "the models hold for 0 V up to the oxide's breakdown region"),
    "temperature_k": Range(
        200.0, 450.0, True, "temperature", "below carriers freeze out, above silicon junctions stop working"
    ),
    "mass_ratio": Range(
        0.02, 1.0, False, "fraction", "tunnelling masses in dielectrics lie in (0.02, 1] of the free mass"
    ),
    "barrier_ev": Range(
        0.5, 5.0, True, "electronvolt", "band offsets of gate dielectrics on silicon lie between 0.5 and 5 eV"
    ),
}


def refuse_outside(name: str, value: ArrayLike, limit: Range) -> NDArray[np.float64]:
    """The value as a float64 array, or ValueError naming the value, the allowed range and why."""
    array = np.asarray(value, dtype=np.float64)
    above = array >= limit.low if limit.closed else array > limit.low
    fine = above & (array <= limit.high)
    if not np.all(fine):
        bad = float(np.asarray(array[~fine]).ravel()[0])
        low, high = (show(edge, limit.dimension) for edge in (limit.low, limit.high))
        raise ValueError(f"{name} = {bad:g} is outside {'[' if limit.closed else '('}{low}, {high}]: {limit.reason}")
    return array


def checked(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """``refuse_outside`` with the range of that name in RANGES."""
    return refuse_outside(name, value, RANGES[name])
