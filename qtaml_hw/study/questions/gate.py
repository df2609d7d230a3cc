"""How much current a gate oxide lets through, for values with units; imports the device alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from qtaml_hw import device, units
from qtaml_hw.device.current import CurrentMethod, passed
from qtaml_hw.errors import InputError
from qtaml_hw.records.results import Answer


@dataclass(frozen=True, eq=False)
class GateCurrent(Answer):
    """Gate current density and the transmission at the band edge, with warnings outside the calibration.

    ``eot_m``: the SiO2 of the same capacitance; ``thickness_m``: what the layers really measure together.
    """

    t_ox_m: float
    voltage_v: float
    temperature_k: float
    stack: str
    eot_m: float
    thickness_m: float
    method: CurrentMethod
    j_a_per_m2: float
    transmission: float
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Every field under its name."""
        return {**asdict(self), "warnings": list(self.warnings)}


def gate_current(
    t_ox: str,
    voltage: str,
    temperature: str = "25 degC",
    *,
    stack: str = "sio2",
    method: CurrentMethod = "closed_form",
) -> GateCurrent:
    """Gate current of an oxide for values with units.

    Raises InputError for values outside the physical ranges, with the reason.
    """
    try:
        t_ox_m, voltage_v = units.parse(t_ox, "length"), units.parse(voltage, "voltage")
        temperature_k = units.parse(temperature, "temperature")
        density = device.current_density(t_ox_m, voltage_v, temperature_k, method=method, stack=stack)
        through = _band_edge_transmission(t_ox_m, voltage_v, stack)
        warnings = device.calibration_warnings(t_ox_m, voltage_v, stack)
    except ValueError as error:
        raise InputError(str(error)) from error
    layers = device.named_stack(stack, t_ox_m)
    return GateCurrent(
        t_ox_m, voltage_v, temperature_k, stack, float(layers.eot_m), float(layers.thickness_m), method, float(density),
        through, tuple(warnings),
    )  # fmt: skip


def _band_edge_transmission(t_ox_m: float, voltage_v: float, stack: str) -> float:
    """WKB transmission of an electron at the band edge with the whole voltage over the dielectric."""
    return float(passed(device.named_stack(stack, t_ox_m), np.asarray(voltage_v), "electron"))
