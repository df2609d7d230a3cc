"""Speed of the bit-flip engine beside its peers: same process, alternating, CPU time, medians.

    python benchmarks/bench_faults.py [--weights 100000000] [--rounds 5]

Slow peers (the numpy and torch one-liners) run on 1/50 of the weights and are scaled up.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import stim
import torch

from qtaml_hw.faults import flip_bits

SLOW_SHARE = 50


def cpu_seconds(job: Callable[[int], object], index: int) -> float:
    start = time.process_time()
    job(index)
    return time.process_time() - start


def alternate(jobs: dict[str, Callable[[int], object]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of every job, taken in turns after one warm-up each."""
    for job in jobs.values():
        job(0)
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for index in range(1, rounds + 1):
        for name, job in jobs.items():
            taken[name].append(cpu_seconds(job, index))
    return {name: statistics.median(values) for name, values in taken.items()}


def judge(what: str, figure: str, goal: str, share: float) -> None:
    """One figure beside its goal; ``share`` of the goal is reached, 1 or more meets it."""
    print(
        f"{what:<52} {figure:>22}  goal {goal:<24} {share:6.2f} of it  {'met' if share >= 1 else 'MISSED'}", flush=True
    )


def judge_rate(what: str, seconds: float, weights: int, goal_per_s: float) -> None:
    figure = f"{1e3 * seconds:.2f} ms {weights / seconds / 1e9:.2f} G/s"
    judge(what, figure, f">= {goal_per_s / 1e9:g} G weights/s", weights / seconds / goal_per_s)


def judge_peer(what: str, ratio: float, goal: float) -> None:
    judge(f"  against {what}", f"{ratio:.1f}x", f">= {goal:g}x", ratio / goal)


def peers(codes: np.ndarray, p: float) -> dict[str, Callable[[int], object]]:
    simulator = stim.FlipSimulator(batch_size=256, seed=1)
    slow = codes[: codes.size // SLOW_SHARE].copy()
    slow_torch = torch.from_numpy(slow.copy())
    rng = np.random.default_rng(1)
    weights = (1 << torch.arange(8)).to(torch.uint8)

    def stim_xor(_: int) -> None:
        np.bitwise_xor(codes, simulator.generate_bernoulli_samples(8 * codes.size, p=p, bit_packed=True), out=codes)

    def numpy_line(_: int) -> None:
        slow[:] ^= np.packbits(rng.random((slow.size, 8), dtype=np.float32) < p)

    def torch_line(_: int) -> None:
        slow_torch.bitwise_xor_(
            (torch.bernoulli(torch.full((slow_torch.numel(), 8), p)).to(torch.uint8) * weights).sum(
                dim=1, dtype=torch.uint8
            )
        )

    return {"stim": stim_xor, "numpy": numpy_line, "torch": torch_line}


def flips(codes: np.ndarray, rounds: int) -> None:
    """Exact symmetric flips in place beside memcpy, stim and the one-liners."""
    target = np.empty_like(codes)
    for p in (0.5, 0.1, 0.01, 1e-4, 1e-6):
        jobs: dict[str, Callable[[int], object]] = {
            "ours": lambda index, p=p: flip_bits(codes, p, p, seed=1, map_index=index, out=codes),
            "memcpy": lambda _: np.copyto(target, codes),
            **peers(codes, p),
        }
        medians = alternate(jobs, rounds)
        ours = medians["ours"]
        for slow in ("numpy", "torch"):
            medians[slow] *= SLOW_SHARE
        if p == 1e-6:
            goal_s = 0.5e-3 * codes.size / 1e8
            judge(f"flip_bits p = {p:g}", f"{1e3 * ours:.3f} ms", f"<= {1e3 * goal_s:g} ms", goal_s / ours)
        else:
            judge_rate(f"flip_bits p = {p:g}", ours, codes.size, 30e9 if p == 1e-4 else 2.5e9)
        if p >= 0.01:
            copies = ours / medians["memcpy"]
            judge("  against memcpy", f"{copies:.2f} memcpy", "<= 4 memcpy", 4.0 / copies)
        judge_peer("stim, packed Bernoulli samples and xor", medians["stim"] / ours, 5.0)
        judge_peer("numpy, one line", medians["numpy"] / ours, 100.0)
        judge_peer("torch, one line", medians["torch"] / ours, 100.0)


def asymmetric(codes: np.ndarray, rounds: int) -> None:
    up, down = np.geomspace(0.3, 0.02, 8), np.geomspace(0.01, 0.4, 8)
    medians = alternate({"ours": lambda index: flip_bits(codes, up, down, seed=1, map_index=index, out=codes)}, rounds)
    judge_rate("flip_bits per plane, asymmetric", medians["ours"], codes.size, 1.2e9)


def memory(codes: np.ndarray) -> None:
    flip_bits(codes, 0.1, 0.05, seed=1, out=codes)  # so that loading the kernels is not counted
    tracemalloc.start()
    flip_bits(codes, 0.1, 0.05, seed=2, out=codes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    judge("extra memory in place", f"{peak / codes.size:.2%} of the weights", "<= 5 %", 0.05 * codes.size / peak)


def warm_start() -> None:
    script = (
        "import time, numpy as np, qtaml_hw.faults as f; c = np.zeros(70000, np.uint8); t = time.process_time();"
        "f.flip_bits(c, 0.1, 0.1, seed=1); print(time.process_time() - t)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    seconds = float(run.stdout)
    judge("first call of a process, kernels cached", f"{seconds:.2f} s", "<= 1 s", 1.0 / seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=int, default=100_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.machine()} {platform.processor()}, Python {platform.python_version()}, numpy {np.__version__}")
    warm_start()
    for weights in (options.weights, 11_700_000):
        codes = np.random.default_rng(0).integers(0, 256, weights, dtype=np.uint8)
        print(f"--- {weights:,} int8 weights, CPU time of one core, median of {options.rounds}")
        memory(codes)
        flips(codes, options.rounds)
        asymmetric(codes, options.rounds)


if __name__ == "__main__":
    main()
