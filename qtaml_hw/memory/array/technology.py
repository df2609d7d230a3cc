"""What the cost model knows of a technology beside its fitted laws: supplies, thresholds, and arrays without laws."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from qtaml_hw.supply import Range

Laws = Literal["sram", "edram"]

DEVICES: Final = MappingProxyType(
    {
        "hp": ((0.8, 0.1395), (0.9, 0.21835), (1.0, 0.18035), (1.1, 0.19491), (1.2, 0.23707)),
        "lstp": ((0.8, 0.40126), (1.0, 0.513), (1.1, 0.50245), (1.2, 0.52354), (1.3, 0.48203)),
        "lop": ((0.6, 0.2315), (0.6, 0.24227), (0.7, 0.22599), (0.8, 0.28512), (0.9, 0.30764)),
    }
)
"""(nominal supply, threshold) in volts of the periphery's transistors at 22, 32, 45, 65 and 90 nm, as in CACTI 7's own
technology files (Vdd and Vth of ITRS HP, LSTP and LOP)."""

FITTED_NODES_NM: Final = (22.0, 32.0, 45.0, 65.0, 90.0)


def device_voltages(periphery: str, node_nm: float) -> tuple[float, float]:
    """(nominal supply, threshold) in volts; linear in the node between CACTI's, as CACTI itself interpolates."""
    vdd_v, v_th_v = np.array(DEVICES[periphery]).T
    return float(np.interp(node_nm, FITTED_NODES_NM, vdd_v)), float(np.interp(node_nm, FITTED_NODES_NM, v_th_v))


@dataclass(frozen=True)
class ArrayKind:
    """Which fitted laws price an array of one kind of cell, and by how much its own figures differ from them.

    ``laws`` for every quantity but those of ``others``; ``factors`` by quantity, 1 where there is none; ``note``: what
    ``ArrayCost.source`` says of it.
    """

    laws: Laws
    note: str = ""
    others: MappingProxyType[str, Laws] = field(default_factory=lambda: MappingProxyType({}))
    factors: MappingProxyType[str, Range] = field(default_factory=lambda: MappingProxyType({}))


LOGIC_RULES: Final = 2.8
"""A 6T cell drawn in logic rules over CACTI's (146 F^2, pushed rules): published 3T cells of 204 to 237 F^2 (Narinx
2019, GEMTOO 2020; 28 nm) and 215 F^2 (Giterman 2016, 180 nm) are half to 0.57 of a 6T of the same rules."""


def _gain_cell(transistors: int, area: Range) -> ArrayKind:
    """A gain cell's array by its area over that of a 6T array of the same rules."""
    return ArrayKind(
        laws="edram",
        note=(
            f"gain cell of {transistors} transistors: area {area.value:g} of the 6T array's, access time as there, "
            "its cells' subthreshold current beside the periphery's leakage, other figures as LP-DRAM's (assumed)"
        ),
        others=MappingProxyType({"area_m2": "sram", "access_s": "sram"}),
        factors=MappingProxyType(
            {
                "area_m2": Range(area.value, area.low, area.high * LOGIC_RULES),
                "access_s": Range(1.0, 0.5, 1.5),  # "as fast as 6T" (Cheng, ISOCC 2012); the range is assumed
                "refresh_energy_j": Range(1.0, 1.0, 2.4),  # 91 uW/Mb of static power (Chun, JSSC 46 (2011) 1495)
            }
        ),
    )


ARRAYS: Final = MappingProxyType(
    {
        "sram": ArrayKind("sram"),
        "edram": ArrayKind("edram"),
        "sram8t": ArrayKind(
            "sram",
            note="8T cells: 1.37 times the area of 6T, other figures as 6T's (assumed)",
            factors=MappingProxyType({"area_m2": Range(1.37, 1.30, 1.40)}),
        ),
        "gain2t": _gain_cell(2, Range(0.40, 0.33, 0.45)),
        "gain3t": _gain_cell(3, Range(0.55, 0.50, 0.60)),
        "gain4t": _gain_cell(4, Range(0.70, 0.65, 0.75)),
    }
)
"""Kinds of arrays by name.  8T over 6T: assumed; with 1.37 the published +10.41 % of a hybrid 8T-6T array (Srinivasan,
DATE 2016, arXiv:1602.08556) are 2.25 of 8 bits.  Area of gain cells over 6T: 2T 0.35 (Cheng, ISOCC 2012, 130 nm; a
third in OpenGCRAM, arXiv:2507.10849, 40 nm); 3T 0.60 (Harel, IEEE LSSC 2022, 65 nm) and 0.50 (Giterman, IEEE LSSC 3
(2020) 110, 16 nm); 4T 0.70 (Giterman, IEEE JSSC 53 (2018) 2136, 28 nm; its range assumed)."""
