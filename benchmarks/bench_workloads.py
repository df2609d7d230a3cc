"""What the workloads cost: training of the zoo, a cached load, the GEMMs of a network, the systolic count.

Run as ``python benchmarks/bench_workloads.py [--quick]``; --quick leaves out the networks that take over 15 s to train.
Trains into a temporary cache, so that the user's own stays as it is.
"""

from __future__ import annotations

import os
import sys
import tempfile

import torch
from figures import figure, median_s

from qtaml_hw.accelerator import layer_costs, systolic_cost
from qtaml_hw.workloads import load_network, names, network

GOALS_S = {"digits-vgg": 20.0}  # the quickstart's network; all others under a minute


def main(quick: bool) -> None:
    load_network("digits-mlp")  # the first training also loads torch's optimisers
    for name in names():
        if quick and network(name).train_seconds > 15.0:
            continue
        record = load_network(name, seed=7).record
        if record is None:
            raise RuntimeError(f"{name} has no training record")
        more = f"accuracy {record.clean_accuracy:.3f}"
        figure(f"train {name}, wall time", record.seconds, "s", at_most=GOALS_S.get(name, 60.0), more=more)
    figure("load digits-mlp from the cache", median_s(lambda: load_network("digits-mlp")), "s", at_most=0.5)
    module = load_network("digits-mlp").module
    seconds = median_s(lambda: layer_costs(module, (1, 8, 8), 128, 128))
    figure("layer costs of digits-mlp", seconds, "s", at_most=0.05)
    seconds = median_s(lambda: [systolic_cost(784, 576, 128, 32, 32) for _ in range(1000)]) / 1000
    figure("one systolic count", 1e6 * seconds, "us", at_most=50.0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["QTAML_HW_CACHE"] = folder
        main("--quick" in sys.argv[1:])
