"""The sections of a study file that describe the memory and its use: flips, array, refresh, scrub, weights,
accelerator, evaluate.

Attributes are in SI with the unit in the name; the names in the file are their aliases. Defaults are a mid-size
embedded accelerator: 45 nm low-standby-power periphery as in the CACTI 7 runs that the cost tables come from, a
128 x 128 weight-stationary array at 500 MHz, 64-bit words, an int8 network.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from qtaml_hw.config.kinds import Flag, Positive, ScalarAsList, Whole
from qtaml_hw.config.names import NODES
from qtaml_hw.config.quantities import Quantity, Section
from qtaml_hw.units import show


class FlipsSection(Section):
    """The law behind bit flips. ``p`` and ``direction`` are stated for the law ``fixed`` only."""

    law: Literal["retention", "poisson", "fixed"] = Field(
        "retention", description="retention: the same weak cells fail; poisson: memoryless; fixed: p as stated"
    )
    p: Annotated[float | None, Quantity("fraction", at_least=0.0, at_most=1.0)] = Field(
        None, description="flip probability of a bit when it is read (law fixed)"
    )
    direction: Literal["symmetric", "1to0", "0to1"] = Field("symmetric", description="which bits flip (law fixed)")

    @model_validator(mode="after")
    def _fixed_has_p(self) -> Self:
        if self.law == "fixed" and self.p is None:
            raise ValueError("law fixed needs p, the flip probability, such as 'p: 0.10'")
        given = [name for name in ("p", "direction") if name in self.model_fields_set]
        if self.law != "fixed" and given:
            raise ValueError(
                f"{given[0]} is stated for the law fixed only; with the law {self.law} the cell decides "
                f"(remove {' and '.join(given)}, or write law: fixed)"
            )
        return self


def _known_node(node_m: float) -> float:
    if not any(abs(node_m - known) < 1e-12 for known in NODES.values()):
        raise ValueError(f"{show(node_m, 'length')} has no fitted figures; allowed: {', '.join(NODES)}")
    return node_m


class ArraySection(Section):
    """The memory array around the cells."""

    node_m: Annotated[float, Quantity("length"), AfterValidator(_known_node)] = Field(
        45e-9, alias="node", description="technology node of array and periphery"
    )
    periphery: Literal["hp", "lop", "lstp"] = Field("lstp", description="transistor flavour of the periphery")
    banks: Positive = Field(8, le=4096, description="banks refreshed and accessed independently")
    row_bits: Positive = Field(1024, le=65536, description="bits of one row")
    word_bits: Positive = Field(64, le=4096, description="bits of one access")
    capacity_bits: Annotated[float | None, Quantity("capacity", above=0.0)] = Field(
        None, alias="capacity", description="size of the memory; without it, the size of the stored image"
    )

    @model_validator(mode="after")
    def _whole_words(self) -> Self:
        if self.row_bits % self.word_bits:
            raise ValueError(f"row_bits {self.row_bits} is not a whole number of words of word_bits {self.word_bits}")
        return self


class RefreshSection(Section):
    """Periodic refresh: every row is read and written back."""

    interval_s: Annotated[float | None, Quantity("time", above=0.0, off="off")] = Field(
        None, alias="interval", description="time between two refreshes of a row; the default follows the cell"
    )
    ecc_aware: Flag = Field(True, description="words are corrected before they are written back")

    @property
    def on(self) -> bool:
        """Whether the memory is refreshed at all."""
        return self.interval_s is not None


class ScrubSection(Section):
    """Periodic read, correction and write-back of every ECC word."""

    interval_s: Annotated[float | None, Quantity("time", above=0.0, off="off")] = Field(
        None, alias="interval", description="time between two scrubs of a word"
    )

    @property
    def on(self) -> bool:
        """Whether the memory is scrubbed at all."""
        return self.interval_s is not None


class WeightsSection(Section):
    """How a weight is written into bits."""

    format: Literal["int8"] = Field("int8", description="number format of a stored weight")
    encoding: Literal["twos_complement", "offset_binary"] = Field("twos_complement", description="bits of a code")
    scale: Literal["per_tensor", "per_channel"] = Field("per_tensor", description="one scale per tensor or channel")
    fold_batch_norm: Flag = Field(False, description="fold batch normalisation into the weights before storage")


class AcceleratorSection(Section):
    """The systolic array that the memory serves."""

    rows: Positive = Field(128, le=65536, description="rows of the systolic array")
    columns: Positive = Field(128, le=65536, description="columns of the systolic array")
    dataflow: Literal["weight_stationary", "output_stationary", "input_stationary"] = Field(
        "weight_stationary", description="what stays in the processing elements"
    )
    clock_hz: Annotated[float, Quantity("frequency", above=0.0)] = Field(500e6, alias="clock", description="clock")
    inferences_per_second: Annotated[float, Field(gt=0.0, le=1e9)] = Field(1000.0, description="rate of use")


class MapsSection(Section):
    """How many fault maps (chips, or draws) are evaluated: until the interval is narrow enough, within limits."""

    min: Annotated[Whole, Field(ge=2, le=100_000)] = Field(8, description="at least so many maps")
    max: Annotated[Whole, Field(ge=2, le=100_000)] = Field(64, description="at most so many maps")
    ci95_halfwidth: Annotated[float, Quantity("fraction", above=0.0, at_most=0.5)] = Field(
        0.005, description="stop when the 95 % interval of the mean accuracy is +- this"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max} fault maps")
        return self


def _increasing(times_s: tuple[float, ...]) -> tuple[float, ...]:
    for earlier, later in pairwise(times_s):
        if later <= earlier:
            raise ValueError(f"times must increase; {show(later, 'time')} comes after {show(earlier, 'time')}")
    return times_s


class EvaluateSection(Section):
    """What is measured: when, on how many images, over how many fault maps."""

    at_s: Annotated[
        tuple[Annotated[float, Quantity("time", at_least=0.0)], ...],
        Field(min_length=1, max_length=1000),
        ScalarAsList,
        AfterValidator(_increasing),
    ] = Field((1e-3,), alias="at", description="times after the weights were written")
    images: Positive = Field(
        360, le=10_000_000, description="test images per fault map (at most what the data set has)"
    )
    maps: MapsSection = Field(default_factory=MapsSection)
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = Field(2026, description="seed of every draw")
