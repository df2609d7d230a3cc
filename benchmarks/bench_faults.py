"""Speed of the bit-flip engine beside its peers: same process, alternating, CPU time, medians.

    python benchmarks/bench_faults.py [--weights 100000000] [--rounds 5]

Slow peers (all but Stim and memcpy) run on 1/50 of the weights and are scaled up.  Calls shorter than 2 ms are
repeated within their turn, so that a call of microseconds is not the cost of the caches that its peers emptied.  At
p = 0.5 Stim gives its generator's raw output, one bit a cell: there the goal is to be no slower; elsewhere five times.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tracemalloc
from itertools import count

import numpy as np
import stim
import torch
from figures import Job, figure, medians

from qtaml_hw.faults import flip_bits

SLOW_SHARE = 50
LEAST_S = 2e-3
IN_MEMORY = 50_000_000
STIM = "Stim, packed Bernoulli samples and xor"
RANDBET = "torch, a uniform per bit and u <= p"
"""As random bit errors are defined in Stutz et al., MLSys 2021 (RandBET)."""


def peers(codes: np.ndarray, p: float) -> dict[str, Job]:
    simulator = stim.FlipSimulator(batch_size=256, seed=1)
    slow = codes[: codes.size // SLOW_SHARE].copy()
    slow_torch = torch.from_numpy(slow.copy())
    rng = np.random.default_rng(1)
    weights = (1 << torch.arange(8)).to(torch.uint8)

    def stim_xor() -> None:
        np.bitwise_xor(codes, simulator.generate_bernoulli_samples(8 * codes.size, p=p, bit_packed=True), out=codes)

    def numpy_line() -> None:
        slow[:] ^= np.packbits(rng.random((slow.size, 8), dtype=np.float32) < p)

    def torch_line() -> None:
        slow_torch.bitwise_xor_(
            (torch.bernoulli(torch.full((slow_torch.numel(), 8), p)).to(torch.uint8) * weights).sum(
                dim=1, dtype=torch.uint8
            )
        )

    def uniform_per_bit() -> None:
        flips = (torch.rand(slow_torch.numel(), 8) <= p).to(torch.uint8) * weights
        slow_torch.bitwise_xor_(flips.sum(dim=1, dtype=torch.uint8))

    return {STIM: stim_xor, "numpy, one line": numpy_line, "torch, one line": torch_line, RANDBET: uniform_per_bit}


def flips(codes: np.ndarray, rounds: int, size: str) -> None:
    """Exact symmetric flips in place beside memcpy, Stim and the one-liners."""
    target = np.empty_like(codes)
    for p in (0.5, 0.1, 0.01, 1e-4, 1e-6):
        index = count()
        others = peers(codes, p)
        jobs: dict[str, Job] = {
            "ours": lambda p=p, index=index: flip_bits(codes, p, p, seed=1, map_index=next(index), out=codes),
            "memcpy": lambda: np.copyto(target, codes),
            **others,
        }
        taken = medians(jobs, rounds, LEAST_S)
        ours, what = taken["ours"], f"{size}, p = {p:g}"
        for slow in set(others) - {STIM}:
            taken[slow] *= SLOW_SHARE
        if p == 1e-6:
            figure(f"{what}: flips", 1e3 * ours, "ms", at_most=0.5 * codes.size / 1e8)
        else:
            rate = codes.size / ours / 1e9
            figure(f"{what}: flips", rate, "G weights/s", at_least=30.0 if p == 1e-4 else 2.5)
        if p >= 0.01:  # a copy of few weights stays in the cache: a peer without a goal
            figure(f"{what}: flips", ours / taken["memcpy"], "memcpy", at_most=4.0 if codes.size >= IN_MEMORY else None)
        for name in others:
            goal = 100.0 if name != STIM else 1.0 if p == 0.5 else 5.0
            figure(f"{what}: {name} takes", taken[name] / ours, "times as long", at_least=goal)


def asymmetric(codes: np.ndarray, rounds: int, size: str) -> None:
    up, down, index = np.geomspace(0.3, 0.02, 8), np.geomspace(0.01, 0.4, 8), count()
    ours = medians(
        {"ours": lambda: flip_bits(codes, up, down, seed=1, map_index=next(index), out=codes)}, rounds, LEAST_S
    )["ours"]
    figure(f"{size}, a p per plane and direction: flips", codes.size / ours / 1e9, "G weights/s", at_least=1.2)


def memory(codes: np.ndarray, size: str) -> None:
    flip_bits(codes, 0.1, 0.05, seed=1, out=codes)  # so that loading the kernels is not counted
    tracemalloc.start()
    flip_bits(codes, 0.1, 0.05, seed=2, out=codes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    figure(f"{size}: extra memory in place", 100.0 * peak / codes.size, "% of the codes", at_most=5.0)


def small(rounds: int) -> None:
    """What a call costs before it flips anything."""
    codes, index = np.zeros(1000, dtype=np.uint8), count()
    ours = medians({"": lambda: flip_bits(codes, 1e-6, 1e-6, seed=1, map_index=next(index), out=codes)}, rounds, 0.05)
    figure("1,000 weights, p = 1e-06: a call", 1e6 * ours[""], "us")


def warm_start() -> None:
    script = (
        "import time, numpy as np, qtaml_hw.faults as f; c = np.zeros(70000, np.uint8); t = time.process_time();"
        "f.flip_bits(c, 0.1, 0.1, seed=1); print(time.process_time() - t)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    figure("first call of a process, kernels cached", float(run.stdout), "s", at_most=1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=int, default=100_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warm_start()
    small(options.rounds)
    for weights in (options.weights, 11_700_000):
        codes = np.random.default_rng(0).integers(0, 256, weights, dtype=np.uint8)
        size = f"{weights / 1e6:g} M weights"
        memory(codes, size)
        flips(codes, options.rounds, size)
        asymmetric(codes, options.rounds, size)


if __name__ == "__main__":
    main()
