"""The ``cell`` section: one model per kind of cell, told apart by ``kind``.

Attributes have the names of the fields of the cells in ``qtaml_hw.device``, so that a cell is made from a section by
``GainCell(**section.device_values())``. Every value comes from a preset unless the study
overrides it; what a cell need not have (junction current, gradients, defects) is zero.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from qtaml_hw.config.reading.quantities import (
    Area,
    Capacitance,
    Current,
    ElectronVolt,
    Fraction,
    Length,
    Quantity,
    Section,
    Temperature,
    Voltage,
)
from qtaml_hw.config.sections.kinds import OneOf
from qtaml_hw.limits import LIMITS, STACKS, stack_complaint
from qtaml_hw.names import WriteDevice
from qtaml_hw.units import show

BESIDE_THE_DEVICE: Final = frozenset({"kind", "preset", "node_m", "transistors"})
"""Fields that are none of the device's cell: names, and what the array is priced by."""


class _Cell(Section):
    """What every kind of cell has."""

    preset: str | None = Field(None, description="a file of values with their sources; the fields here override it")
    t_ox_m: Length = Field(
        alias="t_ox", description="gate dielectric: physical thickness of a single layer, EOT of a bilayer"
    )
    v_dd_v: Voltage = Field(alias="v_dd", description="level of a freshly written node")
    temperature_k: Temperature = Field(alias="temperature", description="of the array")
    sigma_v_th_v: Voltage = Field(
        alias="sigma_v_th", description="threshold voltage from cell to cell (one standard deviation)"
    )

    node_m: Annotated[float | None, Quantity("length", above=0.0)] = Field(
        None, alias="node", description="technology node that the values stand for; a warning where the array's differs"
    )

    def unused(self) -> set[str]:
        """The name of the preset and its node: its values are here."""
        return {"preset", "node_m"}

    def device_values(self) -> dict[str, Any]:
        """What the device's cell is made from."""
        return self.model_dump(exclude=set(BESIDE_THE_DEVICE))

    @field_validator("*")
    @classmethod
    def _physical(cls, value: Any, info: ValidationInfo) -> Any:
        limit = LIMITS.get(info.field_name or "")
        if limit is not None and value is not None and not limit.holds(value):
            raise ValueError(limit.complaint(value))
        return value


