"""The accelerator section: the systolic array that the memory serves; by default 128 x 128 at 500 MHz."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from qtaml_hw.config.reading.quantities import Quantity, Section, SupplyVoltage
from qtaml_hw.config.sections.kinds import Positive


class AcceleratorSection(Section):
    """The systolic array that the memory serves."""

    rows: Positive = Field(128, le=65536, description="rows of the systolic array")
    columns: Positive = Field(128, le=65536, description="columns of the systolic array")
    dataflow: Literal["weight_stationary", "output_stationary", "input_stationary"] = Field(
        "weight_stationary", description="what stays in the processing elements"
    )
    clock_hz: Annotated[float, Quantity("frequency", above=0.0, at_most=20e9)] = Field(
        500e6, alias="clock", description="clock; at most 20 GHz (assumed: above any digital array)"
    )
    v_dd_v: SupplyVoltage = Field(
        None, alias="v_dd", description="supply of the multiply-accumulates; without it the array's"
    )
    mac: Literal["horowitz-45nm-int8", "horowitz-45nm-int8-acc32", "horowitz-45nm-fp16", "horowitz-45nm-fp32"] = Field(
        "horowitz-45nm-int8", description="energy of a multiply-accumulate"
    )
    inferences_per_second: Annotated[float, Field(gt=0.0, le=1e9)] = Field(1000.0, description="rate of use")

    usual: ClassVar = {"mac": "horowitz-45nm-int8"}
