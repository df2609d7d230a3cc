"""Device physics: from a leaking gate dielectric to the flip channel of a memory cell."""

from __future__ import annotations

from qtaml_hw.device.cells import ChargeCell, Edram1T1C, GainCell
from qtaml_hw.device.channel import flip_channel
from qtaml_hw.device.current import CurrentModel, calibration_warnings, current_density, stack_current_density
from qtaml_hw.device.materials import STACKS, Layer, Material, Stack, material, named_stack
from qtaml_hw.device.population import Die, RetentionPopulation, lot_population, population
from qtaml_hw.device.transmission import transmission

__all__ = [
    "STACKS",
    "ChargeCell",
    "CurrentModel",
    "Die",
    "Edram1T1C",
    "GainCell",
    "Layer",
    "Material",
    "RetentionPopulation",
    "Stack",
    "calibration_warnings",
    "current_density",
    "flip_channel",
    "lot_population",
    "material",
    "named_stack",
    "population",
    "stack_current_density",
    "transmission",
]
