"""The memory sections of a study: the array, its refresh and its scrub.

Defaults are a mid-size embedded accelerator: 45 nm low-standby-power periphery as in the CACTI 7 runs that the cost
tables come from, 64-bit words.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from qtaml_hw.config.kinds import Flag, Positive
from qtaml_hw.config.names import NODES
from qtaml_hw.config.quantities import Quantity, Section
from qtaml_hw.units import show


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
