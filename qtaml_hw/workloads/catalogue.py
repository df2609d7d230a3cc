"""The networks and data sets that come with the product, by name; reading this list imports nothing heavy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Final

from qtaml_hw.errors import unknown

TRAINING_VERSION: Final = 1
"""Raised whenever a family's layers or the training loop change: cached weights of the old ones are then not used."""


_NOT_THE_WEIGHTS: Final = ("name", "title", "about", "train_seconds", "shipped")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: AdamW with a one-cycle learning rate, shuffled by a generator of its own.

    epochs: passes over the training images; batch: images per step; learning_rate: peak of the cycle;
    weight_decay: AdamW's; shift: largest shift of an image in pixels, each direction (augmentation).
    """

    epochs: int
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    shift: int = 0


@dataclass(frozen=True)
class NetworkSpec:
    """One network of the zoo.

    name: as study files write it; title: as tables show it; family: file in ``workloads.families``;
    arguments: its builder's sizes; data: data set it is trained on; input_shape: of one sample, without batch;
    classes: number of logits; recipe: its training; train_seconds: CPU seconds measured on one core of a busy
    two-core machine; about: one sentence for listings; shipped: sha256 of the trained state that comes with the
    package for the default seed, "" where a network is trained at its first use.
    """

    name: str
    title: str
    family: str
    data: str
    input_shape: tuple[int, int, int]
    classes: int
    recipe: Recipe
    train_seconds: float
    about: str
    arguments: dict[str, int] = field(default_factory=dict)
    shipped: str = ""

    def digest(self, seed: int) -> str:
        """sha256 (hex) of all that decides the trained weights on one machine: family, sizes, recipe, data, seed."""
        facts = {k: v for k, v in asdict(self).items() if k not in _NOT_THE_WEIGHTS}
        return hashlib.sha256(json.dumps([TRAINING_VERSION, facts, seed], sort_keys=True).encode()).hexdigest()


def _digits(
    name: str,
    title: str,
    family: str,
    recipe: Recipe,
    train_seconds: float,
    about: str,
    shipped: str = "",
    **sizes: int,
) -> NetworkSpec:
    return NetworkSpec(name, title, family, "digits", (1, 8, 8), 10, recipe, train_seconds, about, sizes, shipped)


ZOO: Final[dict[str, NetworkSpec]] = {
    spec.name: spec
    for spec in (
        _digits(
            "digits-lenet",
            "LeNet-like",
            "lenet",
            Recipe(epochs=30),
            4.0,
            "small convolutional network",
            "049f435fc8a9ea73459cc55da90a4aca5e5fbc0709a028597548b15ac3c7c42d",
        ),
        _digits(
            "digits-vgg",
            "VGG-like, two 2048-wide FC",
            "vgg",
            Recipe(epochs=6, learning_rate=1e-3),
            10.0,
            "over-parameterised: most weights sit in wide fully connected layers",
            width=24,
            hidden=2048,
        ),
        _digits(
            "digits-resnet",
            "ResNet-like, width 24",
            "resnet",
            Recipe(epochs=12),
            12.0,
            "residual blocks",
            "052a46d8941f13ae7451eee005b9573082a18f3a32258102d838073c41b8d0da",
            width=24,
        ),
        _digits(
            "digits-resnet-wide",
            "ResNet-18-like, width 48",
            "resnet",
            Recipe(epochs=10),
            30.0,
            "residual and over-parameterised; slow to train",
            width=48,
        ),
        _digits(
            "digits-mobilenet", "MobileNet-like", "mobilenet", Recipe(epochs=20), 10.0, "depthwise separable", width=24
        ),
        _digits(
            "digits-transformer",
            "transformer encoder, 4 x 96",
            "transformer",
            Recipe(epochs=30, learning_rate=2e-3),
            25.0,
            "attention over 16 patches of 2 x 2 pixels",
            width=96,
            depth=4,
            hidden=128,
        ),
        _digits(
            "digits-mlp",
            "MLP 64-1024-1024-10",
            "mlp",
            Recipe(epochs=10, learning_rate=1e-3),
            3.0,
            "fully connected only",
            hidden=1024,
        ),
    )
}


def names() -> tuple[str, ...]:
    """Names of the networks that come with the product."""
    return tuple(ZOO)


def network(name: str) -> NetworkSpec:
    """The network of that name; ValueError with the names there are and, for a near miss, what was probably meant."""
    return ZOO[known(name, ZOO, "network")]


def known(name: str, allowed: Iterable[str], what: str) -> str:
    """The name itself if it is allowed, else ValueError with the list and a near miss."""
    choices = list(allowed)
    if name in choices:
        return name
    raise ValueError(unknown(what, name, choices))
