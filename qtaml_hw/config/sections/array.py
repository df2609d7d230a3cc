"""The memory sections of a study: the array, its refresh and its scrub.

Defaults are a mid-size embedded accelerator: 45 nm low-standby-power periphery as in the CACTI 7 runs that the cost
tables come from, 64-bit words.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from qtaml_hw.config.reading.quantities import Quantity, Section, SupplyVoltage
from qtaml_hw.config.sections.kinds import CountOr, FilePath, Flag, Positive, Whole
from qtaml_hw.names import NODES, Decoders, Interleave, OnUncorrectable, Placement, Port, RefreshMode
from qtaml_hw.units import show


def _below(node_m: float) -> str:
    """What there is of nodes below the fitted ones."""
    least = min(NODES.values())
    return "; below, memory.bit_cells has areas of published cells, and energies are not public" * (node_m < least)


def _known_node(node_m: float) -> float:
    if not any(abs(node_m - known) < 1e-12 for known in NODES.values()):
        raise ValueError(f"{show(node_m, 'length')} has no fitted figures; allowed: {', '.join(NODES)}{_below(node_m)}")
    return node_m


class BackingSection(Section):
    """What holds the weights that do not fit into the array, and those that are written anew."""

    bandwidth_bits_per_s: Annotated[float, Quantity("bandwidth", above=0.0)] = Field(
        alias="bandwidth", description="of the way into the array; decimal multiples"
    )
    latency_s: Annotated[float, Quantity("time", at_least=0.0, at_most=1.0)] = Field(
        0.0, alias="latency", description="from a request to the first bit, once per streamed tensor or reloaded word"
    )


class ArraySection(Section):
    """The memory array around the cells."""

    node_m: Annotated[float, Quantity("length"), AfterValidator(_known_node)] = Field(
        45e-9, alias="node", description="technology node of array and periphery"
    )
    periphery: Literal["hp", "lop", "lstp"] = Field("lstp", description="transistor flavour of the periphery")
    v_dd_v: SupplyVoltage = Field(
        None, alias="v_dd", description="supply of array and codecs; without it the cell's, of every phase too"
    )
    banks: Positive = Field(8, le=4096, description="banks refreshed and accessed independently")
    port: Port = Field(
        "bank", description="every bank at its own edge, or all through one port: prices the wires between banks"
    )
    row_bits: Positive = Field(1024, le=65536, description="bits of one row")
    word_bits: Positive = Field(64, le=4096, description="bits of one access")
    capacity_bits: Annotated[float | None, Quantity("capacity", above=0.0, at_most=2.0**43)] = Field(
        None, alias="capacity", description="size of the memory; without it, the size of the stored image"
    )
    placement: Placement = Field(
        "row_major", description="all planes of a weight in one row, or each class of planes in rows of its own"
    )
    plane_class: Annotated[tuple[Annotated[Whole, Field(ge=0, le=15)], ...], Field(min_length=1)] | None = Field(
        None, description="plane_separated: row class of every plane, LSB first; without it one class per plane"
    )
    interleave: Interleave = Field(
        "block", description="neighbouring weights share a bank, or neighbouring words lie in neighbouring banks"
    )
    rows_refreshed_together: Positive = Field(
        1, le=4096, description="rows (of different sub-arrays) of a bank restored in one cycle"
    )
    decoders: Annotated[Decoders | None, CountOr(("per_row", "per_bank"), 4096)] = Field(
        None,
        description="decoders of every code in a bank: per_row, as many as a row has words; per_bank, as many as an "
        "access has, shared by all rows; or a number. Without it per_row where a refresh corrects words, else per_bank",
    )
    backing: BackingSection | None = Field(
        None, description="store behind the array: streams what does not fit, and reloads words"
    )
    cacti: FilePath | None = Field(
        None,
        description="your own built CACTI 7, from the study's folder: run for every array in place of the fitted table",
    )
    cost: FilePath | None = Field(
        None,
        description="your own prices of a bank by capacity, a CSV or YAML file from the study's folder: what it states "
        "takes the place of the fitted table",
    )
    on_uncorrectable: OnUncorrectable | None = Field(
        None,
        description="what is made of a word that a correcting code flags: passed as read, zeroed, its bits read "
        "as the sign of their weights, or fetched anew from the backing store; without it each code's own policy",
    )

    @model_validator(mode="after")
    def _whole_words(self) -> Self:
        if self.row_bits % self.word_bits:
            raise ValueError(f"row_bits {self.row_bits} is not a whole number of words of word_bits {self.word_bits}")
        return self

    @model_validator(mode="after")
    def _rows_for_classes(self) -> Self:
        if self.plane_class is None:
            return self
        if self.placement == "row_major":
            raise ValueError("plane_class needs rows of its own for every class: add 'placement: plane_separated'")
        missing = sorted(set(range(max(self.plane_class) + 1)) - set(self.plane_class))
        if missing:
            raise ValueError(f"plane_class must use every class from 0 up; no plane is in {missing}")
        return self

    @model_validator(mode="after")
    def _reload_from_somewhere(self) -> Self:
        if self.on_uncorrectable == "reload" and self.backing is None:
            raise ValueError(
                "on_uncorrectable: reload fetches words from a store behind the array; describe it, as in "
                "'backing: {bandwidth: 10 GB/s, latency: 100 ns}'"
            )
        return self

    @property
    def classes(self) -> int | None:
        """Row classes, each with a refresh interval of its own; None: one per plane of the weights' format."""
        if self.placement == "row_major":
            return 1
        return None if self.plane_class is None else max(self.plane_class) + 1

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        if self.cost is not None and self.cacti is not None:
            raise ValueError("cost and cacti both price the array: give one of them")
        return self

    usual: ClassVar = {"placement": "row_major", "interleave": "block", "rows_refreshed_together": 1, "port": "bank"}


