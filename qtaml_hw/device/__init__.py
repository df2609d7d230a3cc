"""Device physics: from a leaking gate dielectric to the flip channel of a memory cell."""

from __future__ import annotations

from qtaml_hw.device.cells import ChargeCell, Edram1T1C, GainCell
from qtaml_hw.device.channel import flip_channel
from qtaml_hw.device.current import CurrentModel, calibration_warnings, current_density, stack_current_density
from qtaml_hw.device.curve import CurvePopulation
from qtaml_hw.device.die import Die, dies_of_lot, draw_die
from qtaml_hw.device.identity import STRATA_EDGES, STRATA_SHARES, KeptRanks
from qtaml_hw.device.leakage import arrhenius
from qtaml_hw.device.materials import Layer, Material, Stack, material, named_stack
from qtaml_hw.device.measured import MeasuredCell
from qtaml_hw.device.population import Population, RetentionPopulation, charge_population, lot_population, population
from qtaml_hw.device.questions import RetentionTable, gate_share, longest_interval, retention_table, thinnest_t_ox
from qtaml_hw.device.sram import (
    Mismatch,
    Sram6T,
    StaticPopulation,
    failure_distance,
    hold_lobes,
    hold_margin,
    margin_spread,
    static_population,
)
from qtaml_hw.device.transmission import transmission
from qtaml_hw.device.width import fin_gate_area, sheet_gate_area
from qtaml_hw.limits import STACKS

__all__ = [
    "STACKS",
    "STRATA_EDGES",
    "STRATA_SHARES",
    "ChargeCell",
    "CurrentModel",
    "CurvePopulation",
    "Die",
    "Edram1T1C",
    "GainCell",
    "KeptRanks",
    "Layer",
    "Material",
    "MeasuredCell",
    "Mismatch",
    "Population",
    "RetentionPopulation",
    "RetentionTable",
    "Sram6T",
    "Stack",
    "StaticPopulation",
    "arrhenius",
    "calibration_warnings",
    "charge_population",
    "current_density",
    "dies_of_lot",
    "draw_die",
    "failure_distance",
    "fin_gate_area",
    "flip_channel",
    "gate_share",
    "hold_lobes",
    "hold_margin",
    "longest_interval",
    "lot_population",
    "margin_spread",
    "material",
    "named_stack",
    "population",
    "retention_table",
    "sheet_gate_area",
    "stack_current_density",
    "static_population",
    "thinnest_t_ox",
    "transmission",
]
