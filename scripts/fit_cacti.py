#!/usr/bin/env python3
"""Fit the array cost model: CACTI and DESTINY tables in, a preset of power laws, residuals and tool bands out.

    python scripts/fit_cacti.py REFERENCE_FOLDER [--out qtaml_hw/memory/presets/cacti7_arrays.json]

value(capacity) = value at 1 MB x (capacity / 1 MB)^exponent per (cell, periphery, node, word width), fitted to the
rows without ECC so that the WORST relative error over the capacities is smallest (a linear programme in logarithms).
The tables come from CACTI 7 (uniform cache access RAM, one bank, 350 K) and DESTINY; they are not part of this package.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import linprog

MEGABYTE_KB = 1024.0
CAPACITIES_KB = (64.0, 256.0, 512.0, 1024.0, 4096.0)  # of the CACTI rows
# quantity: how to read it from a CACTI row, in SI
QUANTITIES = {
    "area_m2": lambda row: row["area_mm2"] * 1e-6,
    "read_energy_j": lambda row: row["read_nJ"] * 1e-9,
    "write_energy_j": lambda row: row["write_nJ"] * 1e-9,
    "leakage_w": lambda row: (row["leak_mW"] - row["refresh_mW"]) * 1e-3,
    "gate_leakage_w": lambda row: row["gate_leak_mW"] * 1e-3,
    "access_s": lambda row: row["access_ns"] * 1e-9,
    "cycle_s": lambda row: row["cycle_ns"] * 1e-9,
    "refresh_energy_j": lambda row: row["refresh_mW"] * 1e-3 * row["refresh_us"] * 1e-6,
}
# DESTINY columns that can be held against a CACTI quantity, per cell (eDRAM leakage is LOP there and LSTP here: left
# out)
DESTINY = {
    "sram": {
        "area_m2": lambda row: row["area_mm2"] * 1e-6,
        "read_energy_j": lambda row: row["read_pJ"] * 1e-12,
        "leakage_w": lambda row: row["leak_mW"] * 1e-3,
    },
    "edram": {
        "area_m2": lambda row: row["area_mm2"] * 1e-6,
        "read_energy_j": lambda row: row["read_pJ"] * 1e-12,
        "refresh_energy_j": lambda row: row["refresh_pJ"] * 1e-12,
    },
}
PERIPHERY = {"itrs-hp": "hp", "itrs-lop": "lop", "itrs-lstp": "lstp"}


def read_rows(path: Path) -> list[dict[str, float | str]]:
    """Rows of a CSV, numbers as floats."""

    def number(text: str) -> float | str:
        try:
            return float(text)
        except ValueError:
            return text

    with path.open(newline="") as file:
        return [{name: number(text) for name, text in row.items()} for row in csv.DictReader(file)]


def minimax_power_law(capacity_kb: list[float], value: list[float]) -> tuple[float, float, float]:
    """(value at 1 MB, exponent, worst relative residual) of the power law with the smallest worst error."""
    x, y = np.log(np.array(capacity_kb) / MEGABYTE_KB), np.log(value)
    ones = np.ones_like(x)
    upper = np.vstack([np.column_stack([ones, x, -ones]), np.column_stack([-ones, -x, -ones])])
    fit = linprog([0, 0, 1], A_ub=upper, b_ub=np.concatenate([y, -y]), bounds=[(None, None), (None, None), (0, None)])
    level, exponent, worst = fit.x
    return math.exp(level), float(exponent), math.expm1(worst)


def capacity_steps(members: list[dict], values: list[float], law: tuple[float, float, float]) -> list[float]:
    """ln(value / power law) at every capacity: an eDRAM's organisation jumps where a power law cannot follow."""
    value_at = {row["cap_KB"]: value for row, value in zip(members, values, strict=True)}
    return [math.log(value_at[capacity] / power_law(law, capacity)) for capacity in CAPACITIES_KB]


def power_law(fit: Sequence[float], capacity_kb: float) -> float:
    """Value of a fit at a capacity, its steps (if any) interpolated in the logarithm of the capacity."""
    level, exponent, _, *steps = fit
    step = float(np.interp(math.log(capacity_kb), np.log(CAPACITIES_KB), steps)) if steps else 0.0
    return level * (capacity_kb / MEGABYTE_KB) ** exponent * math.exp(step)


