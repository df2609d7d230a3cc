"""What values in buffers cost a forward pass: without a flip, with cells that stay weak, with draws for every write.

Run: python benchmarks/bench_buffers.py [--quick].  Passes of the network alone and through buffers in turns, the median
of their paired ratios, at one input at a time and in batches.  Then a second of LeNet with 1,000 inferences: what
simulating the memories, planning and pricing take beside the forward passes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from figures import cpu_s, figure
from torch import nn

from qtaml_hw._threads import single_thread
from qtaml_hw.activations import Fresh, Held, Kept, Numbers, Same, calibrate, trace
from qtaml_hw.config import parse_study
from qtaml_hw.faults import MapKey
from qtaml_hw.study.design.design import prepare
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.weights.network import stored_names
from qtaml_hw.weights.registry import number_format
from qtaml_hw.workloads.families import lenet, resnet

GOAL, GOAL_STREAM_S = 1.1, 10.0
GOAL_DRAWS, GOAL_DRAWS_ALONE = 2.0, 3.0  # of every write, in batches and one input at a time
FLIPS, LEAST_S = 1e-3, 0.02
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "LeNet": (lambda: lenet.build(1, 8, 10), (1, 8, 8)),
    "LeNet of CIFAR's size": (lambda: lenet.build(3, 32, 10), (3, 32, 32)),
    "ResNet": (lambda: resnet.build(1, 8, 10), (1, 8, 8)),
}
STREAM = """
study: stream
cell: {preset: gain-cell-65nm, t_ox: 1.8 nm, temperature: 85 degC}
refresh: 10 us
protection: {policy: none, correction: none}
network: {name: digits-lenet}
data: {name: digits}
accelerator: {inferences_per_second: 1000}
evaluate: {at: [1 s], images: 1000, maps: {min: 2, max: 2}}
buffers:
  - {name: features, contents: activations, cell: {preset: gain-cell-65nm, t_ox: 1.7 nm, temperature: 85 degC},
     refresh: 10 us, refreshed: outlived, protection: {policy: none}}
"""


def with_faults(kept: Sequence[Kept], same: bool) -> list[Kept]:
    """Every value with flips of FLIPS in all planes, of the same cells or drawn anew."""
    rng, p = np.random.default_rng(1), np.full((1, 8), FLIPS)
    found = []
    for i, one in enumerate(kept):
        masks = [np.packbits(rng.random((one.tap.values, 8)) < FLIPS, axis=1)[:, 0] for _ in range(2)]
        found.append(replace(one, faults=Same(MapKey(0), i, *masks) if same else Fresh(MapKey(0), i, p, p)))
    return found


def ratios(net: nn.Module, inputs: torch.Tensor, rounds: int) -> dict[str, float]:
    """Cost of a pass through buffers over that of the pass before it without, by what flips."""
    taps = trace(net, inputs[:1], ["activations"], stored_names(net))
    kept = calibrate(net, [Kept(tap, Numbers(number_format("int8"))) for tap in taps], inputs)
    ways = {"no flip": kept, "weak cells": with_faults(kept, True), "draws": with_faults(kept, False)}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, through in ways.items():
            plain = cpu_s(lambda: net(inputs), LEAST_S)
            with Held(through).hooked(net):
                net(inputs)
                found[name].append(cpu_s(lambda: net(inputs), LEAST_S) / plain)
    return {name: statistics.median(values) for name, values in found.items()}


def passes_through_buffers(rounds: int) -> None:
    """A figure for every network, batch and kind of flips."""
    for title, (build, shape) in NETWORKS.items():
        torch.manual_seed(1)
        net = build().eval()
        for batch in (1, 32, 256):
            for name, ratio in ratios(net, torch.rand(batch, *shape), rounds).items():
                goal = {"no flip": GOAL, "draws": GOAL_DRAWS if batch > 1 else GOAL_DRAWS_ALONE}.get(name)
                figure(f"{title}, batches of {batch}, {name}", ratio, "x the pass", at_most=goal)


def stream() -> None:
    """A second with 1,000 inferences, prepared and read, less the passes over 1,000 images."""
    networks, study = Networks(), parse_study(STREAM, name="stream")
    networks.load(study)
    start = time.process_time()
    design = prepare(study, networks)
    design.record(0)
    whole = time.process_time() - start
    weights, network = design.image.decode(), design.network
    passes = cpu_s(lambda: network.served.outputs(weights, network.inputs), 0.2)
    beside = whole - 3.0 * passes  # clean, quantised, faulty
    more = f"{network.images} images, passes {passes:.2f} s each"
    figure("1 s of LeNet, 1,000 inferences, beside its passes", beside, "s", at_most=GOAL_STREAM_S, more=more)


def main() -> None:
    """All figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    rounds = 5 if parser.parse_args().quick else 25
    with single_thread(), torch.inference_mode():
        passes_through_buffers(rounds)
    stream()


if __name__ == "__main__":
    main()
