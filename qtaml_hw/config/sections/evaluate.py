"""The evaluate section: what is measured, when, on how many images, over how many fault maps."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from qtaml_hw.config.reading.quantities import Quantity, Section
from qtaml_hw.config.sections.kinds import NoRepeats, OneOf, Positive, ScalarAsList, Whole, factory_name
from qtaml_hw.names import DEVICES, METRICS
from qtaml_hw.units import show


class MapsSection(Section):
    """How many fault maps (chips, or draws) are evaluated: until the interval is narrow enough, within limits."""

    min: Annotated[Whole, Field(ge=2, le=100_000)] = Field(8, description="at least so many maps")
    max: Annotated[Whole, Field(ge=2, le=100_000)] = Field(64, description="at most so many maps")
    ci95_halfwidth: Annotated[float, Quantity("fraction", above=0.0, at_most=0.5)] = Field(
        0.025,
        description="stop when the 95 % interval of the mean accuracy is +- this; assumed: what some 40 chips that are "
        "alike leave",
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


def _metric(text: str) -> str:
    return factory_name(text) if ":" in text else str(OneOf(METRICS, "metric").read(text))


def _device(text: str) -> str:
    kind, colon, number = text.partition(":")
    if colon and kind in DEVICES[1:] and number.isdigit():
        return text
    return str(OneOf(DEVICES, "device").read(text))


class EvaluateSection(Section):
    """What is measured: when, on how many images, over how many fault maps."""

    at_s: Annotated[
        tuple[Annotated[float, Quantity("time", at_least=0.0)], ...],
        Field(min_length=1, max_length=1000),
        ScalarAsList,
        AfterValidator(_increasing),
    ] = Field((1e-3,), alias="at", description="times after the weights were written")
    metric: Annotated[str, AfterValidator(_metric)] = Field(
        "top1", description=f"what is measured: {', '.join(METRICS)}, or your own 'package.module:function'"
    )
    runtime: Literal["torch", "onnxruntime"] = Field(
        "torch", description="what runs the network; onnxruntime: a .onnx file as it is deployed, without gradients"
    )
    compile: Literal["exact", "fused"] = Field(
        "exact",
        description="operators of a forward pass on a processor: the network's own, to the bit; or fewer, batch norms "
        "folded, whose outputs agree to 1e-4 of the largest",
    )
    faulty: Annotated[tuple[str, ...], Field(min_length=1, max_length=1000), ScalarAsList, NoRepeats] = Field(
        ("weights", "buffers"),
        description="memories whose flips are read, the others being as written: weights, buffers, buffers.NAME",
    )
    yield_at: Annotated[
        tuple[Annotated[float, Quantity("fraction", above=0.0, at_most=1.0)], ...],
        Field(min_length=1, max_length=20),
        ScalarAsList,
        NoRepeats,
    ] = Field((0.95,), description="shares of the clean accuracy: how many chips keep each is counted")
    images: Positive = Field(
        360, le=10_000_000, description="test images per fault map (at most what the data set has)"
    )
    maps: MapsSection = Field(default_factory=MapsSection)
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = Field(2026, description="seed of every draw")
    verdicts: Literal["whole", "early"] = Field(
        "whole", description="what design and feasible decide by: all images of every map, or as many as tell it"
    )
    device: Annotated[str, AfterValidator(_device)] = Field(
        "auto", description="where the network computes: auto (cuda where it is, else cpu), cpu, cuda, cuda:1, mps"
    )

    usual: ClassVar = {"metric": "top1", "runtime": "torch", "compile": "exact", "faulty": ("weights", "buffers")}

    def unused(self) -> set[str]:
        """How many fault maps are drawn and where, and what is asked of them, too: each is what it is."""
        return super().unused() | {"maps", "yield_at", "verdicts", "device"}
