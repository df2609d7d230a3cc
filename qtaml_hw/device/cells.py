"""The memory cells that store a bit as a charge: what a population of them is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from qtaml_hw.device.materials import STACKS
from qtaml_hw.device.ranges import Range, checked, refuse_outside

WriteDevice = Literal["nmos", "pmos"]

_LIMITS: Final[dict[str, Range]] = {
    "storage_capacitance_f": Range(
        0.0, 100e-15, False, "capacitance", "a storage node holds charge, and no cell holds 100 fF"
    ),
    "overlap_area_m2": Range(0.0, 1e-10, True, "area", "an area is not negative, and a cell is far below 100 um2"),
    "gate_area_m2": Range(0.0, 1e-10, True, "area", "an area is not negative, and a cell is far below 100 um2"),
    "i_sub_a": Range(0.0, 1e-6, True, "current", "a leakage is not negative, and above 1 uA the transistor is on"),
    "i_sub_activation_ev": Range(
        0.0, 1.5, True, "electronvolt", "silicon leakage is activated by at most about its band gap"
    ),
    "i_junction_a": Range(0.0, 1e-6, True, "current", "a leakage is not negative"),
    "i_junction_activation_ev": Range(
        0.0, 1.5, True, "electronvolt", "silicon leakage is activated by at most about its band gap"
    ),
    "sigma_t_ox": Range(
        0.0, 0.10, True, "fraction", "oxides are grown to a few per cent; beyond 10 % thickness is no Gaussian"
    ),
    "sigma_v_th_v": Range(0.0, 0.2, True, "voltage", "threshold spread of a working process is below 200 mV"),
    "subthreshold_n": Range(
        1.0, 3.0, True, "fraction", "60 mV per decade is the limit at room temperature, 3 times that a broken device"
    ),
    "t_ox_gradient": Range(
        -0.2, 0.2, True, "fraction", "a film that differs by more than 20 % over a die is a broken process"
    ),
    "sigma_t_ox_die": Range(0.0, 0.10, True, "fraction", "die-to-die spread of an oxide is a few per cent"),
    "sigma_v_th_die_v": Range(
        0.0, 0.2, True, "voltage", "die-to-die threshold spread of a working process is below 200 mV"
    ),
    "defect_fraction": Range(0.0, 0.1, True, "fraction", "more than 10 % defective cells is no tail"),
    "defect_current_a": Range(0.0, 1e-6, True, "current", "a leakage is not negative"),
    "defect_spread": Range(0.0, 5.0, True, "fraction", "a spread of e^5 covers any measured tail"),
}


@dataclass(frozen=True, kw_only=True)
class ChargeCell:
    """A bit stored as charge on a node that leaks; the parameters that all such cells share (SI, unit in the name).

    The node starts at ``v_dd_v`` from the rail it leaks to and is lost when it has decayed to ``v_ref_v``. Currents are
    medians at 25 degC with Arrhenius laws of the given activation energies. ``sigma_t_ox`` (fraction) and ``sigma_v_th_v``
    vary from cell to cell; ``t_ox_gradient`` is the relative thickness difference from one edge of the die to the other;
    ``sigma_t_ox_die`` and ``sigma_v_th_die_v`` vary from die to die. A share ``defect_fraction`` of the cells leaks an extra
    trap-assisted current, lognormal with median ``defect_current_a`` and ``defect_spread`` = sigma of its logarithm.
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
    subthreshold_n: float = 1.5
    i_junction_a: float = 0.0
    i_junction_activation_ev: float = 0.6
    t_ox_gradient: float = 0.0
    sigma_t_ox_die: float = 0.0
    sigma_v_th_die_v: float = 0.0
    defect_fraction: float = 0.0
    defect_current_a: float = 0.0
    defect_spread: float = 1.0
    stack: str = "sio2"
    write_device: WriteDevice = "nmos"

    def __post_init__(self) -> None:
        checked("t_ox_m", self.t_ox_m)
        checked("voltage_v", self.v_dd_v)
        checked("temperature_k", self.temperature_k)
        for name, limit in _LIMITS.items():
            if hasattr(self, name):
                refuse_outside(name, getattr(self, name), limit)
        if not 0.0 < self.v_ref_v < self.v_dd_v:
            raise ValueError(
                f"v_ref_v = {self.v_ref_v:g} V must lie between 0 and v_dd_v = {self.v_dd_v:g} V: "
                "the node starts at v_dd and is read as lost below v_ref"
            )
        if self.stack not in STACKS:
            raise ValueError(f"unknown gate stack {self.stack!r}; known: {', '.join(STACKS)}")
        if self.write_device not in ("nmos", "pmos"):
            raise ValueError(f"write_device {self.write_device!r} must be 'nmos' or 'pmos'")

    @property
    def channel_area_m2(self) -> float:
        """Area of the gate that the node drives in inversion; none where the node drives no gate."""
        return 0.0

    @property
    def leaky_state(self) -> int:
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
