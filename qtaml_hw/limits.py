"""What the device models accept: ranges, each with the physical reason for its limits, and the named gate stacks.

Ground floor, without numpy: the study file is checked against the same table as the models themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from qtaml_hw.units import show


@dataclass(frozen=True)
class Limit:
    """Allowed values of one physical quantity (SI): low <= x <= high, or low < x <= high when ``open_low``."""

    low: float
    high: float
    dimension: str
    reason: str
    open_low: bool = False

    def holds(self, value: float) -> bool:
        """Whether the value is allowed; never for NaN."""
        return (self.low < value if self.open_low else self.low <= value) and value <= self.high

    def complaint(self, value: float) -> str:
        """Why the value is refused: the value, the allowed range, the physical reason."""
        low, high = (
            f"{edge:g}" if self.dimension == "number" else show(edge, self.dimension) for edge in (self.low, self.high)
        )
        given = f"{value:g}" if self.dimension == "number" else show(value, self.dimension)
        return f"{given} is outside {'(' if self.open_low else '['}{low}, {high}]: {self.reason}"


_LEAK: Final = "a leakage is not negative, and above 1 uA the transistor is on"
_ARRHENIUS: Final = "silicon leakage is activated by at most about its band gap"
_AREA: Final = "an area is not negative, and the gate of one cell is below 1 um2"

LIMITS: Final[dict[str, Limit]] = {
    "t_ox_m": Limit(
        0.4e-9,
        10e-9,
        "length",
        "at 0.4 nm (two atomic layers) there is no oxide barrier left, above 10 nm no tunnelling",
        True,
    ),
    "t_interface_m": Limit(
        0.0, 10e-9, "length", "an interface layer is part of a gate dielectric of at most 10 nm", True
    ),
    "voltage_v": Limit(0.0, 3.0, "voltage", "the models hold from 0 V up to the breakdown of a thin oxide"),
    "temperature_k": Limit(
        200.0, 450.0, "temperature", "below, carriers freeze out; above, silicon junctions stop working"
    ),
    "mass_ratio": Limit(
        0.02, 1.0, "number", "tunnelling masses in dielectrics lie in (0.02, 1] of the free mass", True
    ),
    "barrier_ev": Limit(0.5, 5.0, "electronvolt", "band offsets of gate dielectrics on silicon are 0.5 to 5 eV"),
    "v_dd_v": Limit(0.0, 3.0, "voltage", "a supply is positive, and above 3 V a thin oxide breaks down", True),
    "v_ref_v": Limit(0.0, 3.0, "voltage", "a node that may decay to 0 V is never lost", True),
    "storage_capacitance_f": Limit(
        0.0, 100e-15, "capacitance", "a node must hold charge, and no cell holds 100 fF", True
    ),
    "gate_area_m2": Limit(0.0, 1e-12, "area", _AREA),
    "overlap_area_m2": Limit(0.0, 1e-12, "area", _AREA),
    "i_sub_a": Limit(0.0, 1e-6, "current", _LEAK),
    "i_sub_activation_ev": Limit(0.0, 1.5, "electronvolt", _ARRHENIUS),
    "i_junction_a": Limit(0.0, 1e-6, "current", _LEAK),
    "i_junction_activation_ev": Limit(0.0, 1.5, "electronvolt", _ARRHENIUS),
    "sigma_t_ox": Limit(
        0.0, 0.10, "fraction", "oxides are grown to a few per cent; beyond 10 % no Gaussian describes them"
    ),
    "sigma_v_th_v": Limit(0.0, 0.2, "voltage", "the threshold spread of a working process is below 200 mV"),
    "subthreshold_n": Limit(1.0, 3.0, "number", "1 is the thermal limit of the subthreshold slope, 3 a broken device"),
    "sigma_c": Limit(0.0, 0.2, "fraction", "a node's capacitance differs by a few per cent; beyond 20 % no normal law"),
    "sigma_v_ref_v": Limit(0.0, 0.1, "voltage", "a sense threshold that differs by more than 100 mV reads nothing"),
    "t_ox_gradient": Limit(
        -0.2, 0.2, "fraction", "a film that differs by more than 20 % over a die is a broken process"
    ),
    "sigma_t_ox_die": Limit(0.0, 0.10, "fraction", "the die-to-die spread of an oxide is a few per cent"),
    "sigma_v_th_die_v": Limit(
        0.0, 0.2, "voltage", "the die-to-die threshold spread of a working process is below 200 mV"
    ),
    "defect_fraction": Limit(0.0, 0.1, "fraction", "a tail of more than 10 % of the cells is no tail"),
    "defect_current_a": Limit(0.0, 1e-6, "current", _LEAK),
    "defect_spread": Limit(0.0, 5.0, "number", "sigma of the logarithm; e^5 covers any measured tail"),
    "v_th_n_v": Limit(0.0, 1.0, "voltage", "an enhancement transistor's threshold lies between 0 and 1 V"),
    "v_th_p_v": Limit(0.0, 1.0, "voltage", "an enhancement transistor's threshold lies between 0 and 1 V"),
    "pull_up_ratio": Limit(1e-3, 10.0, "number", "a pull-up holds against leakage, and is not 10 times the pull-down"),
    "dibl": Limit(0.0, 0.5, "number", "volts of threshold per volt of drain; 0.5 is a punched-through transistor"),
    "gate_length_m": Limit(5e-9, 1e-6, "length", "printed gate lengths of SRAM cells lie between 5 nm and 1 um"),
    "overlap_share": Limit(0.0, 1.0, "number", "overlap area over channel area; more than 1 leaves no channel"),
    "accelerated_flip_rate_hz": Limit(0.0, 1e12, "frequency", "a rate is not negative"),
}
"""By the name of the SI argument."""

MOST_COMMANDS: Final = 20_000_000
"""Bank commands of one simulated horizon: each is kept (about 50 bytes with what ages the cells from it)."""


def ticks(horizon_s: float, interval_s: float | None, first: float = 1.0) -> int:
    """How often something happens up to a horizon, first after ``first`` intervals; an interval of None is never."""
    return 0 if interval_s is None else max(math.floor((horizon_s / interval_s - first) * (1.0 + 1e-12)) + 1, 0)


def refresh_passes(horizon_s: float, intervals_s: Iterable[float | None], banks: int, staggered: bool) -> int:
    """Passes of all banks and row classes up to a horizon: at every interval, or spread over it bank after bank."""
    firsts = [(bank + 1) / banks if staggered else 1.0 for bank in range(banks)]
    return sum(ticks(horizon_s, interval_s, first) for interval_s in intervals_s for first in firsts)


def arrivals(horizon_s: float, per_s: float) -> int:
    """Inferences that arrive before a horizon, the first at once."""
    return math.ceil(horizon_s * per_s * (1.0 - 1e-12))


def horizon_complaint(horizon_s: float, commands: Mapping[str, int]) -> str | None:
    """Why so many commands, by their kind, are not simulated, with their number; None where they are."""
    total = sum(commands.values())
    if total <= MOST_COMMANDS:
        return None
    listed = ", ".join(f"{count:,} of {kind}" for kind, count in commands.items() if count)
    return (
        f"{show(horizon_s, 'time')} of simulated time take {total:,} bank commands ({listed}), of which "
        f"{MOST_COMMANDS:,} are simulated at most: read out by {show(horizon_s * MOST_COMMANDS / total, 'time', 2)}, "
        "or take longer intervals, fewer banks or fewer inferences per second"
    )


INTERFACE_SHARE: Final = 0.5
"""Share of a bilayer's EOT that is its SiO2 interface layer, unless a cell states the layer.

