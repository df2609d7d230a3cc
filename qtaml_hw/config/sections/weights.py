"""The weights section: how a weight is written into bits. The default is an int8 network."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic_core import core_schema

from qtaml_hw.config.reading.quantities import Section
from qtaml_hw.config.sections.kinds import Flag, NoRepeats, OneOf, ScalarAsList, Whole
from qtaml_hw.names import (
    CHANNEL_FORMATS,
    CODED_FORMATS,
    FILE_FORMAT,
    FLOAT_FORMATS,
    FORMATS,
    IN_PLACE,
    PLANES,
    POWER_FORMATS,
    SCALES,
    SHARED_FORMATS,
    TRANSFORMS,
    UNSCALED_FORMATS,
    UNSIGNED_FORMATS,
    Beyond,
    Encoding,
    InPlaceCheck,
    MismatchReads,
    Specials,
    fixed_point,
    grouped,
    stated_step,
)

DEFAULT_POWER: Final = 2.0
_RULES: Final = ("invert_planes", "in_place", "bound")


PlaneList = Annotated[tuple[Annotated[Whole, Field(ge=0, le=15)], ...], Field(min_length=1), ScalarAsList, NoRepeats]


class OnScale(OneOf):
    """Which weights share a scale (``group-N`` of any size), or a step that is stated: ``q1.6`` or ``{step: 2^-6}``."""

    def read(self, value: object) -> str:
        """The one spelling of the name.  Raises ValueError with what is allowed."""
        if isinstance(value, dict) and set(value) == {"step"}:
            value = f"step-{value['step']}".replace(" ", "")
        if isinstance(value, str) and len(value) < 40:
            name = value.lower()
            if grouped(name) is not None:
                return name
            if name.startswith("group"):
                raise ValueError(f"{value!r} is no group; write group-N (1 to 99999 weights), group-N-e8m0 or -e4m3")
            if (step := stated_step(name)) is not None and 1e-12 <= step <= 1e12:
                return name
            if name.startswith(("step-", "q")):
                raise ValueError(f"{value!r} is no step; write it as q1.6 (Qm.n), 'step: 2^-6' or 'step: 0.02'")
        return super().read(value)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        named = super().__get_pydantic_json_schema__(schema, handler)
        step = {"anyOf": [{"type": "number"}, {"type": "string"}]}
        stated = {"type": "object", "properties": {"step": step}, "additionalProperties": False}
        pattern = r"^([qQ]\d+\.\d+|step-.+|group-[1-9]\d{0,4}(-e8m0|-e4m3)?)$"
        return {"anyOf": [named, {"type": "string", "pattern": pattern}, stated]}


class InvertSection(Section):
    """Planes stored inverted in the weights whose top plane says so: stated, where the step of that name chooses."""

    planes: PlaneList = Field(description="planes that are inverted, 0 the least significant; not the top one")
    if_sign: Annotated[Whole, Field(ge=0, le=1)] = Field(0, description="what the top plane of such a weight holds")


class InPlaceSection(Section):
    """Checks of some planes in place of others, whose loss is the price: nothing is stored beside."""

    check: InPlaceCheck = Field("copy", description="copies of the guarded planes, or the parity of runs of them")
    planes: PlaneList = Field(description="guarded planes, 0 the least significant")
    into: PlaneList = Field(
        description="planes that give way: one or two a guarded plane (copy), one a run of equal length (parity)"
    )
    reads: MismatchReads = Field(
        "zero", description="what a mismatch makes: weight zero, or of single copies the and or the or of both"
    )

    @model_validator(mode="after")
    def _counts(self) -> Self:
        guarded, into = len(self.planes), len(self.into)
        both = sorted(set(self.planes) & set(self.into))
        if both:
            raise ValueError(f"plane {both[0]} is guarded and gives way; name it once")
        if self.check == "copy" and into not in (guarded, 2 * guarded):
            raise ValueError(f"copies of {guarded} planes take {guarded} planes or {2 * guarded}; got into {into}")
        if self.check == "parity" and (into > guarded or guarded % into):
            raise ValueError(f"{guarded} guarded planes do not fall into {into} runs of equal length")
        if self.reads != "zero" and (self.check == "parity" or into != guarded):
            raise ValueError(f"reads: {self.reads} is for single copies; parity and two copies have no two to choose")
        return self

    @property
    def named(self) -> tuple[int, ...]:
        """All planes that it names."""
        return (*self.planes, *self.into)

    usual: ClassVar = {"reads": "zero"}


class BoundSection(Section):
    """A magnitude that no weight has: what is read beyond it is implausible."""

    at: Annotated[float, Field(gt=0.0, le=1e6)] = Field(description="the bound, in units of the weights")
    beyond: Beyond = Field("zero", description="what an implausible value reads as")


class WeightsSection(Section):
    """How a weight is written into bits."""

    format: Annotated[str, OneOf((*FORMATS, *SHARED_FORMATS, *CHANNEL_FORMATS, FILE_FORMAT), "format")] = Field(
        "int8",
        description="number format of a stored weight; cosq is made for the study's own flips, file is what the "
        "network's own file brings; mxfp4, mxfp8, nvfp4 and their kin name a format and its scale together",
    )
    encoding: Encoding = Field("twos_complement", description="bits of an integer level; for int and power formats")
    scale: Annotated[str, OnScale(SCALES, "scale")] = Field(
        "per_tensor",
        description="which weights share a scale; groups are runs of one output channel; or one stated step for all, "
        "as q1.6 (Qm.n) or 'step: 2^-6'",
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
    invert_planes: InvertSection | None = Field(
        None, description="planes stored inverted by the sign: a stated rule, as 'planes: [0, 1, 2], if_sign: 0'"
    )
    in_place: InPlaceSection | None = Field(
        None, description="copies or parity of planes in place of low ones, as 'planes: [7], into: [0]'"
    )
    bound: BoundSection | None = Field(
        None, description="float16 and bfloat16: values beyond a stated magnitude read as zero, or as the bound"
    )
    within: Annotated[str, OneOf(IN_PLACE, "condition")] | None = Field(
        None, description="clip weights to the condition of a code that lies inside them, such as in-place-64-57"
    )
    fold_batch_norm: Flag = Field(False, description="fold batch normalisation into the weights before storage")
    transforms: Annotated[tuple[Annotated[str, OneOf(TRANSFORMS, "transform")], ...], ScalarAsList, NoRepeats] = Field(
        (), description="steps before storage that change no output, in this order; invert_planes is always the last"
    )

    @model_validator(mode="before")
    @classmethod
    def _format_and_scale(cls, given: Any) -> Any:
        named = given.get("format") if isinstance(given, dict) else None
        if not isinstance(named, str) or named not in SHARED_FORMATS:
            return given
        elements, scale = SHARED_FORMATS[named]
        if given.get("scale", scale) != scale:
            raise ValueError(f"{named} is {elements} with scale {scale}; leave out scale, not {given['scale']}")
        return {**given, "format": elements, "scale": scale}

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
        if stated_step(self.scale) is not None and self.rounding == "mse_clip":
            raise ValueError(f"mse_clip searches the step, and {self.scale} states it; rounding is nearest")
        bits = fixed_point(self.scale)
        if bits is not None and sum(bits) + 1 != PLANES[self.format]:
            raise ValueError(f"{self.scale} has a sign, {bits[0]} whole and {bits[1]} fraction bits; not {self.format}")
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

    @model_validator(mode="after")
    def _within_int8(self) -> Self:
        plain = self.format == "int8" and self.encoding == "twos_complement" and not self.ruled
        if self.within is not None and not (plain and "invert_planes" not in self.transforms):
            raise ValueError(f"{self.within} lies in plain int8 weights in two's complement; got {self.format}")
        return self

    @model_validator(mode="after")
    def _rules_of_the_format(self) -> Self:
        rules = [name for name in _RULES if getattr(self, name) is not None]
        if not rules:
            return self
        if self.format in (*CHANNEL_FORMATS, *UNSIGNED_FORMATS, FILE_FORMAT) or PLANES[self.format] < 2:
            raise ValueError(f"{rules[0]} is for formats with a sign plane and others below; got {self.format}")
        if "invert_planes" in self.transforms and self.invert_planes is not None:
            raise ValueError("invert_planes is stated by a rule or chosen by the step of that name, not both")
        if self.bound is not None and self.format not in UNSCALED_FORMATS:
            allowed = " and ".join(UNSCALED_FORMATS)
            raise ValueError(f"bound is for {allowed}; the range of {self.format} is that of its weights anyway")
        top = PLANES[self.format] - 1
        asked = [] if self.in_place is None else [("in_place", self.in_place.named, top)]
        asked += [] if self.invert_planes is None else [("invert_planes", self.invert_planes.planes, top - 1)]
        for name, planes, most in asked:
            if max(planes) > most:
                raise ValueError(f"{name} names plane {max(planes)}; of {self.format} it may name 0 to {most}")
        return self

    @property
    def ruled(self) -> bool:
        """Whether a stated rule changes what the codes of the format mean."""
        return any(getattr(self, name) is not None for name in _RULES)

    usual: ClassVar = {
        "rounding": "nearest",
        "specials": "saturate",
        "transforms": (),
        **dict.fromkeys(("invert_planes", "in_place", "bound", "within")),
    }

    def unused(self) -> set[str]:
        """The power too, of formats that have none."""
        return super().unused() | ({"power"} if self.format not in POWER_FORMATS else set())
