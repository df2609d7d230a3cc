#!/usr/bin/env python3
"""Fit the array cost model: CACTI and DESTINY tables in, a preset of power laws, residuals and tool bands out.

    python scripts/fit_cacti.py ARRAYS.csv BETWEEN.csv TEMPERATURES.csv UNSEEN.csv DESTINY.csv [--given CACTI.csv]

value(capacity) = value at 1 MB x (capacity / 1 MB)^exponent x exp(step(capacity)) per (cell, periphery, node, word
width).  The power law is fitted so that the WORST relative error over the capacities is smallest (a linear programme in
logarithms); the steps, ln(row / law), carry CACTI's changes of organisation and are interpolated in ln(capacity).  The
residual of a law is the worst error at capacities halfway between the fitted ones, which it never saw; the least spread
of a quantity is what 19 of 20 arrays of any capacity, width and node (UNSEEN) keep to.  The tables are
``run_cacti.py``'s (uniform cache access RAM, one bank, no ECC, 350 K) and DESTINY's; they are not part of this package.
``--given`` leaves out one capacity of a table at a time and prints how well it is met.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import linprog

from qtaml_hw.memory.array.laws import Technology, fitted
from qtaml_hw.memory.array.laws import preset as preset_of_package
from qtaml_hw.memory.array.technology import FITTED_NODES_NM

MEGABYTE_KB = 1024.0
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
SOURCE = (
    "CACTI 7 (ITRS HP/LOP/LSTP and LP-DRAM cells; uniform cache access RAM, 1 bank, 64 and 256 bit, 350 K, no ECC), "
    "4 KB to 16 MB, by scripts/run_cacti.py; minimax power laws with steps by scripts/fit_cacti.py; tool bands: "
    "DESTINY (area-optimised, LOP) over the fit"
)
FORM = (
    "value = at_1MB * (capacity / 1 MB)^exponent * exp(step); columns: at_1MB, exponent, worst relative error "
    "halfway between the capacities, then the steps, ln(row / power law), at capacities_kb, linear in ln(capacity)"
)
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


def interpolated(law: Sequence[float], capacities_kb: Sequence[float], capacity_kb: float) -> float:
    """Value of a law (at 1 MB, exponent, residual, steps at the capacities) at any capacity."""
    level, exponent, _, *steps = law
    step = float(np.interp(math.log(capacity_kb), np.log(capacities_kb), steps)) if steps else 0.0
    return level * (capacity_kb / MEGABYTE_KB) ** exponent * math.exp(step)


def miss(law: Sequence[float], capacities_kb: Sequence[float], row: dict, value_of: Callable[[dict], float]) -> float:
    """Relative error of a law at a row; too little counts as much as too much."""
    return math.expm1(abs(math.log(interpolated(law, capacities_kb, row["cap_KB"]) / value_of(row))))


def left_out(capacities_kb: Sequence[float], values: Sequence[float], index: int) -> float:
    """Relative error at one capacity when it is interpolated, in logarithms, from its neighbours."""
    x, y = np.log(capacities_kb), np.log(values)
    kept = np.arange(len(x)) != index
    return abs(math.expm1(float(np.interp(x[index], x[kept], y[kept])) - float(y[index])))


def key(row: dict) -> str:
    cell = "edram" if row["cell"] == "lp-dram" else "sram"
    return f"{cell}-{PERIPHERY[row['peri']]}-{row['node_nm']:.0f}-{row['width_b']:.0f}"


def grouped(rows: list[dict]) -> dict[str, list[dict]]:
    """Rows without ECC by (cell, periphery, node, width), ascending in capacity."""
    groups: dict[str, list[dict]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["cap_KB"]):
        if row["ecc"] == "off":
            groups[key(row)].append(row)
    return dict(sorted(groups.items()))


def fit_arrays(rows: list[dict], between: list[dict]) -> tuple[list[float], dict]:
    """The capacities in KB, and the laws of every (cell, periphery, node, width)."""
    groups, unseen = grouped(rows), grouped(between)
    capacities = [row["cap_KB"] for row in next(iter(groups.values()))]
    fits: dict[str, dict[str, list[float]]] = {}
    for name, members in groups.items():
        if [row["cap_KB"] for row in members] != capacities:
            raise SystemExit(f"{name} has other capacities than the first technology")
        fits[name] = {}
        for quantity, value_of in QUANTITIES.items():
            values = [value_of(row) for row in members]
            if min(values) > 0.0:
                level, exponent, _ = minimax_power_law(capacities, values)
                plain = [level * (capacity / MEGABYTE_KB) ** exponent for capacity in capacities]
                steps = np.log(np.array(values) / plain).tolist()
                law = [level, exponent, 0.0, *steps]
                law[2] = max(miss(law, capacities, row, value_of) for row in unseen[name])
                fits[name][quantity] = [*(float(f"{x:.6g}") for x in law[:3]), *(round(x, 5) for x in steps)]
        if name.startswith("edram"):
            fits[name]["refresh_interval_s"] = members[0]["refresh_us"] * 1e-6
    return capacities, fits


def temperature_curves(rows: list[dict]) -> dict[str, list[list[float]]]:
    """Leakage without refresh, relative to 350 K, per (cell, periphery, node); falling points left out."""
    curves: dict[str, list[list[float]]] = defaultdict(list)
    reference = {key(row): row["leak_mW"] - row["refresh_mW"] for row in rows if row["temp_K"] == 350}
    for row in rows:
        name = key(row)
        share = (row["leak_mW"] - row["refresh_mW"]) / reference[name]
        curves[name.rsplit("-", 1)[0]].append([row["temp_K"], float(f"{share:.6g}")])
    rising = {}
    for name, curve in sorted(curves.items()):
        highest = np.maximum.accumulate([share for _, share in sorted(curve)])
        rising[name] = [point for point, most in zip(sorted(curve), highest, strict=True) if point[1] == most]
    return rising


def least_spreads(rows: list[dict]) -> dict[str, dict[str, dict[str, float]]]:
    """Factor within which 19 of 20 unseen arrays lie of what the package makes of them, at fitted nodes and between."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {
        where: {cell: {name: [] for name in QUANTITIES} for cell in DESTINY} for where in ("at_nodes", "between_nodes")
    }
    for row in rows:
        cell = "edram" if row["cell"] == "lp-dram" else "sram"
        where = "at_nodes" if row["node_nm"] in FITTED_NODES_NM else "between_nodes"
        technology = Technology(cell, PERIPHERY[row["peri"]], row["node_nm"])
        for name, value_of in QUANTITIES.items():
            value = value_of(row)
            if value > 0.0 and (cell, name) != ("edram", "write_energy_j"):  # the package takes the read energy
                ours = fitted(technology, row["cap_KB"] * 8192.0, int(row["width_b"]), name).value
                found[where][cell][name].append(max(ours / value, value / ours))
    return {
        where: {
            cell: {n: float(f"{np.quantile(r or [1.0], 0.95):.4g}") for n, r in names.items()}
            for cell, names in cells.items()
        }
        for where, cells in found.items()
    }