def key(row: dict) -> str:
    cell = "edram" if row["cell"] == "lp-dram" else "sram"
    return f"{cell}-{PERIPHERY[row['peri']]}-{row['node_nm']:.0f}-{row['width_b']:.0f}"


def fit_arrays(rows: list[dict]) -> dict[str, dict[str, list[float]]]:
    """Power laws of every (cell, periphery, node, width)."""
    groups: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        if row["ecc"] == "off":
            groups[key(row)].append(row)
    fits: dict[str, dict[str, list[float]]] = {}
    for name, members in sorted(groups.items()):
        fits[name] = {}
        for quantity, value_of in QUANTITIES.items():
            values = [value_of(row) for row in members]
            if min(values) > 0.0:
                law = minimax_power_law([row["cap_KB"] for row in members], values)
                steps = capacity_steps(members, values, law) if name.startswith("edram") else ()
                fits[name][quantity] = [float(f"{x:.6g}") for x in (*law, *steps)]
        if name.startswith("edram"):
            fits[name]["refresh_interval_s"] = [members[0]["refresh_us"] * 1e-6, 0.0, 0.0]
    return fits


def temperature_curves(rows: list[dict]) -> dict[str, list[list[float]]]:
    """Leakage without refresh, relative to 350 K, per (cell, periphery, node)."""
    curves: dict[str, list[list[float]]] = defaultdict(list)
    reference = {key(row): row["leak_mW"] - row["refresh_mW"] for row in rows if row["temp_K"] == 350}
    for row in rows:
        name = key(row)
        share = (row["leak_mW"] - row["refresh_mW"]) / reference[name]
        curves[name.rsplit("-", 1)[0]].append([row["temp_K"], float(f"{share:.6g}")])
    return {name: sorted(curve) for name, curve in curves.items()}


def tool_bands(rows: list[dict], fits: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, list[float]]]:
    """Smallest and largest DESTINY / fit ratio per cell and quantity (DESTINY is LOP; eDRAM is held against LSTP)."""
    ratios: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        periphery = "lop" if row["cell"] == "sram" else "lstp"
        fit = fits.get(f"{row['cell']}-{periphery}-{row['node']:.0f}-{row['width_b']:.0f}")
        if fit is None or row["opt"] != "Area":
            continue
        for quantity, value_of in DESTINY[row["cell"]].items():
            ratios[row["cell"]][quantity].append(value_of(row) / power_law(fit[quantity], row["cap_KB"]))
    return {
        cell: {name: [float(f"{min(r):.4g}"), float(f"{max(r):.4g}")] for name, r in quantities.items()}
        for cell, quantities in ratios.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "reference", type=Path, help="folder with cacti_arrays.csv, cacti_temperature.csv, destiny_arrays.csv"
    )
    parser.add_argument("--out", type=Path, default=Path("qtaml_hw/memory/presets/cacti7_arrays.json"))
    args = parser.parse_args()
    fits = fit_arrays(read_rows(args.reference / "cacti_arrays.csv"))
    preset = {
        "source": "CACTI 7 (ITRS HP/LOP/LSTP and LP-DRAM cells; uniform cache access RAM, 1 bank, 64 and "
        "256 bit, 350 K), "
        "rows without ECC, 64 KB to 4 MB; minimax power laws by scripts/fit_cacti.py; "
        "tool bands: DESTINY (area-optimised, LOP) over the fit",
        "form": "value = at_1MB * (capacity / 1 MB)^exponent; columns: at_1MB, exponent, worst relative residual"
        "; eDRAM: then ln(row / power law) at 64, 256, 512, 1024 and 4096 KB, interpolated in ln(capacity)",
        "fits": fits,
        "leakage_over_350k": temperature_curves(read_rows(args.reference / "cacti_temperature.csv")),
        "destiny_over_fit": tool_bands(read_rows(args.reference / "destiny_arrays.csv"), fits),
    }
    text = json.dumps(preset, indent=1)
    args.out.write_text(text.replace("[\n    ", "[").replace(",\n    ", ", ").replace("\n   ]", "]") + "\n")
    worst = {q: max((fit[q][2] for fit in fits.values() if q in fit), default=0.0) for q in QUANTITIES}
    print(
        f"wrote {args.out}: {len(fits)} arrays; worst residuals " + ", ".join(f"{q} {r:.1%}" for q, r in worst.items())
    )


if __name__ == "__main__":
    main()
