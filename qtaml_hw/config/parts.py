"""The sections of a study, each with what it is about; and their values as a result depends on them."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SerializeAsAny

from qtaml_hw.config.reading.fields import rounded
from qtaml_hw.config.reading.quantities import Section
from qtaml_hw.config.sections.accelerator import AcceleratorSection
from qtaml_hw.config.sections.array import ArraySection, RefreshSection, ScrubSection
from qtaml_hw.config.sections.buffers import BufferSection
from qtaml_hw.config.sections.cell import CellSection
from qtaml_hw.config.sections.evaluate import EvaluateSection
from qtaml_hw.config.sections.flips import FlipsSection
from qtaml_hw.config.sections.hardening import HardeningSection
from qtaml_hw.config.sections.protection import ProtectionSection
from qtaml_hw.config.sections.sources import DataSection, NetworkSection
from qtaml_hw.config.sections.timeline import TimelineSection
from qtaml_hw.config.sections.weights import WeightsSection
from qtaml_hw.config.space import SpaceSection
from qtaml_hw.config.sweep import SweepSection


class Parts(Section):
    """The sections of a study file, in their order."""

    label: str = Field(
        "study", alias="study", min_length=1, max_length=200, description="a name; never part of a result"
    )
    cell: SerializeAsAny[CellSection] = Field(
        description="the memory cell: its kind, a preset with sources, and what overrides it"
    )
    flips: FlipsSection = Field(default_factory=FlipsSection, description="the law behind bit flips")
    array: ArraySection = Field(default_factory=ArraySection, description="the memory array")
    refresh: RefreshSection = Field(default_factory=RefreshSection, description="periodic refresh, or off")
    scrub: ScrubSection = Field(default_factory=ScrubSection, description="periodic scrub, or off")
    timeline: TimelineSection = Field(default_factory=TimelineSection, description="phases and weight updates")
    weights: WeightsSection = Field(default_factory=WeightsSection, description="number format of the weights")
    protection: ProtectionSection = Field(default_factory=ProtectionSection, description="which bits are guarded")
    hardening: HardeningSection = Field(
        default_factory=HardeningSection, description="whether the network was trained to expect faulty weights"
    )
    network: NetworkSection = Field(default_factory=NetworkSection, description="the network")
    data: DataSection = Field(default_factory=DataSection, description="the labelled images")
    buffers: tuple[BufferSection, ...] = Field((), description="memories beside the weights': activations, kv")
    accelerator: AcceleratorSection = Field(default_factory=AcceleratorSection, description="the systolic array")
    evaluate: EvaluateSection = Field(default_factory=EvaluateSection, description="what is measured")
    sweep: SweepSection = Field(default_factory=SweepSection, description="axes around the point")
    space: SpaceSection = Field(default_factory=SpaceSection, description="what design looks over")


Told = dict[str, tuple[Section, dict[str, Any] | None]]
"""By section: the one that was asked last, and its values; None where all of it is unused."""


def told(parts: Parts, known: Told) -> dict[str, Any]:
    """The values of the sections in use, as ``Study.resolved``; the points of a sweep share most sections, and these
    are asked once."""
    unused, found = parts.unused(), dict[str, Any]()
    for name, section in parts:
        if name in unused:
            continue
        if name not in known or known[name][0] is not section:
            known[name] = section, _values(section)
        values = known[name][1]
        if values is not None:
            found[name] = values
    return found


def _values(section: Section) -> dict[str, Any] | None:
    if section.unused() == type(section).model_fields.keys():
        return None
    values: dict[str, Any] = rounded(section.model_dump(mode="json", exclude=section.left_out(), exclude_none=True))
    return values