def width_between(capacities: list[float], fits: dict, row: dict, quantity: str) -> float:
    """A quantity at a capacity and width, as the package interpolates it."""
    name, width = key(row).rsplit("-", 1)
    share = math.log(float(width) / 64.0) / math.log(4.0)
    narrow, wide = (interpolated(fits[f"{name}-{w}"][quantity], capacities, row["cap_KB"]) for w in (64, 256))
    return float(narrow ** (1.0 - share) * wide**share)


def print_errors(title: str, errors: dict[tuple[str, str], list[float]]) -> None:
    """Median, 90th percentile and worst relative error by cell and quantity."""
    print(title)
    for (cell, quantity), found in sorted(errors.items()):
        middle, high, worst = np.quantile(found, (0.5, 0.9, 1.0))
        print(f"  {cell:<6} {quantity:<17} median {middle:6.1%}  90 % below {high:6.1%}  worst {worst:6.1%}")


def check_between(capacities: list[float], fits: dict, rows: list[dict]) -> None:
    """Errors at capacities and widths that were not fitted."""
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        for quantity, value_of in QUANTITIES.items():
            if value_of(row) > 0.0:
                found = width_between(capacities, fits, row, quantity) / value_of(row) - 1.0
                errors[key(row).split("-")[0], quantity].append(abs(found))
    print_errors("capacities and widths between the fitted ones", errors)


