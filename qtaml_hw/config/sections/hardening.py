"""The hardening section: whether, and how, the network was trained to expect faulty weights."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import Field, model_validator

from qtaml_hw.config.reading.quantities import Quantity, Section
from qtaml_hw.config.sections.kinds import Positive, Whole
from qtaml_hw.names import STRENGTHS, THROUGH_CODES, Direction, Method

DEFAULT_SEED: Final = 2026


class HardeningSection(Section):
    """How the network was trained. ``none`` is the network as it comes; other methods train it anew."""

    method: Method = Field(
        "none",
        description="qat: through the stored codes; noise: Gaussian, fixed amplitude (T0-QAT); relative_noise: "
        "amplitude times the largest weight of the tensor; bit_error: flips of probability p (RandBET)",
    )
    amplitude: Annotated[float | None, Field(gt=0.0, le=1e6)] = Field(
        None, description="standard deviation of the noise: in units of the weights, or relative to the largest one"
    )
    p: Annotated[float | None, Quantity("fraction", above=0.0, at_most=0.5)] = Field(
        None, description="flip probability of a stored bit in training (bit_error)"
    )
    p_from: Annotated[float | None, Quantity("fraction", above=0.0, at_most=0.5)] = Field(
        None, description="p rises by epoch from here to p: a curriculum (bit_error); also 'p: [from, to]'"
    )
    map_index: Annotated[Whole, Field(ge=0, lt=2**29)] | None = Field(
        None, description="train on the flips of this one fault map of hardening.seed, in every step (bit_error)"
    )
    direction: Direction = Field("symmetric", description="which bits flip in training (bit_error)")
    clip: Annotated[float | None, Field(gt=0.0, le=1e6)] = Field(
        None, description="largest magnitude of a weight, kept throughout the training"
    )
    epochs: Positive | None = Field(
        None, le=100_000, description="passes over the training images; the zoo's networks have a default"
    )
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = Field(
        DEFAULT_SEED, description="of initialisation, order, noise and flips; with none too: another trained network"
    )

    @model_validator(mode="before")
    @classmethod
    def _curriculum(cls, raw: Any) -> Any:
        """``p: [from, to]`` is p_from and p."""
        if isinstance(raw, dict) and isinstance(raw.get("p"), list | tuple) and len(raw["p"]) == 2:
            if raw.get("p_from") is not None:
                raise ValueError("p: [from, to] says p_from already; keep one")
            return {**raw, "p_from": raw["p"][0], "p": raw["p"][1]}
        return raw

    @model_validator(mode="after")
    def _strength_of_the_method(self) -> Self:
        for name, methods in STRENGTHS.items():
            given = getattr(self, name) is not None
            if self.method in methods and not given:
                raise ValueError(f"{self.method} needs {name}, such as '{name}: {_EXAMPLES[self.method]}'")
            if given and self.method not in methods:
                raise ValueError(f"{name} is for {' and '.join(methods)}; the method is {self.method}")
        for name in ("p_from", "map_index"):
            if getattr(self, name) is not None and self.method != "bit_error":
                raise ValueError(f"{name} is for bit_error; the method is {self.method}")
        if self.p_from is not None and self.p is not None and self.p_from > self.p:
            raise ValueError(f"flips rise from p_from to p, and p_from = {self.p_from:g} is above p = {self.p:g}")
        if self.direction != "symmetric" and self.method != "bit_error":
            raise ValueError(f"direction is for bit_error; the method is {self.method}")
        if self.method == "none" and (self.clip is not None or self.epochs is not None):
            raise ValueError("clip and epochs are for networks that are trained: name a method, such as qat")
        return self

    usual: ClassVar = {"p_from": None, "map_index": None}

    @property
    def trained(self) -> bool:
        """Whether the network differs from the one that comes without this section."""
        return self.method != "none" or self.seed != DEFAULT_SEED

    @property
    def sees_codes(self) -> bool:
        """Whether training goes through the stored codes, so that the number format decides the weights."""
        return self.method in THROUGH_CODES

    def unused(self) -> set[str]:
        """What plays no part in a result: all of it where the network is the one that comes."""
        if not self.trained:
            return set(type(self).model_fields)
        return super().unused() | (set() if self.method == "bit_error" else {"direction"})


_EXAMPLES: Final = {"noise": "0.05", "relative_noise": "0.05", "bit_error": "1 %"}
