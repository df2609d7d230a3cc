"""A study's array with an image in it: the simulated memory that every fault map lives through."""

from __future__ import annotations

from qtaml_hw import memory
from qtaml_hw.config import Study
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.study.design.array import geometry_of, schedule_of
from qtaml_hw.study.design.cell import centre_cell, phase_cells
from qtaml_hw.weights import StoredImage


def chip_of(
    study: Study, image: StoredImage, plan: ProtectionPlan, layer_time_s: tuple[float, ...] = ()
) -> memory.Memory:
    """A study's array with an image in it, ready to live through any number of fault maps.

    Layer times () leave reads limited by the memory.  Raises ValueError when the array cannot do the work asked of it.
    """
    profiled = centre_cell(study) if study.refresh.retention_aware is not None else None
    schedule = schedule_of(study, profiled, phase_cells(study), layer_time_s)
    return memory.Memory(tuple(image.codes()), image.planes, plan, geometry_of(study), schedule, image.format.zero_code)
