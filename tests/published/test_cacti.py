"""The array cost model against CACTI 7, row by row.

Provenance of data/cacti_rows.csv, data/cacti_temperature_rows.csv and data/cacti_between_rows.csv: CACTI 7 (HP/LOP/LSTP
and LP-DRAM cells), uniform cache access RAM, 1 bank, 64 / 256 bit; `ecc`: off, on_forced (same organisation); energies
in nJ per access; the last by scripts/run_cacti.py at capacities that the laws were not fitted to.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qtaml_hw.memory import ArrayCost, ArrayGeometry, array_cost, leakage_factor

DATA = Path(__file__).parent / "data"
Row = dict[str, str]


def rows(name: str) -> list[Row]:
    with (DATA / name).open(newline="") as file:
        return list(csv.DictReader(file))


def modelled(row: Row, parity: float = 1.0) -> ArrayCost:
    cell = "edram" if row["cell"] == "lp-dram" else "sram"
    bits, width = float(row["cap_KB"]) * 8192 * parity, round(float(row["width_b"]) * parity)
    return array_cost(bits, width, float(row["node_nm"]) * 1e-9, cell, row["peri"].removeprefix("itrs-"))


def worst(cell: str, value: Callable[[Row], float], model: Callable[[ArrayCost], float]) -> float:
    """Largest relative error at capacities that the laws were fitted to."""
    kept = [r for r in rows("cacti_rows.csv") if r["ecc"] == "off" and (r["cell"] == "lp-dram") == (cell == "edram")]
    assert len(kept) >= 60
    return max(abs(model(modelled(r)) / value(r) - 1.0) for r in kept)


@pytest.mark.parametrize(("cell", "limit"), [("sram", 0.001), ("edram", 0.001)])
def test_area(cell: str, limit: float) -> None:
    assert worst(cell, lambda r: float(r["area_mm2"]) * 1e-6, lambda c: c.area_m2) < limit


@pytest.mark.parametrize(("cell", "limit"), [("sram", 0.001), ("edram", 0.001)])
def test_read_energy(cell: str, limit: float) -> None:
    assert worst(cell, lambda r: float(r["read_nJ"]) * 1e-9, lambda c: c.read_energy_j) < limit


@pytest.mark.parametrize(("cell", "limit"), [("sram", 0.001), ("edram", 0.001)])
def test_leakage_without_refresh(cell: str, limit: float) -> None:
    leak = worst(cell, lambda r: (float(r["leak_mW"]) - float(r["refresh_mW"])) * 1e-3, lambda c: c.leakage_w)
    assert leak < limit


@pytest.mark.parametrize(("cell", "limit"), [("sram", 0.001), ("edram", 0.001)])
def test_access_time(cell: str, limit: float) -> None:
    assert worst(cell, lambda r: float(r["access_ns"]) * 1e-9, lambda c: c.access_s) < limit


def test_refresh_power_of_edram() -> None:
    kept = [r for r in rows("cacti_rows.csv") if r["cell"] == "lp-dram" and r["ecc"] == "off"]
    errors = [modelled(r).refresh_w / (float(r["refresh_mW"]) * 1e-3) - 1.0 for r in kept]
    assert max(map(abs, errors)) < 0.001


@pytest.mark.parametrize(
    ("cell", "quantity", "value", "median", "worst_of_all"),
    [
        ("sram", "area_m2", lambda r: float(r["area_mm2"]) * 1e-6, 0.06, 0.12),
        ("sram", "read_energy_j", lambda r: float(r["read_nJ"]) * 1e-9, 0.05, 0.16),
        ("sram", "leakage_w", lambda r: float(r["leak_mW"]) * 1e-3, 0.01, 0.06),
        ("sram", "access_s", lambda r: float(r["access_ns"]) * 1e-9, 0.03, 0.09),
        ("edram", "area_m2", lambda r: float(r["area_mm2"]) * 1e-6, 0.10, 0.25),
        ("edram", "read_energy_j", lambda r: float(r["read_nJ"]) * 1e-9, 0.10, 0.30),
        ("edram", "leakage_w", lambda r: (float(r["leak_mW"]) - float(r["refresh_mW"])) * 1e-3, 0.20, 0.80),
        ("edram", "access_s", lambda r: float(r["access_ns"]) * 1e-9, 0.05, 0.20),
    ],
)
def test_halfway_between_the_fitted_capacities(
    cell: str, quantity: str, value: Callable[[Row], float], median: float, worst_of_all: float
) -> None:
    """CACTI itself, at 96 to 6,144 KB that no law was fitted to; all of it lies within the bands."""
    kept = [r for r in rows("cacti_between_rows.csv") if (r["cell"] == "lp-dram") == (cell == "edram")]
    assert len(kept) == 42
    found = [modelled(r) for r in kept]
    errors = sorted(abs(getattr(c, quantity) / value(r) - 1.0) for c, r in zip(found, kept, strict=True))
    assert errors[len(errors) // 2] < median
    assert errors[-1] < worst_of_all
    for c, r in zip(found, kept, strict=True):
        low, high = c.band(quantity)
        assert low * 0.999 <= value(r) <= high * 1.001


def test_anchor_figures_of_512_kb() -> None:
    sram, edram = array_cost(2**22, 64, 45e-9), array_cost(2**22, 64, 45e-9, "edram", "lstp")
    hp = array_cost(2**22, 64, 45e-9, "sram", "hp")
    assert sram.area_m2 * 1e6 == pytest.approx(1.64, rel=0.05)
    assert sram.read_energy_j * 1e12 == pytest.approx(68.3, rel=0.05)
    assert sram.leakage_w * 1e3 == pytest.approx(0.0789, rel=0.05)
    assert sram.access_s * 1e9 == pytest.approx(3.07, rel=0.08)
    assert hp.leakage_w * 1e3 == pytest.approx(477, rel=0.02)
    assert edram.area_m2 * 1e6 == pytest.approx(0.61, rel=0.06)
    assert edram.read_energy_j * 1e12 == pytest.approx(49.8, rel=0.08)
    # refresh is 98.7 % of static power with LSTP periphery and below 1 % with HP (4 MB)
    lstp, fast = (array_cost(2**25, 64, 45e-9, "edram", p) for p in ("lstp", "hp"))
    assert lstp.refresh_w / (lstp.leakage_w + lstp.refresh_w) == pytest.approx(0.987, abs=0.01)
    assert fast.refresh_w / (fast.leakage_w + fast.refresh_w) < 0.02


def test_one_parity_bit_in_eight_costs_what_forced_ecc_costs() -> None:
    """CACTI, same organisation, +1 bit per 8: area x1.133, read x1.155, leakage x1.118, access x1.040."""
    ours = {"area_m2": [], "read_energy_j": [], "leakage_w": [], "access_s": []}
    for row in [r for r in rows("cacti_rows.csv") if r["ecc"] == "on_forced"]:
        bare, coded = modelled(row), modelled(row, 9 / 8)
        for name, ratios in ours.items():
            ratios.append(getattr(coded, name) / getattr(bare, name))
    for name, theirs, tolerance in (
        ("area_m2", 1.133, 0.03), ("read_energy_j", 1.155, 0.05), ("leakage_w", 1.118, 0.05), ("access_s", 1.040, 0.03)
    ):  # fmt: skip
        assert sum(ours[name]) / len(ours[name]) == pytest.approx(theirs, rel=tolerance)


def test_leakage_over_temperature() -> None:
    """350 K is the reference; the hottest and the coldest rows of 32 and 45 nm to 1 %."""
    kept = rows("cacti_temperature_rows.csv")
    assert len(kept) == 42
    at_350 = {(r["node_nm"], r["cell"]): r for r in kept if r["temp_K"] == "350"}
    for r in kept:

        def leak(x: Row) -> float:
            return float(x["leak_mW"]) - float(x["refresh_mW"])

        cell = "edram" if r["cell"] == "lp-dram" else "sram"
        factor = leakage_factor(cell, r["peri"].removeprefix("itrs-"), float(r["node_nm"]) * 1e-9, float(r["temp_K"]))
        assert factor == pytest.approx(leak(r) / leak(at_350[r["node_nm"], r["cell"]]), rel=0.01)


def figures(row: Row, refresh_interval_s: float) -> dict[str, float]:
    """CACTI's figures of a row in SI, by the names of ``ArrayCost``."""
    refresh_mw, edram = float(row["refresh_mW"]), row["cell"] == "lp-dram"
    return {
        "area_m2": float(row["area_mm2"]) * 1e-6,
        "read_energy_j": float(row["read_nJ"]) * 1e-9,
        "leakage_w": (float(row["leak_mW"]) - refresh_mw) * 1e-3,
        "gate_leakage_w": float(row["gate_leak_mW"]) * 1e-3,
        "access_s": float(row["access_ns"]) * 1e-9,
        "cycle_s": float(row["cycle_ns"]) * 1e-9,
        **({"refresh_energy_j": refresh_mw * 1e-3 * refresh_interval_s} if edram else {}),
        **({} if edram else {"write_energy_j": float(row["write_nJ"]) * 1e-9}),
    }


