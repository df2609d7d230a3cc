"""The figures of a report: each a function from the store to a drawing, None where the data do not support it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import matplotlib as mpl

from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.figures.accuracy import accuracy, accuracy_by_point, accuracy_time, chip_yield
from qtaml_hw.report.figures.accuracy_map import accuracy_map
from qtaml_hw.report.figures.buffers import buffer_energy, buffer_lifetimes, error_origin, error_origin_values
from qtaml_hw.report.figures.cost import area, area_energy, energy
from qtaml_hw.report.figures.ecc import ecc_residual
from qtaml_hw.report.figures.protection import distortion, overhead, protected_planes
from qtaml_hw.report.figures.retention import flip_probability, retention
from qtaml_hw.report.figures.timeline import timeline
from qtaml_hw.report.figures.tornado import tornado
from qtaml_hw.report.material import Material

FIGURES: Final[dict[str, Callable[[Material], Drawing | None]]] = {
    "accuracy": accuracy,
    "accuracy_by_point": accuracy_by_point,
    "accuracy_map": accuracy_map,
    "accuracy_time": accuracy_time,
    "timeline": timeline,
    "chip_yield": chip_yield,
    "retention": retention,
    "flip_probability": flip_probability,
    "area_energy": area_energy,
    "protected_planes": protected_planes,
    "overhead": overhead,
    "distortion": distortion,
    "energy": energy,
    "area": area,
    "buffer_lifetimes": buffer_lifetimes,
    "buffer_energy": buffer_energy,
    "error_origin": error_origin,
    "error_origin_values": error_origin_values,
    "tornado": tornado,
    "ecc_residual": ecc_residual,
}
"""In the order of the page."""


def draw(material: Material) -> list[Drawing]:
    """Every figure that the data support."""
    functions = FIGURES.values() if material.points else (ecc_residual,)
    with mpl.rc_context(style.RC):
        drawings = [d for function in functions if (d := function(material)) is not None]
        for d in drawings:
            style.freeze(d.figure)
    return drawings
