"""A memory of values that live for a while: when they are there, where they lie, what flips, what it costs."""

from qtaml_hw.memory.buffers.allocation import Allocation, Part, Placement, allocate, allocate_parts
from qtaml_hw.memory.buffers.cost import BufferCost, Coding, buffer_cost
from qtaml_hw.memory.buffers.flips import Late, Masks, PlaneCells, Rates, masks_of, rates_of, since, token_classes
from qtaml_hw.memory.buffers.values import Produced, Value, schedule_of

__all__ = [
    "Allocation",
    "BufferCost",
    "Coding",
    "Late",
    "Masks",
    "Part",
    "Placement",
    "PlaneCells",
    "Produced",
    "Rates",
    "Value",
    "allocate",
    "allocate_parts",
    "buffer_cost",
    "masks_of",
    "rates_of",
    "schedule_of",
    "since",
    "token_classes",
]
