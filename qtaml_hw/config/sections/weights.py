"""The weights section: how a weight is written into bits. The default is an int8 network."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from qtaml_hw.config.reading.quantities import Section
from qtaml_hw.config.sections.kinds import Flag, NoRepeats, OneOf, ScalarAsList
from qtaml_hw.names import (
    CHANNEL_FORMATS,
    CODED_FORMATS,
    FILE_FORMAT,
    FLOAT_FORMATS,
    FORMATS,
    POWER_FORMATS,
    SCALES,
    TRANSFORMS,
    UNSCALED_FORMATS,
    Encoding,
    Specials,
)

DEFAULT_POWER: Final = 2.0


class WeightsSection(Section):
    """How a weight is written into bits."""

    format: Annotated[str, OneOf((*FORMATS, *CHANNEL_FORMATS, FILE_FORMAT), "format")] = Field(
        "int8",
        description="number format of a stored weight; cosq is made for the study's own flips, file is what the "
        "network's own file brings",
    )
    encoding: Encoding = Field("twos_complement", description="bits of an integer level; for int and power formats")
    scale: Annotated[str, OneOf(SCALES, "scale")] = Field(
        "per_tensor", description="which weights share a scale; groups are runs of one output channel"
    )
    rounding: Literal["nearest", "mse_clip", "learned", "gptq"] = Field(
        "nearest",
        description="nearest code; the step of least squared error first; that, and codes that keep the layer's "
        "outputs on calibration inputs, found by descent (learned) or by making up for errors (gptq)",
    )
    power: Annotated[float, Field(ge=0.25, le=4.0)] = Field(
        DEFAULT_POWER, description="value = level ^ power, for power formats"
    )
    specials: Specials = Field(
        "saturate", description="what a float code that is no number decodes to: the largest number, or zero"
    )
    fold_batch_norm: Flag = Field(False, description="fold batch normalisation into the weights before storage")
    transforms: Annotated[tuple[Annotated[str, OneOf(TRANSFORMS, "transform")], ...], ScalarAsList, NoRepeats] = Field(
        (), description="steps before storage that change no output, in this order; invert_planes is always the last"
    )

    @field_validator("transforms")
    @classmethod
    def _inverted_last(cls, steps: tuple[str, ...]) -> tuple[str, ...]:
        if "invert_planes" in steps[:-1]:
            ordered = ", ".join([*(s for s in steps if s != "invert_planes"), "invert_planes"])
            raise ValueError(f"invert_planes chooses among final codes and is always the last step: [{ordered}]")
        return steps

    @model_validator(mode="after")
    def _fields_of_the_format(self) -> Self:
        scales = f"{self.format} has its own exponent and no scale"
        uses = {
            "encoding": (self.encoding == "twos_complement", CODED_FORMATS, f"{self.format} has one encoding"),
            "power": (self.power == DEFAULT_POWER, POWER_FORMATS, f"{self.format} has no power"),
            "specials": (self.specials == "saturate", FLOAT_FORMATS, f"{self.format} has no special codes"),
        }
        for name, (default, formats, reason) in uses.items():
            if not default and self.format not in formats:
                raise ValueError(f"{name} is for {', '.join(formats)}; {reason}")
        if self.format == FILE_FORMAT:
            self._only_the_file()
        if self.format in UNSCALED_FORMATS and self.scale != "per_tensor":
            raise ValueError(f"{scales}; leave scale at per_tensor, not {self.scale}")
        if self.format in UNSCALED_FORMATS and self.rounding == "mse_clip":
            raise ValueError(f"{scales} to clip; rounding is nearest, learned or gptq")
        if self.format in CHANNEL_FORMATS and (self.rounding != "nearest" or "invert_planes" in self.transforms):
            raise ValueError(f"{self.format} chooses its codes for the channel: rounding is nearest, no invert_planes")
        return self

    def _only_the_file(self) -> None:
        others = {
            "scale": self.scale != "per_tensor",
            "rounding": self.rounding != "nearest",
            "fold_batch_norm": self.fold_batch_norm,
            "transforms": bool(set(self.transforms) - {"invert_planes"}),
        }
        changed = [name for name, differs in others.items() if differs]
        if changed:
            raise ValueError(f"format file keeps the codes that the file brings, so that {changed[0]} has no effect")

    usual: ClassVar = {"rounding": "nearest", "specials": "saturate", "transforms": ()}

    def unused(self) -> set[str]:
        """The power too, of formats that have none."""
        return super().unused() | ({"power"} if self.format not in POWER_FORMATS else set())
