"""What values in buffers cost a forward pass: without a flip, with cells that stay weak, with draws for every write.

``python benchmarks/bench_buffers.py [--quick]``: passes of the network alone and through buffers in turns, the median
of their paired ratios by CPU time, at one input at a time and in batches; then a stream of 1,000 inferences.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from qtaml_hw._threads import single_thread
from qtaml_hw.activations import Fresh, Held, Kept, Numbers, Same, calibrate, trace
from qtaml_hw.faults import MapKey
from qtaml_hw.weights.network import stored_names
from qtaml_hw.weights.registry import number_format
from qtaml_hw.workloads.families import lenet, resnet

GOAL, GOAL_STREAM_S = 1.1, 10.0
FLIPS = 1e-3
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "LeNet": lambda: lenet.build(1, 8, 10),
    "LeNet, CIFAR size": lambda: lenet.build(3, 32, 10),
    "ResNet": lambda: resnet.build(1, 8, 10, 16),
}


def with_faults(kept: Sequence[Kept], same: bool) -> list[Kept]:
    """Every value with flips of FLIPS in all planes, of the same cells or drawn anew."""
    rng, p = np.random.default_rng(1), np.full((1, 8), FLIPS)
    found = []
    for i, one in enumerate(kept):
        masks = [np.packbits(rng.random((one.tap.values, 8)) < FLIPS, axis=1)[:, 0] for _ in range(2)]
        faults = Same(MapKey(0), i, *masks) if same else Fresh(MapKey(0), i, p, p)
        found.append(replace(one, faults=faults))
    return found


def seconds(passes: int, run: Callable[[], object]) -> float:
    """CPU seconds of a number of passes."""
    start = time.process_time()
    for _ in range(passes):
        run()
    return time.process_time() - start


def ratios(net: nn.Module, inputs: torch.Tensor, rounds: int) -> dict[str, float]:
    """Cost of a pass through buffers over that of a pass without, by what flips."""
    shape = inputs[:1]
    taps = trace(net, shape, ["activations"], stored_names(net))
    kept = calibrate(net, [Kept(tap, Numbers(number_format("int8"))) for tap in taps], inputs)
    ways = {"no flip": kept, "weak cells": with_faults(kept, True), "draws": with_faults(kept, False)}
    passes = max(2, int(0.02 / seconds(3, lambda: net(inputs)) * 3))
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, through in ways.items():
            plain = seconds(passes, lambda: net(inputs))
            with ExitStack() as stack:
                stack.enter_context(Held(through).hooked(net))
                found[name].append(seconds(passes, lambda: net(inputs)) / plain)
    return {name: statistics.median(values) for name, values in found.items()}


def passes_through_buffers(rounds: int) -> None:
    """A row for every network and batch."""
    for title, build in NETWORKS.items():
        torch.manual_seed(1)
        net = build().eval()
        first = next(m for m in net.modules() if isinstance(m, nn.Conv2d))
        side = 32 if first.in_channels == 3 else 8
        for batch in (1, 32, 256):
            inputs = torch.rand(batch, first.in_channels, side, side)
            found = ratios(net, inputs, rounds)
            said = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
            print(f"{title}, batch {batch}: {said} of the pass without buffers (goal without a flip <= {GOAL:g})")


def main() -> None:
    """All figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    rounds = 5 if parser.parse_args().quick else 25
    with single_thread(), torch.inference_mode():
        passes_through_buffers(rounds)


if __name__ == "__main__":
    main()
