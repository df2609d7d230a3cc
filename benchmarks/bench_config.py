"""CPU seconds of reading a study: a whole process that checks the quickstart, and a sweep of 1,001 points.

Run from the repository root: ``python benchmarks/bench_config.py``. The peer of the process is an interpreter that
only imports pydantic and PyYAML; both are started in turn.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

PEER = "import yaml\nfrom pydantic import BaseModel\nclass A(BaseModel):\n    x: int\n"
OURS = "from qtaml_hw.config import load_study\nload_study('configs/quickstart.yaml')\n"
SWEEP = "sweep: {grid: {cell.t_ox: {from: 1.5 nm, to: 2.5 nm, step: 0.001 nm}}}"


CACHE = tempfile.mkdtemp(prefix="bench-config-")
ENVIRONMENT = {**os.environ, "PYTHONPATH": ".", "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": CACHE}
"""Compiled modules are kept, as they are in an installed package; the first run fills the cache."""


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _process_cpu_s(code: str) -> float:
    before = _children_cpu_s()
    subprocess.run([sys.executable, "-c", code], check=True, env=ENVIRONMENT)
    return _children_cpu_s() - before


def main() -> None:
    """Print goal, median and ratio of each figure."""
    peer, ours = [], []
    _process_cpu_s(PEER + OURS)
    for _ in range(9):
        peer.append(_process_cpu_s(PEER))
        ours.append(_process_cpu_s(OURS))
    low, high = statistics.median(peer), statistics.median(ours)
    print(f"check a study, whole process: goal 0.35 s, median {high:.3f} s, {high / low:.2f}x pydantic + PyYAML alone")
    from qtaml_hw.config import parse_study

    start = time.process_time()
    count = len(parse_study(SWEEP).points())
    print(f"check a sweep of {count} points: goal 1 s, {time.process_time() - start:.3f} s")


if __name__ == "__main__":
    main()
