"""The timeline section: what happens to the memory besides its routine, in the time before the last read-out."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from qtaml_hw.config.reading.quantities import Quantity, Section
from qtaml_hw.config.sections.kinds import ScalarAsList
from qtaml_hw.limits import LIMITS
from qtaml_hw.units import show

_SWITCH: Final = {"on": True, "off": False, True: True, False: False}


def _switch(value: Any) -> bool:
    if not isinstance(value, str | bool) or value not in _SWITCH:
        raise ValueError(f"expected on or off, got {value!r}")
    return _SWITCH[value]


Switch = Annotated[bool, BeforeValidator(_switch), WithJsonSchema({"enum": ["on", "off", True, False]})]
Instant = Annotated[float, Quantity("time", at_least=0.0)]


class PhaseSection(Section):
    """A stretch of time under other conditions."""

    label: str = Field("", max_length=80, description="a name for tables and plots; never part of a result")
    start_s: Instant = Field(alias="from", description="when it starts, counted from the first write")
    end_s: Instant = Field(alias="to", description="when it ends")
    temperature_k: Annotated[float | None, Quantity("temperature")] = Field(
        None, alias="temperature", description="of the cells meanwhile; the default is the cell's"
    )
    v_dd_v: Annotated[float | None, Quantity("voltage")] = Field(
        None, alias="v_dd", description="level of the stored ones meanwhile; the default is the cell's"
    )
    refresh: Switch = Field(True, description="whether the memory is refreshed meanwhile")
    inferences: Switch = Field(True, description="whether inferences arrive meanwhile")
    powered: Switch = Field(True, description="off: the contents are lost, and reloaded when the phase ends")

    @model_validator(mode="after")
    def _physical(self) -> Self:
        for name, key in (("temperature_k", "temperature"), ("v_dd_v", "v_dd")):
            value = getattr(self, name)
            if value is not None and not LIMITS[name].holds(value):
                raise ValueError(f"{key} {LIMITS[name].complaint(value)}")
        return self

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.end_s <= self.start_s:
            raise ValueError(
                f"a phase runs forward; the phase {self.name} goes from {show(self.start_s, 'time')} to "
                f"{show(self.end_s, 'time')}, {show(self.end_s - self.start_s, 'time')} long"
            )
        return self

    def unused(self) -> set[str]:
        """A name."""
        return {"label"}

    @property
    def name(self) -> str:
        """The label, or the times where there is none."""
        return repr(self.label) if self.label else f"from {show(self.start_s, 'time')}"

    @property
    def changes_cell(self) -> bool:
        """Whether retention is another meanwhile."""
        return self.temperature_k is not None or self.v_dd_v is not None


def _apart(phases: tuple[PhaseSection, ...]) -> tuple[PhaseSection, ...]:
    for before, after in pairwise(phases):
        if after.start_s < before.end_s:
            raise ValueError(
                f"phases follow each other without overlap: the phase {before.name} ends at "
                f"{show(before.end_s, 'time', 6)}, the phase {after.name} starts at {show(after.start_s, 'time', 6)}"
            )
    return phases


def _ascending(times_s: tuple[float, ...]) -> tuple[float, ...]:
    for earlier, later in pairwise(times_s):
        if later <= earlier:
            raise ValueError(f"updates must ascend; {show(later, 'time')} comes after {show(earlier, 'time')}")
    return times_s


class TimelineSection(Section):
    """Phases of other conditions, and times at which the weights are written anew."""

    phases: Annotated[tuple[PhaseSection, ...], Field(max_length=1000), AfterValidator(_apart)] = Field(
        (), description="stretches of time under other conditions, ascending and apart"
    )
    updates_s: Annotated[tuple[Instant, ...], Field(max_length=100_000), ScalarAsList, AfterValidator(_ascending)] = (
        Field((), alias="updates", description="times at which all weights are written anew from the backing store")
    )

    usual: ClassVar = {"phases": (), "updates_s": ()}
