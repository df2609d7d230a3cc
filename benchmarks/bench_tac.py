"""Speed of TAC: allocation against HiGHS on the same problem, sensitivity of a ResNet-56, theorems per weight.

Run: python benchmarks/bench_tac.py.  Goals: 500 layers x 8 planes x 13 entries below 1 s; ResNet-56,
4 probes of 128 inputs below 10 s of CPU time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from qtaml_hw import tac
from qtaml_hw._threads import single_thread
from qtaml_hw.reproduce.theorems import Case, gaussian_codes, sample
from qtaml_hw.weights.network import stored_names
from qtaml_hw.workloads.published import CifarResNet


def cpu_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median CPU time."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def menu_problem(layers: int, planes: int, entries: int) -> tac.Knapsack:
    """Layers of lognormal sensitivity; codes of falling residual and rising overhead; a budget of a tenth."""
    rng = np.random.default_rng(5)
    size = rng.integers(1_000, 2_000_000, layers).repeat(planes)[:, None]
    worth = (rng.lognormal(sigma=2.0, size=layers)[:, None] * 4.0 ** np.arange(planes)).reshape(-1, 1)
    left = np.concatenate([[1.0], np.sort(rng.uniform(0.0, 0.5, entries - 1))[::-1]])
    cost = np.concatenate([[0.0], np.sort(rng.uniform(0.1, 2.0, entries - 1))])
    return tac.Knapsack(worth * left, size * cost, 0.1 * float(size.sum()))


def main() -> None:
    """Print goal, median and ratio of every figure."""
    problem = menu_problem(500, 8, 13)
    tac.solve(problem)
    greedy = tac.solve(problem)
    seconds = cpu_seconds(lambda: tac.solve(problem), 7)
    print(f"allocation 500 x 8 x 13: {seconds:.4f} s CPU (goal 1 s); gap to the LP bound {100 * greedy.gap:.4f} %")
    small = menu_problem(100, 8, 13)
    exact = tac.solve_exactly(small, time_limit_s=30.0)
    peer = cpu_seconds(lambda: tac.solve_exactly(small, time_limit_s=30.0), 1)
    own = cpu_seconds(lambda: tac.solve(small), 7)
    worse = 100.0 * (tac.solve(small).predicted_distortion / exact.predicted_distortion - 1.0)
    print(f"100 x 8 x 13: greedy {own:.4f} s, HiGHS {peer:.2f} s ({peer / own:.0f}x longer, {worse:.4f} % better)")
    module = CifarResNet(9).eval()
    inputs = torch.randn(128, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with single_thread():
        for batch in (32, 64):  # 32 is the default
            work = partial(tac.jacobian_energy, module, stored_names(module), inputs, batch=batch)
            seconds = cpu_seconds(work, 1)
            print(f"sensitivity, ResNet-56, 128 inputs, 4 probes, batches of {batch}: {seconds:.1f} s CPU (goal 10 s)")
    wanted = 0.05 * float(problem.damage[:, 0].sum())
    path = tac.BudgetPath(problem.damage, problem.cost)
    seconds = cpu_seconds(lambda: tac.BudgetPath(problem.damage, problem.cost).reach(wanted), 7)
    print(f"the cheapest plan for a distortion, 500 x 8 x 13: {seconds:.4f} s CPU; gap {path.reach(wanted).gap:.4%}")
    case = Case("twos_complement", "symmetric", 0.1, 0)
    codes = gaussian_codes(case.form, 10_000_000, 1)
    sample(case, codes, 0)
    seconds = cpu_seconds(lambda: sample(case, codes, 1), 3)
    print(f"one theorem case, 10^7 weights: {seconds:.2f} s CPU")


if __name__ == "__main__":
    main()
