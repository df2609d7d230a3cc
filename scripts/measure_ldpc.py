"""Measure the table of long-block codes that comes with the package: `python scripts/measure_ldpc.py`.

Decodes up to so many frames of every code and flip probability below, or until 30 have failed, and writes
`qtaml_hw/ecc/ldpc_measured.json`. What the cache folder holds is not decoded again; from nothing it
takes half an hour on one core.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import qtaml_hw.ecc
from qtaml_hw.ecc.ldpc import long_block
from qtaml_hw.ecc.measured import TABLE
from qtaml_hw.files import write_atomically

POINTS: tuple[tuple[str, int, tuple[float, ...]], ...] = (
    ("ldpc-1024-0.4", 40_000, (0.04, 0.06, 0.08, 0.10)),
    ("ldpc-1024-0.571", 40_000, (0.01, 0.02, 0.03, 0.05)),
    ("ldpc-1024-0.85", 40_000, (0.001, 0.003, 0.005, 0.01)),
    ("ldpc-4096-0.4", 40_000, (0.06, 0.08, 0.09, 0.10)),
    ("ldpc-4096-0.571", 40_000, (0.03, 0.04, 0.05)),
    ("ldpc-4096-0.85", 40_000, (0.003, 0.005, 0.01)),
    ("ldpc-16384-0.4", 10_000, (0.10, 0.11, 0.12)),
    ("ldpc-16384-0.571", 10_000, (0.05, 0.055, 0.06, 0.065)),
    ("ldpc-16384-0.85", 10_000, (0.01, 0.0125, 0.015)),
    ("ldpc-16384-0.43", 10_000, (0.10, 0.105, 0.11)),
    ("ldpc-16384-0.6", 10_000, (0.05, 0.055, 0.06)),
    ("ldpc-16384-0.86", 10_000, (0.01, 0.0125)),
    ("ldpc-16384-0.625", 10_000, (0.05, 0.055)),
    ("ldpc-16384-0.4", 40_000, (0.10,)),
    ("ldpc-16384-0.571", 40_000, (0.05,)),
    ("ldpc-16384-0.85", 40_000, (0.01,)),
)


def main() -> None:
    rows = {}
    for name, frames, probabilities in POINTS:
        code = long_block(int(name.split("-")[1]), float(name.split("-")[2]))
        for p in probabilities:
            found = code.measured(p, frames=frames)
            rows[name, p] = asdict(found)
            low, high = found.frame_ci95
            print(f"{name} p={p:g}: {found.failed} of {found.frames} frames ({low:.2g} to {high:.2g}), "
                  f"bit error {found.bit_error:.2g}", flush=True)  # fmt: skip
    source = "scripts/measure_ldpc.py: batches of 64 frames, numpy default_rng([seed, batch]), float32 uniforms below p"
    lines = ",\n".join(json.dumps(row) for _, row in sorted(rows.items()))
    target = Path(qtaml_hw.ecc.__file__).parent / TABLE
    write_atomically(target, f'{{"source": {json.dumps(source)},\n"rows": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
