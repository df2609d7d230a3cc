"""The buffers section: memories beside the weights', whose contents are produced and consumed during inference."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, SerializeAsAny, model_validator

from qtaml_hw.config.reading.quantities import Quantity, Section
from qtaml_hw.config.sections.array import ArraySection, RefreshSection
from qtaml_hw.config.sections.cell import CellSection
from qtaml_hw.config.sections.flips import FlipsSection
from qtaml_hw.config.sections.kinds import NoRepeats, OneOf, Positive, ScalarAsList
from qtaml_hw.config.sections.protection import ProtectionSection
from qtaml_hw.names import BUFFER_FORMATS, REFRESHED, UNSCALED_FORMATS

PARTS: Final = ("cell", "flips", "array", "refresh", "protection")
"""Sections of a buffer that are those of a study."""
Intervals = Annotated[
    tuple[Annotated[float | None, Quantity("time", above=0.0, off="off")], ...], Field(min_length=1), ScalarAsList
]


class RelaxedSection(Section):
    """A share of the tokens, from the lowest score up, and how rarely it is refreshed."""

    share: Annotated[float, Quantity("fraction", above=0.0, at_most=1.0)] = Field(description="of the tokens held")
    interval_s: Intervals = Field(
        alias="interval", description="time between two refreshes of their rows, or a list with one per row class"
    )


class TokensSection(Section):
    """Tokens that are refreshed otherwise than the rest, by a score (Kelle: token importance beside bit halves)."""

    score: Literal["attention", "age"] = Field(
        "attention",
        description="attention: what later tokens have paid to a token; age: the newest token has the highest score",
    )
    relaxed: Annotated[tuple[RelaxedSection, ...], Field(min_length=1, max_length=16)] = Field(
        description="classes from the lowest score up; what is left keeps the buffer's own refresh"
    )

    @model_validator(mode="after")
    def _within_all(self) -> Self:
        total = sum(one.share for one in self.relaxed)
        if total > 1.0 + 1e-9:
            raise ValueError(f"relaxed classes share out all tokens at most; got {100.0 * total:.4g} %")
        return self


class PartitionSection(Section):
    """Values that are refreshed otherwise than the rest: layer by layer, or in banks of their own."""

    holds: Annotated[tuple[str, ...], Field(min_length=1, max_length=1000), ScalarAsList, NoRepeats] = Field(
        description="values by name, as in a record; a module's path for all of its own, * for any part of a name"
    )
    interval_s: Intervals = Field(
        alias="interval", description="time between two refreshes of their rows, or a list with one per row class"
    )
    banks: Positive | None = Field(
        None, le=4096, description="banks of the array that are theirs alone; without it they lie among the others"
    )


def _a_name(text: str) -> str:
    if not text.replace("-", "_").isidentifier():
        raise ValueError(f"{text[:40]!r} is no name: letters, digits, - and _, beginning with a letter")
    return text


class BufferOwnSection(Section):
    """What a buffer has beside its cells, array, refresh and protection."""

    name: Annotated[str, Field(max_length=64), AfterValidator(_a_name)] = Field(
        description="of the buffer, in records and reports"
    )
    contents: Annotated[tuple[str, ...], Field(min_length=1, max_length=1000), ScalarAsList, NoRepeats] = Field(
        description="activations (what layers with stored weights read), kv (keys and values of attention), or modules "
        "by name, whose outputs are held"
    )
    format: Annotated[str, OneOf(BUFFER_FORMATS, "format")] = Field(
        "int8", description="number format of a value, into which it is rounded where it is written"
    )
    scale: Literal["per_tensor", "per_channel", "per_token"] = Field(
        "per_tensor", description="which numbers of a value share a scale (integers)"
    )
    batch: Positive = Field(
        1, le=65536, description="inferences that go through the layers together: values live as much longer"
    )
    tokens_per_second: Annotated[float, Field(gt=0.0, le=1e12)] | None = Field(
        None, description="rate at which kv grows; without it the tokens of an inference share its latency"
    )
    lifetime_s: Annotated[float, Quantity("time", above=0.0)] | None = Field(
        None, alias="lifetime", description="from the write of every value to its last read, in place of the schedule's"
    )
    refreshed: Annotated[str, OneOf(REFRESHED, "rule of refresh")] = Field(
        "always",
        description="all rows all the time; rows whose value outlives the interval; of those only what no read has "
        "restored (1T1C); or whole banks that hold such one",
    )
    tokens: TokensSection | None = Field(None, description="tokens that are refreshed otherwise than the rest (kv)")
    partitions: Annotated[tuple[PartitionSection, ...], Field(min_length=1, max_length=256)] | None = Field(
        None, description="values that are refreshed otherwise than the rest, layer by layer or in banks of their own"
    )

    usual: ClassVar = {"batch": 1, "tokens_per_second": None, "lifetime_s": None, "tokens": None, "partitions": None}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.format in UNSCALED_FORMATS and self.scale != "per_tensor":
            raise ValueError(f"{self.format} has its own exponent and no scale; leave out scale, not {self.scale}")
        if self.tokens is not None and "kv" not in self.contents:
            raise ValueError("tokens are refreshed by a score where contents has kv")
        if self.tokens_per_second is not None and self.lifetime_s is not None:
            raise ValueError(
                "lifetime is stated in place of the schedule's, which tokens_per_second is part of; keep one"
            )
        if self.tokens_per_second is not None and "kv" not in self.contents:
            raise ValueError("tokens_per_second is the rate at which kv grows, and contents has none")
        return self

    @property
    def other_intervals_s(self) -> tuple[tuple[float | None, ...], ...]:
        """Those of the classes that are refreshed otherwise than the rest: of tokens, then of partitions."""
        tokens = self.tokens.relaxed if self.tokens is not None else ()
        return (*(one.interval_s for one in tokens), *(one.interval_s for one in self.partitions or ()))

    def unused(self) -> set[str]:
        """A name, and the usual values."""
        return super().unused() | {"name"}


class BufferSection(BufferOwnSection):
    """A memory beside the weights', of its own cells; ``cell`` and ``flips`` left out are those of the weights."""

    cell: SerializeAsAny[CellSection] = Field(description="its cell; without it, and without flips, the weights'")
    flips: FlipsSection = Field(default_factory=FlipsSection, description="the law behind its bit flips")
    array: ArraySection = Field(
        default_factory=ArraySection, description="its array; node, periphery and v_dd left out are the weights'"
    )
    refresh: RefreshSection = Field(default_factory=RefreshSection, description="its periodic refresh, or off")
    protection: ProtectionSection = Field(
        default_factory=ProtectionSection, description="which of its bits are guarded"
    )


OWN: Final = tuple(info.alias or name for name, info in BufferOwnSection.model_fields.items())
"""The keys that are no section of a study."""
