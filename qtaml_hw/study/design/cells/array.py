"""What a study says of its array and of the work over time, as the simulated memory takes it.

``check_arrays`` refuses, before any network is loaded, what an array of known capacity cannot do.
"""

from __future__ import annotations

import numpy as np

from qtaml_hw import memory
from qtaml_hw.config import Point, Study, StudyError
from qtaml_hw.config.reading.price_table import price_table
from qtaml_hw.config.reading.problems import Problem
from qtaml_hw.config.sections.timeline import PhaseSection
from qtaml_hw.device import arrhenius
from qtaml_hw.names import CELLS, PLANES
from qtaml_hw.study.design.cells.rails import array_supply_v, own_supply_v


def geometry_of(study: Study, phase: PhaseSection | None = None) -> memory.ArrayGeometry:
    """Banks, rows, placement, technology and backing store; the conditions of a phase or the usual ones."""
    array, own = study.array, _class_cells(study, phase)
    return memory.ArrayGeometry(
        banks=array.banks,
        row_bits=array.row_bits,
        word_bits=array.word_bits,
        node_m=array.node_m,
        cell=own.cell,
        periphery=array.periphery,
        temperature_k=own.temperature_k,
        v_dd_v=array_supply_v(study, phase),
        cell_leakage_a=own.cell_leakage_a,
        cacti=None if array.cacti is None else (study.folder / array.cacti).absolute(),
        table=None if array.cost is None else price_table(study.folder / array.cost),
        port=array.port,
        interleave=array.interleave,
        placement="plane_separated" if study.by_plane else array.placement,
        plane_class=_classes_of_planes(study) if study.by_plane else array.plane_class or (),
        of_classes=tuple(_class_cells(one.study, phase) for one in study.classes) if study.by_plane else (),
        rows_refreshed_together=array.rows_refreshed_together,
        destructive_read=own.destructive_read,
        capacity_bits=None if array.capacity_bits is None else int(array.capacity_bits),
        backing_bits_per_s=None if array.backing is None else array.backing.bandwidth_bits_per_s,
        backing_latency_s=0.0 if array.backing is None else array.backing.latency_s,
        decoders=array.decoders,
    )


def _classes_of_planes(study: Study) -> tuple[int, ...]:
    """The number of every plane's class, LSB first."""
    number = {plane: at for at, one in enumerate(study.classes) for plane in one.planes}
    return tuple(number[plane] for plane in sorted(number))


def _class_cells(study: Study, phase: PhaseSection | None) -> memory.ClassCells:
    """The cells of a study's array; of the top plane's class where planes differ."""
    cell = study.cell
    kelvin = cell.temperature_k if phase is None or phase.temperature_k is None else phase.temperature_k
    return memory.ClassCells(
        cell=CELLS[cell.kind].array.format(cell=cell),
        temperature_k=kelvin,
        v_dd_v=own_supply_v(study, phase),
        cell_leakage_a=cell.i_sub_a * arrhenius(cell.i_sub_activation_ev, kelvin) if cell.kind == "gain_cell" else 0.0,
        destructive_read=CELLS[cell.kind].destructive_read,
    )


def _intervals(study: Study) -> float | tuple[float | None, ...] | None:
    """The refresh interval of all rows, or of every class."""
    if not study.by_plane:
        return study.refresh.interval_s
    return tuple(one.study.refresh.intervals_s[0] for one in study.classes)


def schedule_of(
    study: Study,
    cell: memory.Cells | None,
    phase_cells: tuple[memory.CellModel | None, ...],
    layer_time_s: tuple[float, ...] = (),
    tensor_reads: tuple[float, ...] = (),
) -> memory.Schedule:
    """Refresh, scrub, inferences, updates and phases up to the last read-out, for cells as given."""
    refresh, timeline = study.refresh, study.timeline
    aware = refresh.retention_aware
    phases = (
        memory.Phase(p.start_s, p.end_s, p.label, cell, p.refresh, p.inferences, p.powered)
        for p, cell in zip(timeline.phases, phase_cells, strict=True)
    )
    return memory.Schedule(
        horizon_s=max(study.evaluate.at_s[-1], 1e-12),
        refresh_interval_s=_intervals(study),
        refresh_mode=refresh.mode,
        ecc_aware_refresh=refresh.ecc_aware,
        scrub_interval_s=study.scrub.interval_s,
        sample_times_s=study.evaluate.at_s,
        inferences_per_s=study.accelerator.inferences_per_second,
        layer_time_s=layer_time_s,
        tensor_reads=tensor_reads,
        reload_times_s=timeline.updates_s,
        on_uncorrectable=study.array.on_uncorrectable,
        phases=tuple(phases),
        retention_aware=None if aware is None else memory.RetentionAware(aware.multiples, aware.margin, cell),
    )


def check_arrays(points: tuple[Point, ...]) -> None:
    """Raises StudyError with every array of known capacity that cannot be refreshed as often as a point asks."""
    arrays: dict[str, Point] = {}
    for point in points:
        study = point.study
        if study.array.capacity_bits is not None and any(one.study.refresh.on for one in study.classes):
            key = repr((study.array, _intervals(study), geometry_of(study)))
            arrays.setdefault(key, point)
    problems = [problem for point in arrays.values() if (problem := _refresh_problem(point)) is not None]
    if problems:
        raise StudyError(problems)


def _refresh_problem(point: Point) -> Problem | None:
    """What is wrong with the refresh of one array, at the place of its interval."""
    study = point.study
    layout, given = _full_layout(study), _intervals(study)
    try:
        layout.check_refresh(given if isinstance(given, tuple) else (given,) * layout.classes)
    except ValueError as error:
        origin = study.provenance["refresh.interval"]
        label = f"at the point {point.label!r}: " if point.values else ""
        return Problem(study.file, origin.line, origin.column, "refresh.interval", f"{label}{error}")
    return None


def _full_layout(study: Study) -> memory.ArrayLayout:
    """The array filled with weights."""
    planes = PLANES[study.weights.format]
    starts = np.array([0, int(study.array.capacity_bits or 0) // planes], dtype=np.int64)
    return memory.ArrayLayout(geometry_of(study), starts, planes, np.zeros(1, dtype=np.int64))
