"""The exact optimum of an allocation, on request: multiple-choice knapsack by HiGHS branch and bound."""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix, eye_array, kron

from qtaml_hw.tac.allocation import Allocation, Knapsack, solve


def solve_exactly(problem: Knapsack, *, relative_gap: float = 1e-6, time_limit_s: float = 60.0) -> Allocation:
    """The optimum within ``relative_gap``, or the best found in ``time_limit_s``; never worse than the greedy choice.

    ``lower_bound`` is the larger of the solver's dual bound and the linear relaxation's.

    Raises ValueError for a negative budget or shapes that differ.
    """
    greedy = solve(problem)
    items, options = problem.damage.shape
    scale = max(float(problem.damage.max()), 1e-300)  # HiGHS works to absolute tolerances near 1e-7
    one_each = LinearConstraint(csr_matrix(kron(eye_array(items), np.ones((1, options)))), 1, 1)
    spend = LinearConstraint(csr_matrix(problem.cost.reshape(1, -1)), -np.inf, problem.budget * (1.0 + 1e-12))
    found = milp(
        problem.damage.reshape(-1) / scale,
        constraints=[one_each, spend],
        integrality=np.ones(items * options),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": relative_gap, "time_limit": time_limit_s},
    )
    dual = getattr(found, "mip_dual_bound", None)
    bound = max(greedy.lower_bound, scale * float(dual) if dual is not None and np.isfinite(dual) else 0.0)
    if found.x is None:
        return Allocation(greedy.choice, greedy.predicted_distortion, bound, greedy.spent)
    choice = np.argmax(found.x.reshape(items, options), axis=1).astype(np.uint8)
    rows = np.arange(items), choice
    left, spent = float(problem.damage[rows].sum()), float(problem.cost[rows].sum())
    if left >= greedy.predicted_distortion or spent > problem.budget * (1.0 + 1e-9):
        return Allocation(
            greedy.choice, greedy.predicted_distortion, min(bound, greedy.predicted_distortion), greedy.spent
        )
    return Allocation(choice, left, min(bound, left), spent)
