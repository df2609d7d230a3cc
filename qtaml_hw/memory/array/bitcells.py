"""Areas of published bit cells, for nodes that no fitted array reaches: area alone, since energies are not public."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Mark = Literal["published", "secondary", "press"]


@dataclass(frozen=True)
class BitCell:
    """One published cell: its node in metres, kind, area in m^2, how the figure is known, and where from.

    ``kind``: sram6t, edram1t1c or gain_cell with ``transistors``.  ``mark``: ``published`` in a paper's abstract,
    ``secondary`` through a public file or another paper, ``press``.
    """

    node_m: float
    kind: str
    transistors: int
    area_m2: float
    mark: Mark
    source: str


def _cell(node_nm: float, kind: str, transistors: int, area_um2: float, mark: Mark, source: str) -> BitCell:
    return BitCell(node_nm * 1e-9, kind, transistors, area_um2 * 1e-12, mark, source)


_CELL_FILES: Final = "cell file of MemSysExplorer (github.com/TuftsECS/MemSysExplorer)"

BIT_CELLS: Final = (
    _cell(65, "sram6t", 6, 0.667, "published", "Wang et al., IEEE J. Solid-State Circuits 2008 (ultra-low power)"),
    _cell(65, "sram6t", 6, 0.617, "secondary", f"146 F2: {_CELL_FILES}"),
    _cell(45, "sram6t", 6, 0.296, "secondary", f"146 F2: {_CELL_FILES}"),
    _cell(32, "sram6t", 6, 0.150, "secondary", f"146 F2: {_CELL_FILES}"),
    _cell(22, "sram6t", 6, 0.092, "secondary", f"190 F2: {_CELL_FILES}"),
    _cell(14, "sram6t", 6, 0.064, "secondary", f"327 F2: {_CELL_FILES}"),
    _cell(7, "sram6t", 6, 0.027, "secondary", f"551 F2: {_CELL_FILES}"),
    _cell(5, "sram6t", 6, 0.021, "press", "N5 and N3E as reported beside TSMC, IEDM 2024 (tomshardware.com)"),
    _cell(3, "sram6t", 6, 0.021, "press", "N3E as reported beside TSMC, IEDM 2024 (tomshardware.com)"),
    _cell(2, "sram6t", 6, 0.0175, "press", "N2, TSMC, IEDM 2024, as reported (tomshardware.com)"),
    _cell(65, "edram1t1c", 1, 0.1265, "secondary", f"Barth, JSSC 2008: {_CELL_FILES}"),
    _cell(45, "edram1t1c", 1, 0.0672, "secondary", f"Barth, JSSC 2010: {_CELL_FILES}"),
    _cell(32, "edram1t1c", 1, 0.0394, "secondary", f"Butt, IEDM 2010: {_CELL_FILES}"),
    _cell(22, "edram1t1c", 1, 0.026, "published", "Pei et al., IEDM 2014 (deep trench, SOI)"),
    _cell(22, "edram1t1c", 1, 0.029, "secondary", f"Wang, IEDM 2013 (tri-gate): {_CELL_FILES}"),
    _cell(28, "gain_cell", 3, 0.16, "secondary", f"Narinx, A-SSCC 2019 (FD-SOI): {_CELL_FILES}"),
    _cell(16, "gain_cell", 3, 0.08, "secondary", f"Giterman, SSC-L 2020 (FinFET): {_CELL_FILES}"),
    _cell(7, "gain_cell", 3, 0.041, "secondary", f"Kong, DAC 2025, silicon baseline (simulated): {_CELL_FILES}"),
    _cell(7, "gain_cell", 3, 0.019, "secondary", f"Kong, DAC 2025, 333-eDRAM above logic (simulated): {_CELL_FILES}"),
)
"""Every figure at hand; a node without one has none, and nothing is interpolated."""


def bit_cells(node_m: float, kind: str = "sram6t") -> tuple[BitCell, ...]:
    """The published cells of a kind at a node, in metres; several where sources differ.

    The area of the cells alone: an array's periphery comes on top, and its energies and leakage below 22 nm are not
    public.  Raises ValueError with what there is where no figure fits.
    """
    found = tuple(cell for cell in BIT_CELLS if cell.kind == kind and abs(cell.node_m - node_m) < 0.05e-9)
    if not found:
        known = ", ".join(
            f"{node * 1e9:g} nm" for node in sorted({c.node_m for c in BIT_CELLS if c.kind == kind}, reverse=True)
        )
        raise ValueError(
            f"no published area of {kind} at {node_m * 1e9:g} nm; known: {known or 'no such kind of cell'}"
        )
    return found