@pytest.mark.parametrize(("name", "least"), [("cacti_more_rows.csv", 26), ("cacti_unseen_rows.csv", 150)])
def test_19_of_20_figures_of_arrays_that_were_not_fitted_lie_in_their_bands(name: str, least: int) -> None:
    """Other capacities, widths of 32 to 512 bit, nodes from 28 to 80 nm, temperatures.

    Provenance of data/cacti_more_rows.csv: CACTI 7 as above, never used for the model; of data/cacti_unseen_rows.csv:
    scripts/run_cacti.py --part unseen, from which the least spreads of the bands were taken.
    """
    inside = []
    kept = rows(name)
    assert len(kept) >= least
    for row in kept:
        cell, bits, kelvin = "edram" if row["cell"] == "lp-dram" else "sram", float(row["cap_KB"]) * 8192, row["temp_K"]
        node_m, periphery = float(row["node_nm"]) * 1e-9, row["peri"].removeprefix("itrs-")
        cost = array_cost(bits, int(row["width_b"]), node_m, cell, periphery, float(kelvin))
        for quantity, value in figures(row, cost.refresh_interval_s).items():
            low, high = cost.band(quantity)
            inside.append(low * 0.999 <= value <= high * 1.001)
    assert sum(inside) / len(inside) >= 0.95


