"""Arrays of gain cells against published macros and cells.

Figures: area of a cell over the 6T of its node: 3T 0.60 (Harel, IEEE LSSC 2022, 65 nm, 64 kB) and 0.50 (Giterman, IEEE
LSSC 3 (2020) 110, 16 nm), 4T 0.70 (Giterman, IEEE JSSC 53 (2018) 2136, 28 nm), 2T 0.35 (Cheng, ISOCC 2012, 130 nm);
cells of 0.16 um2 (Narinx, A-SSCC 2019, 28 nm) and 0.186 um2 (GEMTOO, 2020, 28 nm); a macro of 1 Mb of 3T in 16 nm of
0.1316 mm2; 1.65 ns of 192 kb of 2T at 1.1 V, 85 degC (Chun, IEEE JSSC 47 (2012) 547, 65 nm); 91 uW per Mb of static
power at 85 degC with a refresh every 1.25 ms (Chun, IEEE JSSC 46 (2011) 1495, 65 nm).
"""

from __future__ import annotations

import pytest

from qtaml_hw.memory import ArrayCost, array_cost

MBIT = 2.0**20
I_SUB_85_A = 3.1e-12  # of the preset's cell


def gain_cell(transistors: int, bits: float, node_nm: float, v_dd_v: float | None = None) -> ArrayCost:
    return array_cost(bits, 64, node_nm * 1e-9, f"gain{transistors}t", "lstp", 358.15, v_dd_v, I_SUB_85_A)


@pytest.mark.parametrize(
    ("transistors", "node_nm", "ratio"), [(3, 65, 0.60), (3, 22, 0.50), (4, 28, 0.70), (2, 90, 0.35), (2, 45, 0.34)]
)
def test_area_over_the_6t_array(transistors: int, node_nm: float, ratio: float) -> None:
    cost, sram = gain_cell(transistors, 2**19, node_nm), array_cost(2**19, 64, node_nm * 1e-9)
    assert cost.area_m2 / sram.area_m2 == pytest.approx(ratio, rel=0.20)
    low, high = cost.band("area_m2")
    assert low <= ratio * sram.area_m2 <= high


@pytest.mark.parametrize(
    ("bits", "node_nm", "mm2"), [(MBIT, 28, 0.160 * 1.048576), (MBIT, 28, 0.186 * 1.048576), (MBIT, 22, 0.1316)]
)
def test_published_cells_and_macros_lie_in_the_band_of_the_area(bits: float, node_nm: float, mm2: float) -> None:
    low, high = gain_cell(3, bits, node_nm).band("area_m2")
    assert low <= mm2 * 1e-6 <= high


def test_published_access_time_and_static_power_lie_in_the_bands() -> None:
    low, high = gain_cell(2, 192 * 1024, 65, 1.1).band("access_s")
    assert low <= 1.65e-9 <= high
    cost = gain_cell(3, MBIT, 65, 1.0)
    ends = [sum(cost.band(q)[end] for q in ("leakage_w", "gate_leakage_w")) for end in (0, 1)]
    low_w, high_w = (static + cost.band("refresh_energy_j")[end] / 1.25e-3 for end, static in enumerate(ends))
    assert low_w <= 91e-6 <= high_w


def test_the_cells_leak_beside_the_periphery() -> None:
    """Subthreshold current x cells x supply, and nothing else of the leakage moves with it."""
    bare, leaky = (array_cost(MBIT, 64, 65e-9, "gain3t", "lstp", 358.15, 1.0, i) for i in (0.0, I_SUB_85_A))
    assert leaky.leakage_w - bare.leakage_w == pytest.approx(MBIT * I_SUB_85_A * 1.0)
    assert leaky.gate_leakage_w == bare.gate_leakage_w
    assert "gain cell of 3 transistors" in leaky.source
