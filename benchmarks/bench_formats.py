"""Speed of number formats: encoding, and statistics of every code.

Run: python benchmarks/bench_formats.py.  Goals: 10^7 int8 weights encoded in 0.5 s, E4M3 in 3 s, bfloat16 in 5 s; mean
and variance of all codes of a 16-bit format in 0.1 s, and at eight bits no slower than through the transition matrix.
"""

from __future__ import annotations

import numpy as np
from figures import figure, in_turns

from qtaml_hw import tac
from qtaml_hw.tac.decoding.statistics import read_moments
from qtaml_hw.weights import number_format


def through_the_matrix(table: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Mean and variance the long way."""
    transition = tac.channel_matrix(p, p)
    mean = transition @ table
    return np.sum(transition * (table[None, :] - mean[:, None]) ** 2, axis=1)


def main() -> None:
    """Least CPU seconds: the other load of the machine only adds."""
    steps = np.random.default_rng(0).normal(size=10_000_000).astype(np.float32)
    for name, goal in (("int8", 0.5), ("e4m3", 3.0), ("bfloat16", 5.0)):
        form = number_format(name)
        x = np.clip(steps * (form.largest / 4.0 if form.scaling == "peak" else 0.05), -form.largest, form.largest)
        least = min(in_turns({"": lambda f=form, y=x: f.encode(y)}, 3)[""])
        figure(f"encode 10^7 {name}", least, "s", at_most=goal)
    p = np.full(8, 0.01)
    table = number_format("e4m3").decode_table
    jobs = {"ours": lambda: read_moments(table, p, p), "matrix": lambda: through_the_matrix(table, p)}
    least_of = {name: min(taken) for name, taken in in_turns(jobs, 9, 2e-3).items()}
    figure("moments of 256 codes", 1e6 * least_of["ours"], "us")
    matrix = least_of["matrix"] / least_of["ours"]
    figure("moments of 256 codes: the transition matrix takes", matrix, "times as long", at_least=1.0)
    wide, p16 = number_format("float16").decode_table, np.full(16, 0.01)
    least = min(in_turns({"": lambda: read_moments(wide, p16, p16)}, 9)[""])
    figure("moments of 65,536 codes", least, "s", at_most=0.1)


if __name__ == "__main__":
    main()
