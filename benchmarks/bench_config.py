"""What it takes to start: `--help`, `validate` of the quickstart, a study read in a script, a sweep of 1,001 points.

Run from the repository root: ``python benchmarks/bench_config.py``. The peer is an interpreter that only imports
pydantic and PyYAML and makes one model; all are started in turn.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from figures import children_cpu_s, cpu_s, figure

ROUNDS, GOAL_S = 9, 0.35
PROCESSES = {
    "peer": ["-c", "import yaml\nfrom pydantic import BaseModel\nclass A(BaseModel):\n    x: int\n"],
    "`--help`": ["-m", "qtaml_hw.cli", "--help"],
    "`validate configs/quickstart.yaml`": ["-m", "qtaml_hw.cli", "validate", "configs/quickstart.yaml"],
    "the same in a script": ["-c", "from qtaml_hw.config import load_study\nload_study('configs/quickstart.yaml')\n"],
}
SWEEP = "sweep: {grid: {cell.t_ox: {from: 1.5 nm, to: 2.5 nm, step: 0.001 nm}}}"


def main() -> None:
    """Medians of whole processes beside their goal, and of a sweep."""
    with tempfile.TemporaryDirectory(prefix="bench-config-") as cache:
        # compiled modules are kept, as they are in an installed package; the first round fills the cache
        kept = {**os.environ, "PYTHONPATH": ".", "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": cache}
        taken: dict[str, list[float]] = {name: [] for name in PROCESSES}
        for _ in range(1 + ROUNDS):
            for name, arguments in PROCESSES.items():
                command = [sys.executable, *arguments]
                taken[name].append(children_cpu_s(command, env=kept, stdout=subprocess.DEVNULL))
    medians = {name: statistics.median(rounds[1:]) for name, rounds in taken.items()}
    peer_s = medians.pop("peer")
    figure("pydantic and PyYAML imported, one model", peer_s, "s CPU")
    for name, seconds in medians.items():
        figure(f"{name}, whole process", seconds, "s CPU", at_most=GOAL_S, more=f"{seconds / peer_s:.2f} of the peer")
    from qtaml_hw.config import parse_study

    figure("a sweep of 1,001 points checked", cpu_s(lambda: parse_study(SWEEP).points()), "s CPU", at_most=1.0)


if __name__ == "__main__":
    main()
