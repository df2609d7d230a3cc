"""How a network is trained for faulty weights: five methods, each with the one number that sets its strength."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.errors import unknown
from qtaml_hw.names import STRENGTHS, THROUGH_CODES, Direction, Method
from qtaml_hw.weights import StoredImage

METHODS: Final[tuple[Method, ...]] = get_args(Method)

Store = Callable[[Mapping[str, NDArray[np.float32]]], StoredImage]
"""Weights by name to their image in the memory."""

HARDENING_VERSION: Final = 1
"""Raised whenever a method's steps change: cached networks of the old ones are then not used."""


@dataclass(frozen=True)
class Hardening:
    """One way to train.

    method: ``none`` plain training; ``qat`` weights as decoded from their codes, gradients straight through
    (Jacob et al. 2018, arXiv:1712.05877); ``noise`` Gaussian noise of the standard deviation ``amplitude`` on every
    stored weight (as T0-QAT does; amplitude in units of the weights); ``relative_noise`` the same with ``amplitude``
    times the largest magnitude of the tensor; ``bit_error`` flips of probability ``p`` in the stored codes beside the
    undisturbed ones (RandBET: Stutz et al. 2021, arXiv:2006.13977).
    p_from: with ``bit_error``, flips rise by epoch from this probability in the first to ``p`` in the last (a
    curriculum, as EDEN's: Koppula et al. 2019, arXiv:1910.05340).  map_index: the same cells flip in every step, those
    of one evaluated fault map of independent flips (training on the map of one chip, as MATIC: Kim et al. 2017,
    arXiv:1706.04332).
    clip: largest magnitude of a stored weight, kept after every step (None: no limit); epochs: instead of the
    recipe's (None); seed: of initialisation, order of the images, noise and flips.

    Raises ValueError: a strength that the method does not have, lacks, or that is out of range.
    """

    method: Method = "none"
    amplitude: float | None = None
    p: float | None = None
    p_from: float | None = None
    map_index: int | None = None
    direction: Direction = "symmetric"
    clip: float | None = None
    epochs: int | None = None
    seed: int = 2026

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(unknown("hardening", self.method, METHODS))
        for name, wanted in STRENGTHS.items():
            value = getattr(self, name)
            if (value is not None) != (self.method in wanted):
                raise ValueError(f"{name} is the strength of {' and '.join(wanted)}; method {self.method}, got {value}")
            if value is not None and not value > 0.0:
                raise ValueError(f"{name} must be positive, got {value}")
        if self.p is not None and self.p > 0.5:
            raise ValueError(f"p is a flip probability of at most 0.5, got {self.p}")
        for name in ("p_from", "map_index"):
            if getattr(self, name) is not None and self.method != "bit_error":
                raise ValueError(f"{name} is for bit_error; the method is {self.method}")
        if self.p_from is not None and not 0.0 < self.p_from <= (self.p or 0.0):
            raise ValueError(f"p_from is where p begins, above 0 and at most p = {self.p}; got {self.p_from}")
        if self.map_index is not None and self.map_index < 0:
            raise ValueError(f"map_index counts fault maps from 0, got {self.map_index}")
        if self.clip is not None and not self.clip > 0.0:
            raise ValueError(f"clip must be positive, got {self.clip}")

    @property
    def facts(self) -> dict[str, Any]:
        """What is set, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def digest(self, storage: str) -> str:
        """sha256 (hex) of all that decides the training; ``storage`` names the number format where it matters."""
        shown = storage if self.method in THROUGH_CODES else ""
        return hashlib.sha256(json.dumps([HARDENING_VERSION, self.facts, shown], sort_keys=True).encode()).hexdigest()