class RetentionAwareSection(Section):
    """Rows binned by their weakest cell, strong ones refreshed less often (RAIDR: Liu et al., ISCA 2012)."""

    multiples: Annotated[tuple[Annotated[Whole, Field(ge=2, le=65536)], ...], Field(min_length=1, max_length=16)] = (
        Field((2, 4), description="a row of bin k is refreshed at every k-th refresh; ascending")
    )
    margin: Annotated[float, Field(ge=1.0, le=100.0)] = Field(
        1.0, description="guard band: the weakest cell of bin k outlives k intervals by this factor when it is profiled"
    )

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if list(self.multiples) != sorted(set(self.multiples)):
            raise ValueError(f"multiples must ascend; got {list(self.multiples)}")
        return self


Interval = Annotated[float | None, Quantity("time", above=0.0, off="off")]


def _one_or_several(value: Any) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


class RefreshSection(Section):
    """Periodic refresh: every row is read and written back."""

    interval_s: Annotated[
        Annotated[Interval, Tag("one")] | Annotated[tuple[Interval, ...], Field(min_length=1), Tag("several")],
        Discriminator(_one_or_several),
    ] = Field(
        None,
        alias="interval",
        description="time between two refreshes of a row, or a list with one per row class; the default follows the "
        "cell",
    )
    mode: RefreshMode = Field("burst", description="all banks at once, or spread evenly over the interval")
    ecc_aware: Flag = Field(
        False,
        description="words are corrected before they are written back; the default follows the law: true where errors "
        "pile up (poisson, or retention with phases), false where the same weak cells fail again",
    )
    retention_aware: RetentionAwareSection | None = Field(
        None, description="rows without weak cells are refreshed less often; without it all rows alike"
    )

    @model_validator(mode="after")
    def _binned_rows_are_refreshed(self) -> Self:
        if self.retention_aware is not None and not self.on:
            raise ValueError("retention_aware refreshes rows at multiples of interval, which is off")
        return self

    @property
    def intervals_s(self) -> tuple[float | None, ...]:
        """The interval of every row class, or the one of all."""
        return self.interval_s if isinstance(self.interval_s, tuple) else (self.interval_s,)

    @property
    def shortest_s(self) -> float | None:
        """The shortest interval; None when nothing is refreshed."""
        return min((s for s in self.intervals_s if s is not None), default=None)

    @property
    def on(self) -> bool:
        """Whether anything of the memory is refreshed."""
        return self.shortest_s is not None

    usual: ClassVar = {"mode": "burst"}


class ScrubSection(Section):
    """Periodic read, correction and write-back of every ECC word."""

    interval_s: Annotated[float | None, Quantity("time", above=0.0, off="off")] = Field(
        None, alias="interval", description="time between two scrubs of a word"
    )

    @property
    def on(self) -> bool:
        """Whether the memory is scrubbed at all."""
        return self.interval_s is not None
