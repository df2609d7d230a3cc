"""The memory cells that store a bit as a charge: what a population of them is made of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from qtaml_hw.device.materials import Stack, named_stack
from qtaml_hw.device.ranges import checked
from qtaml_hw.limits import LIMITS
from qtaml_hw.names import WriteDevice


@dataclass(frozen=True, kw_only=True)
class ChargeCell:
    """A bit stored as charge on a node that leaks; the parameters that all such cells share (SI, unit in the name).

    The node starts at ``v_dd_v`` from the rail it leaks to and is lost when it has decayed to ``v_ref_v``. Currents are
    medians at 25 degC with Arrhenius laws of the given activation energies. ``sigma_t_ox`` (fraction) and
    ``sigma_v_th_v`` vary from cell to cell, and so do the storage capacitance (``sigma_c``, a fraction) and the level
    at which a cell is read as lost (``sigma_v_ref_v``, its sense amplifier's included). ``dibl``: volts by which the
    write device's threshold rises per volt that the node falls, and its current falls with it; ``i_sub_a`` is the one
    at ``v_dd_v``. ``t_ox_gradient`` is the relative thickness difference from one edge of the die to the other;
    ``sigma_t_ox_die`` and ``sigma_v_th_die_v`` vary from die to die. A share ``defect_fraction`` of the cells leaks an
    extra trap-assisted current, lognormal with median ``defect_current_a`` and ``defect_spread`` = sigma of its
    logarithm; it follows the temperature law of the subthreshold current.
    ``t_interface_m``: SiO2 under the high-k film of a stack of two layers (None: half of the EOT ``t_ox_m``).
    ``write_device`` gives the weak state: an n-type device leaks a stored 1 to ground, a p-type one a stored 0 to V_DD.

    Raises ValueError for values outside the physical ranges and for ``v_ref_v >= v_dd_v``.
    """

    t_ox_m: float
    v_dd_v: float
    v_ref_v: float
    temperature_k: float
    storage_capacitance_f: float
    overlap_area_m2: float
    i_sub_a: float
    i_sub_activation_ev: float
    sigma_t_ox: float
    sigma_v_th_v: float
    sigma_c: float = 0.0
    sigma_v_ref_v: float = 0.0
    subthreshold_n: float = 1.5
    dibl: float = 0.0
    i_junction_a: float = 0.0
    i_junction_activation_ev: float = 0.6
    t_ox_gradient: float = 0.0
    sigma_t_ox_die: float = 0.0
    sigma_v_th_die_v: float = 0.0
    defect_fraction: float = 0.0
    defect_current_a: float = 0.0
    defect_spread: float = 1.0
    stack: str = "sio2"
    t_interface_m: float | None = None
    write_device: WriteDevice = "nmos"

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name in LIMITS and getattr(self, field.name) is not None:
                checked(field.name, getattr(self, field.name))
        if not self.v_ref_v < self.v_dd_v:
            raise ValueError(
                f"v_ref_v = {self.v_ref_v:g} V must lie below v_dd_v = {self.v_dd_v:g} V: "
                "the node starts at v_dd and is read as lost below v_ref"
            )
        self.dielectric  # noqa: B018 - refused here, with the reason, where there is no such stack
        if self.write_device not in ("nmos", "pmos"):
            raise ValueError(f"write_device {self.write_device!r} must be 'nmos' or 'pmos'")

    @property
    def dielectric(self) -> Stack:
        """The layers of the gate."""
        return named_stack(self.stack, self.t_ox_m, self.t_interface_m)

    @property
    def channel_area_m2(self) -> float:
        """Area of the gate that the node drives in inversion; none where the node drives no gate."""
        return 0.0

    @property
    def leaky_state(self) -> Literal[0, 1]:
        """The stored value that decays: 1 through an n-type device, 0 through a p-type one."""
        return 1 if self.write_device == "nmos" else 0


@dataclass(frozen=True, kw_only=True)
class GainCell(ChargeCell):
    """2T/3T gain cell: the node is the gate of the read transistor (``gate_area_m2``) plus its overlaps."""

    gate_area_m2: float

    @property
    def channel_area_m2(self) -> float:
        """The read transistor's channel."""
        return self.gate_area_m2


@dataclass(frozen=True, kw_only=True)
class Edram1T1C(ChargeCell):
    """1T1C cell: a capacitor behind an access transistor that leaks through its drain overlap and its channel."""
