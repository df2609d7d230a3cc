"""The bands of the array cost model against DESTINY, and its refresh pass.

Provenance of data/destiny_rows.csv: DESTINY, LOP devices, SRAM and eDRAM (40 / 100 us retention), area-optimised rows.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from qtaml_hw.memory import ArrayGeometry, array_cost, refresh_pass

with (Path(__file__).parent / "data" / "destiny_rows.csv").open(newline="") as _file:
    ROWS = list(csv.DictReader(_file))


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['cell']}-{r['node']}-{r['cap_KB']}-{r['width_b']}")
def test_destiny_lies_in_the_bands(row: dict[str, str]) -> None:
    periphery = "lop" if row["cell"] == "sram" else "lstp"
    bits = float(row["cap_KB"]) * 8192
    cost = array_cost(bits, int(row["width_b"]), float(row["node"]) * 1e-9, row["cell"], periphery)
    checks = {"area_m2": float(row["area_mm2"]) * 1e-6, "read_energy_j": float(row["read_pJ"]) * 1e-12}
    if row["cell"] == "edram":
        checks["refresh_energy_j"] = float(row["refresh_pJ"]) * 1e-12
    else:
        checks["leakage_w"] = float(row["leak_mW"]) * 1e-3
    for name, value in checks.items():
        low, high = cost.band(name)
        assert low * 0.999 <= value <= high * 1.001, name


def test_tools_agree_at_45_nm_4_mb_as_stated() -> None:
    """SRAM area within about 25 %, eDRAM area 1.9x, refresh energy 2-4x."""
    theirs = {r["cell"]: r for r in ROWS if r["node"] == "45" and r["cap_KB"] == "4096" and r["width_b"] == "64"}
    sram, edram = array_cost(2**25, 64, 45e-9, "sram", "lop"), array_cost(2**25, 64, 45e-9, "edram", "lstp")
    assert 1.0 < sram.area_m2 * 1e6 / float(theirs["sram"]["area_mm2"]) < 1.35
    assert 1.3 < edram.area_m2 * 1e6 / float(theirs["edram"]["area_mm2"]) < 1.9
    assert 2.0 < edram.refresh_energy_j * 1e12 / float(theirs["edram"]["refresh_pJ"]) < 4.0


def test_one_bank_of_4_mb_needs_20_of_40_us() -> None:
    """DESTINY: 4,096 rows of 8,192 bits, refreshed in 20.24 us."""
    row = next(r for r in ROWS if (r["cell"], r["node"], r["cap_KB"]) == ("edram", "45", "4096"))
    cycle_s = float(row["refresh_ns"]) * 1e-9 / 4096
    result = refresh_pass(ArrayGeometry(banks=1, row_bits=8192, cycle_s=cycle_s), 2**25, 40e-6)
    assert result.rows_per_bank == 4096
    assert result.pass_s == pytest.approx(20.24e-6, rel=1e-3)
    assert result.bandwidth_share == pytest.approx(0.506, abs=0.001)
    assert refresh_pass(ArrayGeometry(banks=8, row_bits=8192, cycle_s=cycle_s), 2**25, 40e-6).bandwidth_share < 0.07