class _ChargeCell(_Cell):
    """A bit stored as charge on a node that leaks."""

    v_ref_v: Voltage = Field(alias="v_ref", description="level at which the bit is lost")
    storage_capacitance_f: Capacitance = Field(alias="storage_capacitance", description="of the storage node")
    overlap_area_m2: Area = Field(
        alias="overlap_area", description="gate over source and drain on the node: tunnels without a channel"
    )
    i_sub_a: Current = Field(alias="i_sub", description="subthreshold current of the median cell at 25 degC")
    i_sub_activation_ev: ElectronVolt = Field(
        alias="i_sub_activation", description="activation energy of the subthreshold current"
    )
    sigma_t_ox: Fraction = Field(description="oxide thickness from cell to cell, relative")
    sigma_c: Fraction = Field(0.0, description="storage capacitance from cell to cell, relative")
    sigma_v_ref_v: Voltage = Field(
        0.0,
        alias="sigma_v_ref",
        description="level at which a bit is lost, from cell to cell: sense amplifiers included",
    )
    subthreshold_n: float = Field(1.5, description="slope factor n of the subthreshold current")
    dibl: float = Field(0.0, description="rise of the write device's threshold per volt that the node falls")
    i_junction_a: Current = Field(0.0, alias="i_junction", description="junction leakage at 25 degC")
    i_junction_activation_ev: ElectronVolt = Field(
        0.6,
        alias="i_junction_activation",
        description="activation energy of the junction leakage; assumed: generation near mid-gap",
    )
    t_ox_gradient: Fraction = Field(
        0.0, description="systematic thickness difference between the edges of the die, relative"
    )
    sigma_t_ox_die: Fraction = Field(0.0, description="oxide thickness from die to die")
    sigma_v_th_die_v: Voltage = Field(0.0, alias="sigma_v_th_die", description="threshold voltage from die to die")
    defect_fraction: Fraction = Field(0.0, description="share of cells with an extra trap-assisted leakage")
    defect_current_a: Current = Field(0.0, alias="defect_current", description="median of that leakage at 25 degC")
    defect_spread: float = Field(1.0, description="sigma of the logarithm of that leakage")
    t_interface_m: Annotated[float | None, Quantity("length", above=0.0)] = Field(
        None, alias="t_interface", description="SiO2 under the high-k film of a stack of two layers; half of the EOT"
    )
    stack: Annotated[str, OneOf(tuple(STACKS), "gate stack")] = Field(
        "sio2", validate_default=True, description="gate dielectric"
    )
    write_device: WriteDevice = Field(
        "nmos", description="an n-type write device leaks a stored 1, a p-type one a stored 0"
    )

    @field_validator("v_ref_v")
    @classmethod
    def _decays_downwards(cls, value: float, info: ValidationInfo) -> float:
        v_dd_v = info.data.get("v_dd_v")
        if v_dd_v is not None and not value < v_dd_v:
            raise ValueError(
                f"{show(value, 'voltage')} must lie below v_dd = {show(v_dd_v, 'voltage')}: "
                "the node starts at v_dd and is read as lost below v_ref"
            )
        return value

    @field_validator("stack")
    @classmethod
    def _room_for_high_k(cls, value: str, info: ValidationInfo) -> str:
        if {"t_ox_m", "t_interface_m"} <= info.data.keys():
            complaint = stack_complaint(value, info.data["t_ox_m"], info.data["t_interface_m"])
            if complaint is not None:
                raise ValueError(complaint)
        return value


class GainCellSection(_ChargeCell):
    """2T/3T gain cell: the node is the gate of the read transistor."""

    kind: Literal["gain_cell"] = Field(description="kind of cell")
    gate_area_m2: Area = Field(alias="gate_area", description="channel of the read transistor")
    transistors: Literal[2, 3, 4] = Field(3, description="transistors of a cell: area, access and leakage of the array")


class Edram1T1CSection(_ChargeCell):
    """1T1C cell: a capacitor behind an access transistor."""

    kind: Literal["edram1t1c"] = Field(description="kind of cell")


class Sram6TSection(_Cell):
    """6T cell in hold, with a read port of its own or without: static weak cells; it is not refreshed."""

    kind: Literal["sram6t"] = Field(description="kind of cell")
    transistors: Literal[6, 8] = Field(
        6, description="8: two more are a read port, so that only hold limits the supply; area of the array"
    )
    v_th_n_v: Voltage = Field(alias="v_th_n", description="threshold of the n-type transistors")
    v_th_p_v: Voltage = Field(alias="v_th_p", description="threshold magnitude of the p-type transistors")
    pull_up_ratio: float = Field(description="drive of the pull-up against the pull-down")
    dibl: float = Field(description="fall of the threshold per volt of drain")
    gate_length_m: Length = Field(alias="gate_length", description="sets gate leakage against drive current")
    overlap_share: float = Field(description="overlap area over channel area")
    accelerated_flip_rate_hz: Annotated[float | None, Quantity("frequency")] = Field(
        None, alias="accelerated_flip_rate", description="abstract memoryless rate for law poisson; not device physics"
    )

    def unused(self) -> set[str]:
        """As of every cell; and the usual number of transistors."""
        return super().unused() | ({"transistors"} if self.transistors == 6 else set())

    @property
    def array(self) -> str:
        """The kind of array that it is priced as."""
        return "sram" if self.transistors == 6 else "sram8t"


CellSection = Annotated[GainCellSection | Edram1T1CSection | Sram6TSection, Field(discriminator="kind")]
