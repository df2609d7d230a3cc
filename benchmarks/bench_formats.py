"""Speed of number formats: encoding, and statistics of every code.

Run: python benchmarks/bench_formats.py.  Goals: 10^7 int8 weights encoded in 0.5 s, E4M3 in 3 s, bfloat16 in 5 s; mean
and variance of all codes of a 16-bit format in 0.1 s, and at eight bits no slower than through the transition matrix.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from qtaml_hw import tac
from qtaml_hw.tac.statistics import read_moments
from qtaml_hw.weights import number_format


def least_cpu_seconds(work: Callable[[], object], repeats: int = 9) -> float:
    """Least CPU time: the other load of the machine only adds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def through_the_matrix(table: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Mean and variance the long way."""
    transition = tac.channel_matrix(p, p)
    mean = transition @ table
    return np.sum(transition * (table[None, :] - mean[:, None]) ** 2, axis=1)


def main() -> None:
    """Print goal, least time and ratio of every figure."""
    steps = np.random.default_rng(0).normal(size=10_000_000).astype(np.float32)
    for name, goal in (("int8", 0.5), ("e4m3", 3.0), ("bfloat16", 5.0)):
        form = number_format(name)
        x = np.clip(steps * (form.largest / 4.0 if form.scaling == "peak" else 0.05), -form.largest, form.largest)
        form.encode(x[:1])
        print(
            f"encode 10^7 {name}: {least_cpu_seconds(lambda f=form, y=x: f.encode(y), 3):.2f} s CPU (goal {goal:g} s)"
        )
    p = np.full(8, 0.01)
    table = number_format("e4m3").decode_table
    own = least_cpu_seconds(lambda: read_moments(table, p, p))
    peer = least_cpu_seconds(lambda: through_the_matrix(table, p))
    print(f"moments of 256 codes: {1e6 * own:.0f} us, {peer / own:.0f} times faster than the matrix (goal 1)")
    wide, p16 = number_format("float16").decode_table, np.full(16, 0.01)
    print(f"moments of 65,536 codes: {least_cpu_seconds(lambda: read_moments(wide, p16, p16)):.3f} s CPU (goal 0.1 s)")


if __name__ == "__main__":
    main()
