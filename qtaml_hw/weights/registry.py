"""Formats by the names that a study file uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from qtaml_hw.errors import unknown
from qtaml_hw.weights.codes import BinaryFormat, PowerFormat
from qtaml_hw.weights.floats import LAYOUTS, FloatFormat, Specials
from qtaml_hw.weights.formats import Encoding, NumberFormat, WeightFormat

INTEGERS: Final = {f"int{bits}": bits for bits in (2, 3, 4, 5, 6, 7, 8, 16)}
POWERS: Final = {f"power{bits}": bits for bits in (4, 5, 6, 7, 8)}
FORMATS: Final = (*INTEGERS, *LAYOUTS, *POWERS, "binary")


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
        (name in INTEGERS, lambda: WeightFormat(INTEGERS[name], encoding)),
        (name in LAYOUTS, lambda: FloatFormat(name, specials)),
        (name in POWERS, lambda: PowerFormat(POWERS[name], power, encoding)),
        (name == "binary", BinaryFormat),
    ]
    for known, build in builders:
        if known:
            return build()
    raise ValueError(unknown("number format", name, FORMATS))