SiO2 grows under every high-k film (Robertson, Eur. Phys. J. Appl. Phys. 28 (2004) 265); that it is half of the EOT is
assumed: the gate currents of predictive cards fall with the EOT as those of such a stack do (docs/device.md).
"""

THINNEST_INTERFACE_M: Final = 0.25e-9
"""Assumed: about one layer of SiO2."""

STACKS: Final[dict[str, tuple[str, bool]]] = {
    "sio2": ("sio2", False),
    "sion": ("sion", False),
    "si3n4": ("si3n4", False),
    "sio2-hfo2": ("hfo2", True),
    "sio2-al2o3": ("al2o3", True),
}
"""name -> (dielectric, whether an SiO2 interface layer lies under it). The thickness of a bilayer is its EOT."""


def stack_complaint(stack: str, t_ox_m: float, t_interface_m: float | None = None) -> str | None:
    """Why a stack cannot have this thickness, or this interface layer; None where it can."""
    dielectric, bilayer = STACKS[stack]
    if not bilayer:
        return None if t_interface_m is None else f"{stack} is one layer: t_interface is for stacks of two layers"
    interface_m = INTERFACE_SHARE * t_ox_m if t_interface_m is None else t_interface_m
    if THINNEST_INTERFACE_M <= interface_m < t_ox_m:
        return None
    if interface_m < t_ox_m:
        return (
            f"an EOT of {show(t_ox_m, 'length')} of {stack} has an interface layer of "
            f"{show(interface_m, 'length')} of SiO2 under {dielectric}: less than one layer of it, "
            f"{show(THINNEST_INTERFACE_M, 'length')}"
        )
    return (
        f"an EOT of {show(t_ox_m, 'length')} of {stack} leaves nothing for {dielectric}: "
        f"its SiO2 interface layer alone is {show(interface_m, 'length')}"
    )
