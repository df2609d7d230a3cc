"""Speed of TAC: allocation against HiGHS on the same problem, sensitivity of a ResNet-56, theorems per weight.

Run: python benchmarks/bench_tac.py.  Goals: 500 layers x 8 planes x 13 entries below 1 s; ResNet-56,
4 probes of 128 inputs below 10 s of CPU time.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from figures import cpu_s, figure, median_s

from qtaml_hw import tac
from qtaml_hw._threads import single_thread
from qtaml_hw.reproduce.theorems import Case, gaussian_codes, sample
from qtaml_hw.weights.network import stored_names
from qtaml_hw.workloads.published import CifarResNet


def menu_problem(layers: int, planes: int, entries: int) -> tac.Knapsack:
    """Layers of lognormal sensitivity; codes of falling residual and rising overhead; a budget of a tenth."""
    rng = np.random.default_rng(5)
    size = rng.integers(1_000, 2_000_000, layers).repeat(planes)[:, None]
    worth = (rng.lognormal(sigma=2.0, size=layers)[:, None] * 4.0 ** np.arange(planes)).reshape(-1, 1)
    left = np.concatenate([[1.0], np.sort(rng.uniform(0.0, 0.5, entries - 1))[::-1]])
    cost = np.concatenate([[0.0], np.sort(rng.uniform(0.1, 2.0, entries - 1))])
    return tac.Knapsack(worth * left, size * cost, 0.1 * float(size.sum()))


def main() -> None:
    """All figures."""
    problem = menu_problem(500, 8, 13)
    seconds = median_s(lambda: tac.solve(problem), 7)
    gap = f"gap to the LP bound {tac.solve(problem).gap:.4%}"
    figure("allocation 500 x 8 x 13", seconds, "s", at_most=1.0, more=gap)
    small = menu_problem(100, 8, 13)
    exact = tac.solve_exactly(small, time_limit_s=30.0)
    peer = cpu_s(lambda: tac.solve_exactly(small, time_limit_s=30.0))
    own = median_s(lambda: tac.solve(small), 7)
    worse = 100.0 * (tac.solve(small).predicted_distortion / exact.predicted_distortion - 1.0)
    figure("allocation 100 x 8 x 13: HiGHS takes", peer / own, "times as long", more=f"and is {worse:.4f} % better")
    module = CifarResNet(9).eval()
    inputs = torch.randn(128, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with single_thread():
        for batch in (32, 64):  # 32 is the default
            work = partial(tac.jacobian_energy, module, stored_names(module), inputs, batch=batch)
            what = f"sensitivity, ResNet-56, 128 inputs, 4 probes, batches of {batch}"
            figure(what, cpu_s(work), "s", at_most=10.0)
    wanted = 0.05 * float(problem.damage[:, 0].sum())
    path = tac.BudgetPath(problem.damage, problem.cost)
    seconds = median_s(lambda: tac.BudgetPath(problem.damage, problem.cost).reach(wanted), 7)
    figure("the cheapest plan for a distortion, 500 x 8 x 13", seconds, "s", more=f"gap {path.reach(wanted).gap:.4%}")
    case = Case("twos_complement", "symmetric", 0.1, 0)
    codes = gaussian_codes(case.form, 10_000_000, 1)
    figure("one theorem case, 10^7 weights", median_s(lambda: sample(case, codes, 1), 3), "s")


if __name__ == "__main__":
    main()