@pytest.mark.parametrize("quantity", ["leakage_w", "gate_leakage_w"])
def test_leakage_of_sram_between_the_fitted_nodes(quantity: str) -> None:
    """28, 38, 55 and 80 nm, 64 KB to 4 MB: 14 % at worst (28 nm LSTP was 29 % and 55 % too low)."""
    between = [
        r
        for r in rows("cacti_unseen_rows.csv")
        if r["cell"] != "lp-dram" and r["node_nm"] in ("28", "38", "55", "80") and r["width_b"] == "64"
    ]
    errors = [
        getattr(modelled(r), quantity) / figures(r, 0.0)[quantity] - 1.0 for r in between if float(r["cap_KB"]) >= 64
    ]
    assert len(errors) >= 36
    assert max(map(abs, errors)) < 0.14


def test_refresh_intervals_are_cacti_s_own() -> None:
    """LP-DRAM: 0.9 C x 0.125 V_dd / I_off of its technology files; 127.962 us at 90 nm."""
    for node_nm, interval_us in ((32, 119.048), (45, 126.923), (65, 137.755), (90, 127.962), (55, 132.353)):
        cost = array_cost(2**22, 64, node_nm * 1e-9, "edram")
        assert cost.refresh_interval_s * 1e6 == pytest.approx(interval_us, rel=1e-4 if node_nm != 55 else 3e-3)


def test_banks_behind_one_port() -> None:
    """CACTI with banks of its own: 19 of 20 figures lie in the band, the mean of the reads is met.

    Provenance of data/cacti_bank_rows.csv: CACTI 7 as above with 2 to 32 banks, 512 KB and 4 MB, 64 and 256 bit.
    """
    inside, reads = [], []
    for row in rows("cacti_bank_rows.csv"):
        edram, banks, bits = row["cell"] == "lp-dram", int(row["banks"]), float(row["cap_KB"]) * 8192
        geometry = ArrayGeometry(
            banks=banks,
            word_bits=int(row["width_b"]),
            node_m=float(row["node_nm"]) * 1e-9,
            cell="edram" if edram else "sram",
            periphery=row["peri"].removeprefix("itrs-"),
            port="shared",
        )
        cost, own = geometry.bank_cost(bits), replace(geometry, port="bank").bank_cost(bits)
        theirs = {"read_energy_j": float(row["read_nJ"]) * 1e-9, "access_s": float(row["access_ns"]) * 1e-9}
        theirs["area_m2"] = float(row["area_mm2"]) * 1e-6 / banks
        if not edram:
            theirs["write_energy_j"] = float(row["write_nJ"]) * 1e-9
        for name, value in theirs.items():
            low, high = cost.band(name)
            inside.append(low <= value <= high)
        reads.append(cost.read_energy_j / theirs["read_energy_j"])
        assert (own.area_m2, own.leakage_w) == (cost.area_m2, cost.leakage_w)
        assert own.read_energy_j <= cost.read_energy_j
        assert "no wires between banks" in own.source
        assert "one port" in cost.source
    assert len(reads) == 108
    assert sum(inside) / len(inside) >= 0.95
    assert math.exp(sum(map(math.log, reads)) / len(reads)) == pytest.approx(1.0, abs=0.03)


def test_reads_of_8_banks_cost_2_to_2_8_times_as_much_through_one_port() -> None:
    for cell, kb in (("sram", 512), ("sram", 4096), ("edram", 512), ("edram", 4096)):
        apart = ArrayGeometry(banks=8, cell=cell)
        together = replace(apart, port="shared")
        ratio = together.bank_cost(kb * 8192).read_energy_j / apart.bank_cost(kb * 8192).read_energy_j
        assert 2.0 < ratio < 2.8
