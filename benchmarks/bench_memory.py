#!/usr/bin/env python3
"""Speed of the simulated weight memory: goal, median CPU time and ratio of every figure.

    python benchmarks/bench_memory.py [--plot scaling.svg]

The peer is the direct way: numpy ages every stored bit at every refresh (one refresh timed, then multiplied).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qtaml_hw.ecc import ProtectionPlan
from qtaml_hw.memory import ArrayGeometry, Memory, Schedule

MEGABYTE = 2**20


@dataclass(frozen=True)
class Cells:
    """Retention times spread evenly: P(t_ret < t) = p_at_refresh * t / refresh_s."""

    p_at_refresh: float
    refresh_s: float
    leaky_state: int = 1

    def flip_probability(self, interval_s):
        return np.minimum(np.asarray(interval_s) * self.p_at_refresh / self.refresh_s, 1.0)

    def retention_quantile(self, u):
        return np.asarray(u) * self.refresh_s / self.p_at_refresh


def image(weights: int, tensors: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    return tuple(np.array_split(rng.integers(0, 256, weights, dtype=np.uint8), tensors))


def secded_plan(codes: tuple[np.ndarray, ...]) -> ProtectionPlan:
    return ProtectionPlan.uniform_msb(np.cumsum([0, *(c.size for c in codes)]), 8, 2, "secded-72-64")


def cpu(job: Callable[[], object], repeats: int) -> float:
    """Median CPU seconds, after one call that compiles and loads."""
    job()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        job()
        times.append(time.process_time() - start)
    return statistics.median(times)


def naive_refresh_s(codes: tuple[np.ndarray, ...]) -> float:
    """CPU seconds in which numpy ages every bit of the image once."""
    bits = np.unpackbits(np.concatenate(codes)[: 4 * MEGABYTE])
    u = np.random.default_rng(2).random(bits.size, dtype=np.float32)
    start = time.process_time()
    bits &= u >= np.float32(1e-4)
    return (time.process_time() - start) * sum(c.size for c in codes) * 8 / bits.size


def line(what: str, goal_s: float, median_s: float, extra: str = "") -> None:
    verdict = "ok" if median_s <= goal_s else "MISSED"
    print(
        f"{what:<78} goal {goal_s:7.3g} s   median {median_s:8.4f} s   ratio {median_s / goal_s:6.2f}  "
        f"{verdict} {extra}"
    )


def edram_second() -> list[tuple[int, float]]:
    """One simulated second of 8 banks x 512 KB, with 1x and 100x the weak cells."""
    codes, refresh_s = image(4 * MEGABYTE, 8), 40e-6
    schedule = Schedule(horizon_s=1.0, refresh_interval_s=refresh_s, scrub_interval_s=1.0, inferences_per_s=1000.0,
                        sample_times_s=(0.5, 1.0))  # fmt: skip
    points, base, goal = [], 0.0, 2.0
    for p in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2):

        def job(p: float = p) -> object:
            return Memory(codes, 8, secded_plan(codes), ArrayGeometry(), schedule).run(Cells(p, refresh_s), seed=1)

        seconds = cpu(job, 3)
        weak = round(p * sum(c.size for c in codes) * 8)
        points.append((weak, seconds))
        if p == 1e-6:
            base = seconds
        if p in (1e-6, 1e-4):
            line(f"1 s of 8 x 512 KB, 40 us refresh, 1 Hz scrub, 1,000 inferences/s, {weak} weak cells", goal, seconds)
            goal = 2.0 * base
    naive = naive_refresh_s(codes) * 25_000
    print(f"{'':<4}peer: every bit aged at each of 25,000 refreshes, numpy: {naive:.0f} s ({naive / base:.0f}x)")
    return points


def large_array() -> None:
    codes, refresh_s = image(64 * MEGABYTE, 20), 1e-3
    schedule = Schedule(horizon_s=0.1, refresh_interval_s=refresh_s, scrub_interval_s=20e-3, sample_times_s=(0.1,))
    geometry = ArrayGeometry(banks=64, row_bits=2048)
    start = time.process_time()
    Memory(codes, 8, secded_plan(codes), geometry, schedule).run(Cells(1e-4, refresh_s), seed=1)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    line(
        "64 MB array, 100 ms, p = 1e-4, SEC-DED on 2 MSBs",
        10.0,
        seconds,
        f"(peak memory of this process {peak:.2f} GB, goal 1 GB)",
    )


def fault_maps() -> None:
    """What a sweep pays per fault map."""
    for weights, tensors, banks, goal in ((100_000, 5, 8, 0.050), (5_000_000, 10, 32, 1.0)):
        codes = image(weights, tensors)
        schedule = Schedule(horizon_s=1e-3, refresh_interval_s=10e-6, sample_times_s=(1e-3,), inferences_per_s=1000.0)
        for name, plan in (("unprotected", ProtectionPlan.unprotected(secded_plan(codes).tensor_starts, 8)),
                           ("SEC-DED on 2 MSBs", secded_plan(codes))):  # fmt: skip
            memory, cells, index = (
                Memory(codes, 8, plan, ArrayGeometry(banks=banks), schedule),
                Cells(0.1, 10e-6),
                iter(range(99)),
            )
            seconds = cpu(lambda m=memory, c=cells, i=index: m.run(c, seed=1, map_index=next(i)), 9)
            line(f"one fault map, {weights} weights, p = 0.1, 1 ms at 10 us refresh, {name}", goal, seconds)


def plot(points: list[tuple[int, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3.2), layout="constrained")
    axes.loglog([p[0] for p in points], [p[1] for p in points], "o-", label="simulated")
    axes.set(xlabel="weak cells held", ylabel="CPU time, s", title="1 s of 8 x 512 KB, 25,000 refreshes per bank")
    axes.grid(True, which="both", alpha=0.3)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, help="write the scaling plot (SVG)")
    args = parser.parse_args()
    large_array()
    fault_maps()
    points = edram_second()
    print("    scaling: " + ", ".join(f"{weak} weak cells {seconds:.2f} s" for weak, seconds in points))
    if args.plot:
        plot(points, args.plot)


if __name__ == "__main__":
    main()
