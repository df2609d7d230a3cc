"""Formats by the names that a study file uses."""

from __future__ import annotations

from collections.abc import Callable

from qtaml_hw.errors import unknown
from qtaml_hw.names import (
    FORMATS,
    INTEGER_FORMATS,
    PLANES,
    POWER_FORMATS,
    UNSIGNED_FORMATS,
    Encoding,
    Specials,
)
from qtaml_hw.weights.codes import BinaryFormat, PowerFormat
from qtaml_hw.weights.floats import LAYOUTS, FloatFormat
from qtaml_hw.weights.formats import NumberFormat, UnsignedFormat, WeightFormat


def number_format(
    name: str,
    *,
    encoding: Encoding = "twos_complement",
    power: float = 2.0,
    specials: Specials = "saturate",
) -> NumberFormat:
    """The format of a name; ``encoding`` is used by integers and power codes, ``specials`` by floats.

    Raises ValueError for an unknown name, and as the formats do.
    """
    builders: list[tuple[bool, Callable[[], NumberFormat]]] = [
        (name in INTEGER_FORMATS, lambda: WeightFormat(PLANES[name], encoding)),
        (name in UNSIGNED_FORMATS, lambda: UnsignedFormat(PLANES[name])),
        (name in LAYOUTS, lambda: FloatFormat(name, specials)),
        (name in POWER_FORMATS, lambda: PowerFormat(PLANES[name], power, encoding)),
        (name == "binary", BinaryFormat),
    ]
    for known, build in builders:
        if known:
            return build()
    raise ValueError(unknown("number format", name, FORMATS))
