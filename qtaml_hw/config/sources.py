"""The network and data sections: where the weights and the images come from."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from qtaml_hw.config.kinds import OneOf
from qtaml_hw.config.names import DATA_SETS, NETWORKS
from qtaml_hw.config.quantities import Section


def _factory(text: str) -> str:
    module, colon, function = text.partition(":")
    if not colon or not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"{text[:80]!r} is not a factory; write it as 'package.module:function'")
    return text


def _safe_weights(text: str) -> str:
    if not text.endswith(".safetensors"):
        raise ValueError(f"{text[:80]!r} is not a .safetensors file; other formats can run code when they are read")
    return text


def _non_empty(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError("needs the path of a file or folder")
    return text


Factory = Annotated[str, AfterValidator(_factory)]
FilePath = Annotated[str, AfterValidator(_non_empty)]


def _exactly_one(section: Section, names: tuple[str, ...], what: str) -> None:
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) != 1:
        found = f"got {' and '.join(given)}" if given else "got none"
        raise ValueError(f"{what} is given by exactly one of {', '.join(names)}; {found}")


class NetworkSection(Section):
    """An embedded network by name, or a user's own by factory and weights."""

    name: Annotated[str | None, OneOf(NETWORKS, "network")] = Field(
        None, description="embedded network; the default is digits-lenet"
    )
    factory: Factory | None = Field(None, description="'package.module:function' that returns a torch.nn.Module")
    weights: Annotated[FilePath, AfterValidator(_safe_weights)] | None = Field(
        None, description="weights of that network, a .safetensors file beside the study"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _exactly_one(self, ("name", "factory"), "a network")
        return self


class DataSection(Section):
    """Labelled images: an embedded set, files, or a factory."""

    name: Annotated[str | None, OneOf(DATA_SETS, "data set")] = Field(
        None, description="embedded data set; the default is digits"
    )
    idx: FilePath | None = Field(None, description="folder of IDX files (as MNIST is distributed)")
    npz: FilePath | None = Field(None, description=".npz file with images and labels")
    factory: Factory | None = Field(None, description="'package.module:function' that returns images and labels")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _exactly_one(self, ("name", "idx", "npz", "factory"), "data")
        return self
