"""From what a study says of its cell to the device's own: a kind of cell, or that of a measured curve."""

from __future__ import annotations

import importlib
from typing import Any, Final

from qtaml_hw.config import Study
from qtaml_hw.config.reading.curves import Points, axis_complaint
from qtaml_hw.device.measured import MeasuredCell
from qtaml_hw.names import CELLS
from qtaml_hw.units import show

_DECADES: Final = 10.0  # of the law voltage's line that are written as points; beyond, it goes on as straight


def build_cell(study: Study) -> Any:
    """The cell of a study (of its top planes, where planes have cells of their own): a frozen value in SI.

    Raises ValueError for measured flips that are none of this kind of cell.
    """
    measured = measured_cell(study)
    if measured is not None:
        return measured
    kinds = importlib.import_module(__package__)  # where a kind of one's own is put too
    return getattr(kinds, CELLS[study.cell.kind].device)(**study.cell.device_values())


def measured_cell(study: Study) -> MeasuredCell | None:
    """The cell of the study's measured curve or of its law of the supply; None where a model tells, or p is stated.

    Points without a temperature hold at that of the curve, else at the cell's; a curve of time at the cell's supply.
    Raises ValueError for a file that is not a curve, or not one of this kind of cell.
    """
    flips, cell = study.flips, study.cell
    if flips.law == "voltage":
        v_zero_v, decade_v = float(flips.v_zero_v or 0.0), float(flips.decade_v or 0.0)
        line = ((v_zero_v, 1.0), (v_zero_v + _DECADES * decade_v, 10.0**-_DECADES))
        return MeasuredCell(
            curves=((cell.temperature_k, line),),
            axis="voltage",
            direction=flips.direction,
            temperature_k=cell.temperature_k,
            v_dd_v=cell.v_dd_v,
            tail="straight",
            source=flips.preset or f"{show(decade_v, 'voltage')} per decade",
            measured_v=flips.measured_v,
        )
    if flips.law != "curve":
        return None
    points = flips.points or Points.of_file(study.folder / str(flips.file))
    complaint = axis_complaint(points.axis, cell.kind)
    if complaint is not None:
        raise ValueError(f"flips.{'file' if flips.points is None else 'points'}: {complaint}")
    usual_k = cell.temperature_k if flips.temperature_k is None else flips.temperature_k
    return MeasuredCell(
        curves=tuple(
            (usual_k if kelvin is None else kelvin, tuple((x, p) for x, p, _ in rows))
            for kelvin, rows in points.by_temperature()
        ),
        axis=points.axis,
        direction=flips.direction,
        temperature_k=cell.temperature_k,
        v_dd_v=cell.v_dd_v,
        supply_v=cell.v_dd_v,
        tail=flips.tail,
        source=f"measured curve of {len(points.rows)} points" + ("" if flips.file is None else f" in {flips.file}"),
    )
