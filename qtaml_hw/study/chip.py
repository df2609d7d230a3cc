"""A study's array with an image in it: the simulated memory that every fault map lives through."""

from __future__ import annotations

import numpy as np

from qtaml_hw import memory
from qtaml_hw.config import Study
from qtaml_hw.ecc import ProtectionPlan
from qtaml_hw.study.cell import array_cell, cost_temperature_k, phase_cells
from qtaml_hw.weights import StoredImage


def chip_of(
    study: Study, image: StoredImage, plan: ProtectionPlan, layer_time_s: tuple[float, ...] = ()
) -> memory.Memory:
    """A study's array with an image in it, ready to live through any number of fault maps.

    Layer times () leave reads limited by the memory.  Raises ValueError when the array cannot do the work asked of it.
    """
    array = study.array
    geometry = memory.ArrayGeometry(
        banks=array.banks,
        row_bits=array.row_bits,
        word_bits=array.word_bits,
        node_m=array.node_m,
        cell=array_cell(study),
        periphery=array.periphery,
        temperature_k=cost_temperature_k(study),
        destructive_read=study.cell.kind == "edram1t1c",
        capacity_bits=None if array.capacity_bits is None else int(array.capacity_bits),
        placement=array.placement,
        plane_class=array.plane_class or (),
        interleave=array.interleave,
        rows_refreshed_together=array.rows_refreshed_together,
        backing_bits_per_s=None if array.backing is None else array.backing.bandwidth_bits_per_s,
        backing_latency_s=0.0 if array.backing is None else array.backing.latency_s,
    )
    phases = (
        memory.Phase(p.start_s, p.end_s, p.label, cell, p.refresh, p.inferences, p.powered)
        for p, cell in zip(study.timeline.phases, phase_cells(study), strict=True)
    )
    schedule = memory.Schedule(
        horizon_s=max(study.evaluate.at_s[-1], 1e-12),
        refresh_interval_s=study.refresh.interval_s,
        refresh_mode=study.refresh.mode,
        ecc_aware_refresh=study.refresh.ecc_aware,
        scrub_interval_s=study.scrub.interval_s,
        sample_times_s=study.evaluate.at_s,
        inferences_per_s=study.accelerator.inferences_per_second,
        layer_time_s=layer_time_s,
        reload_times_s=study.timeline.updates_s,
        on_uncorrectable=array.on_uncorrectable,
        phases=tuple(phases),
    )
    zero = int(image.format.encode(np.zeros(1, dtype=np.int64))[0])
    return memory.Memory(tuple(image.codes()), image.planes, plan, geometry, schedule, zero)
