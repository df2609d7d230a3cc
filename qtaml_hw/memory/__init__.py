"""The weight memory: geometry, cost, and cells under refresh, scrub and reads in simulated time."""

from qtaml_hw.memory.ageing.histories import planned_flip_probability
from qtaml_hw.memory.array.bitcells import BitCell, bit_cells
from qtaml_hw.memory.array.cost import ArrayCost, array_cost
from qtaml_hw.memory.array.geometry import ArrayGeometry, ClassCells, RefreshPass, refresh_pass
from qtaml_hw.memory.array.laws import leakage_factor
from qtaml_hw.memory.array.layout import ArrayLayout
from qtaml_hw.memory.cells import CellModel, Cells, FixedCells, PoissonCells, RetentionLaw
from qtaml_hw.memory.simulate import Memory, simulate
from qtaml_hw.memory.timeline import Timeline
from qtaml_hw.memory.traffic.commands import CommandLog, check_work, simulate_commands
from qtaml_hw.memory.traffic.energy import EnergyCosts, EnergyMeter
from qtaml_hw.memory.traffic.planned import PlannedArray
from qtaml_hw.memory.traffic.schedule import Phase, RetentionAware, Schedule
from qtaml_hw.memory.traffic.usage import BankUse, LayerReads, bank_use, layer_reads, read_stalls

__all__ = [
    "ArrayCost",
    "ArrayGeometry",
    "ArrayLayout",
    "BankUse",
    "BitCell",
    "CellModel",
    "Cells",
    "ClassCells",
    "CommandLog",
    "EnergyCosts",
    "EnergyMeter",
    "FixedCells",
    "LayerReads",
    "Memory",
    "Phase",
    "PlannedArray",
    "PoissonCells",
    "RefreshPass",
    "RetentionAware",
    "RetentionLaw",
    "Schedule",
    "Timeline",
    "array_cost",
    "bank_use",
    "bit_cells",
    "check_work",
    "layer_reads",
    "leakage_factor",
    "planned_flip_probability",
    "read_stalls",
    "refresh_pass",
    "simulate",
    "simulate_commands",
]
