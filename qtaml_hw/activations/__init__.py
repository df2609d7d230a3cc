"""Values that a network hands from layer to layer: where they are written, as what numbers, how faults reach them.

A value is written into a buffer once and read from there; between the two its bits may flip.  ``trace`` finds the
values of a network, ``Held`` lets a forward pass read every one of them back as the buffer gives it.
"""

from __future__ import annotations

from qtaml_hw.activations.faults import Counts, Fresh, Same, ValueFaults
from qtaml_hw.activations.held import Held, Kept, Watched, calibrate, plain
from qtaml_hw.activations.numbers import Granularity, Numbers
from qtaml_hw.activations.paid import attention_paid
from qtaml_hw.activations.taps import ROLES, Tap, trace
from qtaml_hw.activations.words import Guard, guard

__all__ = [
    "ROLES",
    "Counts",
    "Fresh",
    "Granularity",
    "Guard",
    "Held",
    "Kept",
    "Numbers",
    "Same",
    "Tap",
    "ValueFaults",
    "Watched",
    "attention_paid",
    "calibrate",
    "guard",
    "plain",
    "trace",
]
