#!/usr/bin/env python3
"""Run CACTI 7 over technologies, capacities and temperatures into the table that ``fit_cacti.py`` reads.

    python scripts/run_cacti.py CACTI_FOLDER TABLE.csv [--part arrays|temperatures|between|unseen]

CACTI_FOLDER holds the built ``cacti`` and its ``cache.cfg`` (HewlettPackard/cacti, version 7); this package ships
neither.  Every row is one run: uniform cache access RAM, one bank, no ECC, ED^2-optimised, all else as in cache.cfg.
Rows that the table already has are not run again.  For LP-DRAM the report must say its refresh power, which CACTI
computes and prints for main memories only: in ``io.cc``, ``output_UCA``, after the cycle time, add
``cout << "    Refresh power (mW): " << fr->data_array2->refresh_power*1e3 << endl;``.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qtaml_hw.memory.array.cacti import PRINTED, Asked, configuration, read_figures

Run = tuple[int, str, str, int, int, int]  # node nm, cell, periphery, capacity KB, width bits, temperature K
FIELDS = ("node_nm", "cell", "peri", "cap_KB", "width_b", "temp_K", "ecc", "access_ns", "cycle_ns", "read_nJ",
          "write_nJ", "leak_mW", "gate_leak_mW", "refresh_mW", "refresh_us", "area_mm2")  # fmt: skip
PERIPHERIES = ("itrs-lstp", "itrs-hp", "itrs-lop")
POWERS_KB = (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
HALFWAY_KB = (96, 192, 384, 768, 1536, 3072, 6144)
RANDOM_KB = (6, 12, 24, 40, 80, 96, 160, 224, 320, 512, 640, 768, 1280, 1536, 2560, 3072, 5120, 6144, 9216)
RANDOM_NODES = (22, 32, 45, 65, 90, 28, 38, 55, 80, 22, 32, 45, 65, 90)
TEMPERATURES_K = (300, 320, 340, 350, 360, 380, 400)
REFRESH_US = {32: 119.048, 38: 122.744, 45: 126.923, 55: 132.353, 65: 137.755, 80: 131.707, 90: 127.962}
"""CACTI's LP-DRAM retention, 0.9 C x 0.125 V_dd / I_off of its technology files."""
COLUMNS = {
    "access_ns": ("access_s", 1e9),
    "cycle_ns": ("cycle_s", 1e9),
    "read_nJ": ("read_energy_j", 1e9),
    "write_nJ": ("write_energy_j", 1e9),
    "leak_mW": ("leakage_w", 1e3),
    "gate_leak_mW": ("gate_leakage_w", 1e3),
    "area_mm2": ("area_m2", 1e6),
    "refresh_mW": ("refresh_w", 1e3),
}
"""Column -> the quantity, and the column's units in one of SI."""


def technologies() -> Iterator[tuple[int, str, str]]:
    """(node, cell, periphery): SRAM at 22 to 90 nm, LP-DRAM, which CACTI has not at 22 nm, from 32 nm on."""
    for node, periphery in itertools.product((45, 32, 65, 22, 90), PERIPHERIES):
        yield node, periphery, periphery
        if node > 22:
            yield node, "lp-dram", periphery


def arrays() -> Iterator[Run]:
    """What the cost model is fitted to."""
    for technology, width, kb in itertools.product(technologies(), (64, 256), POWERS_KB):
        yield (*technology, kb, width, 350)


def temperatures() -> Iterator[Run]:
    """Leakage against temperature."""
    for technology, kelvin in itertools.product(technologies(), TEMPERATURES_K):
        if technology[0] <= 45:
            yield (*technology, 512, 64, kelvin)


def between() -> Iterator[Run]:
    """Capacities halfway between the fitted ones and another width: how well the fit does there makes its bands."""
    for technology in technologies():
        yield from ((*technology, kb, width, 350) for width in (64, 256) for kb in HALFWAY_KB)
        if technology[0] in (32, 45):
            yield from ((*technology, kb, 128, 350) for kb in (64, 512, 4096))


def unseen() -> Iterator[Run]:
    """Nodes between the fitted ones, and arrays drawn at random: what a band must hold."""
    technologies_at = sorted(((c, p) for node, c, p in technologies() if node == 45), key=lambda t: t[0] == "lp-dram")
    for kb, node, (cell, periphery) in itertools.product((512, 64, 4096), (28, 38, 55, 80), technologies_at):
        if node >= 32 or cell != "lp-dram":
            yield node, cell, periphery, kb, 64, 350
    draw = random.Random(7)  # noqa: S311  # a fixed set of arrays
    left = 90
    while left:
        node, (cell, periphery) = draw.choice(RANDOM_NODES), draw.choice(technologies_at)
        if node >= 32 or cell != "lp-dram":
            yield node, cell, periphery, draw.choice(RANDOM_KB), draw.choice((32, 64, 64, 128, 256, 512)), 350
            left -= 1


PARTS = {"arrays": arrays, "temperatures": temperatures, "between": between, "unseen": unseen}


def measure(folder: Path, template: str, run: Run) -> dict[str, object]:
    """One row of the table."""
    node, cell, periphery, kb, width, kelvin = run
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "array.cfg"
        config.write_text(configuration(template, Asked(node, cell, periphery, kb, width, kelvin)))
        printed = subprocess.run(  # noqa: S603  # the program that the caller names
            [str(folder / "cacti"), "-infile", str(config)], cwd=folder, capture_output=True, text=True, check=True
        ).stdout
    figures = read_figures(printed)
    if cell != "lp-dram":
        figures["refresh_w"] = 0.0
    missing = [PRINTED[quantity][0] for quantity, _ in COLUMNS.values() if quantity not in figures]
    if missing:
        raise SystemExit(f"CACTI did not print {missing[0]!r}; for LP-DRAM see the note at the head of this script")
    row = {column: float(f"{figures[quantity] * per_si:.12g}") for column, (quantity, per_si) in COLUMNS.items()}
    interval_us = REFRESH_US[node] if cell == "lp-dram" else 0
    return {**dict(zip(FIELDS[:6], run, strict=True)), "ecc": "off", **row, "refresh_us": interval_us}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cacti", type=Path, help="folder with the built cacti and cache.cfg")
    parser.add_argument("table", type=Path, help="CSV to write or continue")
    parser.add_argument("--part", choices=PARTS, default="arrays")
    args = parser.parse_args()
    folder = args.cacti.resolve()
    template = (folder / "cache.cfg").read_text(encoding="latin-1")
    done: set[tuple[str, ...]] = set()
    if args.table.exists():
        with args.table.open(newline="") as file:
            done = {tuple(row[name] for name in FIELDS[:6]) for row in csv.DictReader(file)}
    with args.table.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if not done:
            writer.writeheader()
        for run in PARTS[args.part]():
            if tuple(map(str, run)) not in done:
                writer.writerow(measure(folder, template, run))
                file.flush()


if __name__ == "__main__":
    main()
