"""A memory of values that live for a while: when they are there, where they lie, what flips, what it costs."""

from qtaml_hw.memory.buffers.allocation import Allocation, Placement, allocate
from qtaml_hw.memory.buffers.cost import BufferCost, Coding, buffer_cost
from qtaml_hw.memory.buffers.flips import Late, Masks, PlaneCells, Rates, masks_of, rates_of, since, token_classes
from qtaml_hw.memory.buffers.values import Produced, Value, schedule_of

__all__ = [
    "Allocation",
    "BufferCost",
    "Coding",
    "Late",
    "Masks",
    "Placement",
    "PlaneCells",
    "Produced",
    "Rates",
    "Value",
    "allocate",
    "buffer_cost",
    "masks_of",
    "rates_of",
    "schedule_of",
    "since",
    "token_classes",
]
