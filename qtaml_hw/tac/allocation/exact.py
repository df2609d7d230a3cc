"""The exact optimum of an allocation, either way round: dynamic programming where that stays small, else HiGHS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix, eye_array, kron

from qtaml_hw.arrays import Float64, Uint8
from qtaml_hw.tac.allocation.knapsack import Allocation, BudgetPath, Cheapest, Knapsack, solve
from qtaml_hw.tac.allocation.pareto import optimum


@dataclass(frozen=True)
class Effort:
    """How long branch and bound may go on: to ``relative_gap`` of the optimum, ``time_limit_s`` at most."""

    relative_gap: float = 1e-6
    time_limit_s: float = 60.0


def _least(objective: Float64, limited: Float64, limit: float, effort: Effort) -> tuple[Uint8 | None, float]:
    """Choice [N] of least objective whose limited quantity is at most ``limit`` (None: none found), and a bound."""
    items, options = objective.shape
    # HiGHS works to absolute tolerances near 1e-7
    scale, unit = max(float(objective.max()), 1e-300), max(float(limited.max()), 1e-300)
    one_each = LinearConstraint(csr_matrix(kron(eye_array(items), np.ones((1, options)))), 1, 1)
    most = LinearConstraint(csr_matrix(limited.reshape(1, -1) / unit), -np.inf, limit * (1.0 + 1e-12) / unit)
    solved = milp(
        objective.reshape(-1) / scale,
        constraints=[one_each, most],
        integrality=np.ones(items * options),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": effort.relative_gap, "time_limit": effort.time_limit_s},
    )
    dual = getattr(solved, "mip_dual_bound", None)
    bound = scale * float(dual) if dual is not None and np.isfinite(dual) else 0.0
    if solved.x is None:
        return None, bound
    choice = np.argmax(solved.x.reshape(items, options), axis=1).astype(np.uint8)
    kept = float(limited[np.arange(items), choice].sum()) <= limit * (1.0 + 1e-9)
    return choice if kept else None, bound


def solve_exactly(problem: Knapsack, *, relative_gap: float = 1e-6, time_limit_s: float = 60.0) -> Allocation:
    """The optimum; where HiGHS is asked within ``relative_gap``, or the best found in ``time_limit_s``.

    Never worse than the greedy choice.

    ``lower_bound`` is the larger of the solver's dual bound and the linear relaxation's.

    Raises ValueError for a negative budget or shapes that differ.
    """
    found = optimum(problem)
    if found is not None:
        return found
    greedy = solve(problem)
    choice, dual = _least(problem.damage, problem.cost, problem.budget, Effort(relative_gap, time_limit_s))
    rows = np.arange(problem.damage.shape[0]), greedy.choice if choice is None else choice
    left = float(problem.damage[rows].sum())
    if choice is None or left >= greedy.predicted_distortion:
        rows, left = (rows[0], greedy.choice), greedy.predicted_distortion
    bound = min(max(greedy.lower_bound, dual), left)
    return Allocation(rows[1], left, bound, float(problem.cost[rows].sum()))


def reach_exactly(damage: Float64, cost: Float64, distortion: float, effort: Effort | None = None) -> Cheapest:
    """The least cost that reaches a damage, never dearer than the greedy choice; bound as in :func:`solve_exactly`.

    ``damage`` and ``cost`` [N, Q].  Raises ValueError when everything bought leaves more damage.
    """
    greedy = BudgetPath(damage, cost).reach(distortion)
    choice, dual = _least(cost, damage, distortion, effort or Effort())
    rows = np.arange(damage.shape[0]), greedy.choice if choice is None else choice
    spent = float(cost[rows].sum())
    if choice is None or spent >= greedy.spent:
        rows, spent = (rows[0], greedy.choice), greedy.spent
    return Cheapest(rows[1], float(damage[rows].sum()), spent, min(max(greedy.least_spent, dual), spent))
