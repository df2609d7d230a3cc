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
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
PRINTED = {
    "access_ns": "Access time (ns)",
    "cycle_ns": "Cycle time (ns)",
    "read_nJ": "Total dynamic read energy per access (nJ)",
    "write_nJ": "Total dynamic write energy per access (nJ)",
    "leak_mW": "Total leakage power of a bank (mW)",
    "gate_leak_mW": "Total gate leakage power of a bank (mW)",
    "area_mm2": "Data array: Area (mm2)",
}


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


def configuration(template: str, run: Run) -> str:
    """CACTI's cache.cfg with a run's values."""
    node, cell, periphery, kb, width, kelvin = run
    values = {
        "-size (bytes)": f"{kb * 1024}",
        "-block size (bytes)": f"{width // 8}",
        "-associativity": "1",
        "-technology (u)": f"{node / 1000:.3f}",
        "-Data array cell type -": f'"{cell}"',
        "-Data array peripheral type -": f'"{periphery}"',
        "-output/input bus width": f"{width}",
        "-operating temperature (K)": f"{kelvin}",
        "-cache type": '"ram"',
        "-Add ECC -": '"false"',
        "-Print level (DETAILED, CONCISE) -": '"DETAILED"',
    }
    text = "\n".join(line for line in template.splitlines() if not line.lstrip().startswith("//"))
    for name, value in values.items():
        text, found = re.subn(rf"^{re.escape(name)}.*$", f"{name} {value}", text, flags=re.MULTILINE)
        if not found:
            raise SystemExit(f"cache.cfg has no line {name!r}")
    return text


def measure(folder: Path, template: str, run: Run) -> dict[str, object]:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "array.cfg"
        config.write_text(configuration(template, run))
        printed = subprocess.run(  # noqa: S603  # the program that the caller names
            [str(folder / "cacti"), "-infile", str(config)], cwd=folder, capture_output=True, text=True, check=True
        ).stdout
    found = {name: _number(printed, words) for name, words in PRINTED.items()}
    refresh = _number(printed, "Refresh power (mW)") if run[1] == "lp-dram" else 0.0
    return {
        **dict(zip(FIELDS[:6], run, strict=True)), "ecc": "off", **found,
        "refresh_mW": refresh, "refresh_us": REFRESH_US[run[0]] if refresh else 0,
    }  # fmt: skip


def _number(printed: str, words: str) -> float:
    match = re.search(rf"{re.escape(words)}\s*:?\s*([-+.\deE]+)", printed)
    if match is None:
        raise SystemExit(f"CACTI did not print {words!r}; for LP-DRAM see the note at the head of this script")
    return float(match[1])


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
