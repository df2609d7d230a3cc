"""Flips of stored codes on a GPU: the torch twin beside a device copy of the same codes and beside one core.

    python benchmarks/bench_gpu.py [--weights 1000000000] [--rounds 7]

Device seconds are taken with events, in turns, medians; the copy reads and writes every code once, as the flips do.
Every rate is first checked bit for bit against the compiled engine on the first ten million codes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from qtaml_hw.faults import MapKey, flip_bits
from qtaml_hw.faults.torch_twin import flip_torch

GOAL_COPIES = 3.0
CHECKED = 10_000_000
RATES = (0.5, 0.1, 1e-2, 1e-4, 1e-6)


def device_seconds(job: Callable[[], object]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    job()
    end.record()
    torch.cuda.synchronize()
    return 1e-3 * start.elapsed_time(end)


def medians(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median device seconds of every job, taken in turns after one warm-up each."""
    for job in jobs.values():
        job()
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            taken[name].append(device_seconds(job))
    return {name: statistics.median(values) for name, values in taken.items()}


def same_bits(codes: torch.Tensor, p: float) -> bool:
    part = codes[:CHECKED]
    expected = flip_bits(part.cpu().numpy(), p, p, seed=3, map_index=1)
    return np.array_equal(flip_torch(part, p, p, MapKey(3, 1)).cpu().numpy(), expected)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=lambda text: int(float(text)), default=1_000_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU on this machine: nothing to measure")
        return
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {asked.weights:,} int8 codes")
    codes = torch.randint(0, 256, (asked.weights,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(codes)
    host = codes[:CHECKED].cpu().numpy()
    for p in RATES:
        if not same_bits(codes, p):
            sys.exit(f"p = {p:g}: the bits differ from the compiled engine's")

        def flips(p: float = p) -> object:
            return flip_torch(codes, p, p, MapKey(3, 1))

        found = medians({"copy": lambda: target.copy_(codes), "flips": flips}, asked.rounds)
        ratio = found["flips"] / found["copy"]
        start = time.process_time()
        flip_bits(host, p, p, seed=3, map_index=1)
        core = (time.process_time() - start) * asked.weights / CHECKED
        verdict = "met" if ratio <= GOAL_COPIES else "MISSED"
        print(
            f"p = {p:<8g} flips {1e3 * found['flips']:9.2f} ms  copy {1e3 * found['copy']:6.2f} ms  "
            f"{ratio:7.1f} copies  goal <= {GOAL_COPIES:g}  {verdict}; one core {core / found['flips']:.1f}x as long",
            flush=True,
        )


if __name__ == "__main__":
    main()