def check_left_out(rows: list[dict], given: list[dict]) -> None:
    """Leave-one-capacity-out errors: over the given rows alone, and over all fitted rows at the given capacities."""
    everything, alone = grouped(rows), grouped(given)
    for title, groups in (("left out of the given rows alone", alone), ("left out of all fitted rows", everything)):
        errors: dict[tuple[str, str], list[float]] = defaultdict(list)
        for name, members in alone.items():
            capacities = [row["cap_KB"] for row in groups[name]]
            for capacity in [row["cap_KB"] for row in members][1:-1]:
                for quantity, value_of in QUANTITIES.items():
                    values = [value_of(row) for row in groups[name]]
                    if min(values) > 0.0:
                        found = left_out(capacities, values, capacities.index(capacity))
                        errors[name.split("-")[0], quantity].append(found)
        print_errors(f"256, 512 and 1,024 KB, {title}", errors)


def tool_bands(rows: list[dict], capacities: list[float], fits: dict) -> dict[str, dict[str, list[float]]]:
    """Smallest and largest DESTINY / fit ratio per cell and quantity (DESTINY is LOP; eDRAM is held against LSTP)."""
    ratios: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        periphery = "lop" if row["cell"] == "sram" else "lstp"
        fit = fits.get(f"{row['cell']}-{periphery}-{row['node']:.0f}-{row['width_b']:.0f}")
        if fit is None or row["opt"] != "Area":
            continue
        for quantity, value_of in DESTINY[row["cell"]].items():
            ratios[row["cell"]][quantity].append(value_of(row) / interpolated(fit[quantity], capacities, row["cap_KB"]))
    return {
        cell: {name: [float(f"{min(r):.4g}"), float(f"{max(r):.4g}")] for name, r in quantities.items()}
        for cell, quantities in ratios.items()
    }


def write(preset: dict, path: Path) -> None:
    """The preset as JSON, a law a line."""
    text = json.dumps(preset, indent=1)
    path.write_text(re.sub(r"\s*\n {2,}(?=[-\d\]])", " ", text).replace("[ ", "[").replace(" ]", "]") + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arrays", type=Path, help="run_cacti.py --part arrays")
    parser.add_argument("between", type=Path, help="run_cacti.py --part between")
    parser.add_argument("temperatures", type=Path, help="run_cacti.py --part temperatures")
    parser.add_argument("unseen", type=Path, help="run_cacti.py --part unseen")
    parser.add_argument("destiny", type=Path, help="DESTINY's arrays")
    parser.add_argument("--out", type=Path, default=Path("qtaml_hw/memory/presets/cacti7_arrays.json"))
    parser.add_argument("--given", type=Path, help="a table with fewer capacities, to leave one out at a time")
    args = parser.parse_args()
    rows, between = read_rows(args.arrays), read_rows(args.between)
    capacities, fits = fit_arrays(rows, between)
    preset = {
        "source": SOURCE,
        "form": FORM,
        "capacities_kb": capacities,
        "fits": fits,
        "leakage_over_350k": temperature_curves(read_rows(args.temperatures)),
        "destiny_over_fit": tool_bands(read_rows(args.destiny), capacities, fits),
        "least_spread": least_spreads([]),
    }
    write(preset, args.out)
    preset_of_package.cache_clear()
    write(preset | {"least_spread": least_spreads(read_rows(args.unseen))}, args.out)
    print(f"wrote {args.out}: {len(fits)} arrays")
    check_between(capacities, fits, between)
    if args.given:
        check_left_out(rows, read_rows(args.given))


if __name__ == "__main__":
    main()
