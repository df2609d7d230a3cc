"""What the workloads cost: training of the zoo, a cached load, the GEMMs of a network, the systolic count.

Run as ``python benchmarks/bench_workloads.py [--quick]``; --quick leaves out the networks that take over 15 s to train.
Trains into a temporary cache, so that the user's own stays as it is.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import torch

from qtaml_hw.accelerator import layer_costs, systolic_cost
from qtaml_hw.workloads import load_network, names, network

GOALS_S = {"digits-vgg": 20.0}  # the quickstart's network; all others under a minute


def median_s(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def line(what: str, goal_s: float, found_s: float, more: str = "") -> None:
    verdict = "ok" if found_s <= goal_s else "SLOW"
    ratio = found_s / goal_s
    print(f"{what:<32} goal {goal_s:8.3g} s   found {found_s:8.3g} s   ratio {ratio:5.2f}   {verdict}  {more}")


def main(quick: bool) -> None:
    load_network("digits-mlp")  # the first training also loads torch's optimisers
    for name in names():
        if quick and network(name).train_seconds > 15.0:
            continue
        cpu = time.process_time()
        record = load_network(name, seed=7).record
        cpu = time.process_time() - cpu
        if record is None:
            raise RuntimeError(f"{name} has no training record")
        more = f"accuracy {record.clean_accuracy:.3f}, CPU {cpu:.1f} s"
        line(f"train {name}", GOALS_S.get(name, 60.0), record.seconds, more)
    line("load digits-mlp from the cache", 0.5, median_s(lambda: load_network("digits-mlp"), 5))
    module = load_network("digits-mlp").module
    line("layer costs of digits-mlp", 0.05, median_s(lambda: layer_costs(module, (1, 8, 8), 128, 128), 5))
    line(
        "one systolic count",
        5e-5,
        median_s(lambda: [systolic_cost(784, 576, 128, 32, 32) for _ in range(1000)], 5) / 1000,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["QTAML_HW_CACHE"] = folder
        main("--quick" in sys.argv[1:])
